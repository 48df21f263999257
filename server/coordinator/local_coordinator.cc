#include "server/coordinator/local_coordinator.h"

#include <mutex>

#include "common/base/log.h"
#include "server/coordinator/recovery.h"
#include "server/coordinator/set_aside.h"

namespace holdfast::coordinator {
namespace {

constexpr unsigned kFileMode = 0600;
constexpr unsigned kDirectoryMode = 0700;

/// One publish on its way to the disk: its records as stored, and the head that will name them.
struct Batch {
  Head after;
  std::vector<journal::Record> records;
  Bytes bytes;
  bool new_segment = false;
};

Status check_size(const std::vector<NewRecord>& records) {
  if (records.empty()) return Error{Errc::Usage, "publish: there is no record"};
  if (records.size() > kMaxPublishRecords) {
    return Error{Errc::Limit, "publish: " + std::to_string(records.size()) + " records at once, at most " +
                                  std::to_string(kMaxPublishRecords)};
  }
  std::uint64_t bytes = 0;
  for (const NewRecord& record : records) {
    if (record.payload.size() > journal::kMaxPayloadBytes) {
      return Error{Errc::Limit, "publish: a record's payload has " + std::to_string(record.payload.size()) +
                                    " bytes, at most " + std::to_string(journal::kMaxPayloadBytes)};
    }
    bytes += journal::kHeadBytes + record.payload.size();
  }
  if (bytes <= kMaxPublishBytes) return {};
  return Error{Errc::Limit,
               "publish: " + std::to_string(bytes) + " bytes at once, at most " + std::to_string(kMaxPublishBytes)};
}

/// Thread-safe: one mutex around everything that changes; read() works on a copy of what it needs.
class LocalCoordinator final : public Coordinator {
 public:
  LocalCoordinator(fs::FileSystem& fs, const Clock& clock, Random& random, std::string directory,
                   std::uint64_t segment_bytes)
      : fs_(fs),
        clock_(clock),
        random_(random),
        directory_(std::move(directory)),
        journal_(fs::join(directory_, kJournalName)),
        segment_limit_(segment_bytes) {}

  Result<Epoch> acquire() override {
    const std::lock_guard guard(mutex_);
    const bool had_lock = lock_ != nullptr;
    forget();
    Result<Epoch> epoch = take_over();
    // A directory that we could not take is not kept from others, who may look what is wrong with it.
    if (!epoch && !had_lock) lock_.reset();
    return std::move(epoch).context("acquire '" + printable(directory_) + "'");
  }

  Result<Head> head() override {
    const std::lock_guard guard(mutex_);
    if (acquired_) return slot_.head;
    HF_TRY(const std::optional<Recovered> found,
           recover(fs_, directory_).context("read '" + printable(directory_) + "'"));
    return found ? found->slot.head : Head{};
  }

  Result<Published> publish(const Epoch& epoch, std::uint64_t generation,
                            const std::vector<NewRecord>& records) override {
    const std::lock_guard guard(mutex_);
    HF_TRY_DO(check_turn(epoch, generation));
    HF_TRY_DO(check_size(records));
    Batch batch = make_batch(records);
    if (Status appended = append(batch); !appended) {
      neutralise();
      return std::move(appended).error().with_context("publish generation " + std::to_string(generation + 1) +
                                                      ": nothing was changed");
    }
    if (Status written = commit(batch.after); !written) {
      head_file_.reset();
      unknown_ = true;
      return Error{Errc::Unknown, "publish generation " + std::to_string(generation + 1) +
                                      ": the head may or may not name it: " + written.error().message};
    }
    note_segment(batch);
    return Published{slot_.head, std::move(batch.records)};
  }

  Status read(std::uint64_t from, const std::function<Status(const journal::Record&)>& visit) override {
    Status done = read_all(from, visit);
    return std::move(done).context("read '" + printable(directory_) + "'");
  }

  std::vector<std::string> repairs() override {
    const std::lock_guard guard(mutex_);
    return repairs_;
  }

