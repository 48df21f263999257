#pragma once
// Why: what is known to be damaged must not be built upon: "have?" and the commit check leave it out, so that clients
// send it again; reading still tries it, because a pack with one bad blob holds many good ones.
// Known from the journal (damage records) and from what was noticed since, so that it counts even while nothing can
// be published.

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "common/base/ids.h"

namespace holdfast::tenant {

/// Thread-safe.
class DamageRegister {
 public:
  /// True when this pack was not in here yet.
  bool mark_pack(const PackId& pack, std::string what) {
    const std::lock_guard lock(mutex_);
    if (!packs_.emplace(pack, std::move(what)).second) return false;
    ++version_;
    return true;
  }
  /// True when it was in here.
  bool clear_pack(const PackId& pack) {
    const std::lock_guard lock(mutex_);
    return packs_.erase(pack) > 0;
  }
  void set_slot(const RunId& run, bool damaged) {
    const std::lock_guard lock(mutex_);
    if (!damaged)
      slots_.erase(run);
    else if (slots_.insert(run).second)
      ++version_;
  }
  bool pack_is_damaged(const PackId& pack) const {
    const std::lock_guard lock(mutex_);
    return packs_.contains(pack);
  }
  std::set<PackId> packs() const {
    const std::lock_guard lock(mutex_);
    std::set<PackId> out;
    for (const auto& [id, what] : packs_) out.insert(id);
    return out;
  }
  /// The slot of this run is gone or wrong: no blob of that run can be opened any more.
  bool slot_is_damaged(const RunId& run) const {
    const std::lock_guard lock(mutex_);
    return slots_.contains(run);
  }
  /// Moves whenever something more is found: what was checked before must be checked again.
  std::uint64_t version() const {
    const std::lock_guard lock(mutex_);
    return version_;
  }
  bool none() const {
    const std::lock_guard lock(mutex_);
    return packs_.empty() && slots_.empty();
  }
  /// One sentence for a person; nullopt when all is well.
  std::optional<std::string> summary() const {
    const std::lock_guard lock(mutex_);
    if (!packs_.empty()) {
      const auto& [pack, what] = *packs_.begin();
      return std::to_string(packs_.size()) + " damaged pack(s), first " + pack.hex() + ": " + what;
    }
    if (!slots_.empty())
      return std::to_string(slots_.size()) + " damaged key slot(s), first of run " + slots_.begin()->hex();
    return std::nullopt;
  }

 private:
  mutable std::mutex mutex_;
  std::map<PackId, std::string> packs_;
  std::set<RunId> slots_;
  std::uint64_t version_ = 0;
};

}  // namespace holdfast::tenant
