#include "client/remote/link.h"

#include "client/remote/link_parts.h"
#include "common/base/clock.h"
#include "common/base/version.h"

namespace holdfast::remote {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;
using transport::Frame;
using transport::FrameType;

constexpr nanoseconds kSendDeadline = seconds(300);     ///< one frame of at most 8 MiB on a slow link
constexpr nanoseconds kQuiet = std::chrono::hours(24);  ///< the stream's own read deadline; waits have theirs
constexpr nanoseconds kKeepAlive = seconds(60);
constexpr std::chrono::milliseconds kLookAround{100};  ///< how often a dial asks whether it is still wanted
constexpr std::uint64_t kPushTag = 0;                  ///< pushed messages: acks, and failures of blob frames

bool is_loss(Errc code) { return code == Errc::Unreachable || code == Errc::Timeout; }

}  // namespace

struct Link::Pending {
  std::optional<Result<v1::Response>> answer;
};

Link::Link(std::string address, Events events) : address_(std::move(address)), events_(std::move(events)) {
  thread_ = std::thread([this] { loop_.run(); });
}

Link::~Link() {
  std::unique_lock lock(mutex_);
  closing_ = true;
  loop_.post([this] {
    if (stream_) stream_->close();
    leaving_.notify_all();
  });
  // The coroutines end when the stream is closed; only then may the loop stop and the stream die.
  changed_.wait_for(lock, seconds(10), [this] { return running_ == 0; });
  lock.unlock();
  loop_.stop();
  thread_.join();
}

Status Link::open(transport::ClientOptions options, const std::function<bool()>& canceled) {
  runtime::Task<void> task = dial(std::move(options));
  loop_.spawn(std::move(task), [this](Status status) { dialed(std::move(status)); });
  {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, kLookAround, [this] { return open_ || end_; })) {
      if (canceled && canceled()) return Error{Errc::Canceled, "stopped by a signal"};
    }
    if (end_) return end_->error;
  }
  return say_hello();
}

Status Link::say_hello() {
  v1::Request request;
  v1::Hello* hello = request.mutable_hello();
  hello->set_protocol(kProtocolVersion);
  hello->set_program(std::string("holdfast ") + HF_VERSION);
  const WallTime sent = system_clock().wall();
  hello->set_time_ns(to_ns(sent));
  std::optional<Result<v1::Response>> answer = call(request, kCallDeadline);
  if (!answer) return end()->error;
  if (!*answer) {
    give_up(answer->error(), false);  // after a refused hello the server closes: this is why, not a broken connection
    return answer->error();
  }
  const v1::Response& response = **answer;
  if (!response.has_welcome()) return protocol_error("a wrong answer to hello");
  const v1::Welcome& welcome = response.welcome();
  if (welcome.protocol() != kProtocolVersion) {
    return Error{Errc::TooNew, "the server " + address_ + " speaks protocol " + std::to_string(welcome.protocol()) +
                                   ", this program " + std::to_string(kProtocolVersion) +
                                   ": update the older of the two"};
  }
  if (!welcome.tenant_id().empty()) {
    HF_TRY(tenant_, read_id<TenantId>(welcome.tenant_id()));
    HF_TRY(client_, read_id<ClientId>(welcome.client_id()));
  }
  const WallTime now = system_clock().wall();
  skew_ = clock_difference(welcome.time_ns(), to_ns(sent + (now - sent) / 2));
  return {};
}

// ---- the link's thread ----

runtime::Task<void> Link::dial(transport::ClientOptions options) {
  HF_CO_TRY(stream_, co_await transport::connect(loop_, std::move(options)));
  co_return Status{};
}

void Link::dialed(Status status) {
  if (!status) {
    const bool lost = is_loss(status.error().code);
    finish(std::move(status).error(), lost);
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
    open_ = true;
    running_ += 2;
  }
  changed_.notify_all();
  loop_.spawn(read_all(), [this](Status end) { coroutine_ended(std::move(end)); });
  loop_.spawn(keep_alive(), [this](Status) { coroutine_ended(Status{}); });
}

void Link::coroutine_ended(Status status) {
  if (!status) {
    const bool lost = is_loss(status.error().code);
    finish(std::move(status).error(), lost);
  }
  {
    const std::lock_guard lock(mutex_);
    --running_;
  }
  changed_.notify_all();
}

runtime::Task<void> Link::read_all() {
  for (;;) {
    HF_CO_TRY(Frame frame, co_await stream_->receive(kQuiet));
    count_bytes();
    if (ended_) co_return Status{};
    Status taken = dispatch(std::move(frame));
    if (taken) continue;
    finish(std::move(taken).error(), false);  // the peer's word, or its breaking the protocol: never a loss
    stream_->close();
    co_return Status{};
  }
}

Status Link::dispatch(Frame frame) {
  if (frame.type == FrameType::Blob) return take_fetched(std::move(frame));
  v1::Response response;
  if (!response.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size())))
    return protocol_error("an answer that does not parse");
  if (frame.tag == kPushTag) return pushed(response);
  return take_answer(frame.tag, std::move(response));
}

