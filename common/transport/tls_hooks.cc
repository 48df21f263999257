#include "common/transport/tls_hooks.h"

#include <algorithm>

namespace holdfast::transport {
namespace {

using identity::Role;

// ---- the socket as OpenSSL's BIO ----

int bio_read(BIO* bio, char* out, std::size_t size, std::size_t* got) {
  Socket& socket = *static_cast<Socket*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const ByteSpan in = socket.available();
  *got = std::min(size, in.size());
  if (*got == 0) {
    BIO_set_retry_read(bio);
    return 0;
  }
  std::memcpy(out, in.data(), *got);
  socket.consume(*got);
  return 1;
}

int bio_write(BIO* bio, const char* in, std::size_t size, std::size_t* put) {
  Bytes& out = static_cast<Socket*>(BIO_get_data(bio))->outgoing();
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(in);
  out.insert(out.end(), bytes, bytes + size);
  *put = size;
  return 1;
}

long bio_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

BIO_METHOD* bio_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "holdfast socket");
    HF_ASSERT(made && BIO_meth_set_read_ex(made, bio_read) && BIO_meth_set_write_ex(made, bio_write) &&
              BIO_meth_set_ctrl(made, bio_control));
    return made;
  }();
  return method;
}

// ---- certificates ----

Result<identity::CertificateFacts> facts_of(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  if (size <= 0) return identity::openssl_error(Errc::Corrupt, "read the peer's certificate");
  Result<identity::CertificateFacts> facts = identity::inspect_der({der, static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  return facts;
}

bool has_fingerprint(X509* certificate, const Digest& wanted) {
  Digest digest;
  unsigned int size = 0;
  return X509_digest(certificate, EVP_sha256(), digest.bytes.data(), &size) == 1 && digest == wanted;
}

constexpr const char* kWrongRoot = "its CA is not the one named in the token";

/// The end of a chain that has been verified.
X509* root_of(X509_STORE_CTX* store) {
  STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(store);
  return sk_X509_value(chain, sk_X509_num(chain) - 1);
}

bool ask_denied(const TlsContext& context, const identity::CertificateFacts& facts) {
  if (!context.denied) return false;
  try {  // an exception must not cross OpenSSL's frames; without an answer nobody gets in
    return context.denied(facts);
  } catch (...) {
    return true;
  }
}

// ---- the client's first message ----

bool has_extension(SSL* ssl, unsigned int type) {
  const unsigned char* at = nullptr;
  std::size_t size = 0;
  return SSL_client_hello_get0_ext(ssl, type, &at, &size) == 1;
}

/// supported_versions (RFC 8446, section 4.2.1): u8 length, then u16 each, big-endian.
bool offers_tls13(SSL* ssl) {
  const unsigned char* at = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &at, &size) != 1) return false;
  for (std::size_t i = 1; i + 1 < size; i += 2) {
    if (at[i] == 0x03 && at[i + 1] == 0x04) return true;
  }
  return false;
}

}  // namespace

void TlsHooks::install(TlsContext& context) {
  SSL_CTX_set_cert_verify_callback(context.get(), verify_peer, nullptr);
  if (context.server) {
    SSL_CTX_set_client_hello_cb(context.get(), client_hello, nullptr);
    SSL_CTX_set_alpn_select_cb(context.get(), select_alpn, nullptr);
  }
}

void TlsHooks::attach(SSL* ssl, Tls& tls, Socket& socket) {
  SSL_set_app_data(ssl, &tls);
  BIO* bio = BIO_new(bio_method());
  HF_ASSERT(bio != nullptr);
  BIO_set_data(bio, &socket);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl, bio, bio);  // takes ownership
}

Tls& TlsHooks::of(const SSL* ssl) { return *static_cast<Tls*>(SSL_get_app_data(ssl)); }

int TlsHooks::refuse(X509_STORE_CTX* store, Tls& tls, int error, std::string why) {
  tls.reason_ = std::move(why);
  X509_STORE_CTX_set_error(store, error);  // decides which alert the peer gets
  return 0;
}

