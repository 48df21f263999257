// What the client does when its connection breaks, against a server that does as the test says, over real TLS on loopback.
#include "client/remote/lifeline.h"

#include <gtest/gtest.h>

#include "tests/support/seeded_random.h"
#include "tests/support/tls_server.h"

namespace holdfast::remote {
namespace {

using namespace std::chrono_literals;
using runtime::Task;
using test::kSoon;
using transport::Frame;
using transport::FrameStream;
using transport::FrameType;

/// What the server does with one frame.
struct Reaction {
  std::vector<Frame> frames;
  bool leave = false;
};

Reaction say(std::uint64_t tag, const v1::Response& response) { return {{test::control_frame(tag, response)}, false}; }
const Reaction kLeave{{}, true};

Reaction refuse(std::uint64_t tag, Errc code) {
  v1::Response response;
  response.mutable_error()->set_code(static_cast<std::uint32_t>(code));
  response.mutable_error()->set_message("no");
  return say(tag, response);
}

v1::Request parse(const Frame& frame) {
  v1::Request request;
  EXPECT_TRUE(request.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size())));
  return request;
}

/// Welcomes everybody; everything else is the script's. `connection` counts from 1.
using Script = std::function<Reaction(int connection, const Frame& frame)>;

Task<void> play(std::unique_ptr<FrameStream> stream, int connection, std::shared_ptr<const Script> script) {
  for (;;) {
    HF_CO_TRY(const Frame frame, co_await stream->receive(kSoon));
    Reaction reaction;
    if (frame.type == FrameType::Control && parse(frame).has_hello()) {
      reaction = say(frame.tag, test::welcome());
    } else {
      reaction = (*script)(connection, frame);
    }
    for (Frame& one : reaction.frames) {
      Frame out = std::move(one);
      HF_CO_TRY_DO(co_await stream->send(std::move(out), kSoon));
    }
    if (reaction.leave) co_return Status{};
  }
}

test::TlsServer scripted(const Script& script) {
  const auto shared = std::make_shared<const Script>(script);
  return test::TlsServer([shared](std::unique_ptr<FrameStream> stream, int connection) {
    return play(std::move(stream), connection, shared);
  });
}

Patience patient(std::chrono::nanoseconds total = 20s) {
  Patience out;
  out.total = total;
  out.first_pause = 1ms;
  return out;
}

v1::Response account_report(const std::string& plan) {
  v1::Response response;
  response.mutable_account_report()->set_plan(plan);
  return response;
}

TEST(Lifeline, AsksAgainOnANewConnectionAndSaysSo) {
  const test::TlsServer server = scripted([](int connection, const Frame& frame) {
    return connection < 3 ? kLeave : say(frame.tag, account_report("30d"));
  });
  std::mutex mutex;
  std::vector<std::string> told;
  Patience patience = patient();
  patience.tell = [&](const std::string& what) {
    const std::lock_guard lock(mutex);
    told.push_back(what);
  };
  const auto remote = server.connect(patience);
  ASSERT_TRUE(remote) << remote.error().message;
  const Result<Account> account = (*remote)->account({});
  ASSERT_TRUE(account) << account.error().message;
  EXPECT_EQ(account->plan, "30d");
  EXPECT_EQ(server.connections(), 3);
  ASSERT_EQ(told.size(), 2u);  // one trouble, however many attempts
  EXPECT_NE(told[0].find("connection lost, trying again"), std::string::npos) << told[0];
  EXPECT_NE(told[1].find("the connection is back"), std::string::npos) << told[1];
}

TEST(Lifeline, WithoutPatienceALostConnectionIsTheEnd) {
  const test::TlsServer server = scripted([](int, const Frame&) { return kLeave; });
  const auto remote = server.connect({});
  ASSERT_TRUE(remote) << remote.error().message;
  EXPECT_EQ((*remote)->account({}).error().code, Errc::Unreachable);
  EXPECT_EQ(server.connections(), 1);
}

TEST(Lifeline, GivesUpWhenNothingGetsThroughForItsPatience) {
  const test::TlsServer server = scripted([](int, const Frame&) { return kLeave; });
  const auto remote = server.connect(patient(300ms));
  ASSERT_TRUE(remote) << remote.error().message;
  const MonotonicTime begun = system_clock().monotonic();
  const Result<Account> account = (*remote)->account({});
  ASSERT_FALSE(account);
  EXPECT_EQ(account.error().code, Errc::Unreachable);
  EXPECT_NE(account.error().message.find("nothing got through"), std::string::npos) << account.error().message;
  EXPECT_LT(system_clock().monotonic() - begun, kSoon);
  EXPECT_GT(server.connections(), 2);
}

TEST(Lifeline, ASignalEndsTheWaitingAtOnce) {
  std::atomic<bool> stop{false};
  Patience patience = patient(3600s);
  patience.first_pause = 3600s;
  patience.stop = &stop;
  patience.tell = [&](const std::string&) { stop = true; };
  const test::TlsServer server = scripted([](int, const Frame&) { return kLeave; });
  const auto remote = server.connect(patience);
  ASSERT_TRUE(remote) << remote.error().message;
  const MonotonicTime begun = system_clock().monotonic();
  EXPECT_EQ((*remote)->account({}).error().code, Errc::Canceled);
  EXPECT_LT(system_clock().monotonic() - begun, kSoon);
}

