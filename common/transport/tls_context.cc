// What is fixed before the first byte: versions, certificates, trust. The checks themselves are hooks in tls.cc.
#include "common/transport/tls.h"
#include "common/transport/tls_hooks.h"

namespace holdfast::transport {
namespace {

using identity::openssl_error;
using identity::PkeyPtr;
using identity::X509Ptr;

/// One intermediate between a peer's certificate and the trusted root: enough for a vendor's own PKI. The built-in CA
/// allows none (path length 0).
constexpr int kMaxIntermediates = 1;

bool harden(SSL_CTX* context) {
  // No early data is ever accepted, and none is skipped: whoever sends it is refused.
  return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
         SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 && SSL_CTX_set_num_tickets(context, 0) == 1 &&
         SSL_CTX_set_max_early_data(context, 0) == 1 && SSL_CTX_set_recv_max_early_data(context, 0) == 1;
}

Bytes alpn_list(const std::string& alpn) {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(alpn.size())).raw(alpn);
  return out.take();
}

}  // namespace

Result<std::shared_ptr<TlsContext>> TlsContext::make(bool server) {
  auto made = std::make_shared<TlsContext>();
  made->server = server;
  made->context_.reset(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()));
  SSL_CTX* context = made->get();
  if (!context || !harden(context)) return openssl_error(Errc::Io, "set up TLS");
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);  // idle connections hold no record buffers
  SSL_CTX_set_max_cert_list(context, kMaxChainBytes);
  SSL_CTX_set_verify_depth(context, kMaxIntermediates);
  TlsHooks::install(*made);
  return made;
}

Status TlsContext::use(const identity::KeyAndCertificate& identity, const std::string* ca_to_send) {
  HF_TRY(const PkeyPtr key, identity::read_key(identity.key_pem));
  HF_TRY(std::vector<X509Ptr> chain, identity::read_certificates(identity.certificate_pem));
  if (ca_to_send) {
    HF_TRY(std::vector<X509Ptr> ca, identity::read_certificates(*ca_to_send));
    for (X509Ptr& one : ca) chain.push_back(std::move(one));
  }
  if (SSL_CTX_use_certificate(get(), chain[0].get()) != 1) return openssl_error(Errc::Usage, "use the TLS certificate");
  if (SSL_CTX_use_PrivateKey(get(), key.get()) != 1) {
    return openssl_error(Errc::WrongKey, "the TLS key does not belong to its certificate");
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(get(), chain[i].get()) != 1) return openssl_error(Errc::Usage, "use the TLS chain");
  }
  return {};
}

Status TlsContext::trust(const std::string& ca_pem) {
  HF_TRY(const std::vector<X509Ptr> roots, identity::read_certificates(ca_pem));
  for (const X509Ptr& root : roots) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(get()), root.get()) != 1) {
      return openssl_error(Errc::Usage, "trust the CA");
    }
  }
  return {};
}

Result<std::shared_ptr<TlsContext>> TlsContext::for_server(const ServerOptions& options) {
  HF_ASSERT(!options.alpn.empty() && options.alpn.size() < 256);
  HF_TRY(std::shared_ptr<TlsContext> made, make(true));
  made->require_peer = options.require_peer;
  made->alpn = options.alpn;
  made->denied = options.denied;
  // Enrolment: the new machine knows only the CA's fingerprint, so the CA itself must be in the chain.
  HF_TRY_DO(made->use(options.certificate, options.require_peer ? nullptr : &options.ca_pem));
  if (options.require_peer) {
    HF_TRY_DO(made->trust(options.ca_pem));
    SSL_CTX_set_verify(made->get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return made;
}

Result<std::shared_ptr<TlsContext>> TlsContext::for_client(const ClientOptions& options) {
  HF_ASSERT(!options.alpn.empty() && options.alpn.size() < 256);
  if (options.ca_pem.empty() && !options.ca_fingerprint) {
    return Error{Errc::Usage, "connect to " + options.address + ": neither a CA nor its fingerprint is known"};
  }
  HF_TRY(std::shared_ptr<TlsContext> made, make(false));
  made->alpn = options.alpn;
  made->ca_fingerprint = options.ca_fingerprint;
  made->root_unknown = options.ca_pem.empty();
  if (options.certificate) HF_TRY_DO(made->use(*options.certificate, nullptr));
  if (!options.ca_pem.empty()) HF_TRY_DO(made->trust(options.ca_pem));
  SSL_CTX_set_verify(made->get(), SSL_VERIFY_PEER, nullptr);
  const Bytes list = alpn_list(options.alpn);
  if (SSL_CTX_set_alpn_protos(made->get(), list.data(), static_cast<unsigned>(list.size())) != 0) {
    return openssl_error(Errc::Io, "set up TLS");
  }
  return made;
}

}  // namespace holdfast::transport
