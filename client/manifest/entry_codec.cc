#include "client/manifest/entry_codec.h"

#include <algorithm>

namespace holdfast::manifest {
namespace {

// Frozen flags of an entry (FORMAT.md, section 3).
constexpr std::uint8_t kChangedWhileRead = 1;
constexpr std::uint8_t kNewOwner = 2;
constexpr std::uint8_t kHasXattrs = 4;
constexpr std::uint8_t kSpilled = 8;
constexpr std::uint8_t kKnownFlags = 15;

bool same_owner(const Entry& a, const Entry& b) {
  return a.uid == b.uid && a.gid == b.gid && a.owner == b.owner && a.group == b.group;
}
bool needs_owner(const Entry& entry, const Entry* previous) {
  return previous == nullptr || !same_owner(entry, *previous);
}
bool is_device(EntryKind kind) { return kind == EntryKind::CharDevice || kind == EntryKind::BlockDevice; }
bool is_link(EntryKind kind) { return kind == EntryKind::Symlink || kind == EntryKind::Hardlink; }

std::size_t varint_bytes(std::uint64_t v) {
  std::size_t n = 1;
  while (v >= 0x80) {
    v >>= 7;
    ++n;
  }
  return n;
}

std::size_t text_bytes(std::string_view text) { return varint_bytes(text.size()) + text.size(); }

std::size_t shared_bytes(std::string_view a, std::string_view b) {
  return static_cast<std::size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

void write_text(ByteWriter& out, std::string_view text) { out.varint(text.size()).raw(text); }

std::string read_text(ByteReader& in, std::size_t limit) {
  const std::uint64_t n = in.varint();
  if (n > limit) in.fail();
  return std::string(as_text(in.raw(in.ok() ? static_cast<std::size_t>(n) : 0)));
}

std::uint32_t read_u32_varint(ByteReader& in) {
  const std::uint64_t v = in.varint();
  if (v > UINT32_MAX) in.fail();
  return static_cast<std::uint32_t>(v);
}

void encode_owner(ByteWriter& out, const Entry& e) {
  out.varint(e.uid).varint(e.gid);
  write_text(out, e.owner);
  write_text(out, e.group);
}

void decode_owner(ByteReader& in, Entry& e) {
  e.uid = read_u32_varint(in);
  e.gid = read_u32_varint(in);
  e.owner = read_text(in, kMaxNameBytes);
  e.group = read_text(in, kMaxNameBytes);
}

void encode_content(ByteWriter& out, const Entry& e, const std::optional<Spill>& spill, const RefTable& refs) {
  out.varint(e.size).u8(static_cast<std::uint8_t>(e.chunk_class)).id(e.content_digest);
  if (spill) {
    out.varint(spill->count).varint(refs.index_of(spill->root));
    return;
  }
  out.varint(e.extents.size());
  for (const Extent& x : e.extents) encode_extent(out, x, refs);
}

void decode_content(ByteReader& in, bool spilled, RefTable& refs, DecodedEntry& out) {
  Entry& e = out.entry;
  e.size = in.varint();
  e.chunk_class = static_cast<chunking::Class>(in.u8());
  e.content_digest = in.id<Digest>();
  if (spilled) {
    Spill spill;
    spill.count = in.varint();
    const blob::BlobRef* root = refs.use(in.varint());
    if (root == nullptr || spill.count <= 1 || spill.count > kMaxEntryExtents) return in.fail();
    spill.root = *root;
    out.spill = spill;
    return;
  }
  const std::size_t count = in.varint_count(kMinExtentBytes);
  if (count > kMaxEntryExtents) in.fail();
  for (std::size_t i = 0; i < count && in.ok(); ++i) e.extents.push_back(decode_extent(in, refs));
}

void encode_xattrs(ByteWriter& out, const std::vector<Xattr>& xattrs) {
  out.varint(xattrs.size());
  for (const Xattr& x : xattrs) {
    write_text(out, x.name);
    write_text(out, x.value);
  }
}

void decode_xattrs(ByteReader& in, std::vector<Xattr>& xattrs) {
  const std::size_t count = in.varint_count(3);
  if (count == 0) in.fail();  // then the flag would not be set
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    Xattr x;
    x.name = read_text(in, kMaxNameBytes);
    x.value = read_text(in, kMaxXattrBytes);
    xattrs.push_back(std::move(x));
  }
}

std::uint8_t flags_of(const Entry& e, const Entry* previous, bool spilled) {
  std::uint8_t flags = 0;
  if (e.changed_while_read) flags |= kChangedWhileRead;
  if (needs_owner(e, previous)) flags |= kNewOwner;
  if (!e.xattrs.empty()) flags |= kHasXattrs;
  if (spilled) flags |= kSpilled;
  return flags;
}

/// What follows the key. Errors are those of meaning; a short or malformed number fails the reader.
Status decode_fields(ByteReader& in, const Entry* previous, RefTable& refs, DecodedEntry& out) {
  Entry& e = out.entry;
  e.kind = static_cast<EntryKind>(in.u8());
  const std::uint8_t flags = in.u8();
  if (in.ok() && (flags & ~kKnownFlags) != 0) return Error{Errc::TooNew, "unknown flags"};
  if (in.ok() && (e.kind < EntryKind::File || e.kind > EntryKind::Stream))
    return Error{Errc::TooNew, "unknown kind of entry"};
  e.changed_while_read = (flags & kChangedWhileRead) != 0;
  e.mode = read_u32_varint(in);
  e.mtime_ns = in.i64();
  if ((flags & kNewOwner) != 0) {
    decode_owner(in, e);
    if (in.ok() && !needs_owner(e, previous)) return Error{Errc::Corrupt, "an owner that is repeated"};
  } else {
    if (previous == nullptr) return Error{Errc::Corrupt, "the first entry has no owner"};
    e.uid = previous->uid;
    e.gid = previous->gid;
    e.owner = previous->owner;
    e.group = previous->group;
  }
  const bool spilled = (flags & kSpilled) != 0;
  if (spilled && !has_content(e.kind)) return Error{Errc::Corrupt, "an entry without content has extents"};
  if (has_content(e.kind)) decode_content(in, spilled, refs, out);
  if (is_link(e.kind)) e.link_target = read_text(in, kMaxPathBytes);
  if (is_device(e.kind)) e.rdev = in.varint();
  if ((flags & kHasXattrs) != 0) decode_xattrs(in, e.xattrs);
  return {};
}

}  // namespace

std::size_t RefTable::index_of(const blob::BlobRef& ref) const {
  const auto at = std::lower_bound(refs_.begin(), refs_.end(), ref);
  HF_ASSERT(at != refs_.end() && *at == ref);
  return static_cast<std::size_t>(at - refs_.begin());
}

const blob::BlobRef* RefTable::use(std::uint64_t index) {
  if (index >= refs_.size()) return nullptr;
  used_[static_cast<std::size_t>(index)] = true;
  return &refs_[static_cast<std::size_t>(index)];
}

bool RefTable::all_used() const { return std::find(used_.begin(), used_.end(), false) == used_.end(); }

std::strong_ordering compare(const KeyView& a, const KeyView& b) {
  if (const int c = a.source.compare(b.source); c != 0) return c <=> 0;
  return compare_paths(a.path, b.path);
}

void encode_key(ByteWriter& out, const KeyView& key, const KeyView* previous) {
  if (previous == nullptr || previous->source != key.source) {
    HF_ASSERT(!key.source.empty() && key.source.size() <= kMaxSourceBytes);
    out.u8(static_cast<std::uint8_t>(key.source.size())).raw(key.source);
    write_text(out, key.path);
    return;
  }
  const std::size_t shared = shared_bytes(key.path, previous->path);
  out.u8(0).varint(shared);
  write_text(out, key.path.substr(shared));
}

Result<EntryKey> decode_key(ByteReader& in, const KeyView* previous) {
  EntryKey out;
  const std::size_t source_bytes = in.u8();
  if (source_bytes > kMaxSourceBytes) return Error{Errc::Corrupt, "a source name over 128 bytes"};
  if (source_bytes > 0) {
    out.source = std::string(as_text(in.raw(source_bytes)));
    out.path = read_text(in, kMaxPathBytes);
    if (previous != nullptr && out.source == previous->source)
      return Error{Errc::Corrupt, "a source name that is repeated"};
  } else {
    if (previous == nullptr) return Error{Errc::Corrupt, "the first key has no source"};
    const std::uint64_t shared = in.varint();
    if (shared > previous->path.size())
      return Error{Errc::Corrupt, "a key shares more with its predecessor than there is"};
    out.source = std::string(previous->source);
    const std::string_view prefix = previous->path.substr(0, static_cast<std::size_t>(shared));
    const std::string rest = read_text(in, kMaxPathBytes - prefix.size());
    const std::string_view after = previous->path.substr(prefix.size());
    if (!rest.empty() && !after.empty() && rest[0] == after[0])
      return Error{Errc::Corrupt, "a key that is not in its shortest form"};
    out.path = std::string(prefix) + rest;
  }
  if (!in.ok()) return Error{Errc::Corrupt, "a key that is cut short"};
  HF_TRY_DO(check_path(out.path));
  if (previous != nullptr && compare(*previous, out.view()) != std::strong_ordering::less) {
    return Error{Errc::Corrupt, "keys out of order"};
  }
  return out;
}

void encode_extent(ByteWriter& out, const Extent& x, const RefTable& refs) {
  if (x.is_hole()) {
    out.varint(0).varint(x.length);
    return;
  }
  out.varint(refs.index_of(x.blob) + 1).varint(x.offset).varint(x.length);
}

Extent decode_extent(ByteReader& in, RefTable& refs) {
  Extent x;
  const std::uint64_t number = in.varint();
  if (number > 0) {
    const blob::BlobRef* ref = refs.use(number - 1);
    if (ref == nullptr || ref->blob.is_zero()) {  // a zero id would read as a hole
      in.fail();
      return {};
    }
    x.blob = *ref;
    x.offset = read_u32_varint(in);
  }
  x.length = in.varint();
  return x;
}

void encode_entry(ByteWriter& out, const Entry& e, const Entry* previous, const std::optional<Spill>& spill,
                  const RefTable& refs) {
  const KeyView before = previous == nullptr ? KeyView{} : key_of(*previous);
  encode_key(out, key_of(e), previous == nullptr ? nullptr : &before);
  out.u8(static_cast<std::uint8_t>(e.kind)).u8(flags_of(e, previous, spill.has_value()));
  out.varint(e.mode).i64(e.mtime_ns);
  if (needs_owner(e, previous)) encode_owner(out, e);
  if (has_content(e.kind)) encode_content(out, e, spill, refs);
  if (is_link(e.kind)) write_text(out, e.link_target);
  if (is_device(e.kind)) out.varint(e.rdev);
  if (!e.xattrs.empty()) encode_xattrs(out, e.xattrs);
}

Result<DecodedEntry> decode_entry(ByteReader& in, const Entry* previous, RefTable& refs) {
  const KeyView before = previous == nullptr ? KeyView{} : key_of(*previous);
  HF_TRY(EntryKey key, decode_key(in, previous == nullptr ? nullptr : &before));
  DecodedEntry out;
  out.entry.source = std::move(key.source);
  out.entry.path = std::move(key.path);
  HF_TRY_DO(decode_fields(in, previous, refs, out));
  if (!in.ok()) return Error{Errc::Corrupt, "an entry that is cut short or has a malformed number"};
  return out;
}

std::size_t key_bytes(const KeyView& key, const KeyView* previous) {
  if (previous == nullptr || previous->source != key.source) return 1 + key.source.size() + text_bytes(key.path);
  const std::size_t shared = shared_bytes(key.path, previous->path);
  return 1 + varint_bytes(shared) + text_bytes(key.path.substr(shared));
}

std::size_t encoded_bytes(const Entry& e, const Entry* previous, bool spilled) {
  constexpr std::size_t kRefBytes = 2;
  const KeyView before = previous == nullptr ? KeyView{} : key_of(*previous);
  std::size_t n = key_bytes(key_of(e), previous == nullptr ? nullptr : &before);
  n += 2 + varint_bytes(e.mode) + 8;  // kind, flags, mode, mtime
  if (needs_owner(e, previous))
    n += varint_bytes(e.uid) + varint_bytes(e.gid) + text_bytes(e.owner) + text_bytes(e.group);
  if (has_content(e.kind)) {
    n += varint_bytes(e.size) + 1 + Digest::kBytes;
    n += spilled ? varint_bytes(kMaxEntryExtents) + kRefBytes : varint_bytes(e.extents.size());
    for (const Extent& x : e.extents)
      n += (x.is_hole() ? 1 : kRefBytes + varint_bytes(x.offset)) + varint_bytes(x.length);
  }
  if (is_link(e.kind)) n += text_bytes(e.link_target);
  if (is_device(e.kind)) n += varint_bytes(e.rdev);
  if (!e.xattrs.empty()) n += varint_bytes(e.xattrs.size());
  for (const Xattr& x : e.xattrs) n += text_bytes(x.name) + text_bytes(x.value);
  return n;
}

std::size_t body_bytes(const Entry& e, bool spilled) {
  constexpr std::size_t kRefBytes = 3;  // numbers up to blob::kMaxChildren
  std::size_t n = 2 + 3 + 8;            // kind, flags, mode, mtime
  n += 2 * 5 + 4 + e.owner.size() + e.group.size();
  if (has_content(e.kind)) {
    n += varint_bytes(e.size) + 1 + Digest::kBytes + 4;
    if (spilled) {
      n += kRefBytes;
    } else {
      for (const Extent& x : e.extents) n += kRefBytes + varint_bytes(x.offset) + varint_bytes(x.length);
    }
  }
  if (is_link(e.kind)) n += 3 + e.link_target.size();
  if (is_device(e.kind)) n += varint_bytes(e.rdev);
  if (!e.xattrs.empty()) n += 4;
  for (const Xattr& x : e.xattrs) n += 2 + x.name.size() + 3 + x.value.size();
  return n;
}

}  // namespace holdfast::manifest
