#include "client/state/checkpoint_block.h"
#include "client/state/layout.h"

namespace holdfast::state {
namespace {

constexpr std::size_t kTargetBytes = 1u << 20;         ///< of a block
constexpr std::uint64_t kContentPerBlock = 16u << 20;  ///< what is read again after a kill, about
constexpr std::chrono::seconds kLongestWait{10};       ///< for the next block
constexpr std::chrono::seconds kSyncEvery{30};         ///< a power failure costs this much of notes

}  // namespace

struct CheckpointWriter::Impl {
  Impl(fs::FileSystem& file_system, const std::string& state_path, const crypto::Key& state_key, const Binding& binding,
       const Clock& c, const FileNonce& n)
      : fs(file_system),
        path(checkpoint_path(state_path, n)),
        clock(c),
        nonce(n),
        macs(state_key, kCheckpointLabel, binding, n) {
    written = synced = clock.monotonic();
  }

  Status write_block() {
    const Bytes body = encode_kept(pending);
    if (body.size() > kMaxCheckpointBlock) return {};  // bounded by kMaxKeptChunks and kMaxKeptExtents
    ByteWriter head;
    head.u32(static_cast<std::uint32_t>(body.size())).id(macs.block(blocks++, body));
    if (!file) {
      HF_TRY(file, fs.create(path, 0600));
      HF_TRY_DO(file->append(encode_header(kCheckpointMagic, nonce)));
    }
    HF_TRY_DO(file->append(head.span()));
    HF_TRY_DO(file->append(body));
    written = clock.monotonic();
    if (written - synced < kSyncEvery) return {};
    synced = written;
    HF_TRY_DO(file->sync());
    return fs.sync_directory(fs::parent(path));
  }

  /// Without notes the next run reads more: no reason to end this one.
  void give_up(const Error& why) {
    failed = true;
    file.reset();
    if (why.code == Errc::DiskFull) (void)fs.unlink(path);  // the state needs the room
  }

  fs::FileSystem& fs;
  const std::string path;
  const Clock& clock;
  const FileNonce nonce;
  const Macs macs;
  std::unique_ptr<fs::File> file;
  std::uint64_t blocks = 0, pending_content = 0;
  std::size_t pending_bytes = 0;
  std::vector<Kept> pending;
  MonotonicTime written, synced;
  bool failed = false;
};

CheckpointWriter::CheckpointWriter(fs::FileSystem& fs, const std::string& state_path, const crypto::Key& state_key,
                                   const Binding& binding, const Clock& clock, Random& random)
    : impl_(std::make_unique<Impl>(fs, state_path, state_key, binding, clock, random.id<FileNonce>())) {}

CheckpointWriter::~CheckpointWriter() { flush(); }

void CheckpointWriter::add(Kept kept) {
  if (impl_->failed) return;
  HF_ASSERT(kept.stat != manifest::StatIdentity{});
  impl_->pending_content += kept.stat.size;
  impl_->pending_bytes += sizeof(Kept) + kept.path.size() + kept.extents.size() * sizeof(KeptExtent) +
                          kept.chunks.size() * sizeof(KeptChunk);
  impl_->pending.push_back(std::move(kept));
  const bool due = impl_->pending_bytes >= kTargetBytes || impl_->pending_content >= kContentPerBlock ||
                   impl_->clock.monotonic() - impl_->written >= kLongestWait;
  if (due) flush();
}

void CheckpointWriter::flush() {
  if (impl_->failed || impl_->pending.empty()) return;
  if (const Status written = impl_->write_block(); !written) impl_->give_up(written.error());
  impl_->pending.clear();
  impl_->pending_bytes = 0;
  impl_->pending_content = 0;
}

}  // namespace holdfast::state
