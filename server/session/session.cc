#include "server/session/session.h"

#include "common/base/log.h"
#include "common/runtime/queue.h"
#include "common/runtime/task_group.h"
#include "common/runtime/timer.h"
#include "server/session/failure.h"

namespace holdfast::session {
namespace {

using runtime::Task;
using transport::Frame;
using transport::FrameStream;
using transport::FrameType;

constexpr std::uint64_t kPushTag = 0;  ///< acknowledgements, and failures that answer no request
/// The stream's own read deadline: idleness is watched by a timer, because a long commit is not the client's silence.
constexpr std::chrono::hours kNoDeadline{24 * 365};

Frame control_frame(std::uint64_t tag, const v1::Response& response) {
  Frame frame;
  frame.tag = tag;
  frame.payload.resize(response.ByteSizeLong());
  response.SerializeToArray(frame.payload.data(), static_cast<int>(frame.payload.size()));
  return frame;
}

/// One connection. One thread at a time: the loop's; `requests_` is lent to the disk pool for one job after another.
class Link {
 public:
  Link(ServiceContext& context, FrameStream& stream, Caller caller)
      : context_(context),
        stream_(stream),
        requests_(context.requests, std::move(caller)),
        queue_(kMaxWaitingFrames),
        children_(context.loop) {}

  Task<void> run() {
    Connection connection;
    connection.name = requests_.caller().facts.name;
    connection.finish = [this] { queue_.close(); };
    connection.cut = [this] {
      queue_.close();
      stream_.close();
    };
    Sessions::Entry entry(context_.sessions, std::move(connection));
    entry_ = &entry;
    last_frame_ = context_.requests.clock.monotonic();
    watch_idle();
    Task<void> reading = read_all();
    children_.spawn(std::move(reading));
    Status end = co_await handle_all();
    queue_.close();
    co_await keep_what_arrived();
    idle_.cancel();
    stream_.close();
    const Status read = co_await children_.join();
    while (const std::optional<Frame> unused = queue_.try_pop()) context_.sessions.handled(unused->payload.size());
    if (end && !read) end = read;
    co_return end;
  }

 private:
  // ---- receiving ----

  Task<void> read_all() {
    Status end = co_await read_until_closed();
    queue_.close();
    // The peer's leaving is the ordinary end of a connection.
    if (!end && end.error().code == Errc::Unreachable) co_return Status{};
    co_return end;
  }

  Task<void> read_until_closed() {
    while (!queue_.closed()) {
      while (!context_.sessions.room() && queue_.size() > 0) HF_CO_TRY_DO(co_await context_.sessions.changed().wait());
      HF_CO_TRY(Frame frame, co_await stream_.receive(kNoDeadline));
      last_frame_ = context_.requests.clock.monotonic();
      const std::size_t bytes = frame.payload.size();
      context_.sessions.add_waiting(bytes);
      const Status pushed = co_await queue_.push(std::move(frame));
      if (pushed) continue;
      context_.sessions.handled(bytes);
      co_return Status{};  // the handling side has ended
    }
    co_return Status{};
  }

  /// Looks a few times per idle time; closes the stream when nothing came, unless we are the ones who are working.
  void watch_idle() {
    idle_ = runtime::after(context_.loop, context_.deadlines.idle / 4, [this] {
      const auto silent = context_.requests.clock.monotonic() - last_frame_;
      if (!working_ && silent >= context_.deadlines.idle) {
        log::info("idle connection closed", {{"peer", peer()}, {"address", stream_.peer_address()}});
        stream_.close();
        return;
      }
      watch_idle();
    });
  }

  // ---- handling, in order ----

  Task<void> handle_all() {
    for (;;) {
      Result<std::optional<Frame>> next = std::optional<Frame>{};
      if (requests_.pending())
        next = co_await queue_.pop_within(context_.deadlines.idle_flush);
      else
        next = co_await queue_.pop();
      if (!next && next.error().code == Errc::Timeout) {
        HF_CO_TRY_DO(co_await flush_idle());
        continue;
      }
      if (!next) co_return std::move(next).error();
      if (!*next) co_return Status{};
      Frame frame = std::move(**next);
      const std::size_t bytes = frame.payload.size();
      working_ = true;
      Status handled = co_await handle(std::move(frame));
      working_ = false;
      last_frame_ = context_.requests.clock.monotonic();
      context_.sessions.handled(bytes);
      if (!handled) co_return handled;
      if (lingering_) co_return co_await linger();
    }
  }

