#pragma once
// The bytes that the chunking vectors and tests speak of, and cuts and groups over a whole buffer.

#include <string>
#include <vector>

#include "client/chunking/chunker.h"

namespace holdfast::chunking::testing {

/// xorshift64 (13, 7, 17), each state as eight little-endian bytes.
inline Bytes noise(std::size_t bytes, std::uint64_t state = 88172645463325252u) {
  Bytes out(bytes);
  for (std::size_t i = 0; i < bytes; i += 8) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    for (std::size_t j = i; j < bytes && j < i + 8; ++j) out[j] = static_cast<std::uint8_t>(state >> (8 * (j - i)));
  }
  return out;
}

/// Lines as of a dump.
inline Bytes rows(std::size_t count) {
  Bytes out;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string line =
        "INSERT INTO t VALUES (" + std::to_string(i) + ", 'name of " + std::to_string(i * 7919 % 1000) + "');\n";
    out.insert(out.end(), line.begin(), line.end());
  }
  return out;
}

/// first, first + 1, … first + 31
inline crypto::Key counting_key(std::uint8_t first) {
  Bytes bytes(32);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(first + i);
  return crypto::Key{ByteSpan(bytes)};
}

/// `offset`: bytes of the content before `data`.
inline std::vector<std::size_t> cut_all(const Chunker& chunker, ByteSpan data, std::uint64_t offset = 0) {
  std::vector<std::size_t> lengths;
  for (std::size_t at = 0; at < data.size(); at += lengths.back())
    lengths.push_back(chunker.next(data.subspan(at), true, offset + at));
  return lengths;
}

/// Calls `visit` with the end of each group, an offset into `data`, until it answers false.
template <class Visit>
void each_group_end(const Chunker& chunker, const crypto::Key& fingerprint_key, ByteSpan data, const Visit& visit) {
  Grouper grouper;
  std::size_t last = 0;
  for (std::size_t at = 0; at < data.size();) {
    const std::size_t length = chunker.next(data.subspan(at), true, at);
    if (!grouper.fits(length)) {
      if (!visit(last = at)) return;
      grouper.reset();
    }
    const bool ended = grouper.add(fingerprint(fingerprint_key, data.subspan(at, length)), length);
    at += length;
    if (ended && !visit(last = at)) return;
  }
  if (last != data.size()) visit(data.size());
}

inline std::vector<std::size_t> group_ends(const Chunker& chunker, const crypto::Key& fingerprint_key, ByteSpan data) {
  std::vector<std::size_t> ends;
  each_group_end(chunker, fingerprint_key, data, [&](std::size_t end) {
    ends.push_back(end);
    return true;
  });
  return ends;
}

}  // namespace holdfast::chunking::testing