 private:
  // ---- acquire ----

  void forget() {
    acquired_ = unknown_ = tail_dirty_ = false;
    head_file_.reset();
    segment_file_.reset();
    segments_.clear();
    repairs_.clear();
  }

  Result<Epoch> take_over() {
    if (!lock_) {
      HF_TRY_DO(fs::make_directories(fs_, directory_, kDirectoryMode));
      HF_TRY(lock_, fs_.lock(fs::join(directory_, kLockName)));
    }
    HF_TRY_DO(fs::make_directories(fs_, journal_, kDirectoryMode));
    HF_TRY_DO(sync_everything());
    HF_TRY(std::optional<Recovered> found, recover(fs_, directory_));
    if (!found) return start_anew();
    if (found->has_tail) HF_TRY_DO(set_tail_aside(fs_, journal_, found->slot.head, found->notes));
    for (const std::string& note : found->notes) {
      log::warning("journal recovered", {{"tenant", fs::parent(journal_)}, {"what", note}});
    }
    return own(std::move(*found));
  }

  /// What we are about to trust may still be in memory only, if whoever wrote it stopped in the middle.
  Status sync_everything() {
    HF_TRY(const std::vector<SegmentFile> files, list_segments(fs_, journal_));
    for (const SegmentFile& file : files) HF_TRY_DO(sync_file(fs::join(journal_, segment_name(file.first))));
    Status head_synced = sync_file(fs::join(directory_, kHeadName));
    if (!head_synced && head_synced.error().code != Errc::NotFound) return head_synced;
    HF_TRY_DO(fs_.sync_directory(journal_));
    return fs_.sync_directory(directory_);
  }

  Status sync_file(const std::string& path) {
    HF_TRY(const std::unique_ptr<fs::File> file, fs_.open_write(path));
    return file->sync();
  }

  Result<Epoch> start_anew() {
    const HeadSlot first = next_epoch(HeadSlot{});
    Bytes both = encode_head_slot(first);
    const Bytes once = both;
    both.insert(both.end(), once.begin(), once.end());
    HF_TRY_DO(fs::create_file(fs_, fs::join(directory_, kHeadName), both, kFileMode));
    HF_TRY_DO(open_head());
    return take(first, 0);
  }

  /// The new epoch goes into both slots. The one that holds until then is written last, so that at every moment one
  /// good slot names the end of the journal.
  Result<Epoch> own(Recovered found) {
    const HeadSlot next = next_epoch(found.slot);
    HF_TRY_DO(open_head());
    HF_TRY_DO(write_slot(1 - found.newest_slot, next));
    HF_TRY_DO(write_slot(found.newest_slot, next));
    segments_ = std::move(found.segments);
    repairs_ = std::move(found.notes);
    return take(next, found.newest_slot);
  }

  HeadSlot next_epoch(HeadSlot slot) {
    ++slot.head.epoch;
    random_.fill(slot.token);
    slot.written_ns = to_ns(clock_.wall());
    return slot;
  }

  Epoch take(const HeadSlot& slot, std::size_t newest_slot) {
    slot_ = slot;
    newest_slot_ = newest_slot;
    acquired_ = true;
    return slot.epoch();
  }

  Status open_head() {
    HF_TRY(head_file_, fs_.open_write(fs::join(directory_, kHeadName)));
    return {};
  }

  Status write_slot(std::size_t index, const HeadSlot& slot) {
    HF_TRY_DO(head_file_->write_at(index * kSlotBytes, encode_head_slot(slot)));
    return head_file_->sync();
  }

  // ---- publish ----

