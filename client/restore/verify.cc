// Reads a snapshot back and writes nothing.
#include "client/restore/content_check.h"
#include "client/restore/snapshot_reading.h"

namespace holdfast::restore {

Result<RestoreReport> run_verify(Archive& archive, const SnapshotInfo& snapshot, const VerifyOptions& options) {
  HF_TRY(const std::unique_ptr<SnapshotReading> reading,
         SnapshotReading::open(archive, snapshot, {}, {options.stop, options.progress, options.on_failure}));
  if (options.progress != nullptr && snapshot.part) {
    options.progress->total_entries = snapshot.part->entries;
    options.progress->total_bytes = snapshot.part->bytes;
  }
  const auto done = [&](const manifest::Entry& entry) {
    reading->count(entry);
    reading->count_bytes(entry.size);
  };
  ContentCheck contents(archive, snapshot.core(), reading->content_keys(), options.threads,
                        {done, [&](const std::string& path, const Error& error) { reading->fail(path, error); }});
  HF_TRY_DO(reading->visit_readable([&](manifest::Entry entry) -> Status {
    if (options.read_data && manifest::has_content(entry.kind)) return contents.add(std::move(entry));
    done(entry);
    return {};
  }));
  HF_TRY_DO(contents.finish());
  reading->report.blobs_fetched = contents.blobs_fetched();
  return reading->report;
}

}  // namespace holdfast::restore
