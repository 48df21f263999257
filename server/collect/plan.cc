#include "server/collect/plan.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <map>

namespace holdfast::collect {
namespace {

constexpr std::int64_t kDayNs = 86'400'000'000'000;

/// Packs of one class hold what was stored at about the same time, and will die at about the same time.
int age_class(const PackFacts& pack) {
  const std::int64_t days = std::max<std::int64_t>(0, pack.age_ns) / kDayNs;
  return std::bit_width(static_cast<std::uint64_t>(days));
}

bool is_dead(const PackFacts& pack) {
  if (pack.untouchable) return false;
  return pack.listed ? pack.live_blobs == 0 : !pack.run_marked;
}

bool is_half_dead(const PackFacts& pack) { return pack.dead_bytes > 0 && pack.dead_bytes >= pack.live_bytes; }

/// Its footer, and its live records with the gaps that are read through: all of it, where they are many.
std::uint64_t bytes_to_read(const PackFacts& pack) {
  const std::uint64_t records = pack.live_bytes + pack.dead_bytes;
  const std::uint64_t gaps = pack.live_blobs > 1 ? (pack.live_blobs - 1) * kReadThroughBytes : 0;
  return pack.bytes - std::min(pack.bytes, records) + pack.live_bytes + std::min(pack.dead_bytes, gaps);
}

/// Takes packs in the order given, as far as the budget goes.
class Groups {
 public:
  Groups(const PlanOptions& options, CollectPlan& plan) : options_(options), plan_(plan) {}

  /// `budget`: to be read for all groups, this pack included.
  void add(const PackFacts& pack, std::uint64_t budget) {
    const std::uint64_t read = bytes_to_read(pack);
    if (plan_.rewrite_bytes + read > budget) {
      plan_.postponed_bytes += read;
      return;
    }
    plan_.rewrite_bytes += read;
    open_.push_back(pack.id);
    open_bytes_ += pack.live_bytes;
    open_blobs_ += pack.live_blobs + pack.dead_blobs;
    if (open_bytes_ >= options_.group_bytes || open_blobs_ >= options_.group_blobs ||
        open_.size() >= options_.group_packs)
      close();
  }
  void close() {
    if (!open_.empty()) plan_.rewrite.push_back(std::move(open_));
    open_.clear();
    open_bytes_ = open_blobs_ = 0;
  }

 private:
  const PlanOptions& options_;
  CollectPlan& plan_;
  std::vector<PackId> open_;
  std::uint64_t open_bytes_ = 0, open_blobs_ = 0;
};

}  // namespace

CollectPlan plan_collect(const std::vector<PackFacts>& packs, const PlanOptions& options) {
  CollectPlan plan;
  std::vector<const PackFacts*> urgent, half_dead, damaged;
  std::map<std::pair<int, bool>, std::vector<const PackFacts*>> small;
  for (const PackFacts& pack : packs) {
    if (is_dead(pack))
      plan.condemn.push_back(pack.id);
    else if (pack.untouchable || !pack.listed)
      continue;
    else if (pack.damaged)
      damaged.push_back(&pack);
    else if (pack.time_left_ns && pack.dead_bytes > 0)
      urgent.push_back(&pack);
    else if (is_half_dead(pack))
      half_dead.push_back(&pack);
    else if (pack.bytes < options.small_bytes && pack.live_blobs + pack.dead_blobs < options.group_blobs / 64)
      small[{age_class(pack), pack.segments}].push_back(&pack);
  }
  Groups groups(options, plan);
  const auto by = [](auto key) {
    return
        [key](const PackFacts* a, const PackFacts* b) { return std::pair(key(*a), a->id) > std::pair(key(*b), b->id); };
  };
  std::sort(urgent.begin(), urgent.end(), by([](const PackFacts& p) { return -*p.time_left_ns; }));
  const std::uint64_t kept_free = half_dead.empty() ? 0 : options.rewrite_bytes / 4;
  for (const PackFacts* const pack : urgent) {
    plan.late += *pack->time_left_ns < 0 ? 1 : 0;
    groups.add(*pack, options.rewrite_bytes - kept_free);
  }
  std::sort(half_dead.begin(), half_dead.end(), by([](const PackFacts& p) { return p.dead_bytes; }));
  for (const PackFacts* const pack : half_dead) groups.add(*pack, options.rewrite_bytes);
  groups.close();
  for (auto& [kind, members] : small) {
    if (members.size() < options.merge_at) continue;
    std::sort(members.begin(), members.end(), by([](const PackFacts& p) { return p.age_ns; }));
    for (const PackFacts* const pack : members) groups.add(*pack, options.rewrite_bytes);
    groups.close();
  }
  const auto no_hurry = std::numeric_limits<std::int64_t>::max();
  std::sort(damaged.begin(), damaged.end(),
            by([&](const PackFacts& p) { return std::pair(-p.time_left_ns.value_or(no_hurry), p.dead_bytes); }));
  for (const PackFacts* const pack : damaged) groups.add(*pack, options.rewrite_bytes);
  groups.close();
  return plan;
}

}  // namespace holdfast::collect
