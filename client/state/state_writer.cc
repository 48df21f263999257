#include "client/state/layout.h"

namespace holdfast::state {

struct StateWriter::Impl {
  Impl(fs::FileSystem& file_system, std::string target, const crypto::Key& state_key, const Binding& binding,
       const Nonce& nonce)
      : fs(file_system), path(std::move(target)), temporary(path + ".new"), macs(state_key, binding, nonce) {}
  ~Impl() {
    if (file && !finished) {
      file.reset();
      (void)fs.unlink(temporary);  // the next run replaces what could not be removed
    }
  }

  Status add(const manifest::Entry& entry, const manifest::StatIdentity& stat);
  Status write_block();
  Status finish(const SnapshotId& base);

  fs::FileSystem& fs;
  std::string path, temporary;
  std::unique_ptr<fs::File> file;
  Macs macs;
  Bytes header;
  std::vector<TableItem> table;
  std::vector<Remembered> block;
  std::size_t block_bytes = 0;  // about
  manifest::EntryKey last;
  bool finished = false;
};

Status StateWriter::Impl::add(const manifest::Entry& entry, const manifest::StatIdentity& stat) {
  HF_TRY_DO(manifest::check_entry(entry));
  const manifest::KeyView key = manifest::key_of(entry);
  HF_ASSERT(last.path.empty() || manifest::compare(last.view(), key) == std::strong_ordering::less);
  last = manifest::EntryKey{entry.source, entry.path};
  if (entry.extents.size() > kMaxRememberedExtents) return {};
  block_bytes += manifest::body_bytes(entry, false) + entry.path.size();
  block.push_back({entry, stat});
  if (block_bytes >= kBlockTargetBytes) return write_block();
  return {};
}

Status StateWriter::Impl::write_block() {
  const Bytes body = encode_block(block);
  if (body.size() > kMaxBlockBytes || table.size() >= kMaxBlocks) {
    return Error{Errc::Limit, "more than the local state can hold"};
  }
  TableItem item;
  item.bytes = static_cast<std::uint32_t>(body.size());
  item.mac = macs.block(table.size(), body);
  HF_TRY_DO(file->append(body));
  table.push_back(item);
  block.clear();
  block_bytes = 0;
  return {};
}

Status StateWriter::Impl::finish(const SnapshotId& base) {
  if (!block.empty()) HF_TRY_DO(write_block());
  ByteWriter items;
  for (const TableItem& item : table) items.u32(item.bytes).id(item.mac);
  ByteWriter trailer;
  trailer.id(base).u32(static_cast<std::uint32_t>(table.size()));
  trailer.id(macs.table(header, items.span(), trailer.span()));
  HF_TRY_DO(file->append(items.span()));
  HF_TRY_DO(file->append(trailer.span()));
  HF_TRY_DO(file->sync());
  HF_TRY_DO(fs.rename(temporary, path));
  finished = true;
  return fs.sync_directory(fs::parent(path));
}

StateWriter::StateWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StateWriter::StateWriter(StateWriter&&) noexcept = default;
StateWriter::~StateWriter() = default;

Result<StateWriter> StateWriter::create(fs::FileSystem& fs, const std::string& path, const crypto::Key& state_key,
                                        const Binding& binding, Random& random) {
  Nonce nonce{};
  random.fill(nonce);
  auto impl = std::make_unique<Impl>(fs, path, state_key, binding, nonce);
  const Status removed = fs.unlink(impl->temporary);
  if (!removed && removed.error().code != Errc::NotFound) return Error(removed.error()).with_context("local state");
  HF_TRY(impl->file, fs.create(impl->temporary, 0600).context("local state"));
  ByteWriter header;
  header.raw(kMagic).u16(kVersion).raw(nonce);
  impl->header = header.take();
  HF_TRY_DO(impl->file->append(impl->header).context("local state"));
  return StateWriter(std::move(impl));
}

Status StateWriter::add(const manifest::Entry& entry, const manifest::StatIdentity& stat) {
  return impl_->add(entry, stat).context("write the local state");
}

Status StateWriter::finish(const SnapshotId& base) { return impl_->finish(base).context("write the local state"); }

Status write_receipt(fs::FileSystem& fs, const std::string& path, ByteSpan receipt) {
  return fs::replace_file(fs, path, receipt, 0600).context("keep the receipt");
}

}  // namespace holdfast::state
