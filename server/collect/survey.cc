#include "server/collect/survey.h"

#include <algorithm>

#include "common/snapshot/stored_core.h"
#include "server/tenant/purge_input.h"

namespace holdfast::collect {
namespace {

// Blobs of damaged packs that are looked up one by one, and held in memory, to see whether anything lacks; with more of
// them something does.
constexpr std::size_t kMostDoubtful = 1u << 16;

/// Copies of exactly this reference in packs that the state knows as live.
std::vector<index::Location> exact(std::vector<index::Location> found, const blob::BlobRef& ref,
                                   const tenant::State& state) {
  std::erase_if(found, [&](const index::Location& location) {
    return location.entry.run != ref.run || state.pack(location.pack) == nullptr;
  });
  return found;
}

template <class T>
void add_new(std::vector<T>& all, const T& one) {
  if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(one);
}

/// As PackFacts::time_left_ns.
std::optional<std::int64_t> time_left(const tenant::Snapshot& snapshot, std::int64_t now_ns) {
  if (!snapshot.released || snapshot.remains.empty()) return std::nullopt;
  const std::int64_t age = std::chrono::nanoseconds(tenant::plan_of(snapshot).max_rewrite_age).count();
  const std::int64_t passed = now_ns - snapshot.deleted_ns;
  return age > 0 && passed >= age / 2 ? std::optional(age - passed) : std::nullopt;
}

}  // namespace

Status Survey::take() {
  // A stale index is mended first: what it does not know would look as if it were nowhere.
  HF_TRY_DO(parts_.index->bring_up());
  forget();
  remember_state();
  HF_TRY_DO(parts_.index->is_current());
  HF_TRY_DO(find_segments());
  HF_TRY_DO(mark_roots());
  HF_TRY_DO(look_through_index());
  missing_ = marks_->size() - marks_->seen();
  judge_unlisted();
  spare_unproven();
  return parts_.index->is_current();
}

void Survey::forget() {
  roots_.clear();
  departed_cores_.clear();
  departed_.clear();
  packs_.clear();
  dead_.reset();
  unproven_.clear();
  listed_ = 0;
  blobs_ = live_bytes_ = dead_bytes_ = missing_ = 0;
}

/// Everything of one moment. What comes later is either seen by catch_up, or belongs to packs that are not judged.
void Survey::remember_state() {
  vault_ns_ = parts_.vault->now_ns();
  parts_.state.read([&](const tenant::State& s) {
    number_ = s.number();
    std::unordered_set<SnapshotId> pinned;
    std::unordered_set<SessionId> open;
    for (const auto& [name, id] : s.clients_by_name()) {
      for (const SessionId& session : s.client(id)->open_sessions) {
        open.insert(session);
        if (const SnapshotId& base = s.session(session)->payload.base; !base.is_zero()) pinned.insert(base);
      }
    }
    std::unordered_map<PackId, std::int64_t> urgent;
    for (const auto& [id, snapshot] : s.snapshots()) {
      if (snapshot.life == tenant::Life::Erased) continue;
      if (const auto left = time_left(snapshot, vault_ns_); left) {
        for (const PackId& pack : snapshot.remains) {
          std::int64_t& least = urgent.try_emplace(pack, *left).first->second;
          least = std::min(least, *left);
        }
      }
      Core core{"snapshot " + tenant::snapshot_label(s, snapshot), snapshot.payload.core};
      if (snapshot.life != tenant::Life::Deleted || pinned.contains(id))
        roots_.push_back(std::move(core));
      else
        departed_cores_.push_back({std::move(core), {id, {}, snapshot.released, snapshot.remains}});
    }
    for (const auto& [id, pack] : s.packs()) {
      if (open.contains(pack.session)) continue;
      SurveyedPack& surveyed = packs_[id];
      surveyed.pack = pack;
      surveyed.facts.id = id;
      surveyed.facts.bytes = pack.note.bytes;
      surveyed.facts.age_ns = vault_ns_ - pack.vault_ns;
      if (const auto found = urgent.find(id); found != urgent.end()) surveyed.facts.time_left_ns = found->second;
      surveyed.facts.untouchable = parts_.pins.contains(id);
    }
  });
}

Status Survey::go_on() const {
  if (stop_ == nullptr || !*stop_) return {};
  return Error{Errc::Canceled,
               "collection was stopped with the daemon; what it has done is right, the next pass goes on"};
}

Result<RootRef> Survey::root_of(const Core& core) const {
  HF_TRY(const snapshot::Core c, snapshot::decode_stored_core(core.bytes).context(core.label));
  return RootRef{{c.domain, c.epoch}, {c.root.blob, c.root.run}, core.label};
}

Status Survey::find_segments() {
  segments_ = std::make_unique<Marks>(parts_.env.random, 0);
  HF_TRY_DO(parts_.index->for_each([&](const index::Location& location) -> Status {
    const pack::Entry& entry = location.entry;
    HF_TRY_DO(go_on());
    ++listed_;
    if (entry.type != blob::Type::Data) segments_->insert(segments_->image({entry.domain, entry.epoch}, entry.ref()));
    return {};
  }));
  marks_ = std::make_unique<Marks>(parts_.env.random, listed_);
  return {};
}

Status Survey::mark_roots() {
  marker_ = std::make_unique<Marker>(*marks_, segments_.get(), [this](const Space& space, const blob::BlobRef& ref) {
    return live_copies(space, ref);
  });
  for (const Core& core : roots_) {
    HF_TRY(const RootRef root, root_of(core));
    HF_TRY_DO(marker_->mark(root));
  }
  for (auto& [core, departed] : departed_cores_) {
    HF_TRY(departed.root, root_of(core));
    departed_.push_back(std::move(departed));
  }
  departed_cores_.clear();
  segments_.reset();
  unproven_ = marker_->unproven();
  return {};
}

Result<std::vector<index::Location>> Survey::live_copies(const Space& space, const blob::BlobRef& ref) {
  HF_TRY_DO(go_on());
  HF_TRY(std::vector<index::Location> found, parts_.index->find(space.domain, space.epoch, ref.blob));
  return parts_.state.read([&](const tenant::State& s) { return exact(std::move(found), ref, s); });
}

Status Survey::look_through_index() {
  std::map<Space, std::uint64_t> seen;
  if (std::any_of(departed_.begin(), departed_.end(), [](const Departed& d) { return !d.released; }))
    dead_.emplace().reserve(listed_ - std::min<std::size_t>(listed_, marks_->size()));
  HF_TRY_DO(parts_.index->for_each([&](const index::Location& location) -> Status {
    const pack::Entry& entry = location.entry;
    HF_TRY_DO(go_on());
    const Space space{entry.domain, entry.epoch};
    const std::uint64_t before = marks_->seen();
    const Marks::Image image = marks_->image(space, entry.ref());
    const bool live = marks_->see(image);
    if (marks_->seen() != before) ++seen[space];
    ++blobs_;
    (live ? live_bytes_ : dead_bytes_) += entry.length;
    if (!live && dead_) dead_->add(image, location.pack, entry.type != blob::Type::Data);
    const auto found = packs_.find(location.pack);
    if (found == packs_.end()) return {};
    PackFacts& facts = found->second.facts;
    facts.listed = true;
    (live ? facts.live_bytes : facts.dead_bytes) += entry.length;
    (live ? facts.live_blobs : facts.dead_blobs) += 1;
    facts.segments = facts.segments || entry.type != blob::Type::Data;
    add_new(found->second.spaces, space);
    add_new(found->second.runs, entry.run);
    return {};
  }));
  if (dead_) dead_->sort();
  find_shortages(seen);
  return {};
}

/// What is needed and in no listed pack may be a segment that hides more.
void Survey::find_shortages(const std::map<Space, std::uint64_t>& seen) {
  for (const auto& [space, marked] : marker_->marked()) {
    const auto found = seen.find(space);
    const std::uint64_t there = found == seen.end() ? 0 : found->second;
    if (there != marked)
      unproven_.try_emplace(space,
                            std::to_string(marked - there) + " blobs that snapshots need are in no readable pack");
  }
}

/// A pack whose footer cannot be read holds blobs of one run, if a session has sent it.
void Survey::judge_unlisted() {
  parts_.state.read([&](const tenant::State& s) {
    for (auto& [id, surveyed] : packs_) {
      if (surveyed.facts.listed) continue;
      const tenant::Session* const session = s.session(surveyed.pack.session);
      if (session == nullptr) continue;
      surveyed.runs = {session->payload.run};
      surveyed.spaces = {{session->domain, session->epoch}};
      surveyed.facts.run_marked = marker_->runs().contains(session->payload.run);
    }
  });
}

void Survey::spare_unproven() {
  for (auto& [id, surveyed] : packs_) {
    const bool unproven = std::any_of(surveyed.spaces.begin(), surveyed.spaces.end(),
                                      [&](const Space& space) { return unproven_.contains(space); });
    surveyed.facts.untouchable = surveyed.facts.untouchable || unproven;
  }
}

std::vector<PackFacts> Survey::facts() const {
  std::vector<PackFacts> out;
  out.reserve(packs_.size());
  for (const auto& [id, surveyed] : packs_) out.push_back(surveyed.facts);
  return out;
}

Result<bool> Survey::lacks(const pack::Entry& entry) {
  if (!is_live(entry)) return false;
  HF_TRY(const std::vector<index::Location> copies, live_copies({entry.domain, entry.epoch}, entry.ref()));
  return std::all_of(copies.begin(), copies.end(),
                     [&](const index::Location& copy) { return parts_.damage.pack_is_damaged(copy.pack); });
}

Result<bool> Survey::is_lost(const pack::Entry& entry) {
  HF_TRY(const bool lacking, lacks(entry));
  if (!lacking) return false;
  HF_TRY(const std::vector<index::Location> copies, live_copies({entry.domain, entry.epoch}, entry.ref()));
  return std::none_of(copies.begin(), copies.end(), [&](const index::Location& copy) {
    const auto pack = packs_.find(copy.pack);
    return pack != packs_.end() &&
           pack::read_record(copy.entry, tenant::pack_ranges(*parts_.store, pack->second.pack.note)).has_value();
  });
}

Result<bool> Survey::lacks_anything() {
  const std::set<PackId> damaged = parts_.damage.packs();
  if (missing_ > 0 || damaged.empty()) return missing_ > 0;
  std::vector<pack::Entry> doubtful;
  HF_TRY_DO(parts_.index->for_each([&](const index::Location& location) -> Status {
    HF_TRY_DO(go_on());
    const bool counts = doubtful.size() <= kMostDoubtful && damaged.contains(location.pack) && is_live(location.entry);
    if (counts) doubtful.push_back(location.entry);
    return {};
  }));
  if (doubtful.size() > kMostDoubtful) return true;
  for (const pack::Entry& entry : doubtful) {
    HF_TRY(const bool lacking, lacks(entry));
    if (lacking) return true;
  }
  return false;
}

Result<Remains> Survey::remains_of(const Departed& snapshot) {
  HF_ASSERT(dead_.has_value());
  const auto lookup = [this](const Space& space, const blob::BlobRef& ref) { return live_copies(space, ref); };
  return find_remains(*marks_, *dead_, lookup, snapshot.root, parts_.env.random);
}

/// Every commit counts, whatever has become of its snapshot: a session may have it as its base.
std::vector<Survey::Core> Survey::commits_after(const tenant::State& state) const {
  std::vector<Core> out;
  for (const auto& [name, id] : state.clients_by_name()) {
    const std::vector<SnapshotId>& all = state.client(id)->snapshots;
    for (auto it = all.rbegin(); it != all.rend(); ++it) {
      const tenant::Snapshot& snapshot = *state.snapshot(*it);
      if (snapshot.number <= number_) break;
      if (snapshot.life == tenant::Life::Erased) continue;
      out.push_back({"snapshot " + tenant::snapshot_label(state, snapshot), snapshot.payload.core});
    }
  }
  return out;
}

Status Survey::catch_up() {
  std::uint64_t number = 0;
  const std::vector<Core> cores = parts_.state.read([&](const tenant::State& s) {
    number = s.number();
    return commits_after(s);
  });
  HF_TRY_DO(
      mark_since(cores, [this](const Space& space, const blob::BlobRef& ref) { return live_copies(space, ref); }));
  number_ = number;
  return {};
}

Status Survey::catch_up(const tenant::State& state) {
  HF_TRY_DO(mark_since(commits_after(state), [&](const Space& space, const blob::BlobRef& ref) {
    Result<std::vector<index::Location>> found = parts_.index->find_as_it_is(space.domain, space.epoch, ref.blob);
    if (found) found = exact(*std::move(found), ref, state);
    return found;
  }));
  number_ = state.number();
  return {};
}

Status Survey::mark_since(const std::vector<Core>& cores, const Marker::Lookup& lookup) {
  Marker since(*marks_, nullptr, lookup);
  for (const Core& core : cores) {
    HF_TRY(const RootRef root, root_of(core));
    HF_TRY_DO(since.mark(root));
  }
  if (since.unproven().empty()) return {};
  return Error{Errc::Missing, since.unproven().begin()->second};
}

}  // namespace holdfast::collect
