#include "server/collect/copies.h"

namespace holdfast::collect {
namespace {

constexpr std::uint64_t kShareOfFloorKept = 8;

}  // namespace

bool has_room_for_copies(const tenant::Parts& parts, std::uint64_t bytes) {
  const Result<std::uint64_t> available = parts.store->available_bytes();
  return available && *available >= parts.env.floor_bytes / kShareOfFloorKept + bytes;
}

Copies::~Copies() {
  data_.reset();
  segments_.reset();
  for (const PackId& id : ids_) {
    if (!offered_) (void)parts_.store->remove(pack::object_name(id, parts_.epoch.counter));
    parts_.in_flight.remove(id);
  }
}

Status Copies::add(const Bytes& record, const pack::Entry& entry) {
  HF_TRY(const blob::RecordView view, blob::decode_record(record));
  const bool segment = entry.type != blob::Type::Data;
  std::unique_ptr<tenant::OpenPack>& open = segment ? segments_ : data_;
  if (!open) {
    HF_TRY(open, begin(segment ? pack::Kind::Segments : pack::Kind::Data));
  }
  HF_TRY_DO(open->add(record, view, entry.record_digest, {}));
  return open->full() ? close(open) : Status{};
}

Status Copies::finish() {
  if (data_) HF_TRY_DO(close(data_));
  if (segments_) HF_TRY_DO(close(segments_));
  return {};
}

Result<std::unique_ptr<tenant::OpenPack>> Copies::begin(pack::Kind kind) {
  const PackId id = parts_.env.random.id<PackId>();
  parts_.in_flight.add(id);
  ids_.push_back(id);
  HF_TRY(std::unique_ptr<store::ObjectWriter> object,
         parts_.store->create(pack::object_name(id, parts_.epoch.counter)));
  return std::make_unique<tenant::OpenPack>(id, parts_.epoch.counter, kind, std::move(object));
}

Status Copies::close(std::unique_ptr<tenant::OpenPack>& open) {
  HF_TRY(tenant::ClosedPack closed, open->close());
  open.reset();
  notes.push_back(closed.note);
  footers.push_back(std::move(closed.footer));
  return {};
}

}  // namespace holdfast::collect
