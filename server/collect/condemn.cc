#include "server/collect/condemn.h"

#include <algorithm>

#include "common/base/log.h"

namespace holdfast::collect {
namespace {

using Records = std::vector<coordinator::NewRecord>;

/// May this pack go, as the state is now?
bool still_dead(const tenant::Parts& parts, const Survey& survey, const Condemnation& work, const Candidate& candidate,
                const tenant::State& state) {
  const tenant::Pack* const pack = state.pack(candidate.pack.note.id);
  if (pack == nullptr || parts.pins.contains(candidate.pack.note.id)) return false;
  const tenant::Session* const owner = state.session(pack->session);
  if (owner != nullptr && owner->phase == tenant::Session::Phase::Open) return false;
  if (!candidate.footer) return true;
  return std::all_of(candidate.footer->entries.begin(), candidate.footer->entries.end(), [&](const pack::Entry& entry) {
    return !survey.is_live(entry) || (work.copied && work.copied(entry));
  });
}

}  // namespace

Result<Candidate> read_candidate(tenant::Parts& parts, const tenant::Pack& pack) {
  Result<pack::Footer> footer = tenant::read_pack_footer(*parts.store, pack.note);
  if (footer) return Candidate{pack, *std::move(footer)};
  if (footer.error().code == Errc::Corrupt || footer.error().code == Errc::NotFound)
    return Candidate{pack, std::nullopt};
  return std::move(footer).error();
}

Result<std::vector<journal::Record>> publish_judgement(tenant::Parts& parts, Survey& survey,
                                                       const tenant::Publisher::Propose& propose,
                                                       std::vector<pack::Footer> added,
                                                       const int tries_outside_the_lock) {
  const std::unique_lock steady(parts.condemning, std::try_to_lock);
  if (!steady.owns_lock()) return Error{Errc::Conflict, "a check is running; collect again when it has ended"};
  const std::unique_lock no_commit_waits(parts.committing);
  for (int attempt = 0;; ++attempt) {
    HF_TRY_DO(survey.catch_up());
    bool behind = false;
    const auto judged = [&](const tenant::State& state, const tenant::Stamp& stamp) -> Result<Records> {
      if (state.frozen() != nullptr) return Error{Errc::Conflict, *state.frozen()};
      behind = attempt < tries_outside_the_lock && survey.is_behind(state);
      if (behind) return Records{};
      HF_TRY_DO(survey.catch_up(state));
      return propose(state, stamp);
    };
    Result<std::vector<journal::Record>> published = parts.publisher->publish(tenant::Publisher::kAlone, judged, added);
    if (!published || !behind) return published;
  }
}

Result<std::vector<PackId>> condemn(tenant::Parts& parts, Survey& survey, Condemnation work) {
  std::vector<PackId> condemned;
  const auto propose = [&](const tenant::State& state, const tenant::Stamp&) -> Result<Records> {
    condemned.clear();
    journal::CondemnPayload payload;
    for (const Candidate& candidate : work.packs) {
      if (!still_dead(parts, survey, work, candidate, state)) continue;
      const journal::PackNote& note = candidate.pack.note;
      payload.packs.push_back({note.id, note.store_epoch, note.bytes, work.why});
      condemned.push_back(note.id);
    }
    Records records;
    if (payload.packs.empty()) return records;
    // What lives of a pack that stays would stand twice.
    if (!work.copies.empty() && payload.packs.size() < work.packs.size()) return records;
    if (!work.copies.empty()) {
      for (const journal::PackNote& copy : work.copies) {
        // Nobody may have judged our own fresh packs to be orphans.
        if (state.pack(copy.id) != nullptr || state.trashed(copy.id) != nullptr)
          return Error{Errc::Conflict, "pack " + copy.id.hex() + " is known already"};
      }
      records.push_back(
          tenant::new_record(journal::Kind::Packs, journal::encode(journal::PacksPayload{{}, work.copies})));
    }
    records.push_back(tenant::new_record(journal::Kind::Condemn, journal::encode(payload)));
    return records;
  };
  HF_TRY(const std::vector<journal::Record> published,
         publish_judgement(parts, survey, propose, std::move(work.copy_footers), work.tries_outside_the_lock));
  if (published.empty()) return std::vector<PackId>{};
  std::sort(condemned.begin(), condemned.end());
  std::vector<pack::Footer> gone;
  std::vector<PackId> unreadable;
  for (Candidate& candidate : work.packs) {
    const PackId id = candidate.pack.note.id;
    if (!std::binary_search(condemned.begin(), condemned.end(), id)) continue;
    parts.damage.clear_pack(id);
    if (candidate.footer)
      gone.push_back(*std::move(candidate.footer));
    else
      unreadable.push_back(id);
  }
  parts.index->condemned(gone, unreadable);
  return condemned;
}

}  // namespace holdfast::collect
