#pragma once
// Why: how the stages of a run hand a file's content on. Places are named by group until the groups stand somewhere.

#include <vector>

#include "client/dedup/known.h"

namespace holdfast::backup {

/// A run of a content's bytes: a hole, inside a group of this run that may not stand anywhere yet, or in a known blob.
struct Piece {
  enum class Where : std::uint8_t { Hole, Group, Known };
  Where where = Where::Hole;
  std::uint32_t offset = 0;
  std::uint64_t length = 0;
  std::uint64_t group = 0;  ///< its ordinal
  blob::BlobRef known;
  std::uint32_t blob_bytes = 0;  ///< raw length of a known blob that no snapshot may have counted yet; 0: not known
};

struct ChunkNote {
  dedup::Image image;
  std::uint32_t bytes = 0;
};

/// A stretch of a content: its pieces, and the chunks that lie in those that are not holes. Pieces end with chunks.
struct Part {
  std::vector<Piece> pieces;
  std::vector<ChunkNote> chunks;
  chunking::Class chunk_class = chunking::Class::Files;
  bool first = true;  ///< of its content: what came before belongs to another, or to a reading that was given up
};

/// About the bytes that a part holds on its way.
inline std::size_t cost_of(const Part& part) {
  return part.pieces.size() * sizeof(Piece) + part.chunks.size() * sizeof(ChunkNote);
}

}  // namespace holdfast::backup
