#include "client/remote/lifeline.h"

#include <algorithm>
#include <array>

#include "common/base/clock.h"

namespace holdfast::remote {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr int kFirstAttempts = 3;                      ///< of the first connection
constexpr nanoseconds kLongestPause = seconds(30);     ///< between two attempts
constexpr std::chrono::milliseconds kLookAround{100};  ///< how often a pause asks whether it is still wanted

std::string words_of(nanoseconds time) {
  const auto whole = std::chrono::duration_cast<seconds>(time).count();
  return whole < 120 ? std::to_string(whole) + " s" : std::to_string(whole / 60) + " min";
}

Error stopped_error() { return {Errc::Canceled, "stopped by a signal"}; }

}  // namespace

Lifeline::Lifeline(transport::ClientOptions options, Patience patience)
    : options_(std::move(options)), patience_(std::move(patience)) {}

Lifeline::~Lifeline() {
  cancel();
  link_.reset();  // its thread may call us until then
}

Status Lifeline::open() {
  for (int attempt = 1;; ++attempt) {
    bool lost = false;
    Result<LinkPtr> made = dial(options_.connect_deadline, &lost);
    if (made) {
      tenant_ = (*made)->tenant();
      client_ = (*made)->client();
      skew_ = (*made)->clock_skew();
      adopt(*made);
      return {};
    }
    const bool again = lost && made.error().code == Errc::Unreachable && patience_.total > nanoseconds(0);
    if (!again || attempt == kFirstAttempts) return std::move(made).error();
    HF_TRY_DO(pause(pause_before(attempt)));
  }
}

// ---- the connection of the moment ----

/// A connection on which nothing has failed yet.
Result<Lifeline::LinkPtr> Lifeline::current() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !reviving_; });
  if (failure_) return *failure_;
  if (!link_->ended()) return link_;
  const Link::End end = *link_->end();
  if (!end.lost || patience_.total <= nanoseconds(0)) {
    failure_ = end.error;
    return end.error;
  }
  reviving_ = true;
  lock.unlock();
  Result<LinkPtr> revived = revive(end.error);
  lock.lock();
  reviving_ = false;
  if (!revived && !failure_) failure_ = revived.error();
  lock.unlock();
  changed_.notify_all();
  return revived;
}

Result<Lifeline::LinkPtr> Lifeline::revive(Error why) {
  const auto attempt = [this] {  // also over several losses, as long as nothing gets done in between
    const std::lock_guard lock(mutex_);
    if (!trouble_) trouble_.emplace(Trouble{system_clock().monotonic()});
    return Trouble{trouble_->since, trouble_->attempts++};
  };
  Trouble trouble = attempt();
  if (trouble.attempts == 0)
    tell("connection lost, trying again for up to " + words_of(patience_.total) + " (" + why.message + ")");
  for (;; trouble = attempt()) {
    if (stopped()) return stopped_error();
    const nanoseconds left = patience_.total - (system_clock().monotonic() - trouble.since);
    if (left <= nanoseconds(0)) {
      return std::move(why).with_context("connect to " + printable(options_.address) +
                                         " again: nothing got through for " + words_of(patience_.total) +
                                         "; what the server has acknowledged stays there, run again when it answers");
    }
    HF_TRY_DO(pause(std::min(left, pause_before(trouble.attempts))));
    bool lost = false;
    Result<LinkPtr> made = dial(std::min(options_.connect_deadline, std::max<nanoseconds>(left, seconds(1))), &lost);
    if (made) {
      const std::optional<Status> ready = go_on(**made, std::max(left, kCallDeadline));
      if (ready && *ready) {
        adopt(*made);
        return made;
      }
      lost = !ready && (*made)->end()->lost;
      const Error error = ready ? ready->error() : (*made)->end()->error;
      {
        const std::lock_guard lock(mutex_);
        count(**made);
      }
      made = error;
    }
    if (!lost) return std::move(made).error().with_context("go on after a lost connection");
    why = std::move(made).error();
  }
}

/// `lost`, on failure: another attempt may do better.
Result<Lifeline::LinkPtr> Lifeline::dial(nanoseconds limit, bool* lost) {
  const auto link = std::make_shared<Link>(
      options_.address, Link::Events{[this](const std::vector<std::uint64_t>& tags) { acknowledged(tags); },
                                     [this] {
                                       const std::lock_guard lock(mutex_);
                                       changed_.notify_all();
                                     }});
  transport::ClientOptions options = options_;
  options.connect_deadline = limit;
  const Status opened = link->open(std::move(options), [this] { return stopped(); });
  if (opened) return link;
  const std::optional<Link::End> end = link->end();
  // Too many connections of this machine: the server has not noticed yet that the earlier ones are gone.
  *lost = (end && end->lost) || opened.error().code == Errc::Limit;
  const std::lock_guard lock(mutex_);
  count(*link);
  return opened.error();
}

