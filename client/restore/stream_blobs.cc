#include "client/restore/stream_blobs.h"

#include <list>
#include <map>

namespace holdfast::restore {
namespace {

// A blob has about 1 MiB, opened, and 4 MiB at the very most. Sealed there are two batches at a time (fetched, waiting),
// opened three (opened, waiting, written) and the cache, which shares with them.
constexpr std::size_t kBatchBlobs = 12;
constexpr std::size_t kBatchPieces = 65536;         // 16 bytes each
constexpr std::size_t kCacheBytes = 24u << 20;      // opened blobs that the next extents may want again
constexpr std::uint64_t kBatchHoles = 64ull << 20;  // long holes must not look like a standstill

}  // namespace

/// Cuts the extents into batches. The fetching thread's.
class StreamBlobs::Planner {
 public:
  explicit Planner(StreamBlobs& owner) : owner_(owner) {}

  Status add(const manifest::Extent& extent) {
    const bool names_new = !extent.is_hole() && !places_.contains(extent.blob);
    const bool full = now_.batch.pieces.size() >= kBatchPieces || hole_bytes_ >= kBatchHoles ||
                      (names_new && places_.size() >= kBatchBlobs);
    if (full) HF_TRY_DO(flush());
    OpenedBatch::Piece piece;
    piece.length = extent.length;
    if (extent.is_hole()) {
      hole_bytes_ += extent.length;
    } else {
      const auto [place, added] = places_.try_emplace(extent.blob, static_cast<std::uint32_t>(places_.size()));
      if (added) now_.batch.refs.push_back(extent.blob);
      piece.blob = place->second;
      piece.offset = extent.offset;
    }
    now_.batch.pieces.push_back(piece);
    ++next_extent_;
    return {};
  }

  Status flush() {
    if (now_.batch.pieces.empty()) return {};
    FetchedBatch full = std::move(now_);
    now_ = {};
    places_.clear();
    hole_bytes_ = 0;
    return owner_.fetch(std::move(full), next_extent_);
  }

 private:
  StreamBlobs& owner_;
  FetchedBatch now_;
  std::map<blob::BlobRef, std::uint32_t> places_;
  std::uint64_t hole_bytes_ = 0;
  std::uint64_t next_extent_ = 0;
};

/// Blobs opened last. The opening thread's.
class StreamBlobs::Cache {
 public:
  OpenedContent find(const blob::BlobRef& ref) {
    const auto found = places_.find(ref);
    if (found == places_.end()) return nullptr;
    kept_.splice(kept_.begin(), kept_, found->second);
    return found->second->second;
  }

  void add(const blob::BlobRef& ref, OpenedContent content) {
    bytes_ += content->size();
    kept_.emplace_front(ref, std::move(content));
    places_[ref] = kept_.begin();
    while (bytes_ > kCacheBytes && kept_.size() > 1) drop(kept_.back().first);
  }

  void drop(const blob::BlobRef& ref) {
    const auto found = places_.find(ref);
    if (found == places_.end()) return;
    const auto kept = found->second;
    bytes_ -= kept->second->size();
    places_.erase(found);
    kept_.erase(kept);
  }

 private:
  std::list<std::pair<blob::BlobRef, OpenedContent>> kept_;  // the latest first
  std::map<blob::BlobRef, std::list<std::pair<blob::BlobRef, OpenedContent>>::iterator> places_;
  std::size_t bytes_ = 0;
};

StreamBlobs::StreamBlobs(Archive& archive, const snapshot::Core& core, std::size_t threads, ExtentSource extents,
                         LastUse& last_use, Spool& spool)
    : archive_(archive),
      core_(core),
      threads_(threads),
      extents_(std::move(extents)),
      last_use_(last_use),
      spool_(spool),
      fetcher_([this] { fetch_all(); }),
      opener_([this] { open_all(); }) {}

StreamBlobs::~StreamBlobs() {
  ended_ = true;
  opened_.close();
  fetched_.close();
  fetcher_.join();
  opener_.join();
}

void StreamBlobs::fetch_all() {
  Planner planner(*this);
  Status done = extents_([&](const manifest::Extent& extent) { return planner.add(extent); });
  if (done) done = planner.flush();
  if (!done) {
    FetchedBatch last;
    last.batch.end = std::move(done);
    fetched_.give(std::move(last));
  }
  fetched_.close();
}

/// `next_extent`: the number of the first one after this batch.
Status StreamBlobs::fetch(FetchedBatch fetched, std::uint64_t next_extent) {
  const std::vector<blob::BlobRef>& refs = fetched.batch.refs;
  std::vector<std::size_t> missing;
  std::vector<blob::BlobRef> wanted;
  fetched.records.resize(refs.size());
  for (std::size_t i = 0; i < refs.size(); ++i) {
    if (last_use_.of(refs[i]) < next_extent) fetched.done.push_back(refs[i]);
    if (spool_.holds(refs[i])) continue;
    missing.push_back(i);
    wanted.push_back(refs[i]);
    ++stats_.fetched;
    if (last_use_.mark_fetched(refs[i])) ++stats_.fetched_again;
  }
  std::vector<Result<Bytes>> records;
  if (!wanted.empty()) HF_TRY_DO(archive_.fetch_many(core_, wanted, &ended_, &records));
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (records[i] && last_use_.of(wanted[i]) >= next_extent) spool_.put(wanted[i], *records[i]);
    fetched.records[missing[i]] = std::move(records[i]);
  }
  if (!fetched_.give(std::move(fetched))) return Error{Errc::Canceled, "nobody waits for these blobs any more"};
  return {};
}

void StreamBlobs::open_all() {
  Cache cache;
  while (std::optional<FetchedBatch> fetched = fetched_.take()) {
    open(*fetched, cache);
    if (!opened_.give(std::move(fetched->batch))) break;
  }
  fetched_.close();
  opened_.close();
}

void StreamBlobs::open(FetchedBatch& fetched, Cache& cache) {
  OpenedBatch& batch = fetched.batch;
  std::vector<std::size_t> places;
  std::vector<blob::BlobRef> refs;
  std::vector<Result<Bytes>> records;
  for (std::size_t i = 0; i < batch.refs.size(); ++i) {
    OpenedContent known = cache.find(batch.refs[i]);
    batch.blobs.emplace_back(known);
    if (known) continue;
    places.push_back(i);
    refs.push_back(batch.refs[i]);
    records.push_back(fetched.records[i] ? *std::move(fetched.records[i]) : spool_.read(batch.refs[i]));
  }
  fetched.records.clear();
  std::vector<Result<sealing::OpenedBlob>> opened = archive_.open_fetched(core_, refs, std::move(records), threads_);
  for (std::size_t i = 0; i < refs.size(); ++i) {
    Result<OpenedContent>& place = batch.blobs[places[i]];
    if (!opened[i]) {
      place = std::move(opened[i]).error();
      continue;
    }
    place = std::make_shared<const Bytes>(std::move(opened[i]->raw));
    cache.add(refs[i], *place);
  }
  for (const blob::BlobRef& ref : fetched.done) {
    spool_.forget(ref);
    cache.drop(ref);
  }
}

}  // namespace holdfast::restore
