#pragma once
// Random entries, and a store of segments in memory that counts what is opened and lets itself be tampered with.

#include <algorithm>
#include <map>

#include "client/manifest/manifest.h"
#include "client/manifest/segment.h"
#include "tests/support/seeded_random.h"

namespace holdfast::manifest::testing {

template <class IdType>
IdType filled(std::uint8_t byte) {
  IdType id;
  id.bytes.fill(byte);
  return id;
}
inline crypto::Key key_of(std::uint8_t byte) { return crypto::Key(ByteSpan(filled<Digest>(byte).bytes)); }
inline const crypto::Key& blob_key() {
  static const crypto::Key key = key_of(0x42);
  return key;
}
inline blob::BlobRef data_ref(std::uint64_t number, std::uint8_t run = 0x11) {
  blob::BlobRef ref{filled<BlobId>(0xb0), filled<RunId>(run)};
  for (int i = 0; i < 8; ++i)
    ref.blob.bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(number >> (56 - 8 * i));
  return ref;
}

inline Entry file_entry(std::string path, std::uint64_t size = 0, std::uint64_t blob_number = 1) {
  Entry e;
  e.source = "www";
  e.path = std::move(path);
  e.mode = 0644;
  e.uid = e.gid = 33;
  e.owner = e.group = "www-data";
  e.mtime_ns = 1'767'225'600'000'000'000;
  e.size = size;
  e.content_digest = filled<Digest>(0xd1);
  if (size > 0) e.extents = {{data_ref(blob_number), 0, size}};
  return e;
}

/// A file of `count` extents of one byte to 4 KiB, holes among them.
inline void give_extents(Entry& e, std::size_t count, support::SeededRandom& random) {
  e.extents.clear();
  e.size = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Extent x;
    x.length = 1 + random.below(4096);
    if (random.below(10) != 0) {
      x.blob = data_ref(random.below(1 + count / 3));
      x.offset = static_cast<std::uint32_t>(random.below(blob::kMaxRawBytes - 4096));
    }
    e.size += x.length;
    e.extents.push_back(x);
  }
}

inline std::string random_path(support::SeededRandom& random) {
  static constexpr std::string_view kBytes("ab-.\x01\xff/0", 8);
  std::string path;
  do {
    path.clear();
    const std::size_t parts = 1 + random.below(4);
    for (std::size_t i = 0; i < parts; ++i) {
      path += '/';
      const std::size_t n = 1 + random.below(5);
      for (std::size_t j = 0; j < n; ++j) path += kBytes[random.below(kBytes.size())];
    }
  } while (!check_path(path));
  return path;
}

inline Entry random_entry(support::SeededRandom& random) {
  Entry e;
  e.source = std::string(1, static_cast<char>('a' + random.below(3)));
  e.path = random_path(random);
  e.kind = static_cast<EntryKind>(1 + random.below(9));
  e.mode = static_cast<std::uint32_t>(random.below(07777 + 1));
  e.uid = static_cast<std::uint32_t>(random.below(3));
  e.owner = e.uid == 0 ? "root" : "";
  e.mtime_ns = static_cast<std::int64_t>(random.below(1u << 30)) - (1 << 29);
  if (has_content(e.kind)) {
    e.content_digest = random.id<Digest>();
    e.changed_while_read = random.below(4) == 0;
    const std::size_t most = random.below(30) == 0 ? 3000 : 5;
    give_extents(e, random.below(most + 1), random);
  }
  if (e.kind == EntryKind::Symlink) e.link_target = "../" + e.path;
  if (e.kind == EntryKind::Hardlink) e.link_target = random_path(random);
  if (e.kind == EntryKind::CharDevice || e.kind == EntryKind::BlockDevice) e.rdev = random.below(1u << 20);
  if (random.below(8) == 0) e.xattrs = {{"user.a", std::string(random.below(300), 'v')}, {"user.b", ""}};
  return e;
}

inline bool key_less(const Entry& a, const Entry& b) { return compare_keys(a, b) == std::strong_ordering::less; }

