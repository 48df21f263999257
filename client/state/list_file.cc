#include "client/state/list_file.h"

#include <algorithm>

namespace holdfast::state {
namespace {

constexpr std::uint64_t kSamplesNumber = UINT64_MAX;  ///< the sample's MAC is that of a block with this number
constexpr std::size_t kSampleBytes = 12;

std::string path_of(const std::string& state_path, const FileNonce& nonce) {
  return fs::join(fs::parent(state_path), list_file_name(nonce));
}

}  // namespace

std::string list_file_name(const FileNonce& nonce) { return std::string(kListFilePrefix) + nonce.hex(); }

ListFileWriter::ListFileWriter(fs::FileSystem& fs, const std::string& state_path, const crypto::Key& state_key,
                               const Binding& binding, const FileNonce& nonce)
    : fs_(fs), path_(path_of(state_path, nonce)), nonce_(nonce), macs_(state_key, "list-file", binding, nonce) {}

ListFileWriter::~ListFileWriter() {
  if (!file_ || finished_) return;
  file_.reset();
  (void)fs_.unlink(path_);  // the next run removes what could not be removed
}

Status ListFileWriter::add(const dedup::Image& image, std::uint32_t bytes, const dedup::Location& where,
                           unsigned sample_bits) {
  if (!file_) {
    HF_TRY(file_, fs_.create(path_, 0600));
    HF_TRY_DO(file_->append(encode_header(kListsMagic, nonce_)));
  }
  const auto [at, fresh] = refs_.try_emplace(where.blob, static_cast<std::uint32_t>(block_.refs.size()));
  if (fresh) block_.refs.push_back(where.blob);
  block_.chunks.push_back({image, bytes, where.offset, at->second});
  take_sample(dedup::number_of(image), sample_bits);
  ++chunks_;
  if (block_.chunks.size() == dedup::kBlockChunks) return write_block();
  return {};
}

/// When the sample is full, every second of it goes: those with one zero bit more at the top stay.
void ListFileWriter::take_sample(std::uint64_t number, unsigned sample_bits) {
  if (!dedup::is_sampled(number, std::max(sample_bits, more_bits_))) return;
  samples_.emplace_back(number, static_cast<std::uint32_t>(table_.size()));
  while (samples_.size() > kMaxSamples) {
    ++more_bits_;
    std::erase_if(samples_, [&](const auto& one) { return !dedup::is_sampled(one.first, more_bits_); });
  }
}

Status ListFileWriter::write_block() {
  const Bytes body = encode_known(block_);
  if (table_.size() >= kMaxBlocks) return Error{Errc::Limit, "more chunks than the local state can hold"};
  table_.push_back({static_cast<std::uint32_t>(body.size()), macs_.block(table_.size(), body)});
  block_.refs.clear();
  block_.chunks.clear();
  refs_.clear();
  return file_->append(body);
}

Status ListFileWriter::finish() {
  HF_ASSERT(file_ && !finished_);
  if (!block_.chunks.empty()) HF_TRY_DO(write_block());
  std::sort(samples_.begin(), samples_.end());
  ByteWriter samples;
  for (const auto& [number, block] : samples_) samples.u64(number).u32(block);
  const Digest samples_mac = macs_.block(kSamplesNumber, samples.span());
  const Bytes items = encode_table(table_);
  ByteWriter trailer;
  trailer.u64(chunks_).u32(static_cast<std::uint32_t>(samples_.size())).u32(static_cast<std::uint32_t>(table_.size()));
  trailer.id(macs_.rest({encode_header(kListsMagic, nonce_), samples_mac.bytes, items, trailer.span()}));
  HF_TRY_DO(file_->append(samples.span()));
  HF_TRY_DO(file_->append(samples_mac.bytes));
  HF_TRY_DO(file_->append(items));
  HF_TRY_DO(file_->append(trailer.span()));
  HF_TRY_DO(file_->sync());
  finished_ = true;
  return {};
}

Result<ListFileReader> ListFileReader::open(fs::FileSystem& fs, const std::string& state_path,
                                            const crypto::Key& state_key, const Binding& binding,
                                            const FileNonce& nonce) {
  HF_TRY(std::unique_ptr<fs::File> file, fs.open_read(path_of(state_path, nonce)));
  HF_TRY(const std::uint64_t size, file->size());
  if (size < kHeaderBytes + Digest::kBytes + kListsTrailerBytes) return Error{Errc::Corrupt, "it is cut short"};
  Bytes header(kHeaderBytes), trailer(kListsTrailerBytes);
  HF_TRY_DO(read_exactly(*file, 0, header));
  HF_TRY_DO(read_exactly(*file, size - kListsTrailerBytes, trailer));
  HF_TRY(const FileNonce found, decode_header(header, kListsMagic));
  if (found != nonce) return Error{Errc::Corrupt, "it is another file"};

  ByteReader in{ByteSpan(trailer)};
  (void)in.u64();  // chunks: told to whoever lists the file
  const std::uint64_t sample_bytes = std::uint64_t{in.u32()} * kSampleBytes;
  const std::uint64_t table_bytes = std::uint64_t{in.u32()} * kTableItemBytes;
  const Digest stated = in.id<Digest>();
  const std::uint64_t between = size - kHeaderBytes - kListsTrailerBytes;
  if (table_bytes > kMaxBlocks * kTableItemBytes || sample_bytes + Digest::kBytes + table_bytes > between) {
    return Error{Errc::Corrupt, "its table does not fit"};
  }
  Bytes rest(static_cast<std::size_t>(Digest::kBytes + table_bytes));
  HF_TRY_DO(read_exactly(*file, size - kListsTrailerBytes - rest.size(), rest));
  const ByteSpan samples_mac = ByteSpan(rest).first(Digest::kBytes), items = ByteSpan(rest).subspan(Digest::kBytes);
  ListFileReader out(std::move(file), Macs(state_key, "list-file", binding, nonce));
  const ByteSpan counts = ByteSpan(trailer).first(kListsTrailerBytes - Digest::kBytes);
  if (out.macs_.rest({header, samples_mac, items, counts}) != stated) return Error{Errc::Corrupt, "it is damaged"};
  HF_TRY(out.table_, decode_table(items, between - rest.size() - sample_bytes));
  std::uint64_t offset = kHeaderBytes;
  for (const TableItem& item : out.table_) {
    out.offsets_.push_back(offset);
    offset += item.bytes;
  }
  HF_TRY(out.samples_.mac, Digest::from_bytes(samples_mac));
  out.samples_.bytes = static_cast<std::uint32_t>(sample_bytes);
  out.samples_at_ = offset;
  return out;
}

Result<Bytes> ListFileReader::read(std::uint64_t offset, const TableItem& item, std::uint64_t number) const {
  Bytes body(item.bytes);
  HF_TRY_DO(read_exactly(*file_, offset, body));
  if (macs_.block(number, body) != item.mac) return Error{Errc::Corrupt, "a block is damaged"};
  return body;
}

Result<dedup::KnownBlock> ListFileReader::load(std::uint64_t block) const {
  if (block >= table_.size()) return Error{Errc::Corrupt, "there is no such block"};
  HF_TRY(const Bytes body, read(offsets_[block], table_[block], block));
  return decode_known(body);
}

Result<std::vector<std::pair<std::uint64_t, std::uint32_t>>> ListFileReader::samples() const {
  HF_TRY(const Bytes body, read(samples_at_, samples_, kSamplesNumber));
  std::vector<std::pair<std::uint64_t, std::uint32_t>> out;
  out.reserve(body.size() / kSampleBytes);
  ByteReader in{ByteSpan(body)};
  while (in.left() >= kSampleBytes) {
    const std::uint64_t number = in.u64();
    out.emplace_back(number, in.u32());
  }
  return out;
}

}  // namespace holdfast::state