/// Enrolment: the root is not known beforehand, its fingerprint is. The peer sends it; it is trusted for this connection.
bool TlsHooks::trust_root_by_fingerprint(X509_STORE_CTX* store, Tls& tls) {
  STACK_OF(X509)* sent = X509_STORE_CTX_get0_untrusted(store);
  for (int i = 1; i < sk_X509_num(sent); ++i) {  // 0 is the peer itself
    X509* one = sk_X509_value(sent, i);
    if (has_fingerprint(one, *tls.context_->ca_fingerprint)) {
      return X509_STORE_add_cert(X509_STORE_CTX_get0_store(store), one) == 1;  // the store is this connection's own
    }
  }
  return false;
}

bool TlsHooks::speaks_ours(const Tls& tls) {
  const unsigned char* alpn = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(tls.ssl_.get(), &alpn, &size);
  return as_text({alpn, size}) == tls.context_->alpn;
}

int TlsHooks::verify_peer(X509_STORE_CTX* store, void*) {
  Tls& tls = of(static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx())));
  const TlsContext& context = *tls.context_;
  if (!context.server && !speaks_ours(tls)) {  // here, before our own certificate goes out
    return refuse(store, tls, X509_V_ERR_APPLICATION_VERIFICATION,
                  "it does not speak " + context.alpn + " (is this the right port?)");
  }
  if (context.root_unknown && !trust_root_by_fingerprint(store, tls)) {
    return refuse(store, tls, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, kWrongRoot);
  }
  if (X509_verify_cert(store) != 1) {
    const int error = X509_STORE_CTX_get_error(store);
    return refuse(store, tls, error, X509_verify_cert_error_string(error));
  }
  if (context.ca_fingerprint && !has_fingerprint(root_of(store), *context.ca_fingerprint)) {
    return refuse(store, tls, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, kWrongRoot);
  }
  const Result<identity::CertificateFacts> facts = facts_of(X509_STORE_CTX_get0_cert(store));
  if (!facts) return refuse(store, tls, X509_V_ERR_APPLICATION_VERIFICATION, facts.error().message);
  const bool peer_is_server = facts->name.role == Role::Server;
  if (peer_is_server == context.server) {
    return refuse(
        store, tls, X509_V_ERR_INVALID_PURPOSE,
        "it is the certificate of " + facts->name.uri() + ", and that is no " + (context.server ? "client" : "server"));
  }
  if (ask_denied(context, *facts)) {
    return refuse(store, tls, X509_V_ERR_CERT_REVOKED, "the certificate of " + facts->name.uri() + " is revoked");
  }
  tls.facts_ = *facts;
  return 1;
}

/// Refuses here, with words for the log, what would otherwise be ignored (resumption, early data, no ALPN) or fail
/// later without a reason. Clients of ours offer none of it.
int TlsHooks::client_hello(SSL* ssl, int* alert, void*) {
  Tls& tls = of(ssl);
  if (!offers_tls13(ssl)) {
    tls.reason_ = "it does not offer TLS 1.3";
    *alert = SSL_AD_PROTOCOL_VERSION;
  } else if (has_extension(ssl, TLSEXT_TYPE_early_data)) {
    tls.reason_ = "it sends early data";
    *alert = SSL_AD_ILLEGAL_PARAMETER;
  } else if (has_extension(ssl, TLSEXT_TYPE_psk)) {
    tls.reason_ = "it tries to resume a session";
    *alert = SSL_AD_ILLEGAL_PARAMETER;
  } else if (!has_extension(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation)) {
    tls.reason_ = "it names no protocol (ALPN)";
    *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
  } else {
    return SSL_CLIENT_HELLO_SUCCESS;
  }
  return SSL_CLIENT_HELLO_ERROR;
}

int TlsHooks::select_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                          unsigned int in_size, void*) {
  Tls& tls = of(ssl);
  const std::string& wanted = tls.context_->alpn;
  // RFC 7301, section 3.1: u8 length and name, each; OpenSSL has checked the lengths.
  for (unsigned int at = 0; at < in_size; at += 1u + in[at]) {
    const ByteSpan name(in + at + 1, in[at]);
    if (as_text(name) == wanted) {
      *out = in + at + 1;
      *out_size = in[at];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  tls.reason_ = "it speaks another protocol than " + wanted + " (ALPN)";
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace holdfast::transport
