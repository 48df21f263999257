#include "client/dedup/usage.h"

#include <algorithm>
#include <limits>

namespace holdfast::dedup {
namespace {

constexpr std::size_t kMaxRuns = 1u << 24;
constexpr std::uint8_t kVersion = 1;

std::uint64_t key_of(const blob::BlobRef& ref) {
  return ByteReader(ref.blob.bytes).u64() ^ ByteReader(ref.run.bytes).u64();
}

}  // namespace

std::uint32_t Usage::run_number(const RunId& run) {
  // Runs of one snapshot are few (bounded by max_dead_age for partly used blobs) and come in long stretches.
  for (std::size_t i = runs_.size(); i-- > 0;) {
    if (runs_[i].id == run) return static_cast<std::uint32_t>(i);
  }
  runs_.push_back({run, 0});
  return static_cast<std::uint32_t>(runs_.size() - 1);
}

void Usage::add(const blob::BlobRef& ref, std::uint64_t bytes) {
  const auto [at, fresh] = blobs_.try_emplace(key_of(ref));
  if (fresh) at->second.run = run_number(ref.run);
  Blob& blob = at->second;
  const std::uint64_t most = blob.raw_bytes == 0 ? std::numeric_limits<std::uint32_t>::max() : blob.raw_bytes;
  blob.used_bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(blob.used_bytes + bytes, most));
}

void Usage::note(const blob::BlobRef& ref, std::uint32_t raw_bytes, std::int64_t committed_ns) {
  const auto [at, fresh] = blobs_.try_emplace(key_of(ref));
  if (fresh) at->second.run = run_number(ref.run);
  at->second.raw_bytes = raw_bytes;
  at->second.used_bytes = std::min(at->second.used_bytes, raw_bytes);
  if (committed_ns != 0) runs_[at->second.run].committed_ns = committed_ns;
}

const Usage::Blob* Usage::find(const blob::BlobRef& ref) const {
  const auto found = blobs_.find(key_of(ref));
  return found == blobs_.end() ? nullptr : &found->second;
}

bool Usage::is_retired(const blob::BlobRef& ref) const {
  const Blob* const blob = find(ref);
  return blob != nullptr && blob->retired;
}

void Usage::retire(const blob::BlobRef& ref) {
  const auto found = blobs_.find(key_of(ref));
  if (found != blobs_.end()) found->second.retired = true;
}

void Usage::commit(std::int64_t now_ns) {
  for (Run& run : runs_) {
    if (run.committed_ns == 0) run.committed_ns = now_ns;
  }
}

Usage::Totals Usage::totals() const {
  Totals sum;
  for (const auto& [key, blob] : blobs_) {
    ++sum.blobs;
    sum.raw_bytes += blob.raw_bytes;
    sum.used_bytes += blob.used_bytes;
    if (blob.retired) {
      ++sum.retired_blobs;
      sum.retired_bytes += blob.used_bytes;
    }
  }
  return sum;
}

Bytes Usage::encode() const {
  ByteWriter out;
  out.u8(kVersion).varint(runs_.size());
  for (const Run& run : runs_) out.id(run.id).i64(run.committed_ns);
  std::vector<std::pair<std::uint64_t, Blob>> sorted(blobs_.begin(), blobs_.end());
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  out.varint(sorted.size());
  for (const auto& [key, blob] : sorted) {
    out.u64(key).varint(blob.raw_bytes).varint(blob.run).u8(blob.retired ? 1 : 0);
  }
  return out.take();
}

