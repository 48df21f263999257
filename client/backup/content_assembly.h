#pragma once
// Why: puts one content together from its parts: extents (or their segments, when there are many), chunk list, and how
// much it uses of which blob. Memory does not grow with the content but for one line per blob.

#include <functional>
#include <map>

#include "client/backup/blob_pipeline.h"
#include "client/backup/content.h"
#include "client/dedup/usage.h"
#include "client/state/checkpoint.h"

namespace holdfast::backup {

/// Where entries and what belongs to them go.
struct AssemblyTargets {
  std::function<Result<Standing>(std::uint64_t group)> resolve;
  std::function<void(const BlobId& segment)> carry_segment;  ///< of an unchanged extent list: known next time as well
  manifest::ManifestWriter& manifest;
  state::StateWriter& state;
  state::ListReader* base_lists;   ///< null: there is no base
  const dedup::Usage* base_usage;  ///< null: there is no base
  dedup::Usage& usage;             ///< of the snapshot being made
  const dedup::RewriteLimits& limits;
  state::CheckpointWriter* notes = nullptr;  ///< null: none are made
};

/// One thread at a time.
class ContentAssembly {
 public:
  explicit ContentAssembly(const AssemblyTargets& targets) : to_(targets) {}
  /// Errors: those of the pipeline, the manifest's sink, the local state's file.
  Status add(const Part& part);
  /// Completes the entry whose content was put together, and begins anew.
  Status finish(state::Remembered& out);
  /// An unchanged entry: what it uses is counted, its lists are taken over.
  Status take_over(state::Remembered& known);

 private:
  void begin();
  Status add_extent(const manifest::Extent& extent);
  Status write_extent(const manifest::Extent& extent);
  Status add_chunks(const Part& part);
  void use(const blob::BlobRef& ref, std::uint64_t bytes);
  void end_region();
  void account(const blob::BlobRef& ref, std::uint64_t bytes);
  void note_extent(const manifest::Extent& extent, std::uint32_t blob_bytes);
  void note_chunks(const Part& part);
  void note_content(const state::Remembered& remembered);

  const AssemblyTargets& to_;
  bool begun_ = false;
  chunking::Class class_ = chunking::Class::Files;
  std::optional<manifest::Extent> last_;  // may still grow
  std::vector<manifest::Extent> few_;     // while they fit into the entry
  std::optional<manifest::ExtentListWriter> many_;
  std::map<blob::BlobRef, std::uint64_t> uses_, region_uses_;
  std::uint64_t region_bytes_ = 0;
  std::vector<blob::BlobRef> scattered_;        // blobs that fragment a region most
  std::map<std::uint64_t, Standing> standing_;  // of the part's groups
  std::optional<state::Kept> noted_;            // until it gets too long
};

}  // namespace holdfast::backup
