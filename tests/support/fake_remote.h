#pragma once
// A server in memory behind remote::Remote: keeps records, answers from them, signs receipts. Can lose the connection
// after n blobs, damage or drop records, and show an older state.

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <numeric>
#include <random>
#include <set>

#include "client/remote/remote.h"
#include "common/snapshot/records.h"

namespace holdfast::test {

class FakeRemote final : public remote::Remote {
 public:
  FakeRemote(TenantId tenant, ClientId client, const crypto::SigningKey& receipt_key)
      : tenant_(tenant), client_(client), receipt_key_(receipt_key) {}

  // ---- knobs ----
  std::size_t puts_before_loss = std::numeric_limits<std::size_t>::max();
  bool forget_newest = false;  ///< behaves like a copy from before the last commit
  bool base_known = true;
  std::int64_t promise_days = 30;
  std::int64_t server_ns = 1'000'000'000'000;  ///< its time, which receipts state
  std::map<blob::BlobRef, Bytes> records;
  std::vector<remote::SnapshotRow> rows;
  std::size_t put_count = 0, fetch_count = 0;
  std::function<void()> on_put;  ///< before a blob arrives; on any thread, one at a time
  std::size_t fetches_before_loss = std::numeric_limits<std::size_t>::max();
  bool answers_shuffled = false;                    ///< blobs of one fetch come in another order than they were named
  std::ptrdiff_t rows_per_page = 8;                 ///< of the list of snapshots
  std::size_t rows_given = 0, runs_given = 0;       ///< how much of what was asked for
  std::map<blob::BlobRef, std::size_t> fetches_of;  ///< how often each was asked for

  Result<remote::Opened> open_session(ByteSpan run_record, ByteSpan slot, const SnapshotId&,
                                      const std::optional<SessionId>&) override {
    HF_TRY(const snapshot::RunRecord record, snapshot::decode_run_record_unverified(run_record));
    runs_[record.run] = {to_bytes(run_record), to_bytes(slot), certificate};
    remote::Opened opened;
    opened.session.bytes[0] = 7;
    const std::size_t count = rows.size() - (forget_newest && !rows.empty() ? 1 : 0);
    opened.next_sequence = count + 1;
    if (count > 0) opened.previous = snapshot::snapshot_id(rows[count - 1].core);
    opened.base_known = base_known;
    opened.head_number = count * 3;
    return opened;
  }
  Result<std::vector<std::optional<remote::Known>>> have(const SessionId&, std::uint32_t,
                                                         const std::vector<BlobId>& ids) override {
    const std::lock_guard lock(mutex_);
    std::vector<std::optional<remote::Known>> known(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const auto found = records.lower_bound({ids[i], RunId{}});
      if (found != records.end() && found->first.blob == ids[i])
        known[i] = remote::Known{found->first.run, blob::record_digest(found->second)};
    }
    return known;
  }
  Status put(const SessionId&, Bytes record) override {
    const std::lock_guard lock(mutex_);
    if (put_count >= puts_before_loss) return Error{Errc::Unreachable, "the connection broke"};
    if (on_put) on_put();
    ++put_count;
    HF_TRY(const blob::RecordView view, blob::decode_record(record));
    records[view.header.ref()] = std::move(record);
    return {};
  }
  Status flush(const SessionId&) override { return {}; }
  Result<Bytes> commit(const SessionId&, ByteSpan core_bytes) override {
    HF_TRY(const snapshot::VerifiedCore core, snapshot::decode_core(core_bytes));
    HF_TRY_DO(check_closure({core.core.root.blob, core.core.root.run}));
    snapshot::Receipt receipt;
    receipt.tenant = tenant_;
    receipt.client = client_;
    receipt.snapshot = core.id;
    receipt.sequence = core.core.sequence;
    receipt.server_ns = server_ns;
    receipt.lock_not_before_ns =
        receipt.server_ns + std::chrono::nanoseconds(std::chrono::hours(24 * promise_days)).count();
    receipt.plan = "30d";
    rows.push_back({to_bytes(core_bytes), receipt.server_ns, receipt.lock_not_before_ns, "live", std::nullopt});
    receipt.journal_number = rows.size() * 3;
    return snapshot::encode_signed(receipt, receipt_key_);
  }
  Status snapshot_pages(const remote::Subject&, bool with_runs,
                        const std::function<Result<bool>(std::vector<remote::SnapshotRow>)>& take) override {
    for (auto next = rows.rbegin();;) {
      const auto end = next + std::min<std::ptrdiff_t>(rows_per_page, rows.rend() - next);
      rows_given += static_cast<std::size_t>(end - next);
      std::vector<remote::SnapshotRow> page(next, end);
      for (remote::SnapshotRow& row : page) {
        const Result<snapshot::VerifiedCore> core = snapshot::decode_core(row.core);
        if (with_runs && core) row.run = runs_.at(core->core.run);
      }
      HF_TRY(const bool go_on, take(std::move(page)));
      if (!go_on || end == rows.rend()) return {};
      next = end;
    }
  }
  Result<remote::RunRow> run(const remote::Subject&, const RunId& run) override {
    const auto found = runs_.find(run);
    if (found == runs_.end()) return Error{Errc::NotFound, "no such run"};
    ++runs_given;
    return found->second;
  }
  Status fetch(const remote::Subject&, const std::vector<remote::WantedBlob>& wanted,
               const std::function<Status(std::size_t, Result<Bytes>)>& got) override {
    std::vector<std::size_t> order(wanted.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    if (answers_shuffled) std::shuffle(order.begin(), order.end(), std::minstd_rand(7));
    for (const std::size_t i : order) {
      if (fetch_count >= fetches_before_loss) return Error{Errc::Unreachable, "the connection broke"};
      ++fetch_count;
      ++fetches_of[wanted[i].ref];
      const auto found = records.find(wanted[i].ref);
      Result<Bytes> answer = found == records.end() ? Result<Bytes>(Error{Errc::Corrupt, "the pack is damaged"})
                                                    : Result<Bytes>(found->second);
      HF_TRY_DO(got(i, std::move(answer)));
    }
    return {};
  }
  Result<remote::Account> account(const remote::Subject&) override { return remote::Account{}; }
  TenantId tenant_id() const override { return tenant_; }
  ClientId client_id() const override { return client_; }
  std::chrono::nanoseconds clock_skew() const override { return {}; }
  std::uint64_t bytes_sent() const override { return 0; }
  std::uint64_t bytes_received() const override { return 0; }
  void cancel() override {}

  Bytes certificate;

 private:
  /// Everything that the clear child lists lead to is there.
  Status check_closure(const blob::BlobRef& root) {
    const std::lock_guard lock(mutex_);
    std::vector<blob::BlobRef> open{root};
    std::set<blob::BlobRef> seen{root};
    while (!open.empty()) {
      const auto found = records.find(open.back());
      if (found == records.end()) return Error{Errc::Missing, "blob " + open.back().blob.hex() + " is not there"};
      open.pop_back();
      HF_TRY(const blob::RecordView view, blob::decode_record(found->second));
      for (const blob::BlobRef& child : blob::decode_children(view.child_bytes)) {
        if (seen.insert(child).second) open.push_back(child);
      }
    }
    return {};
  }

  TenantId tenant_;
  ClientId client_;
  const crypto::SigningKey& receipt_key_;
  std::mutex mutex_;
  std::map<RunId, remote::RunRow> runs_;
};

}  // namespace holdfast::test
