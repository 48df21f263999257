#include "client/state/layout.h"
#include "client/state/list_file.h"

namespace holdfast::state {
namespace {

/// More than half dead, or as many files as may be: all lists that are still needed go into one new file.
bool worth_copying(const std::vector<ListFile>& files) {
  std::uint64_t chunks = 0, live = 0;
  for (const ListFile& file : files) {
    chunks += file.nonce.is_zero() ? 0 : file.chunks;
    live += file.live;
  }
  return files.size() + 1 >= kMaxListFiles || live < chunks / 2;
}

FileNonce fresh_nonce(Random& random) {
  FileNonce nonce;
  random.fill(nonce.bytes);
  return nonce;
}

}  // namespace

struct StateWriter::Impl {
  Impl(fs::FileSystem& file_system, std::string target, const crypto::Key& state_key, const Binding& bound, Random& r)
      : fs(file_system),
        path(std::move(target)),
        temporary(path + ".new"),
        nonce(fresh_nonce(r)),
        macs(state_key, "state-file", bound, nonce),
        lists(file_system, path, state_key, bound, fresh_nonce(r)) {}
  ~Impl() {
    if (file && !finished) {
      file.reset();
      (void)fs.unlink(temporary);  // the next run replaces what could not be removed
    }
  }

  Status remove_leftovers(const std::vector<ListFile>& needed);
  Status add(const Remembered& remembered);
  Status write_block();
  Status finish(const SnapshotId& base, const dedup::Usage& usage);

