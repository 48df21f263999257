#include "server/coordinator/recovery.h"

#include <algorithm>
#include <tuple>

namespace holdfast::coordinator {
namespace {

Error head_corrupt(std::string what) { return {Errc::Corrupt, std::string(kHeadName) + ": " + std::move(what)}; }

bool same_place(const Head& a, const Head& b) {
  return a.generation == b.generation && a.number == b.number && a.digest == b.digest && a.segment == b.segment &&
         a.segment_bytes == b.segment_bytes;
}

/// Two good slots that our writer can have left (FORMAT.md, section 2): the older one at most one publish behind.
Status check_pair(const HeadSlot& newest, const HeadSlot& other) {
  const Head& n = newest.head;
  const Head& o = other.head;
  if (o.epoch == n.epoch && newest.token != other.token)
    return head_corrupt("its slots name one epoch with two tokens");
  if (o.generation == n.generation) {
    return same_place(n, o) ? Status{} : head_corrupt("its slots name one generation with two ends of the journal");
  }
  if (o.generation + 1 == n.generation && o.number < n.number && o.segment <= n.segment) return {};
  return head_corrupt("its slots are more than one publish apart: one of them is an older copy");
}

using Slots = std::array<Result<HeadSlot>, 2>;

Result<Slots> read_slots(fs::FileSystem& fs, const std::string& path) {
  HF_TRY(const Bytes bytes, fs::read_file(fs, path, kHeadFileBytes));
  if (bytes.size() != kHeadFileBytes) {
    return head_corrupt("has " + std::to_string(bytes.size()) + " bytes, not " + std::to_string(kHeadFileBytes));
  }
  const ByteSpan all(bytes);
  return Slots{decode_head_slot(all.first(kSlotBytes)), decode_head_slot(all.subspan(kSlotBytes))};
}

/// What the bytes beyond the head say.
struct Tail {
  std::uint64_t bytes = 0;
  bool whole = false;            ///< nothing but records that continue the chain
  std::uint64_t generation = 0;  ///< of the last record that continues the chain; the head's when there is none
  Head after;                    ///< the head that would name all of them
};

/// One pass over a directory's journal.
class Recovery {
 public:
  Recovery(fs::FileSystem& fs, std::string journal_directory, std::vector<SegmentFile> files)
      : fs_(fs), journal_(std::move(journal_directory)), files_(std::move(files)) {}

  /// Verifies everything up to `head`; on the way the record that the other slot names.
  Status verify(const Head& head, const std::optional<HeadSlot>& other) {
    const auto check_other = [&](const journal::Record& record) -> Status {
      if (!other || record.number != other->head.number || record.digest == other->head.digest) return {};
      return head_corrupt("its older slot names another record " + std::to_string(record.number) +
                          " than the journal holds");
    };
    while (chain_.next_number() <= head.number) HF_TRY_DO(verify_segment(head, check_other));
    return {};
  }

  const std::vector<Segment>& segments() const {
    return segments_;
  }  ///< up to the head, or to the tail's end once read

  Result<Tail> read_tail(const Head& head) {
    Tail tail;
    tail.after = head;
    tail.generation = head.generation;
    tail.whole = true;
    for (const SegmentFile& file : files_) {
      if (head.number != 0 && file.first < head.segment) continue;
      const std::uint64_t begin = file.first == head.segment ? head.segment_bytes : 0;
      tail.bytes += file.bytes - begin;
      if (tail.whole) HF_TRY_DO(follow_tail(file, begin, tail));
    }
    return tail;
  }

  /// A file without bytes beyond the head is left behind by a crash between create and write.
  bool has_files_beyond(const Head& head) const { return !files_.empty() && files_.back().first > head.segment; }

