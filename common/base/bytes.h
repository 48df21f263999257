#pragma once
// Why: one vocabulary for raw bytes, and one careful pair that writes and reads them in order.
// Promises: ByteReader never reads past its span and never allocates from an unchecked count.
// All integers are little-endian; `varint` is unsigned LEB128, shortest form only.

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace holdfast {

using Bytes = std::vector<std::uint8_t>;
using ByteSpan = std::span<const std::uint8_t>;
using MutableByteSpan = std::span<std::uint8_t>;

inline ByteSpan as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteSpan bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
inline Bytes to_bytes(ByteSpan bytes) { return {bytes.begin(), bytes.end()}; }
inline bool same_bytes(ByteSpan a, ByteSpan b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

std::string to_hex(ByteSpan bytes);                ///< lower case
Result<Bytes> from_hex(std::string_view text);     ///< Errors: Usage
std::string to_base64(ByteSpan bytes);             ///< RFC 4648 §5 (URL-safe), no padding
Result<Bytes> from_base64(std::string_view text);  ///< Errors: Usage
/// Escapes control characters, backslashes and bytes that are not UTF-8, so that a hostile name cannot drive a terminal.
std::string printable(std::string_view name);
bool is_utf8(std::string_view text);

/// Appends in order to a growing buffer. One thread at a time.
class ByteWriter {
 public:
  ByteWriter& u8(std::uint8_t v) {
    out_.push_back(v);
    return *this;
  }
  ByteWriter& u16(std::uint16_t v) { return little(v); }
  ByteWriter& u32(std::uint32_t v) { return little(v); }
  ByteWriter& u64(std::uint64_t v) { return little(v); }
  ByteWriter& i64(std::int64_t v) { return little(static_cast<std::uint64_t>(v)); }
  ByteWriter& varint(std::uint64_t v);
  ByteWriter& raw(ByteSpan v) {
    out_.insert(out_.end(), v.begin(), v.end());
    return *this;
  }
  ByteWriter& raw(std::string_view v) { return raw(as_bytes(v)); }
  /// u32 length, then the bytes.
  ByteWriter& sized(ByteSpan v) {
    u32(static_cast<std::uint32_t>(v.size()));
    return raw(v);
  }
  ByteWriter& sized(std::string_view v) { return sized(as_bytes(v)); }
  template <class Id>
    requires requires(const Id& i) { i.bytes.size(); }
  ByteWriter& id(const Id& v) {
    return raw(ByteSpan(v.bytes));
  }

  std::size_t size() const { return out_.size(); }
  ByteSpan span() const { return out_; }
  Bytes take() { return std::move(out_); }

 private:
  template <class U>
  ByteWriter& little(U v) {
    for (std::size_t i = 0; i < sizeof(U); ++i) out_.push_back(static_cast<std::uint8_t>(v >> (8 * i)));
    return *this;
  }
  Bytes out_;
};

/// Reads untrusted bytes in order. After the first read that does not fit every later read yields zeros and `ok()` is
/// false: check `finish()` (all read, nothing failed) or `ok()` before trusting what came out. The span must outlive it.
class ByteReader {
 public:
  explicit ByteReader(ByteSpan in) : in_(in) {}
  std::uint8_t u8() { return static_cast<std::uint8_t>(little<std::uint8_t>()); }
  std::uint16_t u16() { return little<std::uint16_t>(); }
  std::uint32_t u32() { return little<std::uint32_t>(); }
  std::uint64_t u64() { return little<std::uint64_t>(); }
  std::int64_t i64() { return static_cast<std::int64_t>(little<std::uint64_t>()); }
  std::uint64_t varint();
  ByteSpan raw(std::size_t n);
  /// u32 length ≤ `limit`, then the bytes; a longer length fails the reader.
  ByteSpan sized(std::size_t limit);
  std::string sized_text(std::size_t limit) { return std::string(as_text(sized(limit))); }
  /// A count of items of at least `item_bytes` each; fails when they cannot all be left in the input.
  std::size_t count(std::size_t item_bytes);
  std::size_t varint_count(std::size_t item_bytes);
  template <class Id>
  Id id() {
    Id v{};
    const ByteSpan s = raw(v.bytes.size());
    if (s.size() == v.bytes.size()) std::memcpy(v.bytes.data(), s.data(), s.size());
    return v;
  }
  void fail() { ok_ = false; }
  bool ok() const { return ok_; }
  std::size_t left() const { return in_.size(); }
  /// Errors: Corrupt, naming `what`, when a read failed or bytes are left over.
  Status finish(std::string_view what) const;

 private:
  template <class U>
  U little() {
    const ByteSpan s = raw(sizeof(U));
    U v = 0;
    for (std::size_t i = 0; i < s.size(); ++i) v = static_cast<U>(v | (static_cast<U>(s[i]) << (8 * i)));
    return v;
  }
  ByteSpan in_;
  bool ok_ = true;
};

}  // namespace holdfast
