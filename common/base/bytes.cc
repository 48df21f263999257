#include "common/base/bytes.h"

namespace holdfast {
namespace {

constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '-') return 62;
  if (c == '_') return 63;
  return -1;
}

/// Length of the well-formed UTF-8 sequence at the front (RFC 3629), 0 when there is none.
std::size_t utf8_length(std::string_view s) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  std::size_t n = 0;
  std::uint32_t code = 0, least = 0;
  if (first >= 0xC2 && first <= 0xDF) {
    n = 2;
    code = first & 0x1Fu;
    least = 0x80;
  } else if ((first & 0xF0) == 0xE0) {
    n = 3;
    code = first & 0x0Fu;
    least = 0x800;
  } else if (first >= 0xF0 && first <= 0xF4) {
    n = 4;
    code = first & 0x07u;
    least = 0x10000;
  } else
    return 0;
  if (s.size() < n) return 0;
  for (std::size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
    code = (code << 6) | (byte(i) & 0x3Fu);
  }
  if (code < least || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return 0;
  return n;
}

/// Characters that a terminal does not show as themselves: C0 and C1 controls, and those that reorder or break lines
/// (U+200E/F, U+2028…U+202E, U+2066…U+2069), with which a name can pretend to be another one.
bool is_hostile(std::string_view character) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(character[i]); };
  if (character.size() == 1) return byte(0) < 0x20 || byte(0) == 0x7F;
  if (character.size() == 2) return byte(0) == 0xC2 && byte(1) < 0xA0;
  if (character.size() != 3 || byte(0) != 0xE2) return false;
  if (byte(1) == 0x80) return byte(2) == 0x8E || byte(2) == 0x8F || (byte(2) >= 0xA8 && byte(2) <= 0xAE);
  return byte(1) == 0x81 && byte(2) >= 0xA6 && byte(2) <= 0xA9;
}

}  // namespace

std::string to_hex(ByteSpan bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::uint8_t b : bytes) {
    out.push_back(kDigits[b >> 4]);
    out.push_back(kDigits[b & 15]);
  }
  return out;
}

Result<Bytes> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return Error{Errc::Usage, "hex has an even number of digits"};
  Bytes out;
  out.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]), low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return Error{Errc::Usage, "not hexadecimal: '" + printable(text.substr(i, 2)) + "'"};
    out.push_back(static_cast<std::uint8_t>(high * 16 + low));
  }
  return out;
}

std::string to_base64(ByteSpan bytes) {
  std::string out;
  out.reserve((bytes.size() * 4 + 2) / 3);
  std::uint32_t bits = 0;
  int count = 0;
  for (const std::uint8_t b : bytes) {
    bits = (bits << 8) | b;
    count += 8;
    while (count >= 6) {
      count -= 6;
      out.push_back(kBase64[(bits >> count) & 63]);
    }
  }
  if (count > 0) out.push_back(kBase64[(bits << (6 - count)) & 63]);
  return out;
}

Result<Bytes> from_base64(std::string_view text) {
  if (text.size() % 4 == 1) return Error{Errc::Usage, "base64 text has an impossible length"};
  Bytes out;
  out.reserve(text.size() * 3 / 4);
  std::uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const int v = base64_value(c);
    if (v < 0) return Error{Errc::Usage, "not base64: '" + printable(std::string_view(&c, 1)) + "'"};
    bits = (bits << 6) | static_cast<std::uint32_t>(v);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out.push_back(static_cast<std::uint8_t>(bits >> count));
    }
  }
  if ((bits & ((1u << count) - 1)) != 0) return Error{Errc::Usage, "base64 text ends in stray bits"};
  return out;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t n = utf8_length(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
  return true;
}

std::string printable(std::string_view name) {
  std::string out;
  out.reserve(name.size());
  while (!name.empty()) {
    const std::size_t length = utf8_length(name);
    const std::string_view character = name.substr(0, length == 0 ? 1 : length);
    if (length == 0 || is_hostile(character)) {
      for (const char& byte : character) out += "\\x" + to_hex(as_bytes(std::string_view(&byte, 1)));
    } else if (character == "\\") {
      out += "\\\\";
    } else {
      out += character;
    }
    name.remove_prefix(character.size());
  }
  return out;
}

ByteWriter& ByteWriter::varint(std::uint64_t v) {
  while (v >= 0x80) {
    out_.push_back(static_cast<std::uint8_t>(v | 0x80));
    v >>= 7;
  }
  out_.push_back(static_cast<std::uint8_t>(v));
  return *this;
}

std::uint64_t ByteReader::varint() {
  std::uint64_t v = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const std::uint8_t b = u8();
    if (!ok_) return 0;
    const std::uint64_t part = b & 0x7Fu;
    if (shift == 63 && part > 1) break;
    v |= part << shift;
    if ((b & 0x80) == 0) {
      if (b == 0 && shift != 0) break;  // not the shortest form
      return v;
    }
  }
  ok_ = false;
  return 0;
}

ByteSpan ByteReader::raw(std::size_t n) {
  if (!ok_ || n > in_.size()) {
    ok_ = false;
    return {};
  }
  const ByteSpan out = in_.first(n);
  in_ = in_.subspan(n);
  return out;
}

ByteSpan ByteReader::sized(std::size_t limit) {
  const std::uint32_t n = u32();
  if (n > limit) ok_ = false;
  return raw(n);
}

std::size_t ByteReader::count(std::size_t item_bytes) {
  HF_ASSERT(item_bytes > 0);
  const std::uint32_t n = u32();
  if (!ok_ || n > in_.size() / item_bytes) {
    ok_ = false;
    return 0;
  }
  return n;
}

std::size_t ByteReader::varint_count(std::size_t item_bytes) {
  HF_ASSERT(item_bytes > 0);
  const std::uint64_t n = varint();
  if (!ok_ || n > in_.size() / item_bytes) {
    ok_ = false;
    return 0;
  }
  return static_cast<std::size_t>(n);
}

Status ByteReader::finish(std::string_view what) const {
  if (!ok_)
    return Error{Errc::Corrupt, std::string(what) + ": shorter than its own lengths say, or a malformed number"};
  if (!in_.empty())
    return Error{Errc::Corrupt, std::string(what) + ": " + std::to_string(in_.size()) + " bytes too many"};
  return {};
}

}  // namespace holdfast