/// The session goes on where its last acknowledgement was. nullopt: the link has ended.
std::optional<Status> Lifeline::go_on(Link& link, nanoseconds limit) {
  v1::Request request;
  {
    const std::lock_guard lock(mutex_);
    if (!session_) return Status{};
    *request.mutable_open_session() = *session_;
  }
  const std::string& session = request.open_session().session_id();
  const std::optional<Result<v1::Response>> answer = link.call(request, limit);
  if (!answer) return std::nullopt;
  if (!*answer) return Status{Error(answer->error()).with_context("open the session again")};
  if (!(*answer)->has_session_opened() || (*answer)->session_opened().session_id() != session)
    return Status{protocol_error("another session than the one that was to go on")};
  return settle(link, session);
}

/// What has arrived counts as acknowledged; it was published when the session was opened again. The record digest tells it
/// from another copy of the same blob.
std::optional<Status> Lifeline::settle(Link& link, const std::string& session) {
  std::vector<std::pair<std::uint64_t, Link::Record>> waiting;
  {
    const std::lock_guard lock(mutex_);
    waiting.assign(unacked_.begin(), unacked_.end());
  }
  std::vector<std::uint64_t> arrived;
  for (std::size_t at = 0; at < waiting.size(); at += kMaxHave) {
    const std::size_t count = std::min(kMaxHave, waiting.size() - at);
    v1::Request request;
    request.mutable_have()->set_session_id(session);
    for (std::size_t i = at; i < at + count; ++i) {
      const Result<blob::RecordView> decoded = blob::decode_record(*waiting[i].second);
      HF_ASSERT(decoded);  // we have made it
      const blob::RecordView& view = *decoded;
      request.mutable_have()->set_epoch(view.header.epoch);  // one run, one epoch
      request.mutable_have()->add_blobs(text_of(view.header.blob));
    }
    const std::optional<Result<v1::Response>> answer = link.call(request, kCallDeadline);
    if (!answer) return std::nullopt;
    if (!*answer) return Status{answer->error()};
    if (!(*answer)->has_have_answer()) return Status{protocol_error("a wrong answer to have")};
    for (const v1::Known& one : (*answer)->have_answer().known()) {
      if (one.position() >= count) return Status{protocol_error("a wrong answer to have")};
      const auto& [tag, record] = waiting[at + one.position()];
      if (one.record_digest() == text_of(blob::record_digest(*record))) arrived.push_back(tag);
    }
  }
  acknowledged(arrived);
  return Status{};
}

/// From now on everybody works with this one; what it has to send again goes first.
void Lifeline::adopt(const LinkPtr& link) {
  LinkPtr before;
  bool canceled = false;
  {
    const std::lock_guard lock(mutex_);
    if (link_) count(*link_);
    before = std::exchange(link_, link);
    for (const auto& [tag, record] : unacked_) link->send_blob(tag, record);
    canceled = failure_.has_value();
  }
  changed_.notify_all();
  if (canceled) link->give_up(stopped_error(), false);  // meanwhile
}

nanoseconds Lifeline::pause_before(int attempt) const {
  const nanoseconds whole =
      std::min<nanoseconds>(kLongestPause, patience_.first_pause * (1LL << std::min(attempt, 12)));
  std::array<std::uint8_t, 1> chance{};
  system_random().fill(chance);
  return whole - whole / 2 * chance[0] / 255;
}

Status Lifeline::pause(nanoseconds time) const {
  const MonotonicTime end = system_clock().monotonic() + time;
  for (;;) {
    if (stopped()) return stopped_error();
    const nanoseconds left = end - system_clock().monotonic();
    if (left <= nanoseconds(0)) return {};
    std::this_thread::sleep_for(std::min<nanoseconds>(left, kLookAround));
  }
}

/// Something got through: the trouble, if there was any, is over.
void Lifeline::progress(const LinkPtr& link) {
  nanoseconds took{};
  {
    const std::lock_guard lock(mutex_);
    if (!trouble_ || reviving_ || (link && link != link_)) return;
    took = system_clock().monotonic() - trouble_->since;
    trouble_.reset();
  }
  tell("the connection is back after " + words_of(took) + "; going on");
}

void Lifeline::tell(const std::string& what) const {
  if (patience_.tell) patience_.tell(what);
}

void Lifeline::cancel() {
  canceled_ = true;
  LinkPtr link;
  {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = stopped_error();
    link = link_;
  }
  changed_.notify_all();
  if (link) link->give_up(stopped_error(), false);
}

// ---- calls ----

Result<v1::Response> Lifeline::ask(const v1::Request& request, nanoseconds deadline) {
  for (;;) {
    HF_TRY(const LinkPtr link, current());
    std::optional<Result<v1::Response>> answer = link->call(request, deadline);
    if (!answer) continue;
    progress(link);
    return std::move(*answer);
  }
}