Result<Usage> Usage::decode(ByteSpan bytes) {
  ByteReader in(bytes);
  Usage out;
  if (in.u8() != kVersion) return Error{Errc::Corrupt, "usage of blobs: unknown version"};
  const std::size_t runs = in.varint_count(RunId::kBytes + 8);
  if (runs > kMaxRuns) in.fail();
  for (std::size_t i = 0; i < runs && in.ok(); ++i) {
    Run run;
    run.id = in.id<RunId>();
    run.committed_ns = in.i64();
    out.runs_.push_back(run);
  }
  const std::size_t blobs = in.varint_count(8 + 3);
  if (in.ok()) out.blobs_.reserve(blobs);
  for (std::size_t i = 0; i < blobs && in.ok(); ++i) {
    const std::uint64_t key = in.u64();
    const std::uint64_t raw = in.varint(), run = in.varint(), retired = in.u8();
    if (raw > std::numeric_limits<std::uint32_t>::max() || run >= out.runs_.size() || retired > 1) in.fail();
    Blob blob;
    blob.raw_bytes = static_cast<std::uint32_t>(raw);
    blob.run = static_cast<std::uint32_t>(run);
    blob.retired = retired == 1;
    if (in.ok() && !out.blobs_.try_emplace(key, blob).second) in.fail();
  }
  HF_TRY_DO(in.finish("usage of blobs"));
  return out;
}

namespace {

/// A blob's own share of the age, between two thirds and the whole: decided by its id, so that blobs of one run do not
/// all become due in one run.
std::uint64_t age_limit(std::uint64_t key, const RewriteLimits& limits) {
  const std::uint64_t third = limits.max_dead_age_ns / 3;
  return limits.max_dead_age_ns -
         static_cast<std::uint64_t>(static_cast<double>(third) * (static_cast<double>(key >> 11) * 0x1p-53));
}

// A stored blob has 16 KiB at least (client/sealing pads it), however little of it is a chunk. A few such cost nothing worth
// a rewrite.
constexpr std::uint64_t kStoredFloor = 16u << 10;
constexpr std::uint64_t kStoredSlack = 64u << 10;

/// A file that changes a little in every run gets a blob of one chunk from each: all used, yet a restore would fetch several
/// times the file. The smallest are put together until what is stored is within the bound that referenced bytes have.
void join_small(Usage& usage, const RewriteLimits& limits) {
  std::uint64_t stored = 0, used = 0;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> small;
  for (const auto& [key, blob] : usage.blobs()) {
    const std::uint64_t floor = blob.raw_bytes == 0 ? 0 : kStoredFloor;
    used += blob.used_bytes;
    stored += blob.retired ? blob.used_bytes : std::max<std::uint64_t>({blob.raw_bytes, blob.used_bytes, floor});
    if (!blob.retired && blob.raw_bytes < floor) small.emplace_back(blob.used_bytes, key);
  }
  std::sort(small.begin(), small.end());
  const double most = limits.max_raw_per_used * static_cast<double>(used) + static_cast<double>(kStoredSlack);
  for (const auto& [bytes, key] : small) {
    if (static_cast<double>(stored) <= most) break;
    usage.blobs().at(key).retired = true;
    stored -= kStoredFloor - bytes;
  }
}

}  // namespace

void plan_rewrites(Usage& usage, const RewriteLimits& limits, std::int64_t now_ns) {
  std::uint64_t raw = 0, used = 0;
  std::vector<std::pair<double, Usage::Blob*>> partly;
  for (auto& [key, blob] : usage.blobs()) {
    const bool known = blob.raw_bytes != 0 && blob.used_bytes < blob.raw_bytes;
    const std::int64_t committed_ns = usage.committed_ns(blob);
    std::int64_t age_ns = 0;  // times are the server's word: no difference, no age
    const bool aged = !__builtin_sub_overflow(now_ns, committed_ns, &age_ns) && age_ns > 0;
    if (known && committed_ns != 0 && aged && static_cast<std::uint64_t>(age_ns) >= age_limit(key, limits))
      blob.retired = true;
    used += blob.used_bytes;
    raw += blob.retired ? blob.used_bytes : std::max(blob.raw_bytes, blob.used_bytes);
    if (known && !blob.retired) partly.emplace_back(static_cast<double>(blob.used_bytes) / blob.raw_bytes, &blob);
  }
  std::sort(partly.begin(), partly.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [share, blob] : partly) {
    if (static_cast<double>(raw) <= limits.max_raw_per_used * static_cast<double>(used)) break;
    blob->retired = true;
    raw -= blob->raw_bytes - blob->used_bytes;
  }
  join_small(usage, limits);
}

}  // namespace holdfast::dedup