  fs::FileSystem& fs;
  std::string path, temporary;
  FileNonce nonce;
  Macs macs;
  ListFileWriter lists;
  bool copies = false;
  std::vector<ListFile> files;  ///< kept ones; the new one is behind them
  std::uint64_t list_start = 0;
  std::optional<dedup::KnownBlock> copied;  ///< the block that lists were last copied from: many small ones share it
  dedup::BlockAddress copied_from;
  std::unique_ptr<fs::File> file;
  std::vector<TableItem> table;
  std::vector<Remembered> block;
  std::size_t block_bytes = 0;  // about
  manifest::EntryKey last;
  bool finished = false;
};

/// Files of lists that `needed` does not name were written by runs that did not end, or replaced by one that did.
Status StateWriter::Impl::remove_leftovers(const std::vector<ListFile>& needed) {
  HF_TRY(const std::vector<fs::DirectoryEntry> names, fs.list(fs::parent(path)));
  for (const fs::DirectoryEntry& one : names) {
    if (!one.name.starts_with(kListFilePrefix)) continue;
    const Result<FileNonce> named = FileNonce::from_hex(one.name.substr(kListFilePrefix.size()));
    bool keep = !named || list_file_name(*named) != one.name;  // not ours, whatever it is
    for (const ListFile& file_of : needed) keep = keep || one.name == list_file_name(file_of.nonce);
    if (!keep) HF_TRY_DO(fs.unlink(fs::join(fs::parent(path), one.name)));
  }
  return {};
}

Status StateWriter::Impl::add(const Remembered& remembered) {
  const manifest::Entry& entry = remembered.entry;
  HF_TRY_DO(manifest::check_entry(entry, remembered.spill.has_value()));
  const manifest::KeyView key = manifest::key_of(entry);
  HF_ASSERT(last.path.empty() || manifest::compare(last.view(), key) == std::strong_ordering::less);
  last = manifest::EntryKey{entry.source, entry.path};
  if (remembered.list.count > 0) {
    HF_ASSERT(remembered.list.file < files.size());
    files[remembered.list.file].live += remembered.list.count;
  }
  block_bytes += manifest::body_bytes(entry, remembered.spill.has_value()) + entry.path.size() +
                 remembered.uses.size() * (blob::kChildBytes + 4) + remembered.segments.size() * BlobId::kBytes;
  block.push_back(remembered);
  if (block_bytes >= kBlockTargetBytes) return write_block();
  return {};
}

Status StateWriter::Impl::write_block() {
  const Bytes body = encode_block(block);
  if (body.size() > kMaxBlockBytes || table.size() >= kMaxBlocks) {
    return Error{Errc::Limit, "more than the local state can hold"};
  }
  table.push_back({static_cast<std::uint32_t>(body.size()), macs.block(table.size(), body)});
  HF_TRY_DO(file->append(body));
  block.clear();
  block_bytes = 0;
  return {};
}

Status StateWriter::Impl::finish(const SnapshotId& base, const dedup::Usage& usage) {
  if (!block.empty()) HF_TRY_DO(write_block());
  files.back().chunks = lists.chunks();
  if (lists.chunks() > 0) {
    HF_TRY_DO(lists.finish());
  } else {
    files.pop_back();
  }
  for (ListFile& one : files) {
    if (one.live == 0) one.nonce = {};
  }
  const Bytes about = encode_about({files, usage});
  const Bytes items = encode_table(table);
  ByteWriter trailer;
  trailer.id(base).u32(static_cast<std::uint32_t>(about.size())).u32(static_cast<std::uint32_t>(table.size()));
  trailer.id(macs.rest({encode_header(kStateMagic, nonce), about, items, trailer.span()}));
  HF_TRY_DO(file->append(about));
  HF_TRY_DO(file->append(items));
  HF_TRY_DO(file->append(trailer.span()));
  HF_TRY_DO(file->sync());
  HF_TRY_DO(fs.sync_directory(fs::parent(path)));  // the lists' name, before the state that needs it
  HF_TRY_DO(fs.rename(temporary, path));
  finished = true;
  HF_TRY_DO(fs.sync_directory(fs::parent(path)));
  return remove_leftovers(files);
}

StateWriter::StateWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StateWriter::StateWriter(StateWriter&&) noexcept = default;
StateWriter::~StateWriter() = default;

Result<StateWriter> StateWriter::create(fs::FileSystem& fs, const std::string& path, const crypto::Key& state_key,
                                        const Binding& binding, std::vector<ListFile> present, bool refers,
                                        Random& random) {
  auto impl = std::make_unique<Impl>(fs, path, state_key, binding, random);
  const Status removed = fs.unlink(impl->temporary);
  if (!removed && removed.error().code != Errc::NotFound) return Error(removed.error()).with_context("local state");
  HF_TRY_DO(impl->remove_leftovers(present).context("local state"));
  impl->copies = refers && worth_copying(present);
  if (refers && !impl->copies) impl->files = std::move(present);
  for (ListFile& one : impl->files) one.live = 0;
  impl->files.push_back({impl->lists.nonce(), 0, 0});
  HF_TRY(impl->file, fs.create(impl->temporary, 0600).context("local state"));
  HF_TRY_DO(impl->file->append(encode_header(kStateMagic, impl->nonce)).context("local state"));
  return StateWriter(std::move(impl));
}

void StateWriter::begin_list() { impl_->list_start = impl_->lists.chunks(); }

Status StateWriter::add_chunk(const dedup::Image& image, std::uint32_t bytes, const dedup::Location& where,
                              chunking::Class chunk_class) {
  return impl_->lists.add(image, bytes, where, dedup::sample_bits(chunk_class)).context("write the local state");
}

dedup::ListRef StateWriter::end_list() {
  const std::uint64_t end = impl_->lists.chunks();
  return {static_cast<std::uint32_t>(impl_->files.size() - 1), impl_->list_start, end - impl_->list_start};
}

bool StateWriter::copies_lists() const { return impl_->copies; }

Result<dedup::ListRef> StateWriter::copy_list(ListReader& from, const dedup::ListRef& list,
                                              chunking::Class chunk_class) {
  begin_list();
  for (std::uint64_t at = list.first; at < list.first + list.count;) {
    const dedup::BlockAddress address{list.file, at / dedup::kBlockChunks};
    std::optional<dedup::KnownBlock>& block = impl_->copied;
    if (!block || impl_->copied_from != address) block = from.load(address);
    impl_->copied_from = address;
    std::size_t index = static_cast<std::size_t>(at % dedup::kBlockChunks);
    if (!block || index >= block->chunks.size()) return dedup::ListRef{};
    for (; index < block->chunks.size() && at < list.first + list.count; ++index, ++at) {
      const dedup::KnownChunk& chunk = block->chunks[index];
      HF_TRY_DO(add_chunk(chunk.image, chunk.bytes, {block->refs[chunk.ref], chunk.offset}, chunk_class));
    }
  }
  return end_list();
}

Status StateWriter::add(const Remembered& remembered) {
  return impl_->add(remembered).context("write the local state");
}

Status StateWriter::finish(const SnapshotId& base, const dedup::Usage& usage) {
  return impl_->finish(base, usage).context("write the local state");
}

Status write_receipt(fs::FileSystem& fs, const std::string& path, ByteSpan receipt) {
  return fs::replace_file(fs, path, receipt, 0600).context("keep the receipt");
}

}  // namespace holdfast::state