 private:
  template <class Visit>
  Status verify_segment(const Head& head, const Visit& visit) {
    const std::uint64_t first = chain_.next_number();
    if (first > head.segment) {
      return head_corrupt("record " + std::to_string(first) +
                          " would start a segment, but the last segment starts at " + std::to_string(head.segment));
    }
    const std::uint64_t end = first == head.segment ? head.segment_bytes : bytes_of(first);
    HF_TRY(SegmentReader reader, SegmentReader::open(fs_, journal_, first, 0, end));
    for (;;) {
      HF_TRY(const std::optional<journal::Record> record, reader.next(chain_));
      if (!record) break;
      HF_TRY_DO(check_against(head, *record));
      HF_TRY_DO(visit(*record));
    }
    if (chain_.next_number() == first)
      return Error{Errc::Corrupt, "journal/" + segment_name(first) + ": holds no record"};
    note_last(first);
    return {};
  }

  static Status check_against(const Head& head, const journal::Record& record) {
    const bool last = record.number == head.number;
    const bool fits = record.number <= head.number && record.generation <= head.generation &&
                      record.epoch <= head.epoch &&
                      (!last || (record.digest == head.digest && record.generation == head.generation));
    if (fits) return {};
    return head_corrupt("names record " + std::to_string(head.number) + " as the last one, which does not fit record " +
                        std::to_string(record.number) + " of the journal");
  }

  void note_last(std::uint64_t first) {
    if (segments_.empty() || segments_.back().first != first) segments_.push_back({first, {}});
    segments_.back().last = *chain_.last();
  }

  std::uint64_t bytes_of(std::uint64_t first) const {
    const auto found =
        std::find_if(files_.begin(), files_.end(), [&](const SegmentFile& file) { return file.first == first; });
    return found == files_.end() ? 0 : found->bytes;
  }

  Status follow_tail(const SegmentFile& file, std::uint64_t begin, Tail& tail) {
    if (begin == 0 && file.first != chain_.next_number()) {
      tail.whole = false;
      return {};
    }
    HF_TRY(SegmentReader reader, SegmentReader::open(fs_, journal_, file.first, begin, file.bytes));
    while (!reader.at_end()) {
      const Result<std::optional<journal::Record>> record = reader.next(chain_);
      if (!record && record.error().code == Errc::Io) return record.error();
      if (!record) {
        tail.whole = false;
        return {};
      }
      tail.generation = (*record)->generation;
      tail.after = {(*record)->epoch, (*record)->generation, (*record)->number, (*record)->digest,
                    file.first,       reader.position()};
      note_last(file.first);
    }
    return {};
  }