  Status check_turn(const Epoch& epoch, std::uint64_t generation) const {
    if (!acquired_) return Error{Errc::Fenced, "publish: no epoch was acquired"};
    if (!(epoch == slot_.epoch())) {
      return Error{Errc::Fenced, "publish: epoch " + std::to_string(epoch.counter) + " is over, epoch " +
                                     std::to_string(slot_.head.epoch) + " owns the tenant"};
    }
    if (unknown_)
      return Error{Errc::Unknown, "publish: the outcome of an earlier one is unknown; acquire the tenant again first"};
    if (generation == slot_.head.generation) return {};
    return Error{Errc::Conflict, "publish: generation " + std::to_string(generation) +
                                     " has passed, the tenant is at " + std::to_string(slot_.head.generation)};
  }

  Batch make_batch(const std::vector<NewRecord>& records) {
    Batch batch;
    batch.after = slot_.head;
    batch.after.generation += 1;
    batch.new_segment = slot_.head.number == 0 || slot_.head.segment_bytes >= segment_limit_;
    if (batch.new_segment) {
      batch.after.segment = slot_.head.number + 1;
      batch.after.segment_bytes = 0;
    }
    for (const NewRecord& fresh : records) {
      journal::Record record;
      record.number = ++batch.after.number;
      record.epoch = slot_.head.epoch;
      record.generation = batch.after.generation;
      record.kind = fresh.kind;
      record.vault_ns = fresh.vault_ns;
      record.wall_ns = fresh.wall_ns;
      record.previous = batch.after.digest;
      random_.fill(record.salt);
      record.payload = fresh.payload;
      const Bytes encoded = journal::encode(record);
      batch.bytes.insert(batch.bytes.end(), encoded.begin(), encoded.end());
      batch.after.digest = record.digest;
      batch.records.push_back(std::move(record));
    }
    batch.after.segment_bytes += batch.bytes.size();
    return batch;
  }

  /// Durable in the journal, not yet part of it.
  Status append(const Batch& batch) {
    if (tail_dirty_) HF_TRY_DO(clean_tail());
    tail_dirty_ = true;
    const std::string path = fs::join(journal_, segment_name(batch.after.segment));
    if (batch.new_segment) {
      HF_TRY(segment_file_, fs_.create(path, kFileMode));
    } else if (!segment_file_) {
      HF_TRY(segment_file_, fs_.open_write(path));
    }
    HF_TRY_DO(segment_file_->write_at(batch.after.segment_bytes - batch.bytes.size(), batch.bytes));
    HF_TRY_DO(segment_file_->sync());
    return batch.new_segment ? fs_.sync_directory(journal_) : Status{};
  }

  /// The commit point. The slot with the older head is overwritten; the other one holds until this one is durable.
  Status commit(const Head& after) {
    HeadSlot next = slot_;
    next.head = after;
    next.written_ns = to_ns(clock_.wall());
    HF_TRY_DO(write_slot(1 - newest_slot_, next));
    newest_slot_ = 1 - newest_slot_;
    slot_ = next;
    tail_dirty_ = false;
    return {};
  }

  void note_segment(const Batch& batch) {
    if (batch.new_segment) segments_.push_back({batch.after.segment, {}});
    segments_.back().last = batch.records.back();
    segments_.back().last.payload = {};
  }

  /// After a publish that failed before the head was touched: its bytes must not stand where the next one writes, nor
  /// be found by a recovery that has to think. When this fails too, the next publish tries again before it appends.
  void neutralise() {
    if (Status cleaned = clean_tail(); !cleaned) {
      log::warning("journal tail not cleaned", {{"tenant", directory_}, {"why", cleaned.error().message}});
    }
  }

  /// Through a new descriptor: one whose sync has failed is not asked again.
  Status clean_tail() {
    segment_file_.reset();
    const std::uint64_t next = slot_.head.number + 1;
    if (next != slot_.head.segment) {
      Status removed = fs_.unlink(fs::join(journal_, segment_name(next)));
      if (!removed && removed.error().code != Errc::NotFound) return removed;
      if (removed) HF_TRY_DO(fs_.sync_directory(journal_));
    }
    if (slot_.head.number != 0) {
      HF_TRY(const std::unique_ptr<fs::File> file,
             fs_.open_write(fs::join(journal_, segment_name(slot_.head.segment))));
      HF_TRY_DO(file->truncate(slot_.head.segment_bytes));
      HF_TRY_DO(file->sync());
    }
    tail_dirty_ = false;
    return {};
  }

