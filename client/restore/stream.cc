#include "client/restore/stream.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <set>

#include "client/chunking/splitter.h"

namespace holdfast::restore {
namespace {

constexpr std::size_t kWindowBlobs = 32;       // fetched with one request; ≈ 32 MiB opened, 4 MiB each at most
constexpr std::size_t kKeptBytes = 96u << 20;  // opened blobs that later extents may want again
constexpr std::size_t kAtomicBytes = 4096;     // PIPE_BUF: a pipe that is ready takes these without blocking
constexpr std::size_t kFileBytes = 1u << 20;   // a write to anything else
constexpr int kLookMs = 100;                   // how late a stop may be seen while the reader is slow
constexpr std::array<std::uint8_t, 65536> kZeros{};

Error stopped() { return {Errc::Canceled, "stopped by a signal"}; }

/// Writes to a descriptor whose reader may be slow or gone. One thread at a time.
class Output {
 public:
  Output(int fd, const std::atomic<bool>* stop) : fd_(fd), stop_(stop) {
    struct stat facts{};
    if (::fstat(fd, &facts) != 0) return;
    is_file_ = S_ISREG(facts.st_mode);
    piece_bytes_ = S_ISFIFO(facts.st_mode) || S_ISSOCK(facts.st_mode) ? kAtomicBytes : kFileBytes;
  }

  Status write(ByteSpan bytes) {
    while (!bytes.empty()) {
      HF_TRY_DO(wait());
      const ssize_t n = ::write(fd_, bytes.data(), std::min(bytes.size(), piece_bytes_));
      if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (n < 0 && errno == EPIPE) return Error{Errc::Io, "the program that reads the output has ended"};
      if (n < 0) return errno_error(errno, "write the output");
      written_ += static_cast<std::uint64_t>(n);
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
    return {};
  }

  Status write_zeros(std::uint64_t count) {
    while (count > 0) {
      const std::size_t now = static_cast<std::size_t>(std::min<std::uint64_t>(count, kZeros.size()));
      HF_TRY_DO(write(ByteSpan(kZeros).first(now)));
      count -= now;
    }
    return {};
  }

  /// What a file system only says when the bytes go to the disk must not be lost.
  Status finish() {
    if (is_file_ && ::fsync(fd_) != 0 && errno != EINVAL && errno != EROFS)
      return errno_error(errno, "write the output");
    return {};
  }

  std::uint64_t written() const { return written_; }

 private:
  Status wait() const {
    for (;;) {
      if (stop_ != nullptr && *stop_) return stopped();
      if (is_file_) return {};
      pollfd one{fd_, POLLOUT, 0};
      const int ready = ::poll(&one, 1, kLookMs);
      if (ready > 0) return {};  // an error, too: the write says which
      if (ready < 0 && errno != EINTR) return errno_error(errno, "wait for the reader of the output");
    }
  }

  const int fd_;
  const std::atomic<bool>* const stop_;
  bool is_file_ = false;
  std::size_t piece_bytes_ = kAtomicBytes;
  std::uint64_t written_ = 0;
};

/// Opened blobs, a window at a time: those that the next extents need, and of the others as many as may stay.
class BlobWindow {
 public:
  BlobWindow(Archive& archive, const snapshot::Core& core, std::size_t threads)
      : archive_(archive), core_(core), threads_(threads) {}

  /// Makes the blobs of extents[from …] ready, and returns how far they go (at least one extent).
  Result<std::size_t> fill(const std::vector<manifest::Extent>& extents, std::size_t from) {
    std::set<blob::BlobRef> needed;
    std::vector<blob::BlobRef> missing;
    std::size_t to = from;
    for (; to < extents.size() && needed.size() < kWindowBlobs; ++to) {
      const manifest::Extent& one = extents[to];
      if (one.is_hole() || !needed.insert(one.blob).second || kept_.contains(one.blob)) continue;
      missing.push_back(one.blob);
    }
    forget_but(needed);
    std::vector<Result<sealing::OpenedBlob>> opened;
    if (!missing.empty()) HF_TRY_DO(archive_.open_many(core_, missing, threads_, &opened));
    fetched_ += missing.size();
    for (std::size_t i = 0; i < missing.size(); ++i) {
      if (!opened[i]) return std::move(opened[i]).error();
      kept_bytes_ += opened[i]->raw.size();
      kept_.emplace(missing[i], std::move(opened[i]->raw));
    }
    return to;
  }

