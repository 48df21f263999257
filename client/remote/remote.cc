#include "client/remote/remote.h"

#include <algorithm>
#include <iterator>

#include "client/remote/lifeline.h"

namespace holdfast::remote {
namespace {

constexpr std::uint32_t kFirstPage = 8;

/// Calls as messages and answers as values; how they get to the server is the lifeline's business.
class RemoteImpl final : public Remote {
 public:
  RemoteImpl(transport::ClientOptions options, Patience patience)
      : lifeline_(std::move(options), std::move(patience)) {}

  Status open() { return lifeline_.open(); }

  Result<Opened> open_session(ByteSpan run_record, ByteSpan slot, const SnapshotId& base,
                              const std::optional<SessionId>& resume) override {
    v1::Request request;
    v1::OpenSession* message = request.mutable_open_session();
    message->set_run_record(text_of(run_record));
    message->set_slot(text_of(slot));
    if (!base.is_zero()) message->set_base(text_of(base));
    if (resume) message->set_session_id(text_of(*resume));
    HF_TRY(const v1::Response response, lifeline_.open_session(request));
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
    HF_TRY(const v1::Response response, lifeline_.ask(request, kCallDeadline));
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

  Status put(const SessionId&, Bytes record) override { return lifeline_.put(std::move(record)); }

  Status flush(const SessionId& session) override {
    v1::Request request;
    request.mutable_flush()->set_session_id(text_of(session));
    return lifeline_.flush(request);
  }

  Result<Bytes> commit(const SessionId& session, ByteSpan core) override {
    v1::Request request;
    v1::Commit* message = request.mutable_commit();
    message->set_session_id(text_of(session));
    message->set_core(text_of(core));
    HF_TRY(const v1::Response response, lifeline_.ask(request, kCommitDeadline));
    if (!response.has_committed()) return unexpected("commit");
    return to_bytes(as_bytes(response.committed().receipt()));
  }

  Status snapshot_pages(const Subject& subject, bool with_runs,
                        const std::function<Result<bool>(std::vector<SnapshotRow>)>& take) override {
    std::size_t count = 0, bytes = 0;
    for (std::uint64_t before = 0;;) {
      v1::Request request;
      v1::ListSnapshots* message = request.mutable_list_snapshots();
      set_subject(subject, message->mutable_subject());
      message->set_before_sequence(before);
      message->set_limit(before == 0 && !with_runs ? kFirstPage : 0);  // who opens all wants all
      message->set_with_runs(with_runs);
      HF_TRY(const v1::Response response, lifeline_.ask(request, kCallDeadline));
      if (!response.has_snapshot_list()) return unexpected("list snapshots");
      const v1::SnapshotList& list = response.snapshot_list();
      std::vector<SnapshotRow> page;
      for (const v1::Snapshot& one : list.snapshots()) {
        bytes += one.core().size() + one.state().size() + one.run().ByteSizeLong();
        if (++count > kMaxSnapshots || bytes > kMaxSnapshotBytes)
          return lifeline_.protocol_error("more snapshots than one client can have");
        page.push_back(decode(one));
      }
      if (list.more()) {
        if (page.empty()) return unexpected("list snapshots");
        HF_TRY(const std::uint64_t last, sequence_of(page.back()));
        if (last == 0 || (before != 0 && last >= before)) return unexpected("list snapshots");
        before = last;
      }
      HF_TRY(const bool go_on, take(std::move(page)));
      if (!go_on || !list.more()) return {};
    }
  }

  Result<RunRow> run(const Subject& subject, const RunId& run) override {
    v1::Request request;
    v1::GetRun* message = request.mutable_get_run();
    set_subject(subject, message->mutable_subject());
    message->set_run(text_of(run));
    HF_TRY(const v1::Response response, lifeline_.ask(request, kCallDeadline));
    if (!response.has_run()) return unexpected("get run");
    return decode(response.run());
  }

  Status fetch(const Subject& subject, const std::vector<WantedBlob>& wanted,
               const std::function<Status(std::size_t, Result<Bytes>)>& got) override {
    return lifeline_.fetch(subject, wanted, got);
  }

  Result<Account> account(const Subject& subject) override {
    v1::Request request;
    set_subject(subject, request.mutable_account_status()->mutable_subject());
    HF_TRY(const v1::Response response, lifeline_.ask(request, kCallDeadline));
    if (!response.has_account_report()) return unexpected("account status");
    const v1::AccountReport& report = response.account_report();
    return Account{report.plan(),       report.health(),    report.quota_bytes(),
                   report.used_bytes(), report.snapshots(), report.newest_ns()};
  }

  TenantId tenant_id() const override { return lifeline_.tenant(); }
  ClientId client_id() const override { return lifeline_.client(); }
  std::chrono::nanoseconds clock_skew() const override { return lifeline_.clock_skew(); }
  std::uint64_t bytes_sent() const override { return lifeline_.bytes_sent(); }
  std::uint64_t bytes_received() const override { return lifeline_.bytes_received(); }
  void cancel() override { lifeline_.cancel(); }

 private:
  Error unexpected(std::string_view call) const {
    return lifeline_.protocol_error("a wrong answer to " + std::string(call));
  }

  Lifeline lifeline_;
};

}  // namespace

Result<std::vector<SnapshotRow>> Remote::snapshots(const Subject& subject) {
  std::vector<SnapshotRow> rows;
  HF_TRY_DO(snapshot_pages(subject, false, [&](std::vector<SnapshotRow> page) -> Result<bool> {
    std::ranges::move(page, std::back_inserter(rows));
    return true;
  }));
  std::ranges::reverse(rows);
  return rows;
}

Result<std::unique_ptr<Remote>> Remote::connect(transport::ClientOptions options, Patience patience) {
  auto remote = std::make_unique<RemoteImpl>(std::move(options), std::move(patience));
  HF_TRY_DO(remote->open());
  return std::unique_ptr<Remote>(std::move(remote));
}

}  // namespace holdfast::remote
