#pragma once
// Why: everything that restores ask for: lists, runs with their key slots, blobs in an order that reads packs once.
// Works as well while the tenant is read-only. Says who sees a locked snapshot (Viewer); blobs and runs may belong to
// live ones too, so they are not hidden with it.

#include "server/tenant/parts.h"

namespace holdfast::tenant {

/// The key slot of a run, which must have this digest. Whether it is damaged goes into the register.
/// Errors: Corrupt (also when it is missing), Io.
Result<Bytes> read_slot(store::ObjectStore& store, const RunId& run, const Digest& digest, DamageRegister& damage);

/// Thread-safe.
class Reading {
 public:
  explicit Reading(Parts& parts) : parts_(parts) {}

  Result<std::vector<SnapshotRow>> snapshots(const std::optional<ClientId>& client, std::uint64_t after_sequence,
                                             std::size_t limit, Viewer viewer) const;
  Result<std::vector<SnapshotRow>> snapshots_before(const ClientId& client, std::uint64_t before_sequence,
                                                    std::size_t limit, Viewer viewer) const;
  Result<RunRow> run(const ClientId& client, const RunId& run) const;
  std::vector<std::size_t> read_order(
      const ClientId& client,
      const std::vector<std::pair<std::pair<DomainId, std::uint32_t>, blob::BlobRef>>& refs) const;
  Result<Bytes> read_blob(const ClientId& client, const DomainId& domain, std::uint32_t epoch,
                          const blob::BlobRef& ref) const;

 private:
  bool may_read(const ClientId& client, const DomainId& domain) const;
  Result<std::vector<Copy>> exact_copies(const ClientId& client, const DomainId& domain, std::uint32_t epoch,
                                         const blob::BlobRef& ref) const;

  Parts& parts_;
};

}  // namespace holdfast::tenant
