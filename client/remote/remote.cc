#include "client/remote/remote.h"

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "client/remote/messages.h"
#include "common/base/clock.h"
#include "common/base/version.h"
#include "common/runtime/condition.h"

namespace holdfast::remote {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;
using transport::Frame;
using transport::FrameStream;
using transport::FrameType;

constexpr nanoseconds kCallDeadline = seconds(120);     ///< an answer: covers the server's fsyncs under load
constexpr nanoseconds kCommitDeadline = seconds(1800);  ///< a commit walks the whole new tree
constexpr nanoseconds kSendDeadline = seconds(300);     ///< one frame of at most 8 MiB on a slow link
constexpr nanoseconds kAckDeadline = seconds(300);      ///< no ack at all while blobs are outstanding
constexpr nanoseconds kQuiet = std::chrono::hours(24);  ///< the stream's own read deadline; waits have theirs
constexpr nanoseconds kKeepAlive = seconds(60);
constexpr std::size_t kFetchRefs = 16;  ///< refs per Fetch message: bounds what may be under way to us
constexpr std::size_t kFetchesUnderWay = 2;
constexpr std::size_t kMaxHave = 4096;
constexpr std::uint64_t kPushTag = 0;  ///< pushed messages: acks, and failures of blob frames

/// One call's answer, or the connection's end.
struct Pending {
  std::optional<Result<v1::Response>> answer;
};

struct FetchedRecord {
  std::uint64_t position;
  Bytes record;
};

/// Answers of one Fetch message, filled by the loop's thread.
struct FetchPart {
  std::size_t wanted = 0, arrived = 0;  ///< no more records than were asked for ever wait here
  std::deque<FetchedRecord> records;
  std::optional<Result<v1::FetchEnd>> end;
};

class RemoteImpl final : public Remote {
 public:
  explicit RemoteImpl(transport::ClientOptions options) : address_(options.address) {
    thread_ = std::thread([this] { loop_.run(); });
    runtime::Task<void> task = open(std::move(options));
    loop_.spawn(std::move(task), [this](Status status) { opened(std::move(status)); });  // thread-safe, as post is
  }