  fs::FileSystem& fs_;
  const std::string journal_;
  const std::vector<SegmentFile> files_;
  Chain chain_;
  std::vector<Segment> segments_;
};

/// The rules for what lies beyond the head (FORMAT.md, section 4).
Status decide_tail(const HeadFile& file, const Tail& tail, Recovered& out) {
  const Head& head = file.newest.head;
  const std::string beyond = std::to_string(tail.bytes) + " bytes beyond record " + std::to_string(head.number);
  if (file.other) {
    // A publish is appended only after the one before it was written to the head and acknowledged.
    if (tail.generation > head.generation + 1) {
      return head_corrupt("is older than the journal: it ends at generation " + std::to_string(head.generation) +
                          ", the journal goes on to " + std::to_string(tail.generation) +
                          "; an older copy of the file was put in its place");
    }
    out.has_tail = tail.bytes > 0;
    if (out.has_tail) out.notes.push_back("journal: " + beyond + " were never acknowledged and are set aside");
    return {};
  }
  out.notes.push_back("head: slot " + std::to_string(1 - file.newest_slot) + " was damaged (" + file.other_damage +
                      ") and is written anew");
  if (tail.bytes == 0) return {};
  // The head is written only after the journal was synced, and both slots are good before anything is appended. So a
  // bad slot means: the newest publish stands whole beyond the other slot, or something is damaged twice.
  if (!tail.whole || tail.generation != head.generation + 1 || tail.after.epoch != head.epoch) {
    return head_corrupt("slot " + std::to_string(1 - file.newest_slot) + " is damaged (" + file.other_damage +
                        ") and the " + beyond +
                        " are not one whole publish; which records were acknowledged cannot be told");
  }
  out.slot.head = tail.after;
  out.rolled_forward = true;
  out.notes.push_back("head: records " + std::to_string(head.number + 1) + " to " + std::to_string(tail.after.number) +
                      " follow the remaining slot and are taken over");
  return {};
}

}  // namespace

Result<std::optional<HeadFile>> read_head_file(fs::FileSystem& fs, const std::string& directory) {
  Result<Slots> read = read_slots(fs, fs::join(directory, kHeadName));
  if (!read && read.error().code == Errc::NotFound) return std::optional<HeadFile>();
  if (!read && read.error().code == Errc::Limit) return head_corrupt("is longer than its two slots");
  if (!read) return std::move(read).error();
  const Slots& slots = *read;
  for (const Result<HeadSlot>& slot : slots) {
    if (!slot && slot.error().code == Errc::TooNew) return slot.error();
  }
  if (!slots[0] && !slots[1]) return head_corrupt("both slots are damaged (" + slots[0].error().message + ")");

  const auto age = [](const HeadSlot& slot) { return std::tuple(slot.head.epoch, slot.head.generation); };
  HeadFile out;
  out.newest_slot = !slots[0] || (slots[1] && age(*slots[1]) > age(*slots[0])) ? 1 : 0;
  out.newest = *slots[out.newest_slot];
  const Result<HeadSlot>& other = slots[1 - out.newest_slot];
  if (!other) {
    out.other_damage = other.error().message;
    return std::optional<HeadFile>(std::move(out));
  }
  HF_TRY_DO(check_pair(out.newest, *other));
  out.other = *other;
  return std::optional<HeadFile>(std::move(out));
}

Result<std::optional<Recovered>> recover(fs::FileSystem& fs, const std::string& directory) {
  HF_TRY(const std::optional<HeadFile> file, read_head_file(fs, directory));
  const std::string journal_directory = fs::join(directory, kJournalName);
  Result<std::vector<SegmentFile>> files = list_segments(fs, journal_directory);
  if (!files && files.error().code != Errc::NotFound) return std::move(files).error();
  if (!files) files = std::vector<SegmentFile>();
  if (!file) {
    if (files->empty()) return std::optional<Recovered>();
    return head_corrupt("the file is missing, but the journal holds " + std::to_string(files->size()) + " segments");
  }

  Recovered out;
  out.slot = file->newest;
  out.newest_slot = file->newest_slot;
  Recovery pass(fs, journal_directory, std::move(*files));
  HF_TRY_DO(pass.verify(file->newest.head, file->other));
  out.segments = pass.segments();
  HF_TRY(const Tail tail, pass.read_tail(file->newest.head));
  HF_TRY_DO(decide_tail(*file, tail, out));
  if (out.rolled_forward) out.segments = pass.segments();
  out.has_tail = out.has_tail || pass.has_files_beyond(out.slot.head);
  return std::optional<Recovered>(std::move(out));
}

Status read_journal(fs::FileSystem& fs, const std::string& directory, const Head& head,
                    const std::vector<Segment>& segments, std::uint64_t from,
                    const std::function<Status(const journal::Record&)>& visit) {
  const std::string journal_directory = fs::join(directory, kJournalName);
  Chain chain;
  for (const Segment& segment : segments) {
    if (segment.last.number < from) chain = Chain(segment.last);
  }
  while (chain.next_number() <= head.number) {
    const std::uint64_t first = chain.next_number();
    std::uint64_t end = head.segment_bytes;
    if (first != head.segment) {
      const auto found = fs.stat(fs::join(journal_directory, segment_name(first)));
      end = found ? found->size : 0;  // a missing file is named by open
    }
    HF_TRY(SegmentReader reader, SegmentReader::open(fs, journal_directory, first, 0, end));
    for (;;) {
      HF_TRY(const std::optional<journal::Record> record, reader.next(chain));
      if (!record) break;
      if (record->number >= from) HF_TRY_DO(visit(*record));
    }
    if (chain.next_number() == first)
      return Error{Errc::Corrupt, "journal/" + segment_name(first) + ": holds no record"};
  }
  if (head.number == 0 || chain.last()->digest == head.digest) return {};
  return head_corrupt("names another record " + std::to_string(head.number) + " than the journal holds");
}

}  // namespace holdfast::coordinator
