// A server that breaks the protocol towards the client, one behaviour a row, over real TLS on loopback: the call ends
// with the right error, soon, and never with a value. What headers of frames can say is in common/transport.
#include <gtest/gtest.h>

#include <limits>

#include "tests/support/tls_server.h"

namespace holdfast::remote {
namespace {

using namespace std::chrono_literals;
using runtime::Task;
using test::control_frame;
using test::kSoon;
using test::request_in;
using test::welcome;
using transport::Frame;
using transport::FrameStream;
using transport::FrameType;

/// What the server sends when this frame has come; `request` is empty for a blob. nullopt: it says nothing.
using Frames = std::vector<Frame>;
using Script = std::function<std::optional<Frames>(const Frame& frame, const v1::Request& request)>;

Frame blob_frame(std::uint64_t tag, std::size_t bytes = 100) { return {FrameType::Blob, tag, Bytes(bytes)}; }

v1::Response failure(Errc code) {
  v1::Response response;
  response.mutable_error()->set_code(static_cast<std::uint32_t>(code));
  return response;
}
v1::Response acks(std::initializer_list<std::uint64_t> numbers) {
  v1::Response response;
  response.mutable_put_acks();
  for (const std::uint64_t number : numbers) response.mutable_put_acks()->add_tags(number);
  return response;
}
v1::Response fetch_end(std::initializer_list<std::pair<std::uint32_t, Errc>> bad) {
  v1::Response response;
  response.mutable_fetch_end();
  for (const auto& [position, code] : bad) {
    v1::Bad* const one = response.mutable_fetch_end()->add_bad();
    one->set_position(position);
    one->set_code(static_cast<std::uint32_t>(code));
  }
  return response;
}
v1::Response opened() {
  v1::Response response;
  v1::SessionOpened* const out = response.mutable_session_opened();
  out->set_session_id(std::string(16, 's'));
  out->set_next_sequence(1);
  out->set_head_digest(std::string(32, 'h'));
  return response;
}

Task<void> play(std::unique_ptr<FrameStream> stream, std::shared_ptr<const Script> script) {
  for (;;) {
    HF_CO_TRY(Frame frame, co_await stream->receive(kSoon));
    v1::Request request;
    if (frame.type == FrameType::Control) {
      HF_CO_TRY(request, request_in(frame));
    }
    std::optional<Frames> answer = (*script)(frame, request);
    if (!answer && request.has_hello()) answer = Frames{control_frame(frame.tag, welcome())};
    if (!answer) continue;
    for (Frame& one : *answer) HF_CO_TRY_DO(co_await stream->send(std::move(one), kSoon));
    if (answer->empty()) co_return Error{Errc::Unreachable, "the script ends the connection"};
  }
}

test::TlsServer scripted(Script script) {
  const auto shared = std::make_shared<const Script>(std::move(script));  // with every connection
  return test::TlsServer(
      [shared](std::unique_ptr<FrameStream> stream, int) { return play(std::move(stream), shared); });
}

// ---- what the client calls ----

using Call = std::function<Status(Remote&)>;

template <class T>
Status status_of(const Result<T>& result) {
  return result ? Status{} : Status{result.error()};
}
Status opens(Remote& remote) { return status_of(remote.open_session({}, {}, {}, std::nullopt)); }
Status asks(Remote& remote) { return status_of(remote.have({}, 1, std::vector<BlobId>(3))); }
Status puts(Remote& remote) {
  HF_TRY_DO(remote.put({}, Bytes(10)));
  HF_TRY_DO(remote.put({}, Bytes(10)));
  return remote.flush({});
}
Status commits(Remote& remote) { return status_of(remote.commit({}, {})); }
Status lists(Remote& remote) { return status_of(remote.snapshots({})); }
Status gets_run(Remote& remote) { return status_of(remote.run({}, {})); }
Status reports(Remote& remote) { return status_of(remote.account({})); }
/// Fetches three blobs; every one of them must come, or be named as bad.
Status fetches(Remote& remote) {
  return remote.fetch({}, std::vector<WantedBlob>(3),
                      [](std::size_t, const Result<Bytes>& record) { return status_of(record); });
}

struct Behaviour {
  std::string name;
  Call call;
  Script script;
  Errc code = Errc::Protocol;
};

/// Answers everything but hello with these frames, whose tags count from the request's.
Script with(std::function<Frames(std::uint64_t tag)> make) {
  return [=](const Frame& frame, const v1::Request& request) -> std::optional<Frames> {
    if (request.has_hello()) return std::nullopt;
    return make(frame.tag);
  };
}
Script with_answer(const v1::Response& response) {
  return with([=](std::uint64_t tag) { return Frames{control_frame(tag, response)}; });
}
/// Answers a flush with these frames, says nothing to blobs.
Script at_flush(std::function<Frames(std::uint64_t tag)> make) {
  return [=](const Frame& frame, const v1::Request& request) -> std::optional<Frames> {
    return request.has_flush() ? std::optional(make(frame.tag)) : std::nullopt;
  };
}
v1::Response changed(v1::Response response, const std::function<void(v1::Response&)>& change) {
  change(response);
  return response;
}

v1::Response flushed() {
  v1::Response response;
  response.mutable_flushed();
  return response;
}
v1::Response have_answer(std::uint32_t position, std::size_t run_bytes, std::size_t digest_bytes) {
  v1::Response response;
  v1::Known* const known = response.mutable_have_answer()->add_known();
  known->set_position(position);
  known->set_run(std::string(run_bytes, 'r'));
  known->set_record_digest(std::string(digest_bytes, 'd'));
  return response;
}

void add_wrong_answers(std::vector<Behaviour>& rows) {
  const std::pair<const char*, Call> calls[] = {{"open", opens},   {"have", asks},        {"commit", commits},
                                                {"list", lists},   {"get run", gets_run}, {"status", reports},
                                                {"fetch", fetches}};
  for (const auto& [name, call] : calls) {
    const std::string to = std::string(" to ") + name;
    rows.push_back({"a welcome" + to, call, with_answer(welcome())});
    rows.push_back({"an empty answer" + to, call, with_answer({})});
    rows.push_back({"an answer under another number" + to, call,
                    with([](std::uint64_t tag) { return Frames{control_frame(tag + 7, welcome())}; })});
    rows.push_back({"bytes that are no message" + to, call,
                    with([](std::uint64_t tag) { return Frames{{FrameType::Control, tag, Bytes(50, 0xff)}}; })});
    rows.push_back(
        {"an unknown push" + to, call, with([](std::uint64_t) { return Frames{control_frame(0, welcome())}; })});
    rows.push_back({"the end" + to, call, with([](std::uint64_t) { return Frames{}; }), Errc::Unreachable});
    rows.push_back({"a code from nowhere" + to, call, with_answer(failure(static_cast<Errc>(60'000)))});
    rows.push_back({"that we were stopped" + to, call, with_answer(failure(Errc::Canceled)), Errc::Unreachable});
    rows.push_back({"that our lock is held" + to, call, with_answer(failure(Errc::Locked)), Errc::Conflict});
    rows.push_back({"an acknowledgement of nothing" + to, call,
                    with([](std::uint64_t) { return Frames{control_frame(0, acks({1}))}; })});
    if (std::string_view(name) != "fetch")
      rows.push_back({"a blob" + to, call, with([](std::uint64_t tag) { return Frames{blob_frame(tag)}; })});
  }
}

void add_wrong_fields(std::vector<Behaviour>& rows) {
  const auto open_with = [&](const char* name, const std::function<void(v1::SessionOpened&)>& change) {
    rows.push_back(
        {name, opens, with_answer(changed(opened(), [&](v1::Response& r) { change(*r.mutable_session_opened()); }))});
  };
  open_with("a session id of 15 bytes", [](v1::SessionOpened& o) { o.set_session_id(std::string(15, 's')); });
  open_with("a session id of 1 MiB", [](v1::SessionOpened& o) { o.set_session_id(std::string(1u << 20, 's')); });
  open_with("no session id", [](v1::SessionOpened& o) { o.clear_session_id(); });
  open_with("a next snapshot with number 0", [](v1::SessionOpened& o) { o.set_next_sequence(0); });
  open_with("a previous snapshot of 31 bytes", [](v1::SessionOpened& o) { o.set_previous(std::string(31, 'p')); });
  open_with("no digest of the journal's end", [](v1::SessionOpened& o) { o.clear_head_digest(); });
  rows.push_back({"a known blob beyond the question", asks, with_answer(have_answer(3, 16, 32))});
  rows.push_back({"a known blob at 2^32 - 1", asks, with_answer(have_answer(~0u, 16, 32))});
  rows.push_back({"a known blob without a run", asks, with_answer(have_answer(0, 0, 32))});
  rows.push_back({"a known blob with a digest of 33 bytes", asks, with_answer(have_answer(0, 16, 33))});
  v1::Response more;
  more.mutable_snapshot_list()->set_more(true);
  rows.push_back({"an empty page that says more", lists, with_answer(more)});
  more.mutable_snapshot_list()->add_snapshots()->set_core("no core");
  rows.push_back({"a page of no core that says more", lists, with_answer(more), Errc::Corrupt});
}

void add_wrong_acks(std::vector<Behaviour>& rows) {
  rows.push_back({"an acknowledgement twice", puts, at_flush([](std::uint64_t tag) {
                    return Frames{control_frame(0, acks({1, 2})), control_frame(0, acks({2})),
                                  control_frame(tag, flushed())};
                  })});
  rows.push_back({"an acknowledgement twice in one push", puts, at_flush([](std::uint64_t tag) {
                    return Frames{control_frame(0, acks({1, 1})), control_frame(tag, flushed())};
                  })});
  rows.push_back({"an acknowledgement of a blob to come", puts, at_flush([](std::uint64_t tag) {
                    return Frames{control_frame(0, acks({1, 2, 3})), control_frame(tag, flushed())};
                  })});
  rows.push_back({"a pushed failure", puts,
                  at_flush([](std::uint64_t) { return Frames{control_frame(0, failure(Errc::DiskFull))}; }),
                  Errc::DiskFull});
  rows.push_back({"the answer to a flush twice",
                  [](Remote& remote) -> Status {
                    HF_TRY_DO(puts(remote));
                    return opens(remote);
                  },
                  at_flush([](std::uint64_t tag) {
                    return Frames{control_frame(0, acks({1, 2})), control_frame(tag, flushed()),
                                  control_frame(tag, flushed())};
                  })});
}

void add_wrong_fetches(std::vector<Behaviour>& rows) {
  const auto fetch_with = [&](const char* name, std::function<Frames(std::uint64_t)> make, Errc code = Errc::Protocol) {
    rows.push_back({name, fetches, with(std::move(make)), code});
  };
  fetch_with("one blob three times", [](std::uint64_t tag) {
    return Frames{blob_frame(0), blob_frame(0), blob_frame(0), control_frame(tag, fetch_end({}))};
  });
  fetch_with("a blob beyond the question",
             [](std::uint64_t tag) { return Frames{blob_frame(3), control_frame(tag, fetch_end({}))}; });
  fetch_with("a blob at 2^64 - 1", [](std::uint64_t tag) {
    return Frames{blob_frame(std::numeric_limits<std::uint64_t>::max()), control_frame(tag, fetch_end({}))};
  });
  fetch_with("an end that leaves one out",
             [](std::uint64_t tag) { return Frames{blob_frame(0), blob_frame(2), control_frame(tag, fetch_end({}))}; });
  fetch_with("an end that names one that came", [](std::uint64_t tag) {
    return Frames{blob_frame(0), blob_frame(1), blob_frame(2), control_frame(tag, fetch_end({{1, Errc::Corrupt}}))};
  });
  fetch_with("an end that names one beyond the question",
             [](std::uint64_t tag) { return Frames{control_frame(tag, fetch_end({{9, Errc::Corrupt}}))}; });
  fetch_with(
      "an end, then another blob",
      [](std::uint64_t tag) {
        return Frames{blob_frame(0), blob_frame(1), control_frame(tag, fetch_end({{2, Errc::Corrupt}})), blob_frame(2)};
      },
      Errc::Corrupt);
  // Reasons that are the server's affair must not pass for ours.
  for (const auto& [said, code] : {std::pair{Errc::Canceled, Errc::Corrupt},
                                   {Errc::DiskFull, Errc::Corrupt},
                                   {Errc::WrongKey, Errc::Corrupt},
                                   {Errc::NotFound, Errc::Missing},
                                   {static_cast<Errc>(999), Errc::Corrupt}}) {
    rows.push_back({"a blob that is bad because of " + std::string(errc_name(said)), fetches,
                    with([=](std::uint64_t tag) {
                      return Frames{control_frame(tag, fetch_end({{0, said}, {1, said}, {2, said}}))};
                    }),
                    code});
  }
}

void add_wrong_welcomes(std::vector<Behaviour>& rows) {
  const auto hello_with = [&](const char* name, const v1::Response& response, Errc code) {
    rows.push_back({name, nullptr,
                    [=](const Frame& frame, const v1::Request&) {
                      return std::optional(Frames{control_frame(frame.tag, response)});
                    },
                    code});
  };
  hello_with("protocol 99", changed(welcome(), [](auto& r) { r.mutable_welcome()->set_protocol(99); }), Errc::TooNew);
  hello_with("a tenant id of 3 bytes", changed(welcome(), [](auto& r) { r.mutable_welcome()->set_tenant_id("abc"); }),
             Errc::Protocol);
  hello_with("flushed instead of a welcome", flushed(), Errc::Protocol);
  hello_with("denied instead of a welcome", failure(Errc::Denied), Errc::Denied);
}

TEST(EvilFrames, EndTheCallWithTheRightErrorAndSoon) {
  std::vector<Behaviour> rows;
  add_wrong_answers(rows);
  add_wrong_fields(rows);
  add_wrong_acks(rows);
  add_wrong_fetches(rows);
  add_wrong_welcomes(rows);
  EXPECT_GE(rows.size(), 60u);
  for (const Behaviour& one : rows) {
    SCOPED_TRACE(one.name);
    const test::TlsServer server = scripted(one.script);
    const MonotonicTime begun = system_clock().monotonic();
    const Result<std::unique_ptr<Remote>> remote = server.connect();
    const Status end = remote ? one.call ? one.call(**remote) : Status{} : Status{remote.error()};
    ASSERT_FALSE(end);
    EXPECT_EQ(end.error().code, one.code) << errc_name(end.error().code) << ": " << end.error().message;
    EXPECT_LT(system_clock().monotonic() - begun, kSoon);
  }
}

TEST(EvilFrames, AnyTimeMayStandInAWelcome) {
  constexpr std::int64_t kFirst = std::numeric_limits<std::int64_t>::min(),
                         kLast = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(clock_difference(kFirst, 1), std::chrono::nanoseconds::min());
  EXPECT_EQ(clock_difference(kLast, -1), std::chrono::nanoseconds::max());
  EXPECT_EQ(clock_difference(5, 7), -2ns);
  for (const std::int64_t time : {kFirst, kLast, std::int64_t{0}}) {
    const test::TlsServer server = scripted([=](const Frame& frame, const v1::Request&) {
      return std::optional(Frames{
          control_frame(frame.tag, changed(welcome(), [=](auto& r) { r.mutable_welcome()->set_time_ns(time); }))});
    });
    const Result<std::unique_ptr<Remote>> remote = server.connect();
    ASSERT_TRUE(remote) << remote.error().message;
    EXPECT_EQ((*remote)->clock_skew() < 0ns, time <= 0);
  }
}

}  // namespace
}  // namespace holdfast::remote
