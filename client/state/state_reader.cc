#include "client/state/layout.h"

namespace holdfast::state {
namespace {

struct Opened {
  std::unique_ptr<fs::File> file;
  std::optional<Macs> macs;
  SnapshotId base;
  std::vector<TableItem> table;
  About about;
};

Result<Opened> open_file(fs::FileSystem& fs, const std::string& path, const crypto::Key& state_key,
                         const Binding& binding) {
  Opened out;
  HF_TRY(out.file, fs.open_read(path));
  HF_TRY(const std::uint64_t size, out.file->size());
  if (size < kHeaderBytes + kStateTrailerBytes) return Error{Errc::Corrupt, "it is cut short"};
  Bytes header(kHeaderBytes), trailer(kStateTrailerBytes);
  HF_TRY_DO(read_exactly(*out.file, 0, header));
  HF_TRY_DO(read_exactly(*out.file, size - kStateTrailerBytes, trailer));
  HF_TRY(const FileNonce nonce, decode_header(header, kStateMagic));

  ByteReader in{ByteSpan(trailer)};
  out.base = in.id<SnapshotId>();
  const std::uint64_t about_bytes = in.u32();
  const std::uint64_t table_bytes = std::uint64_t{in.u32()} * kTableItemBytes;
  const Digest stated = in.id<Digest>();
  const std::uint64_t between = size - kHeaderBytes - kStateTrailerBytes;
  if (table_bytes > kMaxBlocks * kTableItemBytes || about_bytes > kMaxAboutBytes ||
      about_bytes + table_bytes > between) {
    return Error{Errc::Corrupt, "its table does not fit"};
  }
  Bytes rest(static_cast<std::size_t>(about_bytes + table_bytes));
  HF_TRY_DO(read_exactly(*out.file, size - kStateTrailerBytes - rest.size(), rest));
  const ByteSpan about = ByteSpan(rest).first(static_cast<std::size_t>(about_bytes));
  const ByteSpan table = ByteSpan(rest).subspan(about.size());

  out.macs.emplace(state_key, "state-file", binding, nonce);
  const ByteSpan base_and_counts = ByteSpan(trailer).first(kStateTrailerBytes - Digest::kBytes);
  if (out.macs->rest({header, about, table, base_and_counts}) != stated) {
    return Error{Errc::Corrupt, "it is damaged, or of another client, domain or epoch"};
  }
  HF_TRY(out.table, decode_table(table, between - rest.size()));
  HF_TRY(out.about, decode_about(about));
  return out;
}

}  // namespace

struct StateReader::Impl {
  explicit Impl(Opened o) : opened(std::move(o)) {}

  /// Makes `current` the next remembered entry; false at the end.
  bool advance();
  bool next_block();

  Opened opened;
  std::size_t number = 0;               // of the next block
  std::uint64_t offset = kHeaderBytes;  // of the next block
  std::optional<BlockReader> block;
  std::optional<Remembered> current;
  bool damaged = false;
};

bool StateReader::Impl::next_block() {
  while (number < opened.table.size()) {
    const TableItem item = opened.table[number];
    const std::uint64_t at = offset;
    const std::size_t this_number = number++;
    offset += item.bytes;
    Bytes body(item.bytes);
    if (!read_exactly(*opened.file, at, body) || opened.macs->block(this_number, body) != item.mac) {
      damaged = true;
      continue;
    }
    Result<BlockReader> reader = BlockReader::open(std::move(body));
    if (!reader) {
      damaged = true;
      continue;
    }
    block.emplace(*std::move(reader));
    return true;
  }
  return false;
}

bool StateReader::Impl::advance() {
  current.reset();
  for (;;) {
    if (!block && !next_block()) return false;
    Result<std::optional<Remembered>> next = block->next();
    if (next && *next) {
      current = *std::move(*next);
      return true;
    }
    // The MAC was right: a block that does not decode was written by a program with a bug. The rest of it is dropped.
    if (!next) damaged = true;
    block.reset();
  }
}

StateReader::StateReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
StateReader::StateReader(StateReader&&) noexcept = default;
StateReader::~StateReader() = default;

std::optional<StateReader> StateReader::open(fs::FileSystem& fs, const std::string& path, const crypto::Key& state_key,
                                             const Binding& binding, std::string* why) {
  Result<Opened> opened = open_file(fs, path, state_key, binding);
  if (!opened) {
    if (why != nullptr) *why = opened.error().code == Errc::NotFound ? "there is none" : opened.error().message;
    return std::nullopt;
  }
  return StateReader(std::make_unique<Impl>(*std::move(opened)));
}

const SnapshotId& StateReader::base() const { return impl_->opened.base; }
const std::vector<ListFile>& StateReader::list_files() const { return impl_->opened.about.files; }
const dedup::Usage& StateReader::usage() const { return impl_->opened.about.usage; }
bool StateReader::damaged() const { return impl_->damaged; }

std::optional<Remembered> StateReader::find(std::string_view source, std::string_view path) {
  const manifest::KeyView wanted{source, path};
  for (;;) {
    if (!impl_->current && !impl_->advance()) return std::nullopt;
    const auto order = manifest::compare(manifest::key_of(impl_->current->entry), wanted);
    if (order == std::strong_ordering::greater) return std::nullopt;
    std::optional<Remembered> found = std::move(impl_->current);
    impl_->current.reset();
    if (order == std::strong_ordering::equal) return found;
  }
}

}  // namespace holdfast::state
