#pragma once
// A server that lies in one way: passes every call on to a truthful remote::Remote, and lets a test change what comes
// back. What a hook returns is what the real client's end of a connection could hand on: everything that frames and
// protobuf refuse is not for here (tests/client/remote).

#include "client/remote/remote.h"

namespace holdfast::test {

class EvilRemote final : public remote::Remote {
 public:
  using Got = std::function<Status(std::size_t, Result<Bytes>)>;

  explicit EvilRemote(remote::Remote& truth) : truth_(truth) {}

  // ---- ways to lie; an empty one tells the truth ----
  std::function<Result<remote::Opened>(remote::Opened)> opened;
  std::function<void(const std::vector<BlobId>&, std::vector<std::optional<remote::Known>>&)> known;
  std::function<std::optional<Bytes>(Bytes record)> kept;  ///< nullopt: thrown away, and acknowledged
  std::function<Result<Bytes>(ByteSpan core)> committed;   ///< instead of the truth
  std::function<Result<Bytes>(Bytes receipt)> receipt;
  std::function<Result<std::vector<remote::SnapshotRow>>(std::vector<remote::SnapshotRow>)> rows;  ///< ascending
  std::function<Result<remote::RunRow>(const RunId&, remote::RunRow)> run_row;
  std::function<Result<Bytes>(const remote::WantedBlob&, Result<Bytes>)> record;
  std::function<Status(const std::vector<remote::WantedBlob>&, const Got&)> fetched;  ///< instead of the truth

  Result<remote::Opened> open_session(ByteSpan run_record, ByteSpan slot, const SnapshotId& base,
                                      const std::optional<SessionId>& resume) override {
    HF_TRY(remote::Opened truth, truth_.open_session(run_record, slot, base, resume));
    if (!opened) return truth;
    return opened(std::move(truth));
  }
  Result<std::vector<std::optional<remote::Known>>> have(const SessionId& session, std::uint32_t epoch,
                                                         const std::vector<BlobId>& ids) override {
    HF_TRY(std::vector<std::optional<remote::Known>> answer, truth_.have(session, epoch, ids));
    if (known) known(ids, answer);
    return answer;
  }
  Status put(const SessionId& session, Bytes record_bytes) override {
    if (!kept) return truth_.put(session, std::move(record_bytes));
    std::optional<Bytes> changed = kept(std::move(record_bytes));
    return changed ? truth_.put(session, *std::move(changed)) : Status{};
  }
  Status flush(const SessionId& session) override { return truth_.flush(session); }
  Result<Bytes> commit(const SessionId& session, ByteSpan core) override {
    ++commits;
    if (committed) return committed(core);
    HF_TRY(Bytes truth, truth_.commit(session, core));
    if (!receipt) return truth;
    return receipt(std::move(truth));
  }
  Status snapshot_pages(const remote::Subject& subject, bool,
                        const std::function<Result<bool>(std::vector<remote::SnapshotRow>)>& take) override {
    HF_TRY(std::vector<remote::SnapshotRow> shown, truth_.snapshots(subject));
    if (rows) {
      HF_TRY(shown, rows(std::move(shown)));
    }
    HF_TRY_DO(take({shown.rbegin(), shown.rend()}));
    return {};
  }
  Result<remote::RunRow> run(const remote::Subject& subject, const RunId& id) override {
    HF_TRY(remote::RunRow truth, truth_.run(subject, id));
    if (!run_row) return truth;
    return run_row(id, std::move(truth));
  }
  Status fetch(const remote::Subject& subject, const std::vector<remote::WantedBlob>& wanted, const Got& got) override {
    if (fetched) return fetched(wanted, got);
    return truth_.fetch(subject, wanted, [&](std::size_t index, Result<Bytes> truth) {
      return got(index, record ? record(wanted[index], std::move(truth)) : std::move(truth));
    });
  }
  Result<remote::Account> account(const remote::Subject& subject) override { return truth_.account(subject); }
  TenantId tenant_id() const override { return truth_.tenant_id(); }
  ClientId client_id() const override { return truth_.client_id(); }
  std::chrono::nanoseconds clock_skew() const override { return truth_.clock_skew(); }
  std::uint64_t bytes_sent() const override { return truth_.bytes_sent(); }
  std::uint64_t bytes_received() const override { return truth_.bytes_received(); }
  void cancel() override { truth_.cancel(); }

  std::size_t commits = 0;

 private:
  remote::Remote& truth_;
};

}  // namespace holdfast::test
