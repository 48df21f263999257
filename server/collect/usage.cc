#include "server/collect/usage.h"

#include <algorithm>
#include <bit>
#include <map>
#include <unordered_map>

#include "common/snapshot/stored_core.h"
#include "server/collect/marks.h"
#include "server/retention/saturate.h"
#include "server/tenant/parts.h"

namespace holdfast::collect {
namespace {

constexpr std::int64_t kDayNs = 86'400'000'000'000;

/// What is known of one blob.
struct Entry {
  Marks::Image image;
  std::uint32_t bytes = 0;
  std::uint32_t visitor : 27 = 0;  ///< who was here last
  std::uint32_t used : 1 = 0;
  std::uint32_t segment : 1 = 0;
  std::uint32_t uploading : 1 = 0;  ///< in a pack of an unfinished session
  std::uint32_t held : 1 = 0;       ///< by a snapshot
  std::uint32_t shared : 1 = 0;     ///< by several clients
};
static_assert(sizeof(Entry) == 24);
constexpr std::size_t kNowhere = SIZE_MAX, kMostBlobs = std::size_t{1} << 31;
constexpr std::uint32_t kMostVisitors = (1u << 27) - 1;

/// All stored blobs, by image.
class Ledger {
 public:
  explicit Ledger(std::size_t blobs) : entries_(std::bit_ceil(blobs + blobs / 2 + 16)) {}

  /// Its place; the free one where it would be.
  std::size_t find(const Marks::Image& image) const {
    const std::size_t mask = entries_.size() - 1;
    std::size_t at = image.high & mask;
    while (entries_[at].used != 0 && !(entries_[at].image.high == image.high && entries_[at].image.low == image.low))
      at = (at + 1) & mask;
    return at;
  }
  bool has(std::size_t at) const { return entries_[at].used != 0; }
  Entry& operator[](std::size_t at) { return entries_[at]; }
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

struct Root {
  Space space;
  blob::BlobRef ref;
  ClientId client;
  std::int64_t delete_ns = 0;  ///< locked ones
  std::size_t at = kNowhere;   ///< in the ledger
};

class Measure {
 public:
  Measure(tenant::Parts& parts, std::chrono::hours trash, const std::atomic<bool>* stop)
      : parts_(parts), trash_ns_(std::chrono::nanoseconds(trash).count()), stop_(stop), names_(parts.env.random, 0) {}

  /// While nothing is condemned. Errors: as measure_usage.
  Status look_around() {
    if (parts_.journal_damage) return *parts_.journal_damage;
    HF_TRY_DO(parts_.index->bring_up());
    HF_TRY_DO(remember_state());
    HF_TRY_DO(parts_.index->is_current());
    HF_TRY_DO(list_blobs());
    find_roots();
    HF_TRY_DO(visit_live());
    HF_TRY_DO(visit_locked());
    return parts_.index->is_current();
  }
  /// What was seen is in memory now: the tenant may go on.
  Result<Usage> add_up() {
    HF_TRY_DO(visit_each());
    for (const Entry& entry : ledger_->entries()) {
      if (entry.used == 0 || entry.held != 0) continue;
      (entry.uploading != 0 ? usage_.uploading : usage_.dead) += entry.bytes;
    }
    std::uint64_t listed = 0;
    for (const auto& [id, pack] : packs_) (pack.listed ? listed : usage_.unlisted) += pack.bytes;
    usage_.overhead = listed - std::min(listed, indexed_);
    for (const auto& [day, sums] : days_) {
      if (sums.trash != 0 || sums.locked != 0) usage_.returns.push_back(sums);
    }
    return std::move(usage_);
  }

 private:
  struct KnownPack {
    std::uint64_t bytes = 0;
    bool uploading = false;  ///< of an unfinished session
    bool listed = false;
  };
  struct KnownCore {
    std::string label;
    Bytes bytes;
    ClientId client;
    bool locked = false;
    std::int64_t delete_ns = 0;
  };

