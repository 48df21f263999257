#include "server/tenant/upload.h"

#include <algorithm>

namespace holdfast::tenant {
namespace {

bool is_segment(const blob::RecordView& view) { return view.header.type != blob::Type::Data; }

}  // namespace

OpenPack::OpenPack(PackId id, std::uint64_t store_epoch, pack::Kind kind, std::unique_ptr<store::ObjectWriter> object)
    : id_(id),
      store_epoch_(store_epoch),
      object_(std::move(object)),
      writer_(id, store_epoch, kind, [this](ByteSpan bytes) { return object_->append(bytes); }) {}

Status OpenPack::add(ByteSpan record, const blob::RecordView& view, const Digest& digest,
                     const std::vector<std::uint64_t>& tags) {
  HF_TRY_DO(writer_.add(record, view, digest));
  blobs_.insert(view.header.blob);
  tags_.insert(tags_.end(), tags.begin(), tags.end());
  record_bytes_ += record.size();
  child_bytes_ += view.child_bytes.size();
  return {};
}

bool OpenPack::take_duplicate(const BlobId& blob, std::uint64_t tag) {
  if (!blobs_.contains(blob)) return false;
  tags_.push_back(tag);
  return true;
}

bool OpenPack::full() const {
  return writer_.bytes() >= pack::kTargetBytes || writer_.blob_count() >= pack::kMaxBlobs ||
         child_bytes_ >= kMaxFooterChildBytes;
}

Result<ClosedPack> OpenPack::close() {
  HF_TRY(pack::PackWriter::Finished finished, writer_.finish());
  HF_TRY_DO(object_->commit());
  ClosedPack out;
  out.note = {id_, store_epoch_, finished.total_bytes, finished.footer_digest};
  out.footer = std::move(finished.footer);
  out.tags = std::move(tags_);
  out.record_bytes = record_bytes_;
  return out;
}

bool Upload::take_duplicate(const BlobId& blob, std::uint64_t tag) {
  if (const auto held = held_at_.find(blob); held != held_at_.end()) {
    held_[held->second].tags.push_back(tag);
    return true;
  }
  return (data_ && data_->take_duplicate(blob, tag)) || (segments_ && segments_->take_duplicate(blob, tag));
}

Result<std::vector<ClosedPack>> Upload::add(ByteSpan record, const blob::RecordView& view, const Digest& digest,
                                            std::uint64_t tag) {
  std::vector<ClosedPack> closed;
  if (!writing() && held_bytes_ + record.size() <= kSmallIncrementBytes) {
    held_at_.emplace(view.header.blob, held_.size());
    held_.push_back({to_bytes(record), digest, is_segment(view), {tag}});
    held_bytes_ += record.size();
    return closed;
  }
  HF_TRY_DO(spill());
  HF_TRY_DO(add_to_lane(record, view, digest, {tag}));
  std::unique_ptr<OpenPack>& used = lane(is_segment(view));
  if (used->full()) {
    HF_TRY(ClosedPack pack, used->close());
    used.reset();
    closed.push_back(std::move(pack));
  }
  return closed;
}

Result<std::vector<ClosedPack>> Upload::close_all() {
  std::vector<ClosedPack> closed;
  if (!held_.empty()) {
    HF_TRY(ClosedPack pack, close_held());
    closed.push_back(std::move(pack));
  }
  for (std::unique_ptr<OpenPack>* const open : {&data_, &segments_}) {
    if (!*open) continue;
    HF_TRY(ClosedPack pack, (*open)->close());
    open->reset();
    closed.push_back(std::move(pack));
  }
  return closed;
}

Status Upload::add_to_lane(ByteSpan record, const blob::RecordView& view, const Digest& digest,
                           const std::vector<std::uint64_t>& tags) {
  std::unique_ptr<OpenPack>& target = lane(is_segment(view));
  if (!target) {
    HF_TRY(target, new_pack_(is_segment(view) ? pack::Kind::Segments : pack::Kind::Data));
  }
  return target->add(record, view, digest, tags);
}

/// The increment is no longer small: what was held goes to the pack of its kind. At most 1 MiB, so no pack gets full.
Status Upload::spill() {
  for (const Held& held : held_) {
    HF_TRY(const blob::RecordView view, blob::decode_record(held.record));
    HF_TRY_DO(add_to_lane(held.record, view, held.digest, held.tags));
  }
  forget_held();
  return {};
}

Result<ClosedPack> Upload::close_held() {
  const auto segments = std::count_if(held_.begin(), held_.end(), [](const Held& h) { return h.segment; });
  const bool all = segments == static_cast<std::ptrdiff_t>(held_.size());
  const pack::Kind kind = segments == 0 ? pack::Kind::Data : all ? pack::Kind::Segments : pack::Kind::Mixed;
  HF_TRY(const std::unique_ptr<OpenPack> open, new_pack_(kind));
  for (const Held& held : held_) {
    HF_TRY(const blob::RecordView view, blob::decode_record(held.record));
    HF_TRY_DO(open->add(held.record, view, held.digest, held.tags));
  }
  HF_TRY(ClosedPack closed, open->close());
  forget_held();
  return closed;
}

void Upload::forget_held() {
  held_.clear();
  held_at_.clear();
  held_bytes_ = 0;
}

}  // namespace holdfast::tenant
