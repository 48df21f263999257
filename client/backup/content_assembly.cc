#include "client/backup/content_assembly.h"

#include <algorithm>

namespace holdfast::backup {

void ContentAssembly::begin() {
  begun_ = true;
  last_.reset();
  few_.clear();
  many_.reset();
  uses_.clear();
  region_uses_.clear();
  region_bytes_ = 0;
  scattered_.clear();
  noted_.reset();
  if (to_.notes != nullptr) noted_.emplace();
  to_.state.begin_list();
}

Status ContentAssembly::add(const Part& part) {
  if (part.first || !begun_) begin();
  class_ = part.chunk_class;
  standing_.clear();
  for (const Piece& piece : part.pieces) {
    manifest::Extent extent;
    extent.length = piece.length;
    extent.offset = piece.offset;
    std::uint32_t blob_bytes = piece.blob_bytes;
    if (piece.where == Piece::Where::Known) extent.blob = piece.known;
    if (piece.where == Piece::Where::Group) {
      const auto [at, fresh] = standing_.try_emplace(piece.group);
      if (fresh) {
        HF_TRY(at->second, to_.resolve(piece.group));
      }
      extent.blob = at->second.ref;
      blob_bytes = at->second.raw_bytes;
    }
    if (blob_bytes != 0) to_.usage.note(extent.blob, blob_bytes, 0);
    note_extent(extent, blob_bytes);
    HF_TRY_DO(add_extent(extent));
  }
  note_chunks(part);
  return add_chunks(part);
}

void ContentAssembly::note_extent(const manifest::Extent& extent, std::uint32_t blob_bytes) {
  if (!noted_) return;
  if (noted_->extents.size() == state::kMaxKeptExtents) {
    noted_.reset();
    return;
  }
  if (blob_bytes == 0 && to_.base_usage != nullptr && !extent.is_hole()) {
    const dedup::Usage::Blob* const known = to_.base_usage->find(extent.blob);
    if (known != nullptr) blob_bytes = known->raw_bytes;
  }
  noted_->extents.push_back({extent, blob_bytes});
}

void ContentAssembly::note_chunks(const Part& part) {
  if (!noted_) return;
  if (noted_->chunks.size() + part.chunks.size() > state::kMaxKeptChunks) {
    noted_.reset();
    return;
  }
  for (const ChunkNote& one : part.chunks) noted_->chunks.push_back({one.image, one.bytes});
}

/// A file that is known by its stat identity. What others make at each reading anew is not worth a note.
void ContentAssembly::note_content(const state::Remembered& remembered) {
  if (!noted_ || remembered.entry.kind != manifest::EntryKind::File || remembered.stat == manifest::StatIdentity{})
    return;
  noted_->source = remembered.entry.source;
  noted_->path = remembered.entry.path;
  noted_->stat = remembered.stat;
  noted_->chunk_class = remembered.entry.chunk_class;
  noted_->digest = remembered.entry.content_digest;
  to_.notes->add(*std::move(noted_));
  noted_.reset();
}

/// Chunks lie one behind the other in the pieces that are not holes.
Status ContentAssembly::add_chunks(const Part& part) {
  auto chunk = part.chunks.begin();
  for (const Piece& piece : part.pieces) {
    if (piece.where == Piece::Where::Hole) continue;
    dedup::Location where{piece.known, piece.offset};
    if (piece.where == Piece::Where::Group) where.blob = standing_.at(piece.group).ref;
    for (std::uint64_t left = piece.length; left > 0; ++chunk) {
      HF_ASSERT(chunk != part.chunks.end() && chunk->bytes <= left);
      HF_TRY_DO(to_.state.add_chunk(chunk->image, chunk->bytes, where, class_));
      where.offset += chunk->bytes;
      left -= chunk->bytes;
    }
  }
  HF_ASSERT(chunk == part.chunks.end());
  return {};
}

Status ContentAssembly::add_extent(const manifest::Extent& extent) {
  if (!extent.is_hole()) use(extent.blob, extent.length);
  const bool goes_on =
      last_ && last_->is_hole() == extent.is_hole() &&
      (extent.is_hole() || (last_->blob == extent.blob && last_->offset + last_->length == extent.offset));
  if (goes_on) {
    last_->length += extent.length;
    return {};
  }
  if (last_) HF_TRY_DO(write_extent(*last_));
  last_ = extent;
  return {};
}

Status ContentAssembly::write_extent(const manifest::Extent& extent) {
  if (many_) return many_->add(extent);
  few_.push_back(extent);
  if (few_.size() <= manifest::kSpillExtents) return {};
  many_.emplace(to_.manifest.begin_extents());
  for (const manifest::Extent& one : few_) HF_TRY_DO(many_->add(one));
  few_.clear();
  return {};
}

void ContentAssembly::use(const blob::BlobRef& ref, std::uint64_t bytes) {
  uses_[ref] += bytes;
  region_uses_[ref] += bytes;
  region_bytes_ += bytes;
  if (region_bytes_ >= to_.limits.region_bytes) end_region();
}

/// More blobs than a region may stand in: those it uses least of are written anew by the next run. A quarter more of them
/// than need be: what they become is a blob of the region too, and the next small change shall not ask for it again.
void ContentAssembly::end_region() {
  const std::size_t most = to_.limits.max_blobs_per_region;
  if (region_uses_.size() > most) {
    std::vector<std::pair<std::uint64_t, blob::BlobRef>> by_use;
    for (const auto& [ref, bytes] : region_uses_) by_use.emplace_back(bytes, ref);
    std::sort(by_use.begin(), by_use.end());
    by_use.resize(by_use.size() - (most - most / 4));
    for (const auto& [bytes, ref] : by_use) scattered_.push_back(ref);
  }
  region_uses_.clear();
  region_bytes_ = 0;
}

void ContentAssembly::account(const blob::BlobRef& ref, std::uint64_t bytes) {
  to_.usage.add(ref, bytes);
  if (to_.base_usage == nullptr) return;
  const dedup::Usage::Blob& counted = *to_.usage.find(ref);
  if (counted.raw_bytes != 0 && to_.usage.committed_ns(counted) != 0) return;
  if (const dedup::Usage::Blob* const known = to_.base_usage->find(ref)) {
    to_.usage.note(ref, known->raw_bytes, to_.base_usage->committed_ns(*known));
  }
}

Status ContentAssembly::finish(state::Remembered& out) {
  HF_ASSERT(begun_);
  begun_ = false;
  if (last_) HF_TRY_DO(write_extent(*last_));
  end_region();
  if (many_) {
    HF_TRY(out.spill, many_->finish());
    out.segments = many_->segments();
    out.uses.assign(uses_.begin(), uses_.end());
    many_.reset();
  } else {
    out.entry.extents = std::move(few_);
    few_.clear();
  }
  for (const auto& [ref, bytes] : uses_) account(ref, bytes);
  for (const blob::BlobRef& ref : scattered_) to_.usage.retire(ref);
  out.list = to_.state.end_list();
  note_content(out);
  return {};
}

Status ContentAssembly::take_over(state::Remembered& known) {
  begun_ = false;
  for (const manifest::Extent& extent : known.entry.extents) {
    if (!extent.is_hole()) account(extent.blob, extent.length);
  }
  for (const auto& [ref, bytes] : known.uses) account(ref, bytes);
  for (const BlobId& segment : known.segments) to_.carry_segment(segment);
  if (!to_.state.copies_lists() || known.list.count == 0) return {};
  if (to_.base_lists == nullptr) {
    known.list = {};
    return {};
  }
  HF_TRY(known.list, to_.state.copy_list(*to_.base_lists, known.list, known.entry.chunk_class));
  return {};
}

}  // namespace holdfast::backup
