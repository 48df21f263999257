#pragma once
// Inside transport/ only: TLS 1.3 (RFC 8446) over a Socket, with every rule of PROTOCOL.md about who may talk to whom.
// OpenSSL works on memory; this file moves the bytes.

#include <openssl/ssl.h>

#include <optional>

#include "common/identity/openssl.h"
#include "common/transport/socket.h"
#include "common/transport/transport.h"

namespace holdfast::transport {

/// What both sides check in the handshake. Immutable once made; thread-safe. Shared by a listener's connections.
class TlsContext {
 public:
  /// Errors: Usage, WrongKey when key, certificate or CA cannot be used.
  static Result<std::shared_ptr<TlsContext>> for_server(const ServerOptions& options);
  static Result<std::shared_ptr<TlsContext>> for_client(const ClientOptions& options);

  bool server = false;
  bool require_peer = true;
  std::string alpn;
  std::optional<Digest> ca_fingerprint;
  bool root_unknown = false;  ///< only the fingerprint is known; the peer sends the root
  std::function<bool(const identity::CertificateFacts&)> denied;
  SSL_CTX* get() const { return context_.get(); }

 private:
  static Result<std::shared_ptr<TlsContext>> make(bool server);
  Status use(const identity::KeyAndCertificate& identity, const std::string* ca_to_send);
  Status trust(const std::string& ca_pem);
  identity::OpensslPtr<SSL_CTX, SSL_CTX_free> context_;
};

/// One connection. One thread at a time; a reader and a writer coroutine may run together. `socket` outlives it.
class Tls {
 public:
  /// `peer`: the other side in errors, "the server at HOST:PORT".
  Tls(std::shared_ptr<const TlsContext> context, Socket& socket, std::string peer);
  ~Tls();
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

  /// Errors: Denied (either side does not accept the other), Protocol (no TLS), Limit (chain), Timeout, Unreachable.
  runtime::Task<void> handshake(Deadline end);
  /// At least one byte, at most `out.size()`. Errors: as the socket's; Denied when the peer's refusal comes late.
  runtime::Task<std::size_t> read(MutableByteSpan out, Deadline end);
  /// Waits until there is something to read, and leaves it there. Errors: as read.
  runtime::Task<void> peek(Deadline end);
  /// Encrypts into the socket's buffer, without waiting. Errors: Protocol.
  Status write(ByteSpan bytes);
  /// Puts a close_notify into the socket's buffer.
  void say_goodbye();

  const std::optional<identity::CertificateFacts>& facts() const { return facts_; }

 private:
  friend struct TlsHooks;
  using Reading = int (*)(SSL*, void*, std::size_t, std::size_t*);  ///< SSL_read_ex or SSL_peek_ex
  runtime::Task<std::size_t> read_by(Reading reading, MutableByteSpan out, Deadline end);
  Error failure();
  Error alert_error(int alert) const;

  std::shared_ptr<const TlsContext> context_;  // shared with the listener and its other connections
  Socket& socket_;
  std::string peer_;
  identity::OpensslPtr<SSL, SSL_free> ssl_;
  std::optional<identity::CertificateFacts> facts_;
  std::string reason_;   ///< why one of our own checks refused
  bool failed_ = false;  ///< nothing more may be asked of OpenSSL
};

}  // namespace holdfast::transport
