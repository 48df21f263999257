// The client's end of a connection against a server that does not keep to the protocol, over real TLS on loopback.
#include "client/remote/remote.h"

#include <gtest/gtest.h>

#include <thread>

#include "client/remote/messages.h"
#include "common/runtime/task_group.h"
#include "tests/common/transport/pki.h"

namespace holdfast::remote {
namespace {

using namespace std::chrono_literals;
using namespace transport::testing_pki;
using runtime::Task;
using transport::Frame;
using transport::FrameStream;
using transport::FrameType;

constexpr auto kSoon = 20s;  // a deadline that no healthy test meets

/// Welcomes everybody, and answers a Fetch with one record again and again, as long as anybody takes it.
Task<void> flood(std::unique_ptr<FrameStream> stream) {
  for (;;) {
    HF_CO_TRY(Frame frame, co_await stream->receive(kSoon));
    v1::Request request;
    if (!request.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size())))
      co_return Error{Errc::Protocol, "no request"};
    while (request.has_fetch()) {
      Frame blob;
      blob.type = FrameType::Blob;
      blob.payload.resize(1000);
      HF_CO_TRY_DO(co_await stream->send(std::move(blob), kSoon));
    }
    v1::Response response;
    response.mutable_welcome()->set_protocol(kProtocolVersion);
    frame.payload = to_bytes(as_bytes(response.SerializeAsString()));
    HF_CO_TRY_DO(co_await stream->send(std::move(frame), kSoon));
  }
}

/// A server on a thread of its own.
class HostileServer {
 public:
  HostileServer() {
    transport::ServerOptions options;
    options.listen = "127.0.0.1:0";
    options.certificate = certified(ca_, kServerName);
    options.ca_pem = ca_.certificate_pem;
    options.alpn = "holdfast/1";
    listener_ = *transport::listen(loop_, std::move(options), &flood);
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~HostileServer() {
    loop_.post([this] {
      listener_->close();
      listener_->close_connections();
      loop_.spawn(listener_->drained(kSoon), [this](Status) { loop_.stop(); });
    });
    thread_.join();
  }
  Result<std::unique_ptr<Remote>> connect() const {
    transport::ClientOptions options;
    options.address = listener_->address();
    options.certificate = certified(ca_, kClientName);
    options.ca_pem = ca_.certificate_pem;
    options.alpn = "holdfast/1";
    return Remote::connect(std::move(options));
  }

 private:
  const identity::KeyAndCertificate ca_ = *identity::make_ca(system_clock(), "test CA");
  runtime::Loop loop_;
  std::unique_ptr<transport::Listener> listener_;
  std::thread thread_;
};

TEST(Remote, TakesNoMoreBlobsThanItAskedFor) {
  const HostileServer server;
  const Result<std::unique_ptr<Remote>> remote = server.connect();
  ASSERT_TRUE(remote) << remote.error().message;
  const std::vector<WantedBlob> wanted(40);  // more than one request's worth: the others are waited for
  const MonotonicTime begun = system_clock().monotonic();
  const Status fetched = (*remote)->fetch({}, wanted, [](std::size_t, Result<Bytes>) { return Status{}; });
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, Errc::Protocol);
  EXPECT_LT(system_clock().monotonic() - begun, kSoon);  // nothing is waited for that could go on for ever
}

TEST(Remote, IsGoneAtOnceWhenItIsDestroyed) {
  const HostileServer server;
  std::chrono::nanoseconds best = kSoon;
  for (int i = 0; i < 3; ++i) {  // the best of three: the machine may be busy
    Result<std::unique_ptr<Remote>> remote = server.connect();
    ASSERT_TRUE(remote) << remote.error().message;
    const MonotonicTime begun = system_clock().monotonic();
    remote->reset();
    best = std::min<std::chrono::nanoseconds>(best, system_clock().monotonic() - begun);
  }
  EXPECT_LT(best, 500ms);
}

TEST(Messages, NoSnapshotHasNumberZero) {
  v1::SessionOpened message;
  message.set_session_id(std::string(SessionId::kBytes, 'a'));
  message.set_head_digest(std::string(Digest::kBytes, 'b'));
  const Result<Opened> refused = decode(message);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::Protocol);
  message.set_next_sequence(1);
  EXPECT_TRUE(decode(message));
}

}  // namespace
}  // namespace holdfast::remote
