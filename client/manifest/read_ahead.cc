#include "client/manifest/read_ahead.h"

#include <algorithm>
#include <set>

#include "client/manifest/segment.h"

namespace holdfast::manifest {
namespace {

constexpr std::size_t kPaceGrowth = 4;

bool strictly_ascending(const std::vector<blob::BlobRef>& refs) {
  return std::adjacent_find(refs.begin(), refs.end(), std::greater_equal<>{}) == refs.end();
}

Error corrupt(const blob::BlobRef& ref, const std::string& what) {
  return Error{Errc::Corrupt, "manifest segment " + ref.blob.hex() + ": " + what};
}

}  // namespace

Status SegmentOpener::open_many(const std::vector<blob::BlobRef>& refs, blob::Type type,
                                std::vector<Result<sealing::OpenedBlob>>* out) const {
  std::vector<Result<sealing::OpenedBlob>> opened;
  Status fetched = open_(refs, type, &opened);
  if (!fetched) return std::move(fetched).error().with_context("manifest segment " + refs.front().blob.hex());
  HF_ASSERT(opened.size() == refs.size());
  out->clear();
  for (std::size_t i = 0; i < refs.size(); ++i) out->push_back(check(refs[i], type, std::move(opened[i])));
  return {};
}

Result<sealing::OpenedBlob> SegmentOpener::open(const blob::BlobRef& ref, blob::Type type) const {
  std::vector<Result<sealing::OpenedBlob>> one;
  HF_TRY_DO(open_many({ref}, type, &one));
  return std::move(one.front());
}

Result<sealing::OpenedBlob> SegmentOpener::check(const blob::BlobRef& ref, blob::Type type,
                                                 Result<sealing::OpenedBlob> opened) const {
  if (!opened) return std::move(opened).error().with_context("manifest segment " + ref.blob.hex());
  if (opened->children.size() > blob::kMaxChildren || !strictly_ascending(opened->children))
    return corrupt(ref, "its child list is out of order");
  if (type != blob::Type::Leaf && opened->raw.size() > kSegmentMaxBytes)
    return corrupt(ref, "it is longer than a segment may be");
  if (segment_id(blob_key_, type, opened->children, opened->raw) != ref.blob)
    return corrupt(ref, "its content has another id");
  return opened;
}

std::size_t Pace::take() {
  const std::size_t taken = now;
  now = std::min(now * kPaceGrowth, most);
  return taken;
}

Result<sealing::OpenedBlob> ReadAhead::next() {
  HF_ASSERT(at_ < refs_.size());
  if (at_ == filled_) HF_TRY_DO(fill());
  return opened_.at(refs_[at_++]);
}

Status ReadAhead::fill() {
  opened_.clear();
  std::set<blob::BlobRef> wanted;
  const std::size_t most = pace_.take();
  for (; filled_ < refs_.size() && (wanted.size() < most || wanted.contains(refs_[filled_])); ++filled_)
    wanted.insert(refs_[filled_]);
  const std::vector<blob::BlobRef> refs(wanted.begin(), wanted.end());
  std::vector<Result<sealing::OpenedBlob>> opened;
  HF_TRY_DO(opener_.open_many(refs, type_, &opened));
  for (std::size_t i = 0; i < refs.size(); ++i) opened_.emplace(refs[i], std::move(opened[i]));
  return {};
}

}  // namespace holdfast::manifest
