#pragma once
// Why: the tenant of one machine: puts the parts together and hands every call to the one that answers it.

#include "server/tenant/clients.h"
#include "server/tenant/commits.h"
#include "server/tenant/life.h"
#include "server/tenant/parts.h"
#include "server/tenant/reading.h"
#include "server/tenant/sessions.h"

namespace holdfast::tenant {

/// Thread-safe.
class LocalTenant final : public Tenant {
 public:
  LocalTenant(const Environment& env, const std::string& directory) : parts_(env, directory) {}

  /// Once, before anything else. Errors: as Tenant::open.
  Status start();

  Account account() override;
  const TenantId& id() const override { return id_; }
  Status confirm_gap(std::int64_t gap_ns, std::optional<std::int64_t> since_ns) override;

  Result<journal::ClientPayload> invite(const std::string& name, const Digest& token_digest,
                                        std::int64_t expires_ns) override;
  std::optional<Error> damage() const override { return parts_.journal_damage; }
  Result<journal::ClientPayload> client_by_name(const std::string& name) override;
  std::vector<journal::ClientPayload> clients() override;
  Result<journal::ClientPayload> enrol(const std::string& name, const Digest& token_digest,
                                       const Digest& request_digest, ByteSpan client_certificate,
                                       const std::function<Result<std::string>()>& issue_certificate) override;
  Status revoke(const std::string& name) override;
  std::optional<PublicKey> pinned_root() override;

  Result<SessionOpened> open_session(const ClientId& client, ByteSpan run_record, ByteSpan slot, const SnapshotId& base,
                                     const std::optional<SessionId>& resume) override;
  Result<std::vector<HaveAnswer>> have(const ClientId& client, const SessionId& session, std::uint32_t epoch,
                                       const std::vector<BlobId>& blobs) override;
  Result<std::vector<std::uint64_t>> put(const ClientId& client, const SessionId& session, std::uint64_t tag,
                                         ByteSpan record) override;
  Result<std::vector<std::uint64_t>> flush(const ClientId& client, const SessionId& session) override;
  Status abandon(const ClientId& client, const SessionId& session) override;
  Result<Bytes> commit(const ClientId& client, const SessionId& session, ByteSpan core, Refused* refused) override;

  Result<std::vector<SnapshotRow>> snapshots(const std::optional<ClientId>& client, std::uint64_t after_sequence,
                                             std::size_t limit, Viewer viewer) override;
  Result<std::vector<SnapshotRow>> snapshots_before(const ClientId& client, std::uint64_t before_sequence,
                                                    std::size_t limit, Viewer viewer) override;
  Result<RunRow> run(const ClientId& client, const RunId& run) override;
  std::vector<std::size_t> read_order(
      const ClientId& client,
      const std::vector<std::pair<std::pair<DomainId, std::uint32_t>, blob::BlobRef>>& refs) override;
  Result<Bytes> read_blob(const ClientId& client, const DomainId& domain, std::uint32_t epoch,
                          const blob::BlobRef& ref) override;

  Parts& parts() override { return parts_; }
  Status compare_directory() override;
  Result<std::uint64_t> expire_idle_sessions() override { return sessions_.expire_idle(); }
  Result<StraySlots> remove_stray_slots() override { return sessions_.remove_stray_slots(); }
  Result<PurgeReport> purge(bool dry_run) override;
  Result<SnapshotStory> lock_snapshot(const SnapshotId& snapshot, const std::string& who) override {
    return life_.lock(snapshot, who);
  }
  Result<SnapshotStory> undelete_snapshot(const SnapshotId& snapshot, const std::string& who) override {
    return life_.undelete(snapshot, who);
  }
  Result<SnapshotStory> explain_snapshot(const SnapshotId& snapshot) override { return life_.explain(snapshot); }
  std::vector<SnapshotName> snapshots_named(const std::string& client, std::uint64_t sequence) override {
    return life_.named(client, sequence);
  }
  std::vector<SnapshotName> snapshots_beginning(const std::string& hex) override { return life_.beginning(hex); }
  Status set_source(const std::string& client, const SourceId& source, journal::SourcePayload::State state,
                    const std::string& label) override {
    return life_.set_source(client, source, state, label);
  }
  Status retire_client(const std::string& client) override { return life_.retire_client(client); }
  Result<std::vector<SourceStory>> sources(const std::string& client) override { return life_.sources(client); }

  Result<CheckSummary> check(bool read_data, const std::function<void(const Finding&)>& found) override;
  Result<Rebuilt> rebuild_index() override;
  Result<Digest> index_digest() override;

 private:
  Status load_journal();
  Status salvage();
  void start_publisher();
  void start_index();
  void anchor_vault();
  Status note_missing_objects(std::optional<journal::ForkPayload>& fork);
  std::optional<journal::ForkPayload> find_fork(const std::vector<store::ObjectInfo>& packs) const;
  void freeze(const journal::ForkPayload& fork);

  Parts parts_;
  TenantId id_;
  std::mutex comparing_;
  bool compared_ = false;  ///< the directory, with the journal
  bool anchored_ = false;  ///< the vault clock needs no new anchor
  Clients clients_{parts_};
  Sessions sessions_{parts_};
  Commits commits_{parts_, sessions_};
  Reading reading_{parts_};
  SnapshotLife life_{parts_};
};

}  // namespace holdfast::tenant