  Status remember_state() {
    std::vector<KnownCore> cores;
    parts_.state.read([&](const tenant::State& s) {
      for (const auto& [id, pack] : s.packs()) {
        const tenant::Session* const owner = s.session(pack.session);
        packs_[id] = {pack.note.bytes, owner != nullptr && owner->phase == tenant::Session::Phase::Open};
        usage_.stored += pack.note.bytes;
      }
      for (const auto& [id, pack] : s.trash()) {
        usage_.trash += pack.bytes;
        on_day(retention::plus(pack.condemned_ns, trash_ns_)).trash += pack.bytes;
      }
      for (const auto& [id, snapshot] : s.snapshots()) {
        if (snapshot.life > tenant::Life::Locked) continue;
        const bool locked = snapshot.life == tenant::Life::Locked;
        cores.push_back({tenant::snapshot_label(s, snapshot), snapshot.payload.core, snapshot.payload.client, locked,
                         snapshot.delete_not_before_ns});
      }
    });
    for (const KnownCore& known : cores) {
      HF_TRY_DO(go_on());
      HF_TRY(const snapshot::Core core, snapshot::decode_stored_core(known.bytes).context("snapshot " + known.label));
      Root root{{core.domain, core.epoch}, {core.root.blob, core.root.run}, known.client};
      root.delete_ns = known.delete_ns;
      (known.locked ? locked_ : live_).push_back(root);
    }
    usage_.snapshots = cores.size();
    usage_.locked_snapshots = locked_.size();
    return {};
  }

  Usage::Return& on_day(std::int64_t ns) {
    Usage::Return& day = days_[ns / kDayNs];
    day.not_before_ns = std::max(day.not_before_ns, ns);
    return day;
  }

  Status go_on() const {
    if (stop_ == nullptr || !*stop_) return {};
    return Error{Errc::Canceled, "counting was stopped with the daemon; ask again when it runs"};
  }

  Status list_blobs() {
    std::size_t blobs = 0;
    HF_TRY_DO(parts_.index->for_each([&](const index::Location& location) -> Status {
      blobs += packs_.contains(location.pack) ? 1 : 0;
      return go_on();
    }));
    if (blobs > kMostBlobs) return Error{Errc::Limit, std::to_string(blobs) + " blobs are more than can be counted"};
    ledger_.emplace(blobs);
    return parts_.index->for_each([&](const index::Location& location) -> Status {
      HF_TRY_DO(go_on());
      const auto pack = packs_.find(location.pack);
      if (pack == packs_.end()) return {};  // published since
      const pack::Entry& entry = location.entry;
      const Marks::Image image = names_.image({entry.domain, entry.epoch}, entry.ref());
      Entry& known = (*ledger_)[ledger_->find(image)];
      pack->second.listed = true;
      indexed_ += entry.length;
      if (known.used != 0) {
        usage_.copies += entry.length;
        known.uploading = known.uploading != 0 && pack->second.uploading;
        return {};
      }
      if (blobs-- == 0) return Error{Errc::Conflict, "the index has grown meanwhile; ask again"};
      known.image = image;
      known.bytes = static_cast<std::uint32_t>(entry.length);
      known.used = 1;
      known.segment = entry.type != blob::Type::Data;
      known.uploading = pack->second.uploading;
      return {};
    });
  }

  /// Where its children stand; looked up once, however many snapshots share it. What stands nowhere is counted.
  Result<const std::vector<std::uint32_t>*> children_of(const Space& space, const blob::BlobRef& ref, std::size_t at) {
    const auto [known, fresh] = children_.try_emplace(at);
    if (!fresh) return &known->second;
    HF_TRY_DO(go_on());
    HF_TRY(const std::vector<index::Location> found, parts_.index->find(space.domain, space.epoch, ref.blob));
    const auto copy = std::find_if(found.begin(), found.end(), [&](const index::Location& location) {
      return location.entry.run == ref.run && packs_.contains(location.pack);
    });
    if (copy == found.end()) return &known->second;
    for (const blob::BlobRef& child : copy->entry.children) {
      if (const std::size_t place = place_of(space, child); place != kNowhere) {
        known->second.push_back(static_cast<std::uint32_t>(place));
        if ((*ledger_)[place].segment != 0) references_.try_emplace(place, child);
      }
    }
    return &known->second;
  }
  std::size_t place_of(const Space& space, const blob::BlobRef& ref) {
    const std::size_t at = ledger_->find(names_.image(space, ref));
    if (ledger_->has(at)) return at;
    ++usage_.missing;
    return kNowhere;
  }

