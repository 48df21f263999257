// The frame header, addresses, and the double that stands for a connection in other folders' tests.
#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>

#include "common/runtime/task_group.h"
#include "common/transport/address.h"
#include "common/transport/transport.h"
#include "tests/support/frame_pair.h"

namespace holdfast::transport {
namespace {

using namespace std::chrono_literals;
using runtime::Loop;
using runtime::Task;

TEST(FrameHeader, IsWhatItWas) {
  const Bytes header = encode_frame_header(FrameType::Blob, 0x0102030405060708, 0x00345678);
  EXPECT_EQ(to_hex(header), "48460102785634000807060504030201");
  const Result<FrameHeader> back = decode_frame_header(header);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->type, FrameType::Blob);
  EXPECT_EQ(back->tag, 0x0102030405060708u);
  EXPECT_EQ(back->payload_bytes, 0x00345678u);
}

/// Lines of `hex outcome [type tag length]`, # comments.
TEST(FrameHeader, ReadsItsVectors) {
  std::ifstream file(std::string(HF_SOURCE_DIR) + "/tests/vectors/frame/headers.txt");
  ASSERT_TRUE(file);
  int seen = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    ++seen;
    std::istringstream in(line);
    std::string hex, outcome;
    in >> hex >> outcome;
    const Result<FrameHeader> header = decode_frame_header(*from_hex(hex));
    if (outcome == "ok") {
      unsigned type = 0;
      std::uint64_t tag = 0;
      std::uint32_t length = 0;
      in >> type >> tag >> length;
      ASSERT_TRUE(header) << line;
      EXPECT_EQ(static_cast<unsigned>(header->type), type) << line;
      EXPECT_EQ(header->tag, tag) << line;
      EXPECT_EQ(header->payload_bytes, length) << line;
      EXPECT_EQ(to_hex(encode_frame_header(header->type, header->tag, header->payload_bytes)), hex);
    } else {
      ASSERT_FALSE(header) << line;
      EXPECT_EQ(errc_name(header.error().code), outcome) << line;
    }
  }
  EXPECT_GE(seen, 10);
}

TEST(FrameHeader, RefusesEveryOtherLength) {
  const Bytes header = encode_frame_header(FrameType::Control, 7, 100);
  for (std::size_t size = 0; size < header.size(); ++size) {
    EXPECT_FALSE(decode_frame_header(ByteSpan(header).first(size))) << size;
  }
  Bytes longer = header;
  longer.push_back(0);
  EXPECT_FALSE(decode_frame_header(longer));
}

TEST(FrameHeader, NeverExceedsALimitWhateverIsFlipped) {
  const Bytes header = encode_frame_header(FrameType::Control, 7, kMaxControlBytes);
  for (std::size_t i = 0; i < header.size() * 8; ++i) {
    Bytes bad = header;
    bad[i / 8] ^= static_cast<std::uint8_t>(1u << (i % 8));
    const Result<FrameHeader> back = decode_frame_header(bad);
    if (!back) continue;
    EXPECT_LE(back->payload_bytes, back->type == FrameType::Blob ? kMaxBlobFrameBytes : kMaxControlBytes);
    EXPECT_TRUE(same_bytes(encode_frame_header(back->type, back->tag, back->payload_bytes), bad));
  }
}

TEST(HostPort, TakesNamesAndBothKindsOfAddresses) {
  EXPECT_EQ(parse_host_port("vault.example:7411")->host, "vault.example");
  EXPECT_EQ(parse_host_port("vault.example:7411")->port, 7411);
  EXPECT_EQ(parse_host_port("[fe80::1%eth0]:1")->host, "fe80::1%eth0");
  EXPECT_EQ(parse_host_port("127.0.0.1:0")->port, 0);
  for (const char* bad : {"", ":", "host", "host:", ":1", "host:65536", "host:-1", "host:1x", "::1:1", "[]:1", "[::1:1",
                          "[::1]", "[[]:1", "a[b:1", "a b:1", "a\n:1"}) {
    EXPECT_FALSE(parse_host_port(bad)) << bad;
  }
}

TEST(SocketAddress, ShowsMappedAddressesAsWhatTheyAre) {
  EXPECT_EQ(address_text(*numeric_address({"::ffff:192.0.2.1", 5})), "192.0.2.1:5");
  EXPECT_EQ(address_text(*numeric_address({"2001:db8::1", 5})), "[2001:db8::1]:5");
  EXPECT_FALSE(numeric_address({"localhost", 5}));
}