Result<v1::Response> Lifeline::open_session(const v1::Request& request) {
  v1::Request owed;  // records of an earlier session must not be sent again into this one
  {
    const std::lock_guard lock(mutex_);
    if (session_ && !unacked_.empty()) owed.mutable_flush()->set_session_id(session_->session_id());
  }
  if (owed.has_flush()) HF_TRY_DO(flush(owed));
  HF_TRY(v1::Response response, ask(request, kCallDeadline));
  if (response.has_session_opened()) {
    const std::lock_guard lock(mutex_);
    session_ = request.open_session();
    session_->set_session_id(response.session_opened().session_id());
  }
  return response;
}

void Lifeline::acknowledged(const std::vector<std::uint64_t>& tags) {
  {
    const std::lock_guard lock(mutex_);
    for (const std::uint64_t tag : tags) {
      const auto found = unacked_.find(tag);
      if (found == unacked_.end()) continue;  // found to have arrived already
      unacked_bytes_ -= found->second->size();
      unacked_.erase(found);
    }
    ++ack_count_;
  }
  changed_.notify_all();
  progress(nullptr);
}

Status Lifeline::put(Bytes bytes) {
  const auto record = std::make_shared<const Bytes>(std::move(bytes));
  for (;;) {
    HF_TRY(const LinkPtr link, current());
    std::unique_lock lock(mutex_);
    const auto usable = [&] { return link == link_ && !link->ended(); };
    bool moved = true;
    while (usable() && moved && unacked_bytes_ > 0 && unacked_bytes_ + record->size() > kMaxUnackedBytes) {
      const std::uint64_t seen = ack_count_;
      moved = changed_.wait_for(lock, kAckDeadline, [&] { return !usable() || ack_count_ != seen; });
    }
    if (usable() && moved) {
      const std::uint64_t tag = next_blob_++;
      unacked_[tag] = record;
      unacked_bytes_ += record->size();
      link->send_blob(tag, record);
      return {};
    }
    lock.unlock();
    if (!moved) link->give_up(link->timeout("wait for acknowledgements"), true);
  }
}

Status Lifeline::flush(const v1::Request& request) {
  for (;;) {
    HF_TRY(const LinkPtr link, current());
    {
      const std::lock_guard lock(mutex_);
      if (unacked_.empty()) return {};
    }
    const std::optional<Result<v1::Response>> answer = link->call(request, kCommitDeadline);
    if (!answer) continue;
    if (!*answer) return answer->error();
    if (!(*answer)->has_flushed()) return protocol_error("a wrong answer to flush");
    progress(link);
    std::unique_lock lock(mutex_);
    const bool done = changed_.wait_for(lock, kAckDeadline, [&] { return link->ended() || unacked_.empty(); });
    if (unacked_.empty()) return {};
    lock.unlock();
    if (!done) link->give_up(link->timeout("wait for acknowledgements"), true);
  }
}

Status Lifeline::fetch(const Subject& subject, const std::vector<WantedBlob>& wanted,
                       const std::function<Status(std::size_t, Result<Bytes>)>& got) {
  std::vector<std::size_t> open(wanted.size());  // positions without an answer
  for (std::size_t i = 0; i < open.size(); ++i) open[i] = i;
  while (!open.empty()) {
    HF_TRY(const LinkPtr link, current());
    std::vector<WantedBlob> rest;
    for (const std::size_t position : open) rest.push_back(wanted[position]);
    std::vector<bool> answered(open.size(), false);
    const std::optional<Status> done = link->fetch(subject, rest, [&](std::size_t index, Result<Bytes> record) {
      answered[index] = true;
      progress(link);
      return got(open[index], std::move(record));
    });
    if (done) return *done;
    std::vector<std::size_t> left;
    for (std::size_t i = 0; i < open.size(); ++i) {
      if (!answered[i]) left.push_back(open[i]);
    }
    open = std::move(left);
  }
  return {};
}

// ---- figures ----

void Lifeline::count(const Link& link) {
  past_sent_ += link.bytes_sent();
  past_received_ += link.bytes_received();
}

std::uint64_t Lifeline::bytes_sent() const {
  const std::lock_guard lock(mutex_);
  return past_sent_ + (link_ ? link_->bytes_sent() : 0);
}

std::uint64_t Lifeline::bytes_received() const {
  const std::lock_guard lock(mutex_);
  return past_received_ + (link_ ? link_->bytes_received() : 0);
}

Error Lifeline::protocol_error(std::string_view what) const {
  return {Errc::Protocol, "the server " + options_.address + " sent " + std::string(what) +
                              ": it breaks the protocol; nothing it says is trusted"};
}

}  // namespace holdfast::remote