  Task<void> handle(Frame frame) {
    if (frame.type == FrameType::Blob) co_return co_await take_blob(std::move(frame));
    Result<v1::Request> request = parse_request(frame.payload);
    if (!request) co_return co_await fail(frame.tag, "parse", request.error(), true);
    const v1::Request::CallCase call = request->call_case();
    // The push tag is ours, and nothing is done for somebody who has not said hello.
    if (frame.tag == kPushTag || (call == v1::Request::kHello) == greeted_) {
      const Error wrong{Errc::Protocol,
                        greeted_ ? "a second hello, or a request without a number" : "the first request must be hello"};
      co_return co_await fail(frame.tag, call_name(call), wrong, true);
    }
    if (call == v1::Request::kFetch) co_return co_await fetch(frame.tag, *std::move(request));
    co_return co_await answer(frame.tag, *std::move(request));
  }

  Task<void> answer(std::uint64_t tag, v1::Request request) {
    const v1::Request::CallCase call = request.call_case();
    const Result<v1::Response> response =
        co_await runtime::offload(context_.disk, &Requests::answer, &requests_, std::move(request));
    HF_CO_TRY_DO(co_await send_acks(requests_.take_acks()));
    if (!response) {
      const bool fatal = ends_connection(response.error().code) || call == v1::Request::kHello;
      co_return co_await fail(tag, call_name(call), response.error(), fatal);
    }
    if (call == v1::Request::kHello) greeted_ = true;
    if (call == v1::Request::kOpenSession) entry_->claim(*requests_.uploading());
    co_return co_await send(tag, *response);
  }

  /// Blobs have no answer of their own: a failure is pushed, and ends the connection.
  Task<void> take_blob(Frame frame) {
    if (!greeted_) {
      const Error wrong{Errc::Protocol, "the first request must be hello"};
      co_return co_await fail(kPushTag, "blob", wrong, true);
    }
    const Result<std::vector<std::uint64_t>> acks =
        co_await runtime::offload(context_.disk, &Requests::put, &requests_, frame.tag, std::move(frame.payload));
    if (!acks) co_return co_await fail(kPushTag, "blob", acks.error(), true);
    co_return co_await send_acks(*acks);
  }

  Task<void> flush_idle() {
    working_ = true;
    const Result<std::vector<std::uint64_t>> acks =
        co_await runtime::offload(context_.disk, &flush_requests, &requests_);
    working_ = false;
    if (acks) co_return co_await send_acks(*acks);
    HF_CO_TRY_DO(co_await fail(kPushTag, "flush", acks.error(), true));
    co_return co_await linger();
  }

  Task<void> fetch(std::uint64_t tag, v1::Request request) {
    Result<Fetching> fetching =
        co_await runtime::offload(context_.disk, &Requests::start_fetch, &requests_, std::move(request));
    if (!fetching) co_return co_await fail(tag, "fetch", fetching.error(), ends_connection(fetching.error().code));
    v1::Response end;
    v1::FetchEnd* const ended = end.mutable_fetch_end();
    while (!fetching->done()) {
      HF_CO_TRY(std::vector<ReadRecord> records,
                co_await runtime::offload(context_.disk, &read_on_requests, &requests_, &*fetching));
      for (ReadRecord& one : records) {
        if (!one.record) {
          note_bad(ended->add_bad(), one);
          continue;
        }
        Frame frame;
        frame.type = FrameType::Blob;
        frame.tag = one.position;
        frame.payload = *std::move(one.record);
        HF_CO_TRY_DO(co_await stream_.send(std::move(frame), context_.deadlines.frame));
      }
    }
    co_return co_await send(tag, end);
  }

  void note_bad(v1::Bad* bad, const ReadRecord& one) {
    const Error& error = one.record.error();
    bad->set_position(static_cast<std::uint32_t>(one.position));
    bad->set_code(static_cast<std::uint32_t>(error.code));
    bad->set_message(error.message);
    if (error.code != Errc::NotFound) log::error("blob unreadable", {{"peer", peer()}, {"why", error.message}});
  }

  /// A connection that ends leaves nothing half done: what it sent becomes durable, so that the next one need not send it.
  boost::asio::awaitable<void> keep_what_arrived() {
    if (!requests_.pending()) co_return;
    const Result<std::vector<std::uint64_t>> kept =
        co_await runtime::offload(context_.disk, &flush_requests, &requests_);
    if (!kept)
      log::warning("blobs of an ended connection are not kept", {{"peer", peer()}, {"why", kept.error().message}});
  }

  // ---- sending ----

  Task<void> send(std::uint64_t tag, const v1::Response& response) {
    Frame frame = control_frame(tag, response);
    co_return co_await stream_.send(std::move(frame), context_.deadlines.frame);
  }

