#pragma once
// A TLS peer made of plain OpenSSL and blocking sockets, that can do what ours never does.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "common/base/bytes.h"
#include "tests/common/transport/pki.h"

namespace holdfast::transport::testing_pki {

using ContextPtr = identity::OpensslPtr<SSL_CTX, SSL_CTX_free>;
using SslPtr = identity::OpensslPtr<SSL, SSL_free>;

/// Closes on its way out. Reads and writes end after 20 s at the latest.
class RawSocket {
 public:
  explicit RawSocket(int descriptor) : descriptor_(descriptor) {
    std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
    const timeval limit{20, 0};
    setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  }
  ~RawSocket() { ::close(descriptor_); }
  RawSocket(const RawSocket&) = delete;
  RawSocket& operator=(const RawSocket&) = delete;
  int get() const { return descriptor_; }

  void send_text(std::string_view text) { (void)::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL); }
  void finish_sending() { ::shutdown(descriptor_, SHUT_WR); }
  /// Until the peer closes or resets.
  std::string read_all() {
    std::string out;
    char buffer[4096];
    for (;;) {
      const ssize_t n = ::recv(descriptor_, buffer, sizeof buffer, 0);
      if (n <= 0) return out;
      out.append(buffer, static_cast<std::size_t>(n));
    }
  }

 private:
  int descriptor_;
};

/// `address`: 127.0.0.1:PORT.
inline int dial_raw(const std::string& address) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(::connect(descriptor, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  return descriptor;
}

/// How the raw side behaves; the default is what ours would do.
struct RawOptions {
  std::optional<KeyAndCertificate> identity;
  std::vector<std::string> chain;  ///< PEM, sent behind the certificate
  std::string trust_pem;           ///< a server asks for a client certificate when this is set
  int least = TLS1_3_VERSION, most = TLS1_3_VERSION;
  std::string alpn = "holdfast/1";
  std::string ciphers;
  enum class Psk { None, Resume, EarlyData } psk = Psk::None;
};

inline int give_session(SSL* ssl, const EVP_MD*, const unsigned char** id, std::size_t* size, SSL_SESSION** out) {
  static const unsigned char kCipher[2] = {0x13, 0x01};  // TLS_AES_128_GCM_SHA256
  static const unsigned char kSecret[32] = {1};
  SSL_SESSION* session = SSL_SESSION_new();
  SSL_SESSION_set1_master_key(session, kSecret, sizeof kSecret);
  SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, kCipher));
  SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION);
  SSL_SESSION_set_max_early_data(session, 1000);
  *id = reinterpret_cast<const unsigned char*>("old session");
  *size = 11;
  *out = session;
  return 1;
}

inline Bytes alpn_wire(const std::string& alpn) {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(alpn.size())).raw(alpn);
  return out.take();
}

inline ContextPtr raw_context(const RawOptions& options, bool server) {
  ContextPtr context(SSL_CTX_new(server ? TLS_server_method() : TLS_client_method()));
  SSL_CTX_set_security_level(context.get(), 0);
  SSL_CTX_set_min_proto_version(context.get(), options.least);
  SSL_CTX_set_max_proto_version(context.get(), options.most);
  if (!options.ciphers.empty()) {
    EXPECT_EQ(SSL_CTX_set_ciphersuites(context.get(), options.ciphers.c_str()), 1);
  }
  if (options.identity) {
    const X509Ptr certificate = *identity::read_certificate(options.identity->certificate_pem);
    const PkeyPtr key = *identity::read_key(options.identity->key_pem);
    EXPECT_EQ(SSL_CTX_use_certificate(context.get(), certificate.get()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), key.get()), 1);
  }
  for (const std::string& pem : options.chain) {
    const X509Ptr one = *identity::read_certificate(pem);
    EXPECT_EQ(SSL_CTX_add1_chain_cert(context.get(), one.get()), 1);
  }
  SSL_CTX_set_mode(context.get(), SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(context.get(), 0);
  return context;
}

/// What the raw client saw.
struct Seen {
  std::size_t application_bytes = 0;
  int alert = -1;          ///< from the peer
  bool connected = false;  ///< its own side of the handshake ended well
};

inline int alert_of_last_error() {
  const unsigned long code = ERR_peek_last_error();
  const int reason = ERR_GET_REASON(code);
  ERR_clear_error();
  return reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256 ? reason - SSL_AD_REASON_OFFSET : -1;
}

/// Connects, says something, and reads whatever comes until the end.
inline Seen talk(const std::string& address, const RawOptions& options) {
  Seen seen;
  RawSocket socket(dial_raw(address));
  const ContextPtr context = raw_context(options, false);
  const SslPtr ssl(SSL_new(context.get()));
  SSL_set_fd(ssl.get(), socket.get());
  if (!options.alpn.empty()) {
    const Bytes wire = alpn_wire(options.alpn);
    SSL_set_alpn_protos(ssl.get(), wire.data(), static_cast<unsigned>(wire.size()));
  }
  if (options.psk != RawOptions::Psk::None) SSL_set_psk_use_session_callback(ssl.get(), give_session);
  if (options.psk == RawOptions::Psk::EarlyData) {
    std::size_t put = 0;
    SSL_write_early_data(ssl.get(), "early", 5, &put);
  }
  seen.connected = SSL_connect(ssl.get()) == 1;
  if (!seen.connected) {
    seen.alert = alert_of_last_error();
    return seen;
  }
  SSL_write(ssl.get(), "hello, is this yours?", 21);
  char buffer[4096];
  int n = 0;
  while ((n = SSL_read(ssl.get(), buffer, sizeof buffer)) > 0) seen.application_bytes += static_cast<std::size_t>(n);
  seen.alert = alert_of_last_error();
  return seen;
}

/// One connection on a loopback port, handled on a thread of its own.
class RawServer {
 public:
  explicit RawServer(std::function<void(RawSocket&)> handle) {
    listening_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(listening_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(::listen(listening_, 4), 0);
    socklen_t size = sizeof at;
    getsockname(listening_, reinterpret_cast<sockaddr*>(&at), &size);
    address_ = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
    thread_ = std::thread([this, handle = std::move(handle)] {
      const int descriptor = ::accept(listening_, nullptr, nullptr);
      if (descriptor < 0) return;
      RawSocket socket(descriptor);
      handle(socket);
    });
  }
  ~RawServer() {
    ::shutdown(listening_, SHUT_RDWR);  // an accept that nobody came for returns
    thread_.join();
    ::close(listening_);
  }
  const std::string& address() const { return address_; }

 private:
  int listening_ = -1;
  std::string address_;
  std::thread thread_;
};

}  // namespace holdfast::transport::testing_pki
