#include "server/collect/rewrite.h"

#include <algorithm>

#include "common/base/log.h"
#include "server/collect/copies.h"

namespace holdfast::collect {
namespace {

struct LiveRecord {
  Bytes bytes;
  const pack::Entry* entry;
};

/// Neighbours, with what is dead between them where that is little, so that each run is one read. What is read of the
/// pack is never more than its plan has counted.
std::vector<std::vector<const pack::Entry*>> live_runs(const Survey& survey, const pack::Footer& footer) {
  std::vector<std::vector<const pack::Entry*>> runs;
  std::uint64_t end = 0;
  for (const pack::Entry& entry : footer.entries) {
    if (!survey.is_live(entry)) continue;
    if (runs.empty() || entry.offset - end > kReadThroughBytes) runs.emplace_back();
    runs.back().push_back(&entry);
    end = entry.offset + entry.length;
  }
  return runs;
}

struct LiveRecords {
  std::vector<LiveRecord> whole;
  std::vector<pack::Entry> hurt;
};

/// All of a pack that lives.
Result<LiveRecords> read_live(tenant::Parts& parts, const Survey& survey, const Candidate& candidate) {
  const journal::PackNote& note = candidate.pack.note;
  LiveRecords out;
  for (const std::vector<const pack::Entry*>& run : live_runs(survey, *candidate.footer)) {
    const std::uint64_t begin = run.front()->offset, end = run.back()->offset + run.back()->length;
    HF_TRY(const Bytes bytes, parts.store->get(pack::object_name(note.id, note.store_epoch), begin, end - begin));
    const pack::RangeReader within = [&bytes, begin](std::uint64_t offset, std::uint64_t length) -> Result<Bytes> {
      return to_bytes(ByteSpan(bytes).subspan(offset - begin, length));
    };
    for (const pack::Entry* const entry : run) {
      Result<Bytes> record = pack::read_record(*entry, within);
      if (!record && record.error().code != Errc::Corrupt) return std::move(record).error();
      if (record) {
        out.whole.push_back({*std::move(record), entry});
      } else {
        parts.report_damage(note.id, record.error().message);
        out.hurt.push_back(*entry);
      }
    }
  }
  return out;
}

Result<bool> lacks_one(Survey& survey, const std::vector<pack::Entry>& entries) {
  for (const pack::Entry& entry : entries) {
    HF_TRY(const bool lacks, survey.lacks(entry));
    if (lacks) return true;
  }
  return false;
}

/// nullopt: one of them may not go any more, so nothing was done.
Result<std::optional<Rewritten>> rewrite_once(tenant::Parts& parts, Survey& survey, const std::vector<PackId>& group) {
  HF_TRY_DO(survey.catch_up());
  Copies copies(parts);
  Condemnation work;
  work.why = journal::CondemnPayload::Why::Rewritten;
  Rewritten out;
  Marks copied(parts.env.random, 0), elsewhere(parts.env.random, 0);
  const auto image = [&copied](const pack::Entry& entry) {
    return copied.image({entry.domain, entry.epoch}, entry.ref());
  };
  for (const PackId& id : group) {
    const auto surveyed = survey.packs().find(id);
    if (surveyed == survey.packs().end() || parts.pins.contains(id)) continue;
    // A disk that does not read one pack must not keep the others from being rewritten.
    Result<Candidate> read = read_candidate(parts, surveyed->second.pack);
    if (!read || !read->footer) {
      log::warning("pack not rewritten", {{"pack", id.hex()}, {"why", read ? "no footer" : read.error().message}});
      continue;
    }
    Candidate candidate = *std::move(read);
    const Result<LiveRecords> live = read_live(parts, survey, candidate);
    if (!live) {
      log::warning("pack not rewritten", {{"pack", id.hex()}, {"why", live.error().message}});
      continue;
    }
    // Half a copy helps nobody: what is hurt stands somewhere else, or all of it stays.
    HF_TRY(const bool lacks, lacks_one(survey, live->hurt));
    if (lacks) continue;
    for (const pack::Entry& entry : live->hurt) elsewhere.insert(image(entry));
    for (const LiveRecord& record : live->whole) {
      const pack::Entry& entry = *record.entry;
      // Two packs of the group may hold the same one.
      if (!copied.insert(image(entry))) continue;
      HF_TRY_DO(copies.add(record.bytes, entry));
      out.runs.insert(entry.run);
    }
    work.packs.push_back(std::move(candidate));
  }
  if (work.packs.empty()) return std::optional(out);
  HF_TRY_DO(copies.finish());
  work.copies = copies.notes;
  work.copy_footers = copies.footers;
  work.copied = [&](const pack::Entry& entry) {
    return copied.contains(image(entry)) || elsewhere.contains(image(entry));
  };
  const std::vector<journal::PackNote> notes = work.copies;
  copies.offer();
  Result<std::vector<PackId>> condemned = condemn(parts, survey, std::move(work));
  if (!condemned || condemned->empty()) copies.withdraw();
  HF_TRY(out.condemned, std::move(condemned));
  if (out.condemned.empty()) return std::optional<Rewritten>();
  for (const journal::PackNote& note : notes) {
    out.written_packs += 1;
    out.written_bytes += note.bytes;
  }
  return std::optional(std::move(out));
}

}  // namespace

Result<Rewritten> rewrite(tenant::Parts& parts, Survey& survey, const std::vector<PackId>& group) {
  constexpr int kTries = 2;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    HF_TRY(std::optional<Rewritten> done, rewrite_once(parts, survey, group));
    if (done) return *std::move(done);
  }
  return Rewritten{};
}

}  // namespace holdfast::collect
