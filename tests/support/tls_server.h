#pragma once
// A server on a thread of its own, over real TLS on loopback, that does with every connection what the test says; and the
// client's end of it. What the service of holdfastd itself needs is loopback_server.h.

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "client/remote/messages.h"
#include "client/remote/remote.h"
#include "common/base/clock.h"
#include "common/runtime/task_group.h"
#include "tests/common/transport/pki.h"

namespace holdfast::test {

constexpr auto kSoon = std::chrono::seconds(20);  ///< a deadline that no healthy test meets

inline transport::Frame control_frame(std::uint64_t tag, const v1::Response& response) {
  return {transport::FrameType::Control, tag, to_bytes(as_bytes(response.SerializeAsString()))};
}
inline v1::Response welcome() {
  v1::Response response;
  response.mutable_welcome()->set_protocol(remote::kProtocolVersion);
  return response;
}
/// Errors: Protocol.
inline Result<v1::Request> request_in(const transport::Frame& frame) {
  v1::Request request;
  if (!request.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size())))
    return Error{Errc::Protocol, "no request"};
  return request;
}

class TlsServer {
 public:
  /// Serves one connection; they count from 1. Runs on the server's thread.
  using Serve = std::function<runtime::Task<void>(std::unique_ptr<transport::FrameStream>, int connection)>;

  explicit TlsServer(Serve serve) : serve_(std::move(serve)) {
    transport::ServerOptions options;
    options.listen = "127.0.0.1:0";
    options.certificate = transport::testing_pki::certified(pki().ca, transport::testing_pki::kServerName);
    options.ca_pem = pki().ca.certificate_pem;
    options.alpn = "holdfast/1";
    listener_ = *transport::listen(loop_, std::move(options), [this](std::unique_ptr<transport::FrameStream> stream) {
      return serve_(std::move(stream), ++connections_);
    });
    thread_ = std::thread([this] { loop_.run(); });
  }
  TlsServer(const TlsServer&) = delete;
  ~TlsServer() {
    loop_.post([this] {
      listener_->close();
      listener_->close_connections();
      loop_.spawn(listener_->drained(kSoon), [this](Status) { loop_.stop(); });
    });
    thread_.join();
  }

  transport::ClientOptions options() const {
    transport::ClientOptions out;
    out.address = listener_->address();
    out.certificate = pki().client;
    out.ca_pem = pki().ca.certificate_pem;
    out.alpn = "holdfast/1";
    return out;
  }
  Result<std::unique_ptr<remote::Remote>> connect(remote::Patience patience = {}) const {
    return remote::Remote::connect(options(), std::move(patience));
  }
  /// So many have come.
  int connections() const { return connections_; }

 private:
  struct Pki {
    identity::KeyAndCertificate ca = *identity::make_ca(system_clock(), "test CA");
    identity::KeyAndCertificate client = transport::testing_pki::certified(ca, transport::testing_pki::kClientName);
  };
  static const Pki& pki() {  // of all servers: keys take time
    static const Pki one;
    return one;
  }

  const Serve serve_;
  std::atomic<int> connections_{0};
  runtime::Loop loop_;
  std::unique_ptr<transport::Listener> listener_;
  std::thread thread_;
};

}  // namespace holdfast::test