  ~RemoteImpl() override {
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

  Status wait_opened() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return opened_ || failure_; });
    if (failure_) return *failure_;
    return {};
  }

  Status say_hello() {
    v1::Request request;
    v1::Hello* hello = request.mutable_hello();
    hello->set_protocol(kProtocolVersion);
    hello->set_program(std::string("holdfast ") + HF_VERSION);
    const WallTime sent = system_clock().wall();
    hello->set_time_ns(to_ns(sent));
    HF_TRY(const v1::Response response, call(std::move(request), kCallDeadline));
    if (!response.has_welcome()) return unexpected("hello");
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
    skew_ = from_ns(welcome.time_ns()) - (sent + (now - sent) / 2);
    return {};
  }

  Result<Opened> open_session(ByteSpan run_record, ByteSpan slot, const SnapshotId& base,
                              const std::optional<SessionId>& resume) override {
    v1::Request request;
    v1::OpenSession* message = request.mutable_open_session();
    message->set_run_record(text_of(run_record));
    message->set_slot(text_of(slot));
    if (!base.is_zero()) message->set_base(text_of(base));
    if (resume) message->set_session_id(text_of(*resume));
    HF_TRY(const v1::Response response, call(std::move(request), kCallDeadline));
    if (!response.has_session_opened()) return unexpected("open session");
    return decode(response.session_opened());
  }

  Result<std::vector<std::optional<Known>>> have(const SessionId& session, std::uint32_t epoch,
                                                 const std::vector<BlobId>& ids) override {
    HF_ASSERT(ids.size() <= kMaxHave);
    v1::Request request;
    v1::Have* message = request.mutable_have();
    message->set_session_id(text_of(session));
    message->set_epoch(epoch);
    for (const BlobId& id : ids) message->add_blobs(text_of(id));
    HF_TRY(const v1::Response response, call(std::move(request), kCallDeadline));
    if (!response.has_have_answer()) return unexpected("have");
    std::vector<std::optional<Known>> known(ids.size());
    for (const v1::Known& one : response.have_answer().known()) {
      if (one.position() >= ids.size()) return unexpected("have");
      HF_TRY(const RunId run, read_id<RunId>(one.run()));
      HF_TRY(const Digest digest, read_id<Digest>(one.record_digest()));
      known[one.position()] = Known{run, digest};
    }
    return known;
  }

  Status put(const SessionId&, Bytes record) override {
    std::unique_lock lock(mutex_);
    HF_TRY_DO(wait_for_room(lock, record.size()));
    const std::uint64_t tag = next_blob_++;
    unacked_[tag] = record.size();
    unacked_bytes_ += record.size();
    Frame frame;
    frame.type = FrameType::Blob;
    frame.tag = tag;
    frame.payload = std::move(record);
    enqueue(std::move(frame));
    return {};
  }

  Status flush(const SessionId& session) override {
    {
      std::unique_lock lock(mutex_);
      if (failure_) return *failure_;
      if (unacked_.empty()) return {};
    }
    v1::Request request;
    request.mutable_flush()->set_session_id(text_of(session));
    HF_TRY(const v1::Response response, call(std::move(request), kCommitDeadline));
    if (!response.has_flushed()) return unexpected("flush");
    std::unique_lock lock(mutex_);
    const bool done = changed_.wait_for(lock, kAckDeadline, [this] { return failure_ || unacked_.empty(); });
    if (failure_) return *failure_;
    if (!done) return timeout("wait for acknowledgements");
    return {};
  }

  Result<Bytes> commit(const SessionId& session, ByteSpan core) override {
    v1::Request request;
    v1::Commit* message = request.mutable_commit();
    message->set_session_id(text_of(session));
    message->set_core(text_of(core));
    HF_TRY(const v1::Response response, call(std::move(request), kCommitDeadline));
    if (!response.has_committed()) return unexpected("commit");
    return to_bytes(as_bytes(response.committed().receipt()));
  }

  Result<std::vector<SnapshotRow>> snapshots(const Subject& subject) override {
    std::vector<SnapshotRow> rows;
    std::size_t bytes = 0;
    for (std::uint64_t after = 0;;) {
      v1::Request request;
      v1::ListSnapshots* message = request.mutable_list_snapshots();
      set_subject(subject, message->mutable_subject());
      message->set_after_sequence(after);
      HF_TRY(const v1::Response response, call(std::move(request), kCallDeadline));
      if (!response.has_snapshot_list()) return unexpected("list snapshots");
      const v1::SnapshotList& list = response.snapshot_list();
      for (const v1::Snapshot& one : list.snapshots()) {
        bytes += one.core().size() + one.state().size();
        if (rows.size() >= kMaxSnapshots || bytes > kMaxSnapshotBytes)
          return protocol_error("more snapshots than one client can have");
        rows.push_back(decode(one));
      }
      if (!list.more()) return rows;
      if (list.snapshots().empty()) return unexpected("list snapshots");
      HF_TRY(const std::uint64_t last, sequence_of(rows.back()));
      if (last <= after) return unexpected("list snapshots");
      after = last;
    }
  }

  Result<RunRow> run(const Subject& subject, const RunId& run) override {
    v1::Request request;
    v1::GetRun* message = request.mutable_get_run();
    set_subject(subject, message->mutable_subject());
    message->set_run(text_of(run));
    HF_TRY(const v1::Response response, call(std::move(request), kCallDeadline));
    if (!response.has_run()) return unexpected("get run");
    const v1::Run& found = response.run();
    return RunRow{to_bytes(as_bytes(found.run_record())), to_bytes(as_bytes(found.slot())),
                  to_bytes(as_bytes(found.certificate()))};
  }

  Status fetch(const Subject& subject, const std::vector<WantedBlob>& wanted,
               const std::function<Status(std::size_t, Result<Bytes>)>& got) override {
    const std::lock_guard one_fetch(fetch_mutex_);
    std::deque<std::pair<std::size_t, std::shared_ptr<FetchPart>>> under_way;
    Status status;
    for (std::size_t next = 0; status && (next < wanted.size() || !under_way.empty());) {
      while (next < wanted.size() && under_way.size() < kFetchesUnderWay) {
        const std::size_t count = std::min(kFetchRefs, wanted.size() - next);
        under_way.emplace_back(next, start_fetch(subject, std::span(wanted).subspan(next, count)));
        next += count;
      }
      const auto [first, part] = under_way.front();
      under_way.pop_front();
      const std::size_t count = std::min(kFetchRefs, wanted.size() - first);
      status = finish_fetch(first, count, *part, got);
    }
    for (const auto& [first, part] : under_way) drain(*part);
    return status;
  }

  Result<Account> account(const Subject& subject) override {
    v1::Request request;
    set_subject(subject, request.mutable_account_status()->mutable_subject());
    HF_TRY(const v1::Response response, call(std::move(request), kCallDeadline));
    if (!response.has_account_report()) return unexpected("account status");
    const v1::AccountReport& report = response.account_report();
    return Account{report.plan(),       report.health(),    report.quota_bytes(),
                   report.used_bytes(), report.snapshots(), report.newest_ns()};
  }

  TenantId tenant_id() const override { return tenant_; }
  ClientId client_id() const override { return client_; }
  nanoseconds clock_skew() const override { return skew_; }
  std::uint64_t bytes_sent() const override { return sent_; }
  std::uint64_t bytes_received() const override { return received_; }
  void cancel() override {
    fail(Error{Errc::Canceled, "stopped by a signal"});
    loop_.post([this] {
      if (stream_) stream_->close();
    });
  }

 private:
  // ---- on the loop's thread ----

  runtime::Task<void> open(transport::ClientOptions options) {
    HF_CO_TRY(stream_, co_await transport::connect(loop_, std::move(options)));
    co_return Status{};
  }

  void opened(Status status) {
    if (!status) {
      fail(std::move(status).error());
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      opened_ = true;
      running_ += 2;
    }
    changed_.notify_all();
    loop_.spawn(read_all(), [this](Status end) { ended(std::move(end)); });
    loop_.spawn(keep_alive(), [this](Status) { ended(Status{}); });
  }

  void ended(Status status) {
    if (!status) fail(std::move(status).error());
    {
      const std::lock_guard lock(mutex_);
      --running_;
    }
    changed_.notify_all();
  }

  runtime::Task<void> read_all() {
    for (;;) {
      HF_CO_TRY(Frame frame, co_await stream_->receive(kQuiet));
      count_bytes();
      HF_CO_TRY_DO(dispatch(std::move(frame)));
    }
  }

  Status dispatch(Frame frame) {
    if (frame.type == FrameType::Blob) {
      const std::lock_guard lock(mutex_);
      if (fetches_.empty()) return protocol_error("a blob that nobody asked for");
      FetchPart& part = *fetches_.front().second;
      if (++part.arrived > part.wanted) return protocol_error("more blobs than were asked for");
      part.records.push_back({frame.tag, std::move(frame.payload)});
      changed_.notify_all();
      return {};
    }
    v1::Response response;
    if (!response.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size()))) {
      return protocol_error("an answer that does not parse");
    }
    if (frame.tag == kPushTag) return pushed(response);
    const std::lock_guard lock(mutex_);
    if (!fetches_.empty() && fetches_.front().first == frame.tag) {
      FetchPart& part = *fetches_.front().second;
      if (response.has_error())
        part.end.emplace(decode(response.error()));
      else if (response.has_fetch_end())
        part.end.emplace(response.fetch_end());
      else
        return protocol_error("a wrong answer to fetch");
      fetches_.pop_front();
      changed_.notify_all();
      return {};
    }
    const auto found = calls_.find(frame.tag);
    if (found == calls_.end()) return abandoned_.erase(frame.tag) ? Status{} : protocol_error("an answer to nothing");
    if (response.has_error())
      found->second->answer.emplace(decode(response.error()));
    else
      found->second->answer.emplace(std::move(response));
    calls_.erase(found);
    changed_.notify_all();
    return {};
  }

  Status pushed(const v1::Response& response) {
    if (response.has_error()) return decode(response.error());
    if (!response.has_put_acks()) return protocol_error("an unknown pushed message");
    const std::lock_guard lock(mutex_);
    for (const std::uint64_t tag : response.put_acks().tags()) {
      const auto found = unacked_.find(tag);
      if (found == unacked_.end()) return protocol_error("an acknowledgement of nothing");
      unacked_bytes_ -= found->second;
      unacked_.erase(found);
    }
    ++ack_count_;
    changed_.notify_all();
    return {};
  }

  /// Sends what waits, one frame after another; at most one of these runs.
  runtime::Task<void> write_all() {
    for (;;) {
      Frame frame;
      {
        const std::lock_guard lock(mutex_);
        if (outgoing_.empty()) {
          writing_ = false;
          co_return Status{};
        }
        frame = std::move(outgoing_.front());
        outgoing_.pop_front();
      }
      HF_CO_TRY_DO(co_await stream_->send(std::move(frame), kSendDeadline));
      count_bytes();
    }
  }

  /// Long reads of unchanged data must not look like a dead client.
  runtime::Task<void> keep_alive() {
    for (;;) {
      {
        const std::lock_guard lock(mutex_);
        if (closing_ || failure_) co_return Status{};
      }
      const Status woken = co_await leaving_.wait_for(kKeepAlive);
      if (woken) continue;
      if (woken.error().code != Errc::Timeout) co_return woken;
      const std::lock_guard lock(mutex_);
      if (closing_ || failure_) co_return Status{};
      if (!calls_.empty() || !fetches_.empty() || !unacked_.empty()) continue;
      v1::Request request;
      request.mutable_account_status();
      abandoned_.insert({next_tag_, true});
      enqueue(control(next_tag_++, request));
    }
  }

  void count_bytes() {
    sent_ = stream_->bytes_sent();
    received_ = stream_->bytes_received();
  }

  // ---- on callers' threads; `lock` or a lock_guard of mutex_ is held where marked ----

  static Frame control(std::uint64_t tag, const v1::Request& request) {
    Frame frame;
    frame.tag = tag;
    frame.payload.resize(request.ByteSizeLong());
    request.SerializeToArray(frame.payload.data(), static_cast<int>(frame.payload.size()));
    return frame;
  }

  /// mutex_ held.
  void enqueue(Frame frame) {
    outgoing_.push_back(std::move(frame));
    if (writing_) return;
    writing_ = true;
    ++running_;
    loop_.post([this] { loop_.spawn(write_all(), [this](Status end) { ended(std::move(end)); }); });
  }

  Result<v1::Response> call(v1::Request request, nanoseconds deadline) {
    const auto pending = std::make_shared<Pending>();
    std::unique_lock lock(mutex_);
    if (failure_) return *failure_;
    const std::uint64_t tag = next_tag_++;
    calls_[tag] = pending;
    enqueue(control(tag, request));
    const bool done = changed_.wait_for(lock, deadline, [&] { return pending->answer || failure_; });
    if (pending->answer) return std::move(*pending->answer);
    calls_.erase(tag);
    if (failure_) return *failure_;
    abandoned_[tag] = true;
    HF_ASSERT(!done);
    return timeout("wait for an answer");
  }

  Status wait_for_room(std::unique_lock<std::mutex>& lock, std::size_t bytes) {
    while (!failure_ && unacked_bytes_ > 0 && unacked_bytes_ + bytes > kMaxUnackedBytes) {
      const std::uint64_t seen = ack_count_;
      const bool moved = changed_.wait_for(lock, kAckDeadline, [&] { return failure_ || ack_count_ != seen; });
      if (!moved) return timeout("wait for acknowledgements");
    }
    if (failure_) return *failure_;
    return {};
  }

  std::shared_ptr<FetchPart> start_fetch(const Subject& subject, std::span<const WantedBlob> wanted) {
    v1::Request request;
    v1::Fetch* message = request.mutable_fetch();
    set_subject(subject, message->mutable_subject());
    for (const WantedBlob& one : wanted) {
      v1::Ref* ref = message->add_refs();
      ref->set_blob(text_of(one.ref.blob));
      ref->set_run(text_of(one.ref.run));
      ref->set_domain(text_of(one.domain));
      ref->set_epoch(one.epoch);
    }
    const auto part = std::make_shared<FetchPart>();
    part->wanted = wanted.size();
    const std::lock_guard lock(mutex_);
    const std::uint64_t tag = next_tag_++;
    fetches_.emplace_back(tag, part);
    enqueue(control(tag, request));
    return part;
  }

  Status finish_fetch(std::size_t first, std::size_t count, FetchPart& part,
                      const std::function<Status(std::size_t, Result<Bytes>)>& got) {
    std::vector<bool> seen(count, false);
    for (;;) {
      std::unique_lock lock(mutex_);
      const bool moved =
          changed_.wait_for(lock, kCallDeadline, [&] { return failure_ || !part.records.empty() || part.end; });
      if (!part.records.empty()) {
        FetchedRecord one = std::move(part.records.front());
        part.records.pop_front();
        lock.unlock();
        if (one.position >= count || seen[one.position]) return protocol_error("a blob that was not asked for");
        seen[one.position] = true;
        HF_TRY_DO(got(first + one.position, std::move(one.record)));
        continue;
      }
      if (!part.end) return failure_ ? Status{*failure_} : moved ? Status{} : timeout("wait for blobs");
      break;
    }
    if (!*part.end) return part.end->error();
    for (const v1::Bad& bad : (*part.end)->bad()) {
      if (bad.position() >= count || seen[bad.position()]) return protocol_error("a wrong end of fetch");
      seen[bad.position()] = true;
      HF_TRY_DO(got(first + bad.position(), Result<Bytes>(Error{checked_code(bad.code()), bad.message()})));
    }
    for (const bool one : seen) {
      if (!one) return protocol_error("an end of fetch that leaves a blob out");
    }
    return {};
  }

  /// The caller has given up: takes what is still coming, so that the next fetch starts clean.
  void drain(FetchPart& part) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kCallDeadline, [&] { return failure_ || part.end; });
  }

  void fail(Error error) {
    {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::move(error);
    }
    changed_.notify_all();
  }

  Error timeout(std::string_view doing) const {
    return {Errc::Timeout, std::string(doing) + " from the server " + address_ +
                               ": nothing came; is the network or the server stuck?"};
  }
  Error protocol_error(std::string_view what) const {
    return {Errc::Protocol, "the server " + address_ + " sent " + std::string(what) +
                                ": it breaks the protocol; nothing it says is trusted"};
  }
  Error unexpected(std::string_view call) const { return protocol_error("a wrong answer to " + std::string(call)); }

  std::string address_;
  runtime::Loop loop_;
  std::thread thread_;
  std::unique_ptr<FrameStream> stream_;  // made and used on the loop's thread
  runtime::Condition leaving_;           // the loop's thread only: wakes keep_alive, so that nobody waits for its pause

  std::mutex fetch_mutex_;    // one fetch at a time
  mutable std::mutex mutex_;  // everything below
  std::condition_variable changed_;
  std::optional<Error> failure_;
  bool opened_ = false, closing_ = false, writing_ = false;
  int running_ = 0;             // coroutines on the loop
  std::deque<Frame> outgoing_;  // bounded by kMaxUnackedBytes and by callers waiting for their answers
  std::uint64_t next_tag_ = 1, next_blob_ = 1, ack_count_ = 0;
  std::map<std::uint64_t, std::shared_ptr<Pending>> calls_;
  std::map<std::uint64_t, bool> abandoned_;  // tags whose answer nobody waits for any more
  std::deque<std::pair<std::uint64_t, std::shared_ptr<FetchPart>>> fetches_;
  std::map<std::uint64_t, std::size_t> unacked_;
  std::size_t unacked_bytes_ = 0;

  TenantId tenant_;
  ClientId client_;
  nanoseconds skew_{};
  std::atomic<std::uint64_t> sent_{0}, received_{0};
};

}  // namespace

Result<std::unique_ptr<Remote>> Remote::connect(transport::ClientOptions options) {
  auto remote = std::make_unique<RemoteImpl>(std::move(options));
  HF_TRY_DO(remote->wait_opened());
  HF_TRY_DO(remote->say_hello());
  return std::unique_ptr<Remote>(std::move(remote));
}

}  // namespace holdfast::remote
