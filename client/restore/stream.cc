#include "client/restore/stream.h"

#include <set>

#include "client/chunking/splitter.h"
#include "client/restore/stream_blobs.h"
#include "client/restore/stream_output.h"

namespace holdfast::restore {
namespace {

/// The stream's entry, and where its extents are if they do not stand in it.
struct Found {
  manifest::Entry entry;
  std::optional<manifest::Spill> spill;
};

Result<std::optional<Found>> find_stream(manifest::ManifestReader& manifest, const std::string& name) {
  std::optional<Found> found;
  if (name.empty() || !manifest::check_path("/" + name)) return found;  // no stream can have such a name
  HF_TRY_DO(manifest.visit_entries(
      "/" + name, [&](manifest::Entry entry, const std::optional<manifest::Spill>& spill) -> Status {
        if (entry.kind != manifest::EntryKind::Stream || entry.source != name || entry.path != "/" + name) return {};
        found = Found{std::move(entry), spill};
        return Error{Errc::Canceled, "found"};
      }));
  return found;
}

Error no_such_stream(const SnapshotInfo& snapshot, const std::string& name) {
  std::set<std::string> held;  // in the order of names, not of ids
  std::string why = "it has no such stream";
  for (const snapshot::SealedPart::Source& source : snapshot.part->sources) {
    if (source.kind == snapshot::kFilesKind) continue;
    if (snapshot.is_complete(source.name)) {
      held.insert(source.name);
    } else if (source.name == name) {
      why = "this source failed in that run";
    }
  }
  std::string list;
  for (const std::string& one : held) list += (list.empty() ? "it holds '" : ", '") + printable(one) + "'";
  if (list.empty()) list = "it holds no streams";
  return {Errc::NotFound,
          why + "; " + list + "; `latest --source " + printable(name) + "` picks the newest snapshot that holds it"};
}

Status stop_status(const std::atomic<bool>* stop) {
  if (stop != nullptr && *stop) return Error{Errc::Canceled, "stopped by a signal"};
  return {};
}

/// Extents from the manifest, as often as they are asked for; in memory there is never more than a few segments of them.
ExtentSource extents_of(manifest::ManifestReader& manifest, const Found& stream) {
  return [&manifest, &stream](const ExtentVisit& visit) -> Status {
    if (stream.spill) return manifest.visit_extents(stream.entry, *stream.spill, visit);
    for (const manifest::Extent& one : stream.entry.extents) HF_TRY_DO(visit(one));
    return {};
  };
}

Result<LastUse> find_last_uses(const ExtentSource& extents, const std::atomic<bool>* stop) {
  LastUse last_use;
  std::uint64_t number = 0;
  HF_TRY_DO(extents([&](const manifest::Extent& one) -> Status {
    if (!one.is_hole()) last_use.note(one.blob, number);
    ++number;
    return stop_status(stop);
  }));
  return last_use;
}

/// Where verified bytes go.
struct Sink {
  StreamOutput& output;
  chunking::ContentVerifier& verifier;
  Progress* progress;
};

Status write_piece(const OpenedBatch& batch, const OpenedBatch::Piece& piece, Sink& sink) {
  if (sink.progress != nullptr) sink.progress->bytes += piece.length;
  if (piece.blob == OpenedBatch::Piece::kHole) {
    HF_TRY_DO(sink.verifier.hole(piece.length));
    return sink.output.write_zeros(piece.length);
  }
  const Result<OpenedContent>& blob = batch.blobs[piece.blob];
  if (!blob) return Error(blob.error());
  const ByteSpan raw(**blob);
  if (piece.offset > raw.size() || piece.length > raw.size() - piece.offset)
    return Error{Errc::Corrupt, "an extent reaches beyond blob " + batch.refs[piece.blob].blob.short_hex()};
  const ByteSpan bytes = raw.subspan(piece.offset, static_cast<std::size_t>(piece.length));
  HF_TRY_DO(sink.verifier.data(bytes));
  return sink.output.write(bytes);
}

Status write_content(const manifest::Entry& entry, StreamBlobs& blobs, Sink sink, const std::atomic<bool>* stop) {
  while (const std::optional<OpenedBatch> batch = blobs.next()) {
    HF_TRY_DO(stop_status(stop));
    for (const OpenedBatch::Piece& piece : batch->pieces) HF_TRY_DO(write_piece(*batch, piece, sink));
    HF_TRY_DO(batch->end);
  }
  HF_TRY(const Digest digest, sink.verifier.finish());
  if (digest != entry.content_digest || sink.output.written() != entry.size)
    return Error{Errc::Corrupt, "the bytes are not those that were backed up (content digest differs)"};
  return sink.output.finish();
}

Error with_warning(const Error& error, std::uint64_t written, std::uint64_t size) {
  if (written == 0) return {error.code, error.message + "; nothing was written"};
  return {error.code, error.message + "; " + std::to_string(written) + " of " + std::to_string(size) +
                          " bytes were written: the output must not be used"};
}

}  // namespace

Result<StreamReport> restore_stream(Archive& archive, const SnapshotInfo& snapshot, const StreamOptions& options) {
  const std::string doing =
      "restore stream '" + printable(options.name) + "' of snapshot " + snapshot.verified.id.short_hex();
  HF_TRY(const keyring::DomainKeys keys, archive.domain_keys(snapshot));
  manifest::ManifestReader manifest = open_manifest(archive, snapshot, keys);
  HF_TRY(const std::optional<Found> stream, find_stream(manifest, options.name).context(doing));
  if (!stream) return no_such_stream(snapshot, options.name).with_context(doing);
  const manifest::Entry& entry = stream->entry;
  if (options.progress != nullptr) {
    options.progress->total_entries = 1;
    options.progress->total_bytes = entry.size;
  }
  HF_TRY(const std::unique_ptr<Spool> spool, Spool::open(options.spool).context(doing));
  const ExtentSource extents = extents_of(manifest, *stream);
  Result<LastUse> last_use = find_last_uses(extents, options.stop);
  if (!last_use) return with_warning(last_use.error(), 0, entry.size).with_context(doing);
  const chunking::Chunkers chunkers(chunking::make_gear_table(keys.cut));
  chunking::ContentVerifier verifier(chunkers.of(entry.chunk_class), keys.fingerprint);
  StreamOutput output(options.descriptor, options.stop);
  StreamBlobs blobs(archive, snapshot.core(), options.threads, extents, *last_use, *spool);
  const Status written = write_content(entry, blobs, {output, verifier, options.progress}, options.stop);
  if (!written) return with_warning(written.error(), output.written(), entry.size).with_context(doing);
  if (options.progress != nullptr) options.progress->entries = 1;
  return StreamReport{entry.size, blobs.stats().fetched, blobs.stats().fetched_again, spool->peak_file_bytes()};
}

}  // namespace holdfast::restore