  Task<void> send_acks(std::vector<std::uint64_t> numbers) {
    if (numbers.empty()) co_return Status{};
    v1::Response response;
    for (const std::uint64_t number : numbers) response.mutable_put_acks()->add_tags(number);
    co_return co_await send(kPushTag, response);
  }

  Task<void> fail(std::uint64_t tag, std::string call, Error error, bool fatal) {
    const std::string id = new_request_id(context_.random);
    log::warning("request failed", {{"request", id},
                                    {"call", call},
                                    {"peer", peer()},
                                    {"address", stream_.peer_address()},
                                    {"code", errc_name(error.code)},
                                    {"why", error.message}});
    v1::Response response;
    v1::Failure* const failure = response.mutable_error();
    failure->set_code(static_cast<std::uint32_t>(error.code));
    failure->set_message(error.message);
    failure->set_request_id(id);
    for (const BlobId& blob : requests_.take_missing()) failure->add_missing(std::string(as_text(blob.bytes)));
    lingering_ = lingering_ || fatal || error.code == Errc::Denied;
    co_return co_await send(tag, response);
  }

  /// Discards what still comes until the peer has closed, so that it can read our last answer; not for long.
  Task<void> linger() {
    const runtime::Timer limit = runtime::after(context_.loop, context_.deadlines.linger, [this] { stream_.close(); });
    for (;;) {
      HF_CO_TRY(const std::optional<Frame> unused, co_await queue_.pop());
      if (!unused) co_return Status{};
      context_.sessions.handled(unused->payload.size());
    }
  }

  static Result<std::vector<std::uint64_t>> flush_requests(Requests* requests) { return requests->flush(); }
  static Result<std::vector<ReadRecord>> read_on_requests(Requests* requests, Fetching* fetching) {
    return requests->read_on(*fetching);
  }
  std::string peer() const { return requests_.caller().facts.name.uri(); }

  ServiceContext& context_;
  FrameStream& stream_;
  Requests requests_;
  runtime::Queue<Frame> queue_;
  runtime::TaskGroup children_;
  runtime::Timer idle_;
  Sessions::Entry* entry_ = nullptr;
  MonotonicTime last_frame_{};
  bool greeted_ = false, lingering_ = false, working_ = false;
};

/// The certificate verified, but its holder is not welcome: the first request is answered with the reason.
Task<void> turn_away(ServiceContext& context, FrameStream& stream, Error why) {
  const std::string id = new_request_id(context.random);
  log::warning("connection refused", {{"request", id},
                                      {"peer", stream.peer()->name.uri()},
                                      {"address", stream.peer_address()},
                                      {"code", errc_name(why.code)},
                                      {"why", why.message}});
  HF_CO_TRY(const Frame first, co_await stream.receive(context.deadlines.linger));
  v1::Response response;
  response.mutable_error()->set_code(static_cast<std::uint32_t>(why.code));
  response.mutable_error()->set_message(why.message);
  response.mutable_error()->set_request_id(id);
  Frame frame = control_frame(first.tag, response);
  HF_CO_TRY_DO(co_await stream.send(std::move(frame), context.deadlines.frame));
  // Until the peer has read it and closes.
  const Result<Frame> rest = co_await stream.receive(context.deadlines.linger);
  (void)rest;
  stream.close();
  co_return Status{};
}

}  // namespace

Task<void> serve(ServiceContext& context, std::unique_ptr<FrameStream> stream) {
  if (!stream->peer()) co_return Error{Errc::Denied, "a connection without a certificate"};
  const identity::CertificateFacts facts = *stream->peer();
  Result<Caller> caller = co_await runtime::offload(context.disk, &Access::admit, &context.requests.access, facts);
  if (!caller) co_return co_await turn_away(context, *stream, std::move(caller).error());
  if (context.sessions.size(facts.name) >= kMaxConnectionsOfOne) {
    Error many{Errc::Limit, facts.name.uri() + " has " + std::to_string(kMaxConnectionsOfOne) +
                                " connections already: try again when one of them has ended"};
    co_return co_await turn_away(context, *stream, std::move(many));
  }
  const std::string peer = facts.name.uri(), address = stream->peer_address();
  log::info("connected", {{"peer", peer}, {"address", address}});
  Status end;
  {
    Link link(context, *stream, *std::move(caller));
    end = co_await link.run();
  }
  const std::string received = std::to_string(stream->bytes_received()), sent = std::to_string(stream->bytes_sent());
  log::info("disconnected", {{"peer", peer},
                             {"address", address},
                             {"received", received},
                             {"sent", sent},
                             {"end", end ? "ok" : end.error().message}});
  co_return Status{};
}

}  // namespace holdfast::session
