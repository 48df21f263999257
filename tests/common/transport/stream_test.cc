// Frames over real loopback sockets, both ends of ours.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>

#include "common/runtime/queue.h"
#include "common/runtime/task_group.h"
#include "common/transport/transport.h"
#include "tests/common/transport/pki.h"
#include "tests/common/transport/raw_peer.h"
#include "tests/support/reference.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::transport {
namespace {

using namespace std::chrono_literals;
using namespace testing_pki;
using runtime::Loop;
using runtime::Task;
using StreamPtr = std::unique_ptr<FrameStream>;

constexpr auto kSoon = 20s;  // a deadline that no healthy test meets

/// A CA, a server and a client of it. Made once: keys cost time.
struct Identities {
  KeyAndCertificate ca = *identity::make_ca(system_clock(), "test CA");
  KeyAndCertificate server = certified(ca, kServerName);
  KeyAndCertificate client = certified(ca, kClientName);
};
const Identities& ids() {
  static const Identities all;
  return all;
}

ServerOptions server_options() {
  ServerOptions options;
  options.listen = "127.0.0.1:0";
  options.certificate = ids().server;
  options.ca_pem = ids().ca.certificate_pem;
  options.alpn = "holdfast/1";
  return options;
}

ClientOptions client_options(const std::string& address) {
  ClientOptions options;
  options.address = address;
  options.certificate = ids().client;
  options.ca_pem = ids().ca.certificate_pem;
  options.alpn = "holdfast/1";
  options.connect_deadline = kSoon;
  return options;
}

Frame frame_of(std::size_t size, std::uint64_t tag, FrameType type = FrameType::Control) {
  Frame frame;
  frame.type = type;
  frame.tag = tag;
  frame.payload.resize(size);
  for (std::size_t i = 0; i < size; ++i) frame.payload[i] = static_cast<std::uint8_t>(i * 31 + tag);
  return frame;
}

Task<void> echo(StreamPtr stream) {
  for (;;) {
    HF_CO_TRY(Frame frame, co_await stream->receive(kSoon));
    HF_CO_TRY_DO(co_await stream->send(std::move(frame), kSoon));
  }
}

/// Runs `task` to its end on `loop`.
Status run(Loop& loop, Task<void> task) {
  Status out = Error{Errc::Io, "never ended"};
  loop.spawn(std::move(task), [&](Status status) {
    out = std::move(status);
    loop.stop();
  });
  loop.run();
  return out;
}

// ---- round trips ----

Task<void> exchange(FrameStream& stream, std::size_t size, FrameType type) {
  Frame sent = frame_of(size, size + 7, type);
  Frame copy = sent;
  HF_CO_TRY_DO(co_await stream.send(std::move(copy), kSoon));
  HF_CO_TRY(const Frame back, co_await stream.receive(kSoon));
  EXPECT_EQ(back.tag, sent.tag);
  EXPECT_EQ(back.type, sent.type);
  EXPECT_TRUE(back.payload == sent.payload) << size;
  co_return Status{};
}

Task<void> exchange_sizes(Loop& loop, ClientOptions options) {
  HF_CO_TRY(const StreamPtr stream, co_await connect(loop, options));
  EXPECT_EQ(stream->peer()->name.uri(), "holdfast://server/vault");
  EXPECT_EQ(stream->peer_address(), options.address);
  for (const std::size_t size : {0u, 1u, 4080u, 4096u, 4097u, 16384u, 65536u, 65537u, 300'000u, 4u << 20}) {
    HF_CO_TRY_DO(co_await exchange(*stream, size, FrameType::Control));
  }
  HF_CO_TRY_DO(co_await exchange(*stream, kMaxBlobFrameBytes, FrameType::Blob));
  EXPECT_GT(stream->bytes_sent(), std::uint64_t{12} << 20);
  EXPECT_GT(stream->bytes_received(), std::uint64_t{12} << 20);
  co_return Status{};
}

TEST(TlsStream, CarriesFramesOfEverySizeUnchanged) {
  Loop loop;
  const auto listener = listen(loop, server_options(), echo);
  ASSERT_TRUE(listener);
  const Status status = run(loop, exchange_sizes(loop, client_options((*listener)->address())));
  EXPECT_TRUE(status) << status.error().message;
}

TEST(TlsStream, WorksOverIpv6) {
  Loop loop;
  ServerOptions options = server_options();
  options.listen = "[::1]:0";
  const auto listener = listen(loop, options, echo);
  HF_MAY_LACK(listener.has_value(), "IPv6: " + listener.error().message);
  EXPECT_EQ((*listener)->address().rfind("[::1]:", 0), 0u);
  const Status status = run(loop, exchange_sizes(loop, client_options((*listener)->address())));
  EXPECT_TRUE(status) << status.error().message;
}

// ---- a reader and a writer at once ----

Task<void> write_many(FrameStream& stream, int count) {
  for (int i = 0; i < count; ++i) {
    Frame frame = frame_of(70'000, static_cast<std::uint64_t>(i), FrameType::Blob);
    HF_CO_TRY_DO(co_await stream.send(std::move(frame), kSoon));
  }
  co_return Status{};
}
Task<void> read_many(FrameStream& stream, int count) {
  for (int i = 0; i < count; ++i) {
    HF_CO_TRY(const Frame frame, co_await stream.receive(kSoon));
    EXPECT_EQ(frame.tag, static_cast<std::uint64_t>(i));
    EXPECT_TRUE(frame.payload == frame_of(70'000, frame.tag).payload);
  }
  co_return Status{};
}
Task<void> duplex(Loop& loop, ClientOptions options) {
  HF_CO_TRY(const StreamPtr stream, co_await connect(loop, options));
  runtime::TaskGroup group(loop);
  group.spawn(write_many(*stream, 200));
  group.spawn(read_many(*stream, 200));
  co_return co_await group.join();
}

TEST(TlsStream, ReadsAndWritesAtTheSameTime) {
  Loop loop;
  const auto listener = listen(loop, server_options(), echo);
  ASSERT_TRUE(listener);
  const Status status = run(loop, duplex(loop, client_options((*listener)->address())));
  EXPECT_TRUE(status) << status.error().message;
}

// ---- deadlines ----

Task<void> wait_then_exchange(Loop& loop, ClientOptions options) {
  HF_CO_TRY(const StreamPtr stream, co_await connect(loop, options));
  for (int i = 0; i < 3; ++i) {
    const Result<Frame> nothing = co_await stream->receive(1ms);
    EXPECT_TRUE(!nothing && nothing.error().code == Errc::Timeout);
  }
  co_return co_await exchange(*stream, 5000, FrameType::Control);
}

TEST(TlsStream, GoesOnAfterADeadlineBetweenFrames) {
  Loop loop;
  const auto listener = listen(loop, server_options(), echo);
  ASSERT_TRUE(listener);
  const Status status = run(loop, wait_then_exchange(loop, client_options((*listener)->address())));
  EXPECT_TRUE(status) << status.error().message;
}

/// Takes the connection and never reads.
Task<void> sleepy(StreamPtr stream) {
  HF_CO_TRY_DO(co_await runtime::sleep_for(kSoon));
  stream->close();
  co_return Status{};
}
Task<void> send_to_sleepy(Loop& loop, ClientOptions options) {
  HF_CO_TRY(const StreamPtr stream, co_await connect(loop, options));
  for (int i = 0; i < 100; ++i) {
    Frame frame = frame_of(kMaxBlobFrameBytes, 1, FrameType::Blob);
    const Status sent = co_await stream->send(std::move(frame), 20ms);
    if (sent) continue;  // the kernel's buffers
    EXPECT_EQ(sent.error().code, Errc::Timeout);
    Frame next = frame_of(1, 2);
    EXPECT_FALSE(co_await stream->send(std::move(next), kSoon));  // half a frame is out: the stream is over
    co_return Status{};
  }
  co_return Error{Errc::Io, "800 MB fit into the buffers of a reader that does not read"};
}

TEST(TlsStream, GivesUpOnAPeerThatDoesNotRead) {
  Loop loop;
  const auto listener = listen(loop, server_options(), sleepy);
  ASSERT_TRUE(listener);
  const Status status = run(loop, send_to_sleepy(loop, client_options((*listener)->address())));
  EXPECT_TRUE(status) << status.error().message;
}

// ---- ends ----

Task<void> one_frame_then_close(StreamPtr stream) {
  Frame frame = frame_of(3'000'000, 9);
  co_return co_await stream->send(std::move(frame), kSoon);
}
Task<void> read_to_the_end(Loop& loop, ClientOptions options) {
  HF_CO_TRY(const StreamPtr stream, co_await connect(loop, options));
  HF_CO_TRY(const Frame frame, co_await stream->receive(kSoon));
  EXPECT_EQ(frame.payload.size(), 3'000'000u);
  const Result<Frame> end = co_await stream->receive(kSoon);
  EXPECT_TRUE(!end && end.error().code == Errc::Unreachable);
  EXPECT_NE(end.error().message.find(options.address), std::string::npos) << end.error().message;
  co_return Status{};
}

TEST(TlsStream, LosesNothingThatWasSentBeforeTheEnd) {
  Loop loop;
  const auto listener = listen(loop, server_options(), one_frame_then_close);
  ASSERT_TRUE(listener);
  const Status status = run(loop, read_to_the_end(loop, client_options((*listener)->address())));
  EXPECT_TRUE(status) << status.error().message;
}

Task<void> close_soon(FrameStream& stream) {
  stream.close();
  stream.close();
  co_return Status{};
}
Task<void> receive_canceled(FrameStream& stream) {
  const Result<Frame> frame = co_await stream.receive(kSoon);
  EXPECT_TRUE(!frame && frame.error().code == Errc::Canceled);
  co_return Status{};
}
Task<void> close_while_reading(Loop& loop, ClientOptions options) {
  HF_CO_TRY(const StreamPtr stream, co_await connect(loop, options));
  runtime::TaskGroup group(loop);
  group.spawn(receive_canceled(*stream));
  group.spawn(close_soon(*stream));
  co_return co_await group.join();
}

TEST(TlsStream, WakesItsReaderWhenClosed) {
  Loop loop;
  const auto listener = listen(loop, server_options(), echo);
  ASSERT_TRUE(listener);
  const Status status = run(loop, close_while_reading(loop, client_options((*listener)->address())));
  EXPECT_TRUE(status) << status.error().message;
}

Task<void> throwing(StreamPtr stream) {
  HF_CO_TRY(const Frame frame, co_await stream->receive(kSoon));
  throw std::runtime_error("a session of " + std::to_string(frame.payload.size()));
}
Task<void> two_sessions(Loop& loop, ClientOptions options) {
  HF_CO_TRY(const StreamPtr first, co_await connect(loop, options));
  HF_CO_TRY(const StreamPtr second, co_await connect(loop, options));
  Frame frame = frame_of(5, 1);
  HF_CO_TRY_DO(co_await first->send(frame, kSoon));
  const Result<Frame> gone = co_await first->receive(kSoon);
  EXPECT_TRUE(!gone && gone.error().code == Errc::Unreachable);
  const Result<Frame> alive = co_await second->receive(1ms);
  EXPECT_TRUE(!alive && alive.error().code == Errc::Timeout);
  co_return Status{};
}

TEST(Listener, ClosesOnlyTheConnectionWhoseSessionThrows) {
  testing::internal::CaptureStderr();
  Loop loop;
  const auto listener = listen(loop, server_options(), throwing);
  ASSERT_TRUE(listener);
  const Status status = run(loop, two_sessions(loop, client_options((*listener)->address())));
  EXPECT_TRUE(status) << status.error().message;
  EXPECT_NE(testing::internal::GetCapturedStderr().find("a session of 5"), std::string::npos);
}

// ---- the listener ----

Task<void> close_listener(Loop& loop, Listener& listener, ClientOptions options) {
  HF_CO_TRY(const StreamPtr stream, co_await connect(loop, options));
  HF_CO_TRY_DO(co_await exchange(*stream, 10, FrameType::Control));
  EXPECT_EQ(listener.connections(), 1u);
  listener.close();
  HF_CO_TRY_DO(co_await exchange(*stream, 10, FrameType::Control));  // sessions go on
  const auto refused = co_await connect(loop, options);
  EXPECT_TRUE(!refused && refused.error().code == Errc::Unreachable);
  EXPECT_NE(refused.error().message.find(options.address), std::string::npos) << refused.error().message;
  const Status busy = co_await listener.drained(1ms);
  EXPECT_TRUE(!busy && busy.error().code == Errc::Timeout);
  listener.close_connections();
  const Result<Frame> cut = co_await stream->receive(kSoon);
  EXPECT_FALSE(cut);
  stream->close();
  co_return co_await listener.drained(kSoon);
}

TEST(Listener, StopsAcceptingThenEndsWhatIsLeft) {
  Loop loop;
  const auto listener = listen(loop, server_options(), echo);
  ASSERT_TRUE(listener);
  const Status status = run(loop, close_listener(loop, **listener, client_options((*listener)->address())));
  EXPECT_TRUE(status) << status.error().message;
  EXPECT_EQ((*listener)->connections(), 0u);
}

Task<void> fill_up(Loop& loop, ClientOptions options) {
  HF_CO_TRY(const StreamPtr first, co_await connect(loop, options));
  HF_CO_TRY_DO(co_await exchange(*first, 10, FrameType::Control));
  const auto second = co_await connect(loop, options);
  EXPECT_TRUE(!second && second.error().code == Errc::Unreachable);
  co_return co_await exchange(*first, 10, FrameType::Control);
}

TEST(Listener, RefusesConnectionsBeyondItsBound) {
  testing::internal::CaptureStderr();
  Loop loop;
  ServerOptions options = server_options();
  options.max_connections = 1;
  const auto listener = listen(loop, options, echo);
  ASSERT_TRUE(listener);
  const Status status = run(loop, fill_up(loop, client_options((*listener)->address())));
  EXPECT_TRUE(status) << status.error().message;
  EXPECT_NE(testing::internal::GetCapturedStderr().find("too many connections"), std::string::npos);
}

/// A client that comes in the same moment as all the others may have to come again.
Task<void> get_in(Loop& loop, ClientOptions options) {
  Error last{Errc::Io, "not tried"};
  for (int attempt = 0; attempt < 50; ++attempt) {
    const auto stream = co_await connect(loop, options);
    if (stream) co_return co_await exchange(**stream, 10, FrameType::Control);
    last = stream.error();
    HF_CO_TRY_DO(co_await runtime::sleep_for(20ms));
  }
  co_return last;
}

TEST(Listener, SilentStrangersKeepNobodyOut) {
  testing::internal::CaptureStderr();
  Loop loop;
  ServerOptions options = server_options();
  options.max_connections = 8;
  const auto listener = listen(loop, options, echo);
  ASSERT_TRUE(listener);
  std::vector<std::unique_ptr<RawSocket>> strangers;
  for (int i = 0; i < 8; ++i) strangers.push_back(std::make_unique<RawSocket>(dial_raw((*listener)->address())));
  const Status status = run(loop, get_in(loop, client_options((*listener)->address())));
  EXPECT_TRUE(status) << status.error().message;
  EXPECT_NE(testing::internal::GetCapturedStderr().find("too many handshakes"), std::string::npos);
}

TEST(Listener, NamesAnAddressItCannotTake) {
  Loop loop;
  ServerOptions options = server_options();
  for (const char* bad : {"localhost:1", "127.0.0.1", "127.0.0.1:70000", "::1:80", ":80", "192.0.2.1:80"}) {
    options.listen = bad;
    const auto listener = listen(loop, options, echo);
    ASSERT_FALSE(listener) << bad;
    EXPECT_NE(listener.error().message.find(bad == std::string("localhost:1") ? "localhost" : bad), std::string::npos)
        << listener.error().message;
  }
}

TEST(Listener, EndsCleanlyWithConnectionsInEveryState) {
  Loop loop;
  auto listener = listen(loop, server_options(), sleepy);
  ASSERT_TRUE(listener);
  auto go = [](Loop& l, ClientOptions options) -> Task<void> {
    HF_CO_TRY(const StreamPtr stream, co_await connect(l, options));
    co_return Status{};
  };
  EXPECT_TRUE(run(loop, go(loop, client_options((*listener)->address()))));
}

// ---- connecting ----

Task<void> connect_only(Loop& loop, ClientOptions options, Error& error) {
  const auto stream = co_await connect(loop, options);
  if (!stream) error = stream.error();
  co_return Status{};
}

Error connect_error(const std::string& address) {
  Loop loop;
  Error error{Errc{}, ""};
  EXPECT_TRUE(run(loop, connect_only(loop, client_options(address), error)));
  return error;
}

TEST(Connect, NamesWhatItCouldNotReach) {
  const Error refused = connect_error("127.0.0.1:1");
  EXPECT_EQ(refused.code, Errc::Unreachable);
  EXPECT_NE(refused.message.find("127.0.0.1:1"), std::string::npos) << refused.message;
  EXPECT_NE(refused.message.find("refused"), std::string::npos) << refused.message;
  EXPECT_EQ(connect_error("no port").code, Errc::Usage);
  const Error unknown = connect_error("no-such-name.invalid:7");
  EXPECT_TRUE(unknown.code == Errc::Unreachable || unknown.code == Errc::Timeout) << unknown.message;
  EXPECT_NE(unknown.message.find("no-such-name.invalid"), std::string::npos);
}

TEST(Connect, TriesEveryAddressOfAName) {
  Loop loop;
  const auto listener = listen(loop, server_options(), echo);
  ASSERT_TRUE(listener);
  const std::string address = (*listener)->address();
  // Resolves to ::1 and 127.0.0.1 or to one of them; the server listens on the latter.
  const std::string by_name = "localhost" + address.substr(address.rfind(':'));
  const Status status = run(loop, exchange_sizes(loop, client_options(by_name)));
  EXPECT_TRUE(status) << status.error().message;
}

// ---- Unix sockets ----

class UnixSocket : public testing::Test {
 protected:
  std::string path() const { return directory_ / "admin.sock"; }
  support::TemporaryDirectory directory_;
};

Task<void> exchange_unix(Loop& loop, std::string path) {
  HF_CO_TRY(const StreamPtr stream, co_await connect_unix(loop, path));
  EXPECT_FALSE(stream->peer().has_value());
  for (const std::size_t size : {0u, 1u, 70'000u, 4u << 20}) {
    HF_CO_TRY_DO(co_await exchange(*stream, size, FrameType::Control));
  }
  co_return Status{};
}

TEST_F(UnixSocket, CarriesFramesAndIsPrivateToItsUser) {
  Loop loop;
  {
    const auto listener = listen_unix(loop, path(), echo);
    ASSERT_TRUE(listener) << listener.error().message;
    struct stat info{};
    ASSERT_EQ(lstat(path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 07777, 0600u);
    const Status status = run(loop, exchange_unix(loop, path()));
    EXPECT_TRUE(status) << status.error().message;
    const auto second = listen_unix(loop, path(), echo);
    EXPECT_TRUE(!second && second.error().code == Errc::Locked);
  }
  EXPECT_FALSE(std::filesystem::exists(path()));
}

Task<void> connect_unix_error(Loop& loop, std::string path, Error& error) {
  const auto stream = co_await connect_unix(loop, path);
  if (!stream) error = stream.error();
  co_return Status{};
}

TEST_F(UnixSocket, SaysThatTheDaemonIsNotRunning) {
  Loop loop;
  Error error{Errc{}, ""};
  EXPECT_TRUE(run(loop, connect_unix_error(loop, path(), error)));
  EXPECT_EQ(error.code, Errc::Unreachable);
  EXPECT_NE(error.message.find("not running"), std::string::npos) << error.message;
}

TEST_F(UnixSocket, ReplacesAFileThatADeadDaemonLeft) {
  {
    const int left = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "%s", path().c_str());
    ASSERT_EQ(bind(left, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::close(left);
  }
  Loop loop;
  EXPECT_TRUE(listen_unix(loop, path(), echo));
}

TEST_F(UnixSocket, TouchesNothingThatIsNoSocketAndNamesPathsThatAreTooLong) {
  std::filesystem::create_directory(path());
  Loop loop;
  const auto listener = listen_unix(loop, path(), echo);
  EXPECT_TRUE(!listener && listener.error().code == Errc::Exists);
  const auto too_long = listen_unix(loop, directory_ / std::string(200, 'x'), echo);
  EXPECT_TRUE(!too_long && too_long.error().code == Errc::Limit);
}

}  // namespace
}  // namespace holdfast::transport
