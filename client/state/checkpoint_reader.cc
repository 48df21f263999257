#include <algorithm>
#include <map>

#include "client/state/checkpoint_block.h"
#include "client/state/layout.h"

namespace holdfast::state {
namespace {

/// Of blocks, so that one question to the server is about many of them.
constexpr std::size_t kReadAheadBytes = 2u << 20;

}  // namespace

/// Some blocks of a file at a time.
struct Checkpoints::File {
  File(std::unique_ptr<fs::File> opened, Macs m) : file(std::move(opened)), macs(std::move(m)) {}

  /// The next contents. False at the end, or where the notes are no longer whole.
  bool load() {
    contents.clear();
    at = 0;
    promised.reset();
    const std::uint64_t start = offset;
    while (!over && offset - start < kReadAheadBytes) over = !load_block();
    return !contents.empty();
  }

  bool load_block() {
    const Result<std::uint64_t> length = file->size();
    Bytes head(kCheckpointHeadBytes);
    if (!length || !read_exactly(*file, offset, head)) return false;
    ByteReader in(head);
    const std::uint32_t size = in.u32();
    const Digest mac = in.id<Digest>();
    if (size > kMaxCheckpointBlock || size > *length - offset) return false;
    Bytes body(size);
    if (!read_exactly(*file, offset + head.size(), body)) return false;
    if (!same_bytes(macs.block(number, body).bytes, mac.bytes)) return false;
    Result<std::vector<Kept>> decoded = decode_kept(body);
    if (!decoded) return false;
    std::move(decoded->begin(), decoded->end(), std::back_inserter(contents));
    ++number;
    offset += head.size() + size;
    return true;
  }

  /// The content at or behind this key; nullptr: none.
  const Kept* seek(const manifest::KeyView& key) {
    do {
      while (at < contents.size() && manifest::compare({contents[at].source, contents[at].path}, key) < 0) ++at;
      if (at < contents.size()) return &contents[at];
    } while (load());
    return nullptr;
  }

  /// About everything from here on that is loaded; once.
  Status ask_for_all(const Ask& ask) {
    if (promised) return {};
    std::map<BlobId, RunId> runs;
    std::vector<BlobId> ids;
    for (std::size_t i = at; i < contents.size(); ++i) {
      for (const KeptExtent& one : contents[i].extents) {
        if (!one.extent.is_hole()) ids.push_back(one.extent.blob.blob);
      }
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    for (std::size_t from = 0; from < ids.size(); from += kMaxAsked) {
      const auto begin = ids.begin() + static_cast<std::ptrdiff_t>(from);
      const std::vector<BlobId> some(begin,
                                     begin + static_cast<std::ptrdiff_t>(std::min(kMaxAsked, ids.size() - from)));
      HF_TRY(const std::vector<std::optional<RunId>> answers, ask(some));
      HF_ASSERT(answers.size() == some.size());
      for (std::size_t i = 0; i < some.size(); ++i) {
        if (answers[i]) runs.try_emplace(some[i], *answers[i]);
      }
    }
    promised = std::move(runs);
    return {};
  }

  /// False: the server does not have all of it.
  bool take_promises(Kept& kept) const {
    for (auto& [extent, blob_bytes] : kept.extents) {
      if (extent.is_hole()) continue;
      const auto found = promised->find(extent.blob.blob);
      if (found == promised->end()) return false;
      extent.blob.run = found->second;
    }
    return true;
  }

  std::unique_ptr<fs::File> file;
  const Macs macs;
  std::uint64_t offset = kHeaderBytes, number = 0;
  std::vector<Kept> contents;
  std::size_t at = 0;
  std::optional<std::map<BlobId, RunId>> promised;  // of the blobs of `contents`; asked for when the first is wanted
  bool over = false;
};

Checkpoints::Checkpoints(fs::FileSystem& fs, const std::string& state_path, const crypto::Key& state_key,
                         const Binding& binding) {
  std::vector<fs::DirectoryEntry> found = list_checkpoints(fs, state_path);
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.size > b.size; });
  for (const fs::DirectoryEntry& one : found) {
    const std::string path = fs::join(fs::parent(state_path), one.name);
    Result<std::unique_ptr<fs::File>> file = fs.open_read(path);
    Bytes header(kHeaderBytes);
    if (file && files_.size() < kMaxCheckpoints - 1 && read_exactly(**file, 0, header)) {  // one more is to come
      const Result<FileNonce> nonce = decode_header(header, kCheckpointMagic);
      if (nonce && checkpoint_path(state_path, *nonce) == path) {
        auto notes = std::make_unique<File>(*std::move(file), Macs(state_key, kCheckpointLabel, binding, *nonce));
        if (notes->load()) {
          files_.push_back(std::move(notes));
          continue;
        }
      }
    }
    (void)fs.unlink(path);
  }
}

Checkpoints::~Checkpoints() = default;

Result<std::optional<Kept>> Checkpoints::find(std::string_view source, std::string_view path,
                                              const manifest::StatIdentity& stat, const Ask& ask) {
  const manifest::KeyView key{source, path};
  for (const std::unique_ptr<File>& file : files_) {
    const Kept* const noted = file->seek(key);
    if (noted == nullptr || noted->source != source || noted->path != path || noted->stat != stat) continue;
    HF_TRY_DO(file->ask_for_all(ask));
    Kept kept = *noted;
    if (file->take_promises(kept)) return std::optional(std::move(kept));
  }
  return std::optional<Kept>();
}

void Checkpoints::remove_all(fs::FileSystem& fs, const std::string& state_path) {
  for (const fs::DirectoryEntry& one : list_checkpoints(fs, state_path))
    (void)fs.unlink(fs::join(fs::parent(state_path), one.name));  // what stays is old, and proves nothing
}

}  // namespace holdfast::state