  /// Everything below `root`, and itself, to which `enter` says yes.
  template <class Enter>
  Status visit(const Root& root, Enter enter) {
    if (root.at == kNowhere) return {};
    std::vector<std::size_t> stack;
    const auto look_at = [&](std::size_t at) {
      Entry& entry = (*ledger_)[at];
      if (enter(entry) && entry.segment != 0) stack.push_back(at);
    };
    look_at(root.at);
    while (!stack.empty()) {
      const std::size_t at = stack.back();
      stack.pop_back();
      HF_TRY(const std::vector<std::uint32_t>* const children, children_of(root.space, references_.at(at), at));
      for (const std::uint32_t child : *children) look_at(child);
    }
    return {};
  }

  void find_roots() {
    for (std::vector<Root>* const roots : {&live_, &locked_}) {
      for (Root& root : *roots) {
        root.at = place_of(root.space, root.ref);
        if (root.at != kNowhere) references_.try_emplace(root.at, root.ref);
      }
    }
  }

  Status visit_live() {
    std::sort(live_.begin(), live_.end(), [](const Root& a, const Root& b) { return a.client < b.client; });
    for (std::size_t i = 0; i < live_.size(); ++i) {
      if (i == 0 || live_[i].client != live_[i - 1].client) ++visitors_;
      const std::uint32_t visitor = visitors_;
      HF_TRY_DO(visit(live_[i], [&](Entry& entry) {
        if (entry.visitor == visitor) return false;
        entry.visitor = visitor;
        if (entry.held == 0) usage_.live += entry.bytes;
        if (entry.held != 0 && entry.shared == 0) {
          entry.shared = 1;
          usage_.shared += entry.bytes;
        }
        entry.held = 1;
        return true;
      }));
    }
    return {};
  }

  /// The last to go first: what an earlier one alone holds comes back with it.
  Status visit_locked() {
    std::sort(locked_.begin(), locked_.end(), [](const Root& a, const Root& b) { return a.delete_ns > b.delete_ns; });
    for (const Root& root : locked_) {
      Usage::Return& day = on_day(retention::plus(root.delete_ns, trash_ns_));
      HF_TRY_DO(visit(root, [&](Entry& entry) {
        if (entry.held != 0) return false;
        entry.held = 1;
        usage_.locked += entry.bytes;
        day.locked += entry.bytes;
        return true;
      }));
    }
    return {};
  }

  /// Each snapshot for itself.
  Status visit_each() {
    std::unordered_map<std::size_t, std::uint64_t> known;  // by root: a tree that is committed again is no other one
    for (const std::vector<Root>* const roots : {&live_, &locked_}) {
      for (const Root& root : *roots) {
        HF_TRY_DO(go_on());
        const auto [bytes, fresh] = known.try_emplace(root.at);
        if (!fresh) {
          usage_.logical += bytes->second;
          continue;
        }
        const std::uint32_t visitor = ++visitors_;
        if (visitor > kMostVisitors) return Error{Errc::Limit, "more snapshots and clients than can be counted"};
        HF_TRY_DO(visit(root, [&](Entry& entry) {
          if (entry.visitor == visitor) return false;
          entry.visitor = visitor;
          bytes->second += entry.bytes;
          return true;
        }));
        usage_.logical += bytes->second;
      }
    }
    return {};
  }

  tenant::Parts& parts_;
  const std::int64_t trash_ns_;
  const std::atomic<bool>* const stop_;
  const Marks names_;
  Usage usage_;
  std::unordered_map<PackId, KnownPack> packs_;  ///< live ones
  std::vector<Root> live_, locked_;
  std::optional<Ledger> ledger_;
  std::unordered_map<std::size_t, blob::BlobRef> references_;  ///< of segments that were met, by place
  std::unordered_map<std::size_t, std::vector<std::uint32_t>> children_;
  std::uint32_t visitors_ = 0;
  std::map<std::int64_t, Usage::Return> days_;
  std::uint64_t indexed_ = 0;  ///< of all copies
};

}  // namespace

Result<Usage> measure_usage(tenant::Tenant& tenant, std::chrono::hours trash, const std::atomic<bool>* stop) {
  Measure measure(tenant.parts(), trash, stop);
  {
    const std::unique_lock alone(tenant.parts().collecting, std::try_to_lock);
    if (!alone.owns_lock())
      return Error{
          Errc::Locked,
          "a collection of this tenant is running and moves bytes, or somebody else is asking; ask again later"};
    HF_TRY_DO(measure.look_around());
  }
  return measure.add_up();
}

}  // namespace holdfast::collect
