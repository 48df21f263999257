#pragma once
// Inside transport/ only: the functions that OpenSSL calls during the handshake, and the socket as its BIO.

#include "common/transport/tls.h"

namespace holdfast::transport {

struct TlsHooks {
  static void install(TlsContext& context);
  /// The hooks find the connection by this.
  static void attach(SSL* ssl, Tls& tls, Socket& socket);

  /// Have both sides agreed on our protocol (ALPN)?
  static bool speaks_ours(const Tls& tls);

  static int verify_peer(X509_STORE_CTX* store, void*);
  static int client_hello(SSL* ssl, int* alert, void*);
  static int select_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                         unsigned int in_size, void*);

 private:
  static Tls& of(const SSL* ssl);
  static int refuse(X509_STORE_CTX* store, Tls& tls, int error, std::string why);
  static bool trust_root_by_fingerprint(X509_STORE_CTX* store, Tls& tls);
};

}  // namespace holdfast::transport
