#include "server/tenant/live_index.h"

#include <algorithm>
#include <future>

#include "common/base/log.h"

namespace holdfast::tenant {
namespace {

// Footers in one batch: many for the index's sake, but child lists may be long (48 bytes a reference). Two batches are
// in memory at once.
constexpr std::size_t kPacksPerBatch = 512;
constexpr std::size_t kReferencesPerBatch = 1u << 18;
constexpr std::size_t kEntriesRemovedAtOnce = 1u << 13;

/// Footers of some packs in a row, and those of them that could not be read.
struct FooterBatch {
  std::vector<pack::Footer> footers;
  std::vector<std::pair<PackId, Error>> unreadable;
  std::uint64_t blobs = 0;
  std::size_t end = 0;  ///< position of the first pack after it
};

FooterBatch read_footers(store::ObjectStore& store, const std::vector<Pack>& packs, std::size_t first) {
  FooterBatch batch;
  std::size_t references = 0;
  for (batch.end = first; batch.end < packs.size(); ++batch.end) {
    if (batch.footers.size() == kPacksPerBatch || references >= kReferencesPerBatch) break;
    const journal::PackNote& note = packs[batch.end].note;
    Result<pack::Footer> footer = read_pack_footer(store, note);
    if (!footer) {
      batch.unreadable.emplace_back(note.id, std::move(footer).error());
      continue;
    }
    batch.blobs += footer->entries.size();
    for (const pack::Entry& entry : footer->entries) references += 1 + entry.children.size();
    batch.footers.push_back(*std::move(footer));
  }
  return batch;
}

Status remove_tree(fs::FileSystem& fs, const std::string& path) {
  const Result<fs::DirectoryEntry> there = fs.stat(path);
  if (!there) return there.error().code == Errc::NotFound ? Status{} : Status{there.error()};
  HF_TRY(const std::vector<fs::DirectoryEntry> entries, fs.list(path));
  for (const fs::DirectoryEntry& entry : entries) {
    const std::string child = fs::join(path, entry.name);
    if (entry.kind == fs::FileKind::Directory)
      HF_TRY_DO(remove_tree(fs, child));
    else
      HF_TRY_DO(fs.unlink(child));
  }
  return fs.remove_directory(path);
}

/// Only bytes that are wrong. A full or failing disk passes, and a rebuild on it would find packs unreadable as well;
/// another process' lock is not ours to break.
bool asks_for_rebuild(const Error& error) { return error.code == Errc::Corrupt; }

/// Live packs that are not among `listed` (ascending), in the order in which they were published.
std::vector<Pack> packs_beside(const SharedState& state, const std::vector<PackId>& listed) {
  std::vector<Pack> out = state.read([&](const State& s) {
    std::vector<Pack> packs;
    for (const auto& [id, pack] : s.packs()) {
      if (!std::binary_search(listed.begin(), listed.end(), id)) packs.push_back(pack);
    }
    return packs;
  });
  std::sort(out.begin(), out.end(), [](const Pack& a, const Pack& b) { return a.order < b.order; });
  return out;
}

}  // namespace

pack::RangeReader pack_ranges(store::ObjectStore& store, const journal::PackNote& note) {
  return [&store, name = pack::object_name(note.id, note.store_epoch)](std::uint64_t offset, std::uint64_t length) {
    return store.get(name, offset, length);
  };
}

Result<pack::Footer> read_pack_footer(store::ObjectStore& store, const journal::PackNote& note) {
  const std::string name = pack::object_name(note.id, note.store_epoch);
  HF_TRY(const std::uint64_t bytes, store.size(name));
  if (bytes != note.bytes) {
    return Error{Errc::Corrupt,
                 name + ": has " + std::to_string(bytes) + " bytes, the journal says " + std::to_string(note.bytes)};
  }
  HF_TRY(pack::ReadFooter read, pack::read_footer(bytes, pack_ranges(store, note)).context(name));
  if (read.footer_digest != note.footer_digest || read.footer.id != note.id ||
      read.footer.store_epoch != note.store_epoch) {
    return Error{Errc::Corrupt, name + ": is another pack than the one that the journal names"};
  }
  return std::move(read.footer);
}

LiveIndex::LiveIndex(fs::FileSystem& fs, std::string directory, std::shared_ptr<index::Shared> shared,
                     store::ObjectStore& store, const SharedState& state, DamageRegister& damage)
    : fs_(fs),
      directory_(std::move(directory)),
      shared_(std::move(shared)),
      store_(store),
      state_(state),
      damage_(damage) {}

Status LiveIndex::open(bool state_is_whole) {
  const std::unique_lock lock(mutex_);
  state_is_whole_ = state_is_whole;
  const Status opened = open_and_replay();
  if (opened || !asks_for_rebuild(opened.error())) return opened;
  log::warning("index rebuilt", {{"directory", directory_}, {"why", opened.error().message}});
  Rebuilt counts;
  return rebuild_locked(counts);
}

Status LiveIndex::open_and_replay() {
  index_.reset();
  stale_ = true;
  HF_TRY(index_, index::BlobIndex::open(directory_, shared_, &fs_));
  HF_TRY(const std::uint64_t applied, index_->generation());
  const std::uint64_t published = state_.read([](const State& s) { return s.generation(); });
  if (applied > published && state_is_whole_) {
    return Error{Errc::Corrupt, "the index has applied generation " + std::to_string(applied) +
                                    ", the journal ends at " + std::to_string(published)};
  }
  HF_TRY_DO(compare_packs());
  if (applied < published) HF_TRY_DO(index_->set_generation(published));
  stale_ = false;
  return {};
}

/// Both ways. What was published or condemned while the index could not follow, or just before a crash; and what stood in
/// a log that the crash took away below one that it left: the generation alone does not tell.
Status LiveIndex::compare_packs() {
  HF_TRY(const std::vector<PackId> listed, index_->pack_ids());
  Rebuilt counts;
  HF_TRY_DO(add_packs(packs_beside(state_, listed), false, counts));
  if (!state_is_whole_) return {};  // a state that is cut short knows nothing of later packs; they will be needed again
  const std::vector<PackId> gone = state_.read([&](const State& s) {
    std::vector<PackId> out;
    std::copy_if(listed.begin(), listed.end(), std::back_inserter(out),
                 [&](const PackId& id) { return s.pack(id) == nullptr; });
    return out;
  });
  // By search: their files may be gone already, and after a clean stop there are none.
  return gone.empty() ? Status{} : index_->remove_packs_by_search(gone);
}

Result<LiveIndex::Rebuilt> LiveIndex::rebuild() {
  const std::unique_lock lock(mutex_);
  Rebuilt out;
  HF_TRY_DO(rebuild_locked(out));
  return out;
}

Status LiveIndex::rebuild_locked(Rebuilt& out) {
  index_.reset();
  stale_ = true;  // until all of it is done
  HF_TRY_DO(remove_tree(fs_, directory_).context("remove the old index"));
  HF_TRY(index_, index::BlobIndex::open(directory_, shared_, &fs_));
  HF_TRY_DO(add_packs(packs_beside(state_, {}), true, out));
  HF_TRY_DO(index_->set_generation(state_.read([](const State& s) { return s.generation(); })));
  stale_ = false;
  damaged_ = false;
  return {};
}

/// The generation moves only when every pack is in: until then the index keeps the one that it has. Reading footers and
/// indexing them cost about the same, so the next batch is read meanwhile; what fits into one batch needs no thread.
Status LiveIndex::add_packs(const std::vector<Pack>& packs, bool in_bulk, Rebuilt& out) {
  HF_TRY(const std::uint64_t generation, index_->generation());
  const auto read_from = [&](std::launch when, std::size_t first) {
    return std::async(when, [this, &packs, first] { return read_footers(store_, packs, first); });
  };
  std::future<FooterBatch> next = read_from(std::launch::deferred, 0);
  while (next.valid()) {
    const FooterBatch batch = next.get();
    if (batch.end < packs.size()) next = read_from(std::launch::async, batch.end);
    for (const auto& [pack, error] : batch.unreadable) {
      // One unreadable pack must not take the others along: its blobs are missing until it is whole again.
      log::error("pack not indexed", {{"pack", pack.hex()}, {"why", error.message}});
      damage_.mark_pack(pack, error.message);
    }
    out.packs += batch.footers.size();
    out.blobs += batch.blobs;
    if (batch.footers.empty()) continue;
    HF_TRY_DO(in_bulk ? index_->add_packs_in_bulk(batch.footers) : index_->add_packs(batch.footers, generation));
  }
  return {};
}

void LiveIndex::published(const std::vector<pack::Footer>& footers, std::uint64_t generation) {
  const std::shared_lock lock(mutex_);
  if (stale_ || !index_) return;  // its generation must stay behind, so that the next open replays what it lacks
  failed(footers.empty() ? index_->set_generation(generation) : index_->add_packs(footers, generation), "add packs");
}

void LiveIndex::condemned(const std::vector<pack::Footer>& packs, const std::vector<PackId>& unreadable) {
  const std::shared_lock lock(mutex_);
  if (stale_ || !index_) return;  // the next open compares
  // Publishers wait for the index' write lock: never long.
  Status done;
  std::vector<pack::Footer> some;
  std::size_t entries = 0;
  for (std::size_t i = 0; done && i < packs.size(); ++i) {
    some.push_back(packs[i]);
    entries += packs[i].entries.size();
    if (entries < kEntriesRemovedAtOnce && i + 1 < packs.size()) continue;
    done = index_->remove_packs(std::exchange(some, {}));
    entries = 0;
  }
  if (done && !unreadable.empty()) done = index_->remove_packs_by_search(unreadable);
  failed(done, "take out condemned packs");
}

void LiveIndex::failed(const Status& outcome, std::string_view doing) {
  if (outcome) return;
  log::error("index falls behind", {{"directory", directory_}, {"doing", doing}, {"why", outcome.error().message}});
  if (outcome.error().code == Errc::Corrupt) damaged_ = true;
  stale_ = true;
}

/// A write that failed needs a fresh start; bytes that are wrong need a new index.
Status LiveIndex::heal() {
  const std::unique_lock lock(mutex_);
  if (!stale_ && !damaged_) return {};  // somebody else was faster
  if (!damaged_) {
    const Status opened = open_and_replay();
    if (opened || !asks_for_rebuild(opened.error())) return opened;
  }
  Rebuilt counts;
  return rebuild_locked(counts);
}

template <class F>
auto LiveIndex::healed(F look) -> decltype(look()) {
  if (!stale_ && !damaged_) {
    const std::shared_lock lock(mutex_);
    if (index_) {
      auto found = look();
      if (found || found.error().code != Errc::Corrupt) return found;
      log::warning("index is damaged and will be rebuilt", {{"directory", directory_}, {"why", found.error().message}});
      damaged_ = true;
    }
  }
  const Status done = quietly_ ? quietly_([this] { return heal(); }) : heal();
  if (!done) return done.error();
  const std::shared_lock lock(mutex_);
  if (!index_) return Error{Errc::Io, directory_ + ": the index cannot be opened"};
  return look();
}

Result<std::vector<index::Location>> LiveIndex::find(const DomainId& domain, std::uint32_t epoch, const BlobId& blob) {
  return healed([&]() { return index_->find(domain, epoch, blob); });
}

Status LiveIndex::bring_up() {
  return healed([]() -> Status { return {}; });
}

Status LiveIndex::is_current() const {
  if (!stale_ && !damaged_) return {};
  return Error{Errc::Io, directory_ + ": the index has fallen behind and has to be opened again first"};
}

Result<std::vector<index::Location>> LiveIndex::find_as_it_is(const DomainId& domain, std::uint32_t epoch,
                                                              const BlobId& blob) {
  const std::shared_lock lock(mutex_);
  HF_TRY_DO(is_current());
  if (!index_) return Error{Errc::Io, directory_ + ": the index cannot be opened"};
  return index_->find(domain, epoch, blob);
}

Result<Digest> LiveIndex::digest() {
  return healed([&]() { return index_->contents_digest(); });
}

Status LiveIndex::verify() {
  const std::shared_lock lock(mutex_);
  if (!index_) return Error{Errc::Io, directory_ + ": the index cannot be opened"};
  return index_->verify();
}

Status LiveIndex::for_each(const std::function<Status(const index::Location&)>& visit) {
  const std::shared_lock lock(mutex_);
  if (!index_) return Error{Errc::Io, directory_ + ": the index cannot be opened"};
  return index_->for_each(visit);
}

}  // namespace holdfast::tenant