  // ---- read ----

  Status read_all(std::uint64_t from, const std::function<Status(const journal::Record&)>& visit) {
    std::optional<std::pair<Head, std::vector<Segment>>> owned;
    {
      const std::lock_guard guard(mutex_);
      if (acquired_) owned.emplace(slot_.head, segments_);
    }
    if (!owned) return read_unowned(from, visit);
    // Segments only grow, and never before the head: no lock is needed up to it.
    HF_TRY_DO(read_journal(fs_, directory_, owned->first, owned->second, from, visit));
    return check_head_on_disk();
  }

  /// Damage is told, but what stands before it is handed out all the same.
  Status read_unowned(std::uint64_t from, const std::function<Status(const journal::Record&)>& visit) {
    const Result<std::optional<Recovered>> found = recover(fs_, directory_);
    if (found && !*found) return {};
    if (found) return read_journal(fs_, directory_, (*found)->slot.head, (*found)->segments, from, visit);
    const Result<std::optional<HeadFile>> file = read_head_file(fs_, directory_);
    if (file && *file) HF_TRY_DO(read_journal(fs_, directory_, (*file)->newest.head, {}, from, visit));
    return found.error();
  }

  /// Both slots are as we wrote them: a damaged one would cost nothing today and an acknowledged publish tomorrow.
  Status check_head_on_disk() {
    const std::lock_guard guard(mutex_);
    if (!acquired_ || unknown_) return {};
    HF_TRY(const std::optional<HeadFile> file, read_head_file(fs_, directory_));
    if (!file) return Error{Errc::Corrupt, "head: the file is missing"};
    if (!file->other) {
      return Error{Errc::Corrupt,
                   "head: slot " + std::to_string(1 - file->newest_slot) + " is damaged: " + file->other_damage};
    }
    if (encode_head_slot(file->newest) == encode_head_slot(slot_)) return {};
    return Error{Errc::Corrupt, "head: the file names generation " + std::to_string(file->newest.head.generation) +
                                    ", " + std::to_string(slot_.head.generation) +
                                    " was written: somebody else has changed it"};
  }

  fs::FileSystem& fs_;
  const Clock& clock_;
  Random& random_;
  const std::string directory_;
  const std::string journal_;
  const std::uint64_t segment_limit_;

  std::mutex mutex_;
  std::unique_ptr<fs::Lock> lock_;
  std::unique_ptr<fs::File> head_file_;
  std::unique_ptr<fs::File> segment_file_;  ///< the last segment; null: to be opened
  HeadSlot slot_;                           ///< what the newest slot says
  std::size_t newest_slot_ = 0;
  std::vector<Segment> segments_;
  std::vector<std::string> repairs_;
  bool acquired_ = false;
  bool unknown_ = false;     ///< a head write failed: nobody knows which head is on the disk
  bool tail_dirty_ = false;  ///< bytes of a failed publish may stand beyond the head
};

}  // namespace

Result<std::unique_ptr<Coordinator>> open_local_coordinator(fs::FileSystem& fs, const Clock& clock, Random& random,
                                                            std::string directory, std::uint64_t segment_bytes) {
  if (directory.empty() || directory.front() != '/') {
    return Error{Errc::Usage, "a tenant's directory is an absolute path, not '" + printable(directory) + "'"};
  }
  if (segment_bytes == 0 || segment_bytes > journal::kSegmentBytes) {
    return Error{Errc::Usage, "a journal segment has 1 to " + std::to_string(journal::kSegmentBytes) + " bytes"};
  }
  return std::unique_ptr<Coordinator>(
      std::make_unique<LocalCoordinator>(fs, clock, random, std::move(directory), segment_bytes));
}

}  // namespace holdfast::coordinator
