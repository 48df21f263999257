#include "client/backup/noted_files.h"

namespace holdfast::backup {

Result<std::optional<Content>> NotedFiles::find(std::string_view source, std::string_view path,
                                                const manifest::StatIdentity& stat) {
  std::optional<Content> content;
  if (notes_ == nullptr) return content;
  HF_TRY(const std::optional<state::Kept> kept, notes_->find(source, path, stat, ask_));
  if (!kept) return content;
  Content made;
  made.bytes = kept->stat.size;
  made.digest = kept->digest;
  made.chunk_class = made.rest.chunk_class = kept->chunk_class;
  for (const auto& [extent, blob_bytes] : kept->extents) {
    // Its bytes are to go into new blobs: the file is read.
    if (!extent.is_hole() && base_ != nullptr && base_->is_retired(extent.blob)) return content;
    made.rest.pieces.push_back({extent.is_hole() ? Piece::Where::Hole : Piece::Where::Known, extent.offset,
                                extent.length, 0, extent.blob, blob_bytes});
  }
  for (const state::KeptChunk& one : kept->chunks) made.rest.chunks.push_back({one.image, one.bytes});
  content = std::move(made);
  return content;
}

}  // namespace holdfast::backup