TEST(Lifeline, NeverAsksAgainWhatWasRefused) {
  for (const Errc code : {Errc::Denied, Errc::TooNew, Errc::Usage, Errc::Protocol, Errc::Quota, Errc::DiskFull,
                          Errc::Unreachable, Errc::Timeout}) {
    const test::TlsServer server = scripted([&](int, const Frame& frame) { return refuse(frame.tag, code); });
    const auto remote = server.connect(patient());
    ASSERT_TRUE(remote) << remote.error().message;
    EXPECT_EQ((*remote)->account({}).error().code, code);
    EXPECT_EQ(server.connections(), 1);
  }
}

TEST(Lifeline, ARefusedBlobEndsItForGood) {
  const test::TlsServer server = scripted([](int, const Frame& frame) {
    if (frame.type != FrameType::Blob) return say(frame.tag, account_report(""));
    Reaction reaction = refuse(0, Errc::Quota);
    reaction.leave = true;
    return reaction;
  });
  const auto remote = server.connect(patient());
  ASSERT_TRUE(remote) << remote.error().message;
  EXPECT_TRUE((*remote)->put({}, Bytes(1000)));
  const Status flushed = (*remote)->flush({});
  ASSERT_FALSE(flushed);
  EXPECT_EQ(flushed.error().code, Errc::Quota);
  EXPECT_EQ(server.connections(), 1);
}

TEST(Lifeline, FetchesAgainOnlyWhatHasNoAnswer) {
  std::atomic<int> asked{0};
  const test::TlsServer server = scripted([&](int connection, const Frame& frame) {
    const v1::Request request = parse(frame);
    asked += request.fetch().refs_size();
    Reaction reaction;
    const std::size_t sent = connection == 1 ? 2 : static_cast<std::size_t>(request.fetch().refs_size());
    for (std::size_t i = 0; i < sent; ++i) {
      Frame blob;
      blob.type = FrameType::Blob;
      blob.tag = i;
      blob.payload = to_bytes(as_bytes(request.fetch().refs(static_cast<int>(i)).blob()));
      reaction.frames.push_back(std::move(blob));
    }
    reaction.leave = connection == 1;
    v1::Response end;
    end.mutable_fetch_end();
    if (connection != 1) reaction.frames.push_back(test::control_frame(frame.tag, end));
    return reaction;
  });
  support::SeededRandom random(1);
  std::vector<WantedBlob> wanted(5);
  for (WantedBlob& one : wanted) one.ref.blob = random.id<BlobId>();
  const auto remote = server.connect(patient());
  ASSERT_TRUE(remote) << remote.error().message;
  std::vector<int> times(wanted.size());
  const Status fetched = (*remote)->fetch({}, wanted, [&](std::size_t index, Result<Bytes> record) {
    ++times[index];
    EXPECT_EQ(*record, to_bytes(wanted[index].ref.blob.bytes));
    return Status{};
  });
  ASSERT_TRUE(fetched) << fetched.error().message;
  EXPECT_EQ(times, std::vector<int>(5, 1));
  EXPECT_EQ(asked, 5 + 3);
}

/// A record that decodes.
Bytes record_of(support::SeededRandom& random) {
  blob::Header header;
  header.cipher = 1;
  header.body_bytes = 1000;
  header.domain = random.id<DomainId>();
  header.epoch = 1;
  header.run = random.id<RunId>();
  header.blob = random.id<BlobId>();
  Bytes record = blob::encode_header(header);
  const Bytes rest = random.bytes(12 + header.body_bytes + 16);  // nonce, body, tag
  record.insert(record.end(), rest.begin(), rest.end());
  return record;
}

TEST(Lifeline, SendsAgainOnlyWhatHasNotArrived) {
  support::SeededRandom random(2);
  const Bytes first = record_of(random), second = record_of(random);
  const std::string session(SessionId::kBytes, 's');
  std::atomic<int> blobs{0}, resumed{0};
  Bytes again;
  const test::TlsServer server = scripted([&](int connection, const Frame& frame) {
    v1::Response response;
    if (frame.type == FrameType::Blob) {
      ++blobs;
      if (connection == 1) return blobs == 2 ? kLeave : Reaction{};
      again = frame.payload;
      response.mutable_put_acks()->add_tags(frame.tag);
      return say(0, response);
    }
    const v1::Request request = parse(frame);
    if (request.has_open_session()) {
      resumed += request.open_session().session_id() == session;
      response.mutable_session_opened()->set_session_id(session);
      response.mutable_session_opened()->set_next_sequence(1);
      response.mutable_session_opened()->set_head_digest(std::string(Digest::kBytes, 'h'));
    } else if (request.has_have()) {  // the first has arrived; of the second the server has another copy
      for (std::uint32_t i = 0; i < 2; ++i) {
        v1::Known* known = response.mutable_have_answer()->add_known();
        known->set_position(i);
        known->set_run(std::string(RunId::kBytes, 'r'));
        known->set_record_digest(i == 0 ? text_of(blob::record_digest(first)) : std::string(Digest::kBytes, 'd'));
      }
    } else {
      response.mutable_flushed();
    }
    return say(frame.tag, response);
  });
  const auto remote = server.connect(patient());
  ASSERT_TRUE(remote) << remote.error().message;
  const Result<Opened> opened = (*remote)->open_session({}, {}, {}, std::nullopt);
  ASSERT_TRUE(opened) << opened.error().message;
  ASSERT_TRUE((*remote)->put(opened->session, first));
  ASSERT_TRUE((*remote)->put(opened->session, second));
  const Status flushed = (*remote)->flush(opened->session);
  ASSERT_TRUE(flushed) << flushed.error().message;
  EXPECT_EQ(server.connections(), 2);
  EXPECT_EQ(resumed, 1);
  EXPECT_EQ(blobs, 3);
  EXPECT_EQ(again, second);
}

}  // namespace
}  // namespace holdfast::remote
