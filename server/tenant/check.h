#pragma once
// Why: `check` names every damaged file of a tenant and the snapshots that suffer: journal and head, the directory
// against the journal's list in both directions, packs, key slots, the index against the footers, every snapshot's
// tree. Runs beside backups: what is published after it has begun is left out. What it finds is remembered, so that
// nothing new is built on it.

#include <map>
#include <set>
#include <unordered_map>

#include "server/tenant/findings.h"
#include "server/tenant/parts.h"
#include "server/tenant/tree_damage.h"

namespace holdfast::tenant {

/// One pass. One thread at a time.
class Check {
 public:
  Check(Parts& parts, bool read_data) : parts_(parts), read_data_(read_data) {}
  /// Whatever it meets becomes a finding.
  Result<CheckSummary> run(const std::function<void(const Finding&)>& found);

 private:
  struct KnownSession {
    RunId run;
    Digest slot_digest;
  };
  struct KnownSnapshot {
    SnapshotId id;
    std::uint64_t number = 0;
  };
  using CopyKey = std::pair<PackId, std::uint64_t>;  ///< pack, offset

  void remember_state();
  void check_journal();
  void check_writable();
  void check_directory();
  void check_unnamed(const std::string& name, std::uint64_t bytes);
  void walk_directory(const std::string& relative, std::map<std::string, std::uint64_t>& files);
  void check_packs();
  void check_pack(const Pack& pack);
  void check_data(const Pack& pack, const pack::Footer& footer, Findings::FileId* file);
  void damaged_pack(const Pack& pack, const std::string& what);
  void verify_index();
  void compare_index();
  void damaged_index(const std::string& what);
  void check_index_entry(const Pack& pack, const pack::Entry& entry);
  void check_slots();
  void check_trees();
  Result<Resolved> resolve(const DomainId& domain, std::uint32_t epoch, const blob::BlobRef& ref);
  Status check_tree(const KnownSnapshot& snapshot);
  bool is_expected(const std::string& file) const;

  Parts& parts_;
  const bool read_data_;
  Findings findings_;
  CheckSummary summary_;

  std::vector<Pack> packs_;
  std::map<std::string, std::uint64_t> pack_files_;  ///< names and lengths that the journal wants
  std::set<std::string> trash_files_;                ///< condemned: they may be there, or not
  std::vector<KnownSession> sessions_;
  std::set<std::string> slot_files_;
  std::vector<KnownSnapshot> snapshots_;

  std::unordered_map<PackId, Findings::FileId> bad_packs_;  ///< nothing of them can be used
  std::map<CopyKey, Findings::FileId> bad_copies_;
  std::unordered_map<RunId, Findings::FileId> bad_slots_;
  std::unordered_map<PackId, std::uint64_t> footer_entries_;  ///< of packs whose footer is good
  std::map<std::pair<DomainId, std::uint32_t>, TreeDamage> trees_;
};

}  // namespace holdfast::tenant