// ---- the pair ----

Status run(Loop& loop, Task<void> task) {
  Status out = Error{Errc::Io, "never ended"};
  loop.spawn(std::move(task), [&](Status status) {
    out = std::move(status);
    loop.stop();
  });
  loop.run();
  return out;
}

Frame frame_of(std::size_t size, std::uint64_t tag = 1) {
  Frame frame;
  frame.tag = tag;
  frame.payload.assign(size, static_cast<std::uint8_t>(tag));
  return frame;
}

Task<void> send_many(FrameStream& stream, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    Frame frame = frame_of(100, i);
    HF_CO_TRY_DO(co_await stream.send(std::move(frame), 10s));
  }
  co_return Status{};
}
Task<void> receive_many(FrameStream& stream, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    HF_CO_TRY(const Frame frame, co_await stream.receive(10s));
    EXPECT_EQ(frame.tag, i);
  }
  co_return Status{};
}
Task<void> flow(Loop& loop) {
  support::FramePairOptions options;
  options.client_name = support::facts_of({identity::Role::Client, "acme", "web"});
  const support::FramePair pair = support::make_frame_pair(options);
  EXPECT_EQ(pair.server->peer()->name.uri(), "holdfast://acme/web");
  EXPECT_FALSE(pair.client->peer());
  runtime::TaskGroup group(loop);
  group.spawn(send_many(*pair.client, 50));
  group.spawn(receive_many(*pair.server, 50));
  HF_CO_TRY_DO(co_await group.join());
  EXPECT_EQ(pair.client->bytes_sent(), 50u * 116);
  EXPECT_EQ(pair.server->bytes_received(), 50u * 116);
  co_return Status{};
}

TEST(FramePair, CarriesFramesInOrderThroughABoundedBuffer) {
  Loop loop;
  EXPECT_TRUE(run(loop, flow(loop)));
}

Task<void> cut_in_the_middle() {
  support::FramePairOptions options;
  options.cut_to_server = 116 + 50;
  const support::FramePair pair = support::make_frame_pair(options);
  for (int i = 0; i < 2; ++i) {
    Frame frame = frame_of(100);
    HF_CO_TRY_DO(
        co_await pair.client->send(std::move(frame), 10s));  // the second in part: the sender does not know yet
  }
  HF_CO_TRY(const Frame first, co_await pair.server->receive(10s));
  const Result<Frame> second = co_await pair.server->receive(10s);
  EXPECT_TRUE(!second && second.error().code == Errc::Unreachable);
  Frame third = frame_of(100);
  const Status sent = co_await pair.client->send(std::move(third), 10s);
  EXPECT_TRUE(!sent && sent.error().code == Errc::Unreachable);
  const Result<Frame> answer = co_await pair.client->receive(10s);
  EXPECT_TRUE(!answer && answer.error().code == Errc::Unreachable);
  co_return Status{};
}

TEST(FramePair, BreaksWhereItIsCut) {
  Loop loop;
  EXPECT_TRUE(run(loop, cut_in_the_middle()));
}

Task<void> deadlines() {
  support::FramePairOptions options;
  options.capacity = 1;
  const support::FramePair pair = support::make_frame_pair(options);
  const Result<Frame> nothing = co_await pair.server->receive(1ms);
  EXPECT_TRUE(!nothing && nothing.error().code == Errc::Timeout);
  Frame first = frame_of(1), second = frame_of(1);
  HF_CO_TRY_DO(co_await pair.client->send(std::move(first), 10s));
  const Status full = co_await pair.client->send(std::move(second), 1ms);
  EXPECT_TRUE(!full && full.error().code == Errc::Timeout);
  pair.client->close();
  HF_CO_TRY(const Frame last, co_await pair.server->receive(10s));  // what was sent before the end arrives
  const Result<Frame> end = co_await pair.server->receive(10s);
  EXPECT_TRUE(!end && end.error().code == Errc::Unreachable);
  co_return Status{};
}

TEST(FramePair, KeepsDeadlinesAndDeliversWhatCameBeforeTheEnd) {
  Loop loop;
  EXPECT_TRUE(run(loop, deadlines()));
}

}  // namespace
}  // namespace holdfast::transport
