#include "client/backup/stream_source.h"

#include <unistd.h>

#include "client/sources/attributes.h"

namespace holdfast::backup {
namespace {

/// Counts what is read: a dump may take hours, and whoever watches wants to see it move.
class Counted final : public sources::FileContent {
 public:
  Counted(std::unique_ptr<sources::FileContent> inner, std::atomic<std::uint64_t>& bytes)
      : inner_(std::move(inner)), bytes_(bytes) {}
  Result<Piece> read(MutableByteSpan out) override {
    HF_TRY(const Piece piece, inner_->read(out));
    bytes_ += piece.bytes;
    return piece;
  }
  Result<bool> changed() override { return inner_->changed(); }

 private:
  const std::unique_ptr<sources::FileContent> inner_;
  std::atomic<std::uint64_t>& bytes_;
};

}  // namespace

Result<OpenStream> open_stream(const sources::CommandOptions& options, const Clock& clock,
                               const std::atomic<bool>* stop, std::atomic<std::uint64_t>* bytes) {
  OpenStream stream;
  manifest::Entry& entry = stream.entry;
  entry.source = options.name;
  entry.path = "/" + options.name;
  entry.kind = manifest::EntryKind::Stream;
  entry.mode = 0600;
  entry.uid = ::geteuid();
  entry.gid = ::getegid();
  sources::OwnerNames names;
  entry.owner = names.user(entry.uid);
  entry.group = names.group(entry.gid);
  entry.mtime_ns = to_ns(clock.wall());
  HF_TRY(stream.content, sources::CommandContent::start(options, stop));
  if (bytes != nullptr) stream.content = std::make_unique<Counted>(std::move(stream.content), *bytes);
  return stream;
}

}  // namespace holdfast::backup