  Result<ByteSpan> bytes_of(const manifest::Extent& extent) const {
    const ByteSpan raw(kept_.at(extent.blob));
    if (extent.offset > raw.size() || extent.length > raw.size() - extent.offset)
      return Error{Errc::Corrupt, "an extent reaches beyond blob " + extent.blob.blob.short_hex()};
    return raw.subspan(extent.offset, static_cast<std::size_t>(extent.length));
  }

  std::uint64_t fetched() const { return fetched_; }

 private:
  void forget_but(const std::set<blob::BlobRef>& needed) {
    for (auto at = kept_.begin(); at != kept_.end() && kept_bytes_ > kKeptBytes;) {
      if (needed.contains(at->first)) {
        ++at;
        continue;
      }
      kept_bytes_ -= at->second.size();
      at = kept_.erase(at);
    }
  }

  Archive& archive_;
  const snapshot::Core& core_;
  const std::size_t threads_;
  std::map<blob::BlobRef, Bytes> kept_;
  std::size_t kept_bytes_ = 0;
  std::uint64_t fetched_ = 0;
};

Result<std::optional<manifest::Entry>> find_stream(manifest::ManifestReader& manifest, const std::string& name) {
  std::optional<manifest::Entry> found;
  if (name.empty() || !manifest::check_path("/" + name)) return found;  // no stream can have such a name
  HF_TRY_DO(manifest.visit_below("/" + name, [&](manifest::Entry entry) -> Status {
    if (entry.kind != manifest::EntryKind::Stream || entry.source != name || entry.path != "/" + name) return {};
    found = std::move(entry);
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

Status write_content(const manifest::Entry& entry, BlobWindow& window, Output& output,
                     chunking::ContentVerifier& verifier, Progress* progress) {
  std::size_t ready = 0;
  for (std::size_t i = 0; i < entry.extents.size(); ++i) {
    const manifest::Extent& extent = entry.extents[i];
    if (i == ready) {
      HF_TRY(ready, window.fill(entry.extents, i));
    }
    if (extent.is_hole()) {
      HF_TRY_DO(verifier.hole(extent.length));
      HF_TRY_DO(output.write_zeros(extent.length));
    } else {
      HF_TRY(const ByteSpan bytes, window.bytes_of(extent));
      HF_TRY_DO(verifier.data(bytes));
      HF_TRY_DO(output.write(bytes));
    }
    if (progress != nullptr) progress->bytes += extent.length;
  }
  HF_TRY(const Digest digest, verifier.finish());
  if (digest != entry.content_digest || output.written() != entry.size)
    return Error{Errc::Corrupt, "the bytes are not those that were backed up (content digest differs)"};
  return output.finish();
}

}  // namespace

Result<StreamReport> restore_stream(Archive& archive, const SnapshotInfo& snapshot, const StreamOptions& options) {
  const std::string doing =
      "restore stream '" + printable(options.name) + "' of snapshot " + snapshot.verified.id.short_hex();
  HF_TRY(const keyring::DomainKeys keys, archive.domain_keys(snapshot));
  manifest::ManifestReader manifest = open_manifest(archive, snapshot, keys);
  HF_TRY(const std::optional<manifest::Entry> entry, find_stream(manifest, options.name).context(doing));
  if (!entry) return no_such_stream(snapshot, options.name).with_context(doing);
  if (options.progress != nullptr) {
    options.progress->total_entries = 1;
    options.progress->total_bytes = entry->size;
  }
  const chunking::Chunkers chunkers(chunking::make_gear_table(keys.cut));
  chunking::ContentVerifier verifier(chunkers.of(entry->chunk_class), keys.fingerprint);
  BlobWindow window(archive, snapshot.core(), options.threads);
  Output output(options.descriptor, options.stop);
  const Status written = write_content(*entry, window, output, verifier, options.progress);
  if (!written) {
    const std::uint64_t out = output.written();
    const std::string warning = out == 0 ? "; nothing was written"
                                         : "; " + std::to_string(out) + " of " + std::to_string(entry->size) +
                                               " bytes were written: the output must not be used";
    return Error{written.error().code, written.error().message + warning}.with_context(doing);
  }
  if (options.progress != nullptr) options.progress->entries = 1;
  return StreamReport{entry->size, window.fetched()};
}

}  // namespace holdfast::restore
