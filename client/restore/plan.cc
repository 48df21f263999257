#include "client/restore/plan.h"

#include <algorithm>

#include "client/restore/plan_records.h"

namespace holdfast::restore {
namespace {

constexpr std::size_t kHeadBytes = 4096;  ///< more than any head has
constexpr std::size_t kPageRecords = 1024;

Result<std::uint64_t> size_of(const Descriptor& file) {
  struct stat st{};
  if (::fstat(file.get(), &st) != 0) return errno_error(errno, "stat a file of the restore's own");
  return static_cast<std::uint64_t>(st.st_size);
}

Result<Bytes> read_all(const Descriptor& file, std::size_t limit) {
  HF_TRY(const std::uint64_t size, size_of(file));
  Bytes bytes(static_cast<std::size_t>(std::min<std::uint64_t>(size, limit)));
  HF_TRY_DO(read_at(file.get(), bytes, 0));
  return bytes;
}

Result<Digest> digest_of(const Descriptor& file) {
  HF_TRY(std::uint64_t left, size_of(file));
  crypto::Hasher hasher;
  for (SpillCursor cursor(file.get(), 0, left); left > 0;) {
    const std::size_t now = static_cast<std::size_t>(std::min<std::uint64_t>(left, SpillWriter::kBufferBytes));
    HF_TRY(const ByteSpan bytes, cursor.take(now));
    hasher.update(bytes);
    left -= now;
  }
  return hasher.finish();
}

/// Calls `visit` for the records [from, to) of a file of records of one size.
template <class Visit>
Status each_record(int fd, std::size_t bytes, std::uint64_t from, std::uint64_t to, Visit visit) {
  const std::size_t buffer = bytes * static_cast<std::size_t>(std::min<std::uint64_t>(to - from, kPageRecords));
  SpillCursor cursor(fd, from * bytes, to * bytes, buffer);
  for (std::uint64_t i = from; i < to; ++i) {
    HF_TRY(const ByteSpan record, cursor.take(bytes));
    HF_TRY_DO(visit(record));
  }
  return {};
}

}  // namespace

std::optional<Plan> Plan::load(const PlanDirectory& directory, const std::string& name, const crypto::Key& key,
                               const Digest& binding) {
  const Result<Descriptor> head_file = directory.open_file(name + "head");
  if (!head_file) return std::nullopt;
  const Result<Bytes> head_bytes = read_all(*head_file, kHeadBytes);
  if (!head_bytes) return std::nullopt;
  std::optional<PlanHead> head = decode_head(*head_bytes, binding, key);
  if (!head) return std::nullopt;
  std::array<Descriptor, kPlanFiles> files;
  for (std::size_t i = 0; i < kPlanFiles; ++i) {
    Result<Descriptor> file = directory.open_file(name + kPlanFileNames[i]);
    if (!file) return std::nullopt;
    const Result<Digest> digest = digest_of(*file);
    if (!digest || *digest != head->digests[i]) return std::nullopt;
    files[i] = *std::move(file);
  }
  Result<Descriptor> states = directory.open_file(name + "states");
  Result<Descriptor> written = directory.open_file(name + "written");
  if (!states || !written) return std::nullopt;
  Result<Bytes> bits = read_all(*written, static_cast<std::size_t>(head->facts.blobs / 8 + 1));
  const Result<std::uint64_t> state_bytes = size_of(*states);
  const bool fits = bits && bits->size() == (head->facts.blobs + 7) / 8 && state_bytes &&
                    *state_bytes == head->facts.entries * kStateBytes;
  if (!fits) return std::nullopt;
  Plan plan(std::move(head->facts),
            {std::move(files[kEntries]), std::move(files[kIndex]), std::move(files[kUses]), std::move(files[kBlobs]),
             std::move(files[kStretches]), *std::move(states), *std::move(written)});
  plan.written_ = *std::move(bits);
  return plan;
}

Status Plan::each_entry(const std::function<Status(PlannedEntry)>& visit) const {
  HF_TRY(const std::uint64_t end, size_of(files_.entries));
  SpillCursor cursor(files_.entries.get(), 0, end);
  for (std::uint64_t number = 0; number < facts_.entries; ++number) {
    HF_TRY(const ByteSpan length, cursor.take(4));
    HF_TRY(const ByteSpan record, cursor.take(ByteReader(length).u32()));
    HF_TRY(PlannedEntry planned, decode_planned(record, number));
    HF_TRY_DO(visit(std::move(planned)));
  }
  return {};
}

Result<PlannedEntry> Plan::entry(std::uint64_t number) const {
  HF_ASSERT(number < facts_.entries);
  std::array<std::uint8_t, 8> place;
  HF_TRY_DO(read_at(files_.index.get(), place, number * place.size()));
  const std::uint64_t at = ByteReader(place).u64();
  std::array<std::uint8_t, 4> length;
  HF_TRY_DO(read_at(files_.entries.get(), length, at));
  Bytes record(ByteReader(length).u32());
  HF_TRY_DO(read_at(files_.entries.get(), record, at + length.size()));
  return decode_planned(record, number);
}

Result<blob::BlobRef> Plan::blob(std::uint64_t number) const {
  std::array<std::uint8_t, kBlobBytes> record;
  HF_TRY_DO(read_at(files_.blobs.get(), record, number * kBlobBytes));
  ByteReader in(record);
  blob::BlobRef ref;
  ref.blob = in.id<BlobId>();
  ref.run = in.id<RunId>();
  return ref;
}

Result<std::uint64_t> Plan::first_use(std::uint64_t blob) const {
  if (blob == facts_.blobs) return facts_.uses;
  std::array<std::uint8_t, 8> record;
  HF_TRY_DO(read_at(files_.blobs.get(), record, (blob + 1) * kBlobBytes - record.size()));
  return ByteReader(record).u64();
}

Status Plan::each_use(std::uint64_t blob, const std::function<Status(const Use&)>& visit) const {
  HF_TRY(const std::uint64_t from, first_use(blob));
  HF_TRY(const std::uint64_t to, first_use(blob + 1));
  return each_record(files_.uses.get(), kUseBytes, from, to,
                     [&](ByteSpan record) { return visit(decode_use(record)); });
}

Status Plan::each_stretch(const PlannedEntry& entry, const std::function<Status(const Stretch&)>& visit) const {
  const std::uint64_t from = entry.first_stretch;
  return each_record(files_.stretches.get(), kStretchBytes, from, from + entry.stretches, [&](ByteSpan record) {
    ByteReader in(record);
    Stretch one;
    one.offset = in.u64();
    one.length = in.u64();
    return visit(one);
  });
}

Result<std::uint64_t> Plan::data_bytes(const PlannedEntry& entry) const {
  std::uint64_t bytes = entry.entry.size;
  HF_TRY_DO(each_stretch(entry, [&](const Stretch& hole) -> Status {
    bytes -= hole.length;
    return {};
  }));
  return bytes;
}

Result<FileState> Plan::state(std::uint64_t entry) const {
  std::array<std::uint8_t, kStateBytes> record;
  HF_TRY_DO(read_at(files_.states.get(), record, entry * kStateBytes));
  ByteReader in(record);
  FileState state;
  state.inode = in.u64();
  state.written = in.u64();
  return state;
}

Status Plan::set_state(std::uint64_t entry, const FileState& state) {
  ByteWriter out;
  out.u64(state.inode).u64(state.written);
  return write_at(files_.states.get(), out.span(), entry * kStateBytes);
}

Status Plan::set_written(std::uint64_t blob, bool is_written) {
  std::uint8_t& byte = written_[blob / 8];
  const std::uint8_t bit = static_cast<std::uint8_t>(1u << (blob % 8));
  byte = static_cast<std::uint8_t>(is_written ? byte | bit : byte & ~bit);
  return write_at(files_.written.get(), {&byte, 1}, blob / 8);
}

}  // namespace holdfast::restore