Status Link::take_answer(std::uint64_t tag, v1::Response response) {
  const std::lock_guard lock(mutex_);
  HF_TRY(const bool fetched, end_fetch(tag, response));
  if (fetched) {
    changed_.notify_all();
    return {};
  }
  const auto found = calls_.find(tag);
  if (found == calls_.end()) return abandoned_.erase(tag) ? Status{} : protocol_error("an answer to nothing");
  if (response.has_error())
    found->second->answer.emplace(decode(response.error()));
  else
    found->second->answer.emplace(std::move(response));
  calls_.erase(found);
  changed_.notify_all();
  return {};
}

Status Link::pushed(const v1::Response& response) {
  if (response.has_error()) return decode(response.error());
  if (!response.has_put_acks()) return protocol_error("an unknown pushed message");
  const std::vector<std::uint64_t> tags(response.put_acks().tags().begin(), response.put_acks().tags().end());
  {
    const std::lock_guard lock(mutex_);
    for (const std::uint64_t tag : tags) {
      if (unacked_.erase(tag) == 0) return protocol_error("an acknowledgement of nothing");
    }
  }
  events_.acked(tags);
  return {};
}

/// Sends what waits, one frame after another; at most one of these runs.
runtime::Task<void> Link::write_all() {
  for (;;) {
    Outgoing one;
    {
      const std::lock_guard lock(mutex_);
      if (outgoing_.empty() || end_) {
        writing_ = false;
        co_return Status{};
      }
      one = std::move(outgoing_.front());
      outgoing_.pop_front();
    }
    if (one.record) one.frame.payload = *one.record;
    one.record.reset();
    HF_CO_TRY_DO(co_await stream_->send(std::move(one.frame), kSendDeadline));
    count_bytes();
  }
}

/// Long reads of unchanged data must not look like a dead client.
runtime::Task<void> Link::keep_alive() {
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      if (closing_ || end_) co_return Status{};
    }
    const Status woken = co_await leaving_.wait_for(kKeepAlive);
    if (woken) continue;
    if (woken.error().code != Errc::Timeout) co_return woken;
    const std::lock_guard lock(mutex_);
    if (closing_ || end_) co_return Status{};
    if (!calls_.empty() || !fetches_.empty() || !unacked_.empty()) continue;
    v1::Request request;
    request.mutable_account_status();
    abandoned_.insert(next_tag_);
    enqueue({control_frame(next_tag_++, request), nullptr});
  }
}

void Link::count_bytes() {
  sent_ = stream_->bytes_sent();
  received_ = stream_->bytes_received();
}

void Link::finish(Error error, bool lost) {
  {
    const std::lock_guard lock(mutex_);
    if (end_) return;
    end_.emplace(End{std::move(error), lost});
    ended_ = true;
    outgoing_.clear();
  }
  changed_.notify_all();
  events_.ended();
}

// ---- callers' threads ----

void Link::give_up(Error error, bool lost) {
  finish(std::move(error), lost);
  loop_.post([this] {
    if (stream_) stream_->close();
    leaving_.notify_all();
  });
}

std::optional<Link::End> Link::end() const {
  const std::lock_guard lock(mutex_);
  return end_;
}

void Link::enqueue(Outgoing one) {
  outgoing_.push_back(std::move(one));
  if (writing_) return;
  writing_ = true;
  ++running_;
  loop_.post([this] { loop_.spawn(write_all(), [this](Status end) { coroutine_ended(std::move(end)); }); });
}

std::optional<Result<v1::Response>> Link::call(const v1::Request& request, nanoseconds deadline) {
  const auto pending = std::make_shared<Pending>();
  {
    std::unique_lock lock(mutex_);
    if (end_) return std::nullopt;
    const std::uint64_t tag = next_tag_++;
    calls_[tag] = pending;
    enqueue({control_frame(tag, request), nullptr});
    const bool done = changed_.wait_for(lock, deadline, [&] { return pending->answer || end_; });
    if (pending->answer) return std::move(pending->answer);
    calls_.erase(tag);
    if (done) return std::nullopt;
    abandoned_.insert(tag);
  }
  give_up(timeout("wait for an answer"), true);
  return std::nullopt;
}

void Link::send_blob(std::uint64_t tag, Record record) {
  const std::lock_guard lock(mutex_);
  if (end_) return;
  unacked_.insert(tag);
  Outgoing one;
  one.frame.type = FrameType::Blob;
  one.frame.tag = tag;
  one.record = std::move(record);
  enqueue(std::move(one));
}

Error Link::timeout(std::string_view doing) const {
  return {Errc::Timeout,
          std::string(doing) + " from the server " + address_ + ": nothing came; is the network or the server stuck?"};
}

Error Link::protocol_error(std::string_view what) const {
  return {Errc::Protocol, "the server " + address_ + " sent " + std::string(what) +
                              ": it breaks the protocol; nothing it says is trusted"};
}

}  // namespace holdfast::remote
