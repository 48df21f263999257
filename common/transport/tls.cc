#include "common/transport/tls.h"

#include <openssl/sslerr.h>

#include "common/transport/tls_hooks.h"

namespace holdfast::transport {
namespace {

/// Output that the peer provokes without taking it (key updates) stays below this.
constexpr std::size_t kMaxProvokedOutput = 1u << 20;

/// The alert that the peer has sent, from OpenSSL's error code.
std::optional<int> received_alert(unsigned long code) {
  const int reason = ERR_GET_REASON(code);
  if (ERR_GET_LIB(code) != ERR_LIB_SSL || reason < SSL_AD_REASON_OFFSET || reason > SSL_AD_REASON_OFFSET + 255)
    return {};
  return reason - SSL_AD_REASON_OFFSET;
}

bool is_no_tls(int reason) {
  return reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST || reason == SSL_R_HTTPS_PROXY_REQUEST ||
         reason == SSL_R_PACKET_LENGTH_TOO_LONG || reason == SSL_R_UNEXPECTED_MESSAGE ||
         reason == SSL_R_BAD_RECORD_TYPE || reason == SSL_R_RECORD_LENGTH_MISMATCH;
}

}  // namespace

Tls::Tls(std::shared_ptr<const TlsContext> context, Socket& socket, std::string peer)
    : context_(std::move(context)), socket_(socket), peer_(std::move(peer)), ssl_(SSL_new(context_->get())) {
  HF_ASSERT(ssl_ != nullptr);
  TlsHooks::attach(ssl_.get(), *this, socket_);
  if (context_->server)
    SSL_set_accept_state(ssl_.get());
  else
    SSL_set_connect_state(ssl_.get());
}

Tls::~Tls() = default;

runtime::Task<void> Tls::handshake(Deadline end) {
  for (;;) {
    ERR_clear_error();
    const int rc = SSL_do_handshake(ssl_.get());
    const int what = SSL_get_error(ssl_.get(), rc);
    if (rc == 1) break;
    if (what != SSL_ERROR_WANT_READ) co_return failure();
    socket_.kick();
    HF_CO_TRY_DO(co_await socket_.fill(end));
  }
  // The hooks have refused these already; a peer that finds a way around them gets no further.
  const bool known = facts_.has_value() || (context_->server && !context_->require_peer);
  if (!known || !TlsHooks::speaks_ours(*this)) {
    failed_ = true;
    co_return Error{Errc::Denied, peer_ + " skipped a part of the handshake"};
  }
  co_return co_await socket_.drain(0, end);
}

runtime::Task<std::size_t> Tls::read(MutableByteSpan out, Deadline end) { return read_by(&SSL_read_ex, out, end); }

runtime::Task<void> Tls::peek(Deadline end) {
  std::array<std::uint8_t, 1> unused{};
  HF_CO_TRY_DO(co_await read_by(&SSL_peek_ex, unused, end));
  co_return Status{};
}

runtime::Task<std::size_t> Tls::read_by(Reading reading, MutableByteSpan out, Deadline end) {
  for (;;) {
    if (failed_) co_return Error{Errc::Protocol, "the TLS connection has failed already"};
    ERR_clear_error();
    std::size_t got = 0;
    const int rc = reading(ssl_.get(), out.data(), out.size(), &got);
    const int what = SSL_get_error(ssl_.get(), rc);
    socket_.kick();
    if (rc == 1) co_return got;
    if (what == SSL_ERROR_ZERO_RETURN) co_return Error{Errc::Unreachable, peer_ + " closed the connection"};
    if (what != SSL_ERROR_WANT_READ) co_return failure();
    if (socket_.unsent() > kMaxProvokedOutput && socket_.available().empty()) {
      HF_CO_TRY_DO(co_await socket_.drain(kMaxProvokedOutput, end));
    }
    HF_CO_TRY_DO(co_await socket_.fill(end));
  }
}

Status Tls::write(ByteSpan bytes) {
  if (bytes.empty()) return {};
  if (failed_) return Error{Errc::Protocol, "the TLS connection has failed already"};
  ERR_clear_error();
  std::size_t put = 0;
  // The socket's buffer takes everything, so OpenSSL takes everything.
  if (SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &put) != 1) return failure();
  HF_ASSERT(put == bytes.size());
  return {};
}

void Tls::say_goodbye() {
  if (failed_ || SSL_in_init(ssl_.get())) return;
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

/// OpenSSL's last error in our terms. After it nothing more may be asked of `ssl_`; its alert lies in the socket's buffer.
Error Tls::failure() {
  failed_ = true;
  const unsigned long code = ERR_peek_last_error();
  const int reason = ERR_GET_REASON(code);
  const std::string words = identity::openssl_reason();
  const bool in_handshake = SSL_in_init(ssl_.get()) != 0;
  if (!reason_.empty()) {
    return {Errc::Denied,
            context_->server ? reason_ : peer_ + " is not the server that we trust: " + reason_ + "; nothing was sent"};
  }
  if (const std::optional<int> alert = received_alert(code)) return alert_error(*alert);
  if (ERR_GET_LIB(code) != ERR_LIB_SSL) return {Errc::Protocol, "TLS with " + peer_ + ": " + words};
  switch (reason) {
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return {Errc::Denied, "it shows no certificate"};
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SHARED_CIPHER:
      return {Errc::Denied, peer_ + " does not offer TLS 1.3 as we do: " + words};
    case SSL_R_EXCESSIVE_MESSAGE_SIZE:
      return {Errc::Limit, peer_ + " sends a certificate chain of more than 16 KiB"};
    default:
      break;
  }
  if (in_handshake && is_no_tls(reason))
    return {Errc::Protocol, peer_ + " does not speak TLS: is this the right port? (" + words + ")"};
  return {Errc::Protocol, "TLS with " + peer_ + " broke: " + words};
}

/// RFC 8446, section 6.2: the peer has refused us, and this is why.
Error Tls::alert_error(int alert) const {
  if (context_->server) {
    return {Errc::Denied, std::string("it refused the connection (alert: ") + SSL_alert_desc_string_long(alert) + ")"};
  }
  const std::string refuses = peer_ + " refuses this machine's certificate: ";
  switch (alert) {
    case SSL_AD_CERTIFICATE_REVOKED:
      return {Errc::Denied, refuses + "it is revoked; an operator must enrol this machine anew"};
    case SSL_AD_CERTIFICATE_EXPIRED:
      return {Errc::Denied, refuses + "it has expired; check the clock, then enrol this machine anew"};
    case SSL_AD_UNKNOWN_CA:
      return {Errc::Denied, refuses + "it comes from another CA; was this machine enrolled with this server?"};
    case SSL_AD_CERTIFICATE_REQUIRED:
      return {Errc::Denied, peer_ + " asks for a certificate and this machine has none; enrol it first"};
    case SSL_AD_BAD_CERTIFICATE:
      return {Errc::Denied, refuses + "it is not valid (yet); check the clock"};
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
      return {Errc::Denied, refuses + "it is not meant for this use"};
    case SSL_AD_NO_APPLICATION_PROTOCOL:
      return {Errc::Denied, peer_ + " does not speak " + context_->alpn + ": is this the right port?"};
    case SSL_AD_PROTOCOL_VERSION:
      return {Errc::Denied, peer_ + " does not speak TLS 1.3"};
    default:
      return {Errc::Denied,
              peer_ + " refuses the connection (alert: " + SSL_alert_desc_string_long(alert) + "); its log says why"};
  }
}

}  // namespace holdfast::transport
