// How a plan comes into being: entries are written as they come, their extents are sorted twice. First by blob, which says
// where each blob is used first; then by that place, which is the order of fetching and the blobs' numbers.
#include "client/restore/plan_records.h"
#include "client/restore/spill_sorter.h"

namespace holdfast::restore {
namespace {

constexpr std::size_t kFirst = 8, kName = 48, kSequence = 8;
/// Place of the blob's first use ‖ blob ‖ run ‖ place of this use ‖ use. Places are big-endian: records sort as bytes.
constexpr std::size_t kSortBytes = kFirst + kName + kSequence + kUseBytes;

void put_place(Bytes& record, std::size_t at, std::uint64_t place) {
  for (std::size_t i = 0; i < 8; ++i) record[at + i] = static_cast<std::uint8_t>(place >> (8 * (7 - i)));
}

std::uint64_t place_in(ByteSpan record, std::size_t at) {
  std::uint64_t place = 0;
  for (std::size_t i = 0; i < 8; ++i) place = place << 8 | record[at + i];
  return place;
}

}  // namespace

struct PlanBuilder::Impl {
  Impl(const PlanDirectory& where, std::string prefix)
      : directory(where),
        name(std::move(prefix)),
        by_blob(kSortBytes, [this] { return directory.make_nameless(); }),
        by_first_use(kSortBytes, [this] { return directory.make_nameless(); }) {}

  Status begin() {
    for (const char* file : kPlanFileNames) {
      HF_TRY(Descriptor made, directory.make_file(name + file));
      writers.emplace_back(std::move(made));
    }
    return {};
  }

  Status add_use(const blob::BlobRef& ref, const Use& use) {
    Bytes record(kFirst);
    record.insert(record.end(), ref.blob.bytes.begin(), ref.blob.bytes.end());
    record.insert(record.end(), ref.run.bytes.begin(), ref.run.bytes.end());
    record.resize(kFirst + kName + kSequence);
    put_place(record, kFirst + kName, facts.uses++);
    const Bytes encoded = encode_use(use);
    record.insert(record.end(), encoded.begin(), encoded.end());
    return by_blob.add(record);
  }

  Status add_stretch(const Stretch& stretch) {
    ++facts.stretches;
    ByteWriter out;
    out.u64(stretch.offset).u64(stretch.length);
    return writers[kStretches].add(out.span());
  }

  Status add_extents(PlannedEntry& planned) {
    const std::vector<manifest::Extent> extents = std::move(planned.entry.extents);
    planned.entry.extents.clear();
    planned.first_stretch = facts.stretches;
    std::uint64_t offset = 0, hole = 0;
    for (const manifest::Extent& extent : extents) {
      if (extent.is_hole()) {
        HF_TRY_DO(add_stretch({offset, extent.length}));
        ++planned.stretches;
        hole += extent.length;
      } else {
        const std::uint32_t length = static_cast<std::uint32_t>(extent.length);
        HF_TRY_DO(add_use(extent.blob, {planned.number, offset, std::exchange(hole, 0), extent.offset, length}));
        ++planned.uses;
        facts.data_bytes += extent.length;
      }
      offset += extent.length;
    }
    return {};
  }

  Status group_by_blob() {
    Bytes before;
    std::uint64_t first = 0;
    return by_blob.finish([&](ByteSpan record) -> Status {
      const ByteSpan ref = record.subspan(kFirst, kName);
      if (!same_bytes(ref, before)) {
        before = to_bytes(ref);
        first = place_in(record, kFirst + kName);
      }
      Bytes placed = to_bytes(record);
      put_place(placed, 0, first);
      return by_first_use.add(placed);
    });
  }

  Status number_blobs() {
    Bytes before;
    std::uint64_t uses = 0;
    return by_first_use.finish([&](ByteSpan record) -> Status {
      const ByteSpan ref = record.subspan(kFirst, kName);
      if (!same_bytes(ref, before)) {
        before = to_bytes(ref);
        ++facts.blobs;
        ByteWriter out;
        out.raw(ref).u64(uses);
        HF_TRY_DO(writers[kBlobs].add(out.span()));
      }
      ++uses;
      return writers[kUses].add(record.last(kUseBytes));
    });
  }

  /// The head comes last: a plan without one is none.
  Result<Plan> finish(const crypto::Key& key, const Digest& binding) {
    HF_TRY_DO(group_by_blob());
    HF_TRY_DO(number_blobs());
    PlanHead head;
    std::array<Descriptor, kPlanFiles> files;
    for (std::size_t i = 0; i < kPlanFiles; ++i) {
      HF_TRY(files[i], writers[i].finish());
      head.digests[i] = writers[i].digest();
    }
    HF_TRY(Descriptor states, directory.make_file(name + "states"));
    HF_TRY(Descriptor written, directory.make_file(name + "written"));
    const std::uint64_t bits = (facts.blobs + 7) / 8;
    if (::ftruncate(states.get(), static_cast<off_t>(facts.entries * kStateBytes)) != 0 ||
        ::ftruncate(written.get(), static_cast<off_t>(bits)) != 0)
      return errno_error(errno, "make the restore's plan");
    head.facts = facts;
    HF_TRY(const Descriptor head_file, directory.make_file(name + "head.new"));
    HF_TRY_DO(write_at(head_file.get(), encode_head(head, binding, key), 0));
    HF_TRY_DO(directory.rename(name + "head.new", name + "head"));
    Plan plan(facts, {std::move(files[kEntries]), std::move(files[kIndex]), std::move(files[kUses]),
                      std::move(files[kBlobs]), std::move(files[kStretches]), std::move(states), std::move(written)});
    plan.written_.resize(static_cast<std::size_t>(bits));
    return plan;
  }

  const PlanDirectory& directory;
  const std::string name;
  SpillSorter by_blob, by_first_use;
  std::vector<SpillWriter> writers;
  PlanFacts facts;
};

PlanBuilder::PlanBuilder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PlanBuilder::~PlanBuilder() = default;

Result<std::unique_ptr<PlanBuilder>> PlanBuilder::begin(const PlanDirectory& directory, const std::string& name) {
  auto impl = std::make_unique<Impl>(directory, name);
  HF_TRY_DO(impl->begin());
  return std::unique_ptr<PlanBuilder>(new PlanBuilder(std::move(impl)));
}

Status PlanBuilder::add(manifest::Entry entry) {
  PlannedEntry planned;
  planned.number = impl_->facts.entries++;
  planned.entry = std::move(entry);
  HF_TRY_DO(impl_->add_extents(planned));
  const Bytes record = encode_planned(planned);
  ByteWriter place, out;
  place.u64(impl_->writers[kEntries].bytes());
  out.u32(static_cast<std::uint32_t>(record.size())).raw(ByteSpan(record));
  HF_TRY_DO(impl_->writers[kIndex].add(place.span()));
  return impl_->writers[kEntries].add(out.span());
}

Result<Plan> PlanBuilder::finish(PlanFacts facts, const crypto::Key& key, const Digest& binding) {
  const PlanFacts& counted = impl_->facts;
  facts.entries = counted.entries;
  facts.uses = counted.uses;
  facts.stretches = counted.stretches;
  facts.data_bytes = counted.data_bytes;
  impl_->facts = std::move(facts);
  return impl_->finish(key, binding);
}

}  // namespace holdfast::restore
