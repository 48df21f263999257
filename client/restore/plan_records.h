#pragma once
// Why: the bytes of a plan's files, which only the program that wrote them reads: any doubt, another version included, means
// that the plan is made anew. Private to this folder.

#include <array>

#include "client/restore/plan.h"

namespace holdfast::restore {

inline constexpr std::uint8_t kPlanVersion = 2;
inline constexpr std::size_t kUseBytes = 8 + 8 + 8 + 4 + 4;
inline constexpr std::size_t kBlobBytes = 32 + 16 + 8;  ///< id, run, number of its first use
inline constexpr std::size_t kStretchBytes = 8 + 8;
inline constexpr std::size_t kStateBytes = 8 + 8;

/// Files whose digests are under the MAC.
enum PlanFile : std::size_t { kEntries, kIndex, kUses, kBlobs, kStretches, kPlanFiles };
inline constexpr std::array<const char*, kPlanFiles> kPlanFileNames = {"entries", "index", "uses", "blobs",
                                                                       "stretches"};

struct PlanHead {
  PlanFacts facts;
  std::array<Digest, kPlanFiles> digests;
};

Bytes encode_use(const Use& use);
Use decode_use(ByteSpan record);
Bytes encode_planned(const PlannedEntry& planned);
/// Errors: Corrupt.
Result<PlannedEntry> decode_planned(ByteSpan record, std::uint64_t number);
Bytes encode_head(const PlanHead& head, const Digest& binding, const crypto::Key& key);
/// Nothing: another binding, another version, or not what was written.
std::optional<PlanHead> decode_head(ByteSpan bytes, const Digest& binding, const crypto::Key& key);

}  // namespace holdfast::restore