inline void sort_unique(std::vector<Entry>& entries) {
  std::sort(entries.begin(), entries.end(), key_less);
  entries.erase(
      std::unique(entries.begin(), entries.end(),
                  [](const Entry& a, const Entry& b) { return compare_keys(a, b) == std::strong_ordering::equal; }),
      entries.end());
}

inline std::vector<Entry> random_entries(support::SeededRandom& random, std::size_t count) {
  std::vector<Entry> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(random_entry(random));
  sort_unique(out);
  return out;
}

/// Paths so long that few entries already make a tree of several levels.
inline std::vector<Entry> tall_entries(std::size_t count, std::size_t path_bytes = 3000) {
  std::vector<Entry> out;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string number = std::to_string(1'000'000 + i);
    out.push_back(
        file_entry("/" + number + "/" + std::string(path_bytes, static_cast<char>('a' + i % 26)), 1 + i % 4096, i));
  }
  return out;
}

/// A sink that is told of each segment by itself.
inline SegmentSink one_by_one(std::function<Result<blob::BlobRef>(Segment)> store) {
  return [store = std::move(store)](std::vector<Segment> segments) -> Result<std::vector<blob::BlobRef>> {
    std::vector<blob::BlobRef> refs;
    for (Segment& segment : segments) {
      HF_TRY(const blob::BlobRef ref, store(std::move(segment)));
      refs.push_back(ref);
    }
    return refs;
  };
}

class SegmentStore {
 public:
  explicit SegmentStore(std::uint8_t run = 0x11) : run_(filled<RunId>(run)) {}

  SegmentSink sink() {
    return one_by_one([this](Segment segment) { return Result<blob::BlobRef>(keep(std::move(segment))); });
  }
  BlobOpener opener() {
    return [this](const blob::BlobRef& ref, blob::Type type) -> Result<sealing::OpenedBlob> {
      const auto found = segments.find(ref);
      if (found == segments.end()) return Error{Errc::NotFound, "no such segment"};
      if (found->second.type != type) return Error{Errc::Corrupt, "of another type"};
      opened.push_back(ref);
      return sealing::OpenedBlob{found->second.plaintext,
                                 {static_cast<std::uint32_t>(found->second.plaintext.size())},
                                 found->second.children};
    };
  }
  blob::BlobRef put(blob::Type type, std::vector<blob::BlobRef> children, Bytes plaintext) {
    Segment segment{type, segment_id(blob_key(), type, children, plaintext), std::move(children), std::move(plaintext)};
    return keep(std::move(segment));
  }

  std::map<blob::BlobRef, Segment> segments;
  std::vector<blob::BlobRef> order;  ///< as they were stored
  std::vector<blob::BlobRef> opened;

 private:
  blob::BlobRef keep(Segment segment) {
    const blob::BlobRef ref{segment.id, run_};
    order.push_back(ref);
    segments[ref] = std::move(segment);
    return ref;
  }
  RunId run_;
};

inline Result<ManifestWriter::Finished> write_tree(SegmentStore& store, const std::vector<Entry>& entries) {
  ManifestWriter writer(blob_key(), store.sink());
  for (const Entry& e : entries) HF_TRY_DO(writer.add(e));
  return writer.finish();
}

inline Result<std::vector<Entry>> read_tree(SegmentStore& store, const blob::BlobRef& root) {
  ManifestReader reader(blob_key(), root, store.opener());
  std::vector<Entry> out;
  HF_TRY_DO(reader.visit_all([&](Entry e) -> Status {
    out.push_back(std::move(e));
    return {};
  }));
  return out;
}

inline Result<std::vector<Entry>> read_below(SegmentStore& store, const blob::BlobRef& root, std::string_view path) {
  ManifestReader reader(blob_key(), root, store.opener());
  std::vector<Entry> out;
  HF_TRY_DO(reader.visit_below(path, [&](Entry e) -> Status {
    out.push_back(std::move(e));
    return {};
  }));
  return out;
}

}  // namespace holdfast::manifest::testing
