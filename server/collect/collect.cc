#include "server/collect/collect.h"

#include <algorithm>

#include "common/base/log.h"
#include "server/collect/condemn.h"
#include "server/collect/copies.h"
#include "server/collect/overdue.h"
#include "server/collect/recover.h"
#include "server/collect/rewrite.h"
#include "server/collect/survey.h"
#include "server/collect/trash.h"

namespace holdfast::collect {
namespace {

using Records = std::vector<coordinator::NewRecord>;

// In one record and one look under the publish lock: their footers are in memory, their entries are looked at there.
constexpr std::size_t kPacksAtOnce = 64;
constexpr std::size_t kEntriesAtOnce = 1u << 13;
// A blob that comes back may name others: so deep is no tree of ours.
constexpr int kMostRounds = 16;

class Pass {
 public:
  Pass(tenant::Tenant& tenant, const CollectOptions& options)
      : tenant_(tenant), parts_(tenant.parts()), options_(options), survey_(parts_, options.stop) {}

  Result<CollectSummary> run() {
    HF_TRY_DO(may_destroy());
    if (!options_.dry_run) {
      HF_TRY(summary_.expired_sessions, tenant_.expire_idle_sessions());
    }
    HF_TRY_DO(look_around());
    describe_survey();
    const CollectPlan plan = plan_collect(facts(), options_.plan);
    summary_.postponed_bytes = plan.postponed_bytes;
    if (plan.late > 0)
      summary_.held.push_back(
          std::to_string(plan.late) +
          " packs hold bytes of deleted snapshots beyond what their plan allows: raise rewrite_bytes of "
          "[collect] in server.toml");
    if (options_.dry_run)
      foresee(plan);
    else
      HF_TRY_DO(carry_out(plan));
    for (std::string& why : describe(find_overdue(parts_, survey_))) summary_.held.push_back(std::move(why));
    HF_TRY(const bool ordinary, condemn_orphans(parts_, survey_, options_.dry_run, summary_));
    // Many orphans may be a lost journal's packs: then slots that no session names may be theirs.
    if (ordinary && !options_.dry_run) HF_TRY_DO(remove_stray_slots());
    // A pack that collection wrote and nobody can read may hold any run's blobs.
    if (const std::optional<std::unordered_set<RunId>> runs = surviving_runs(); runs)
      HF_TRY_DO(condemn_slots(parts_, survey_, *runs, options_.dry_run, summary_));
    if (!options_.dry_run) HF_TRY_DO(record_erased(parts_, !ordinary, summary_));
    count_trash(parts_, trash_time_, summary_);
    return std::move(summary_);
  }

 private:
  Status may_destroy() {
    HF_TRY_DO(parts_.writable());
    HF_TRY_DO(tenant_.compare_directory().context("nothing is collected"));
    return parts_.state.read([](const tenant::State& s) -> Status {
      if (s.frozen() == nullptr) return {};
      return Error{Errc::Corrupt, "nothing is collected, the tenant was rolled back: " + *s.frozen()};
    });
  }

  /// What only the trash has whole comes back first; what stands below a segment that came back is seen in the next round.
  Status look_around() {
    for (int round = 0;; ++round) {
      known_damage_ = parts_.damage.version();
      HF_TRY_DO(survey_.take().context("see what is alive"));
      if (options_.dry_run) return {};
      if (round == kMostRounds) {
        not_recovered_ = {0, 0, 1, "after so many rounds something was lacking still"};
        break;
      }
      HF_TRY(not_recovered_, recover_from_trash(parts_, survey_).context("recover blobs from the trash"));
      if (not_recovered_.blobs == 0) break;
      summary_.recovered_blobs += not_recovered_.blobs;
      summary_.recovered_bytes += not_recovered_.bytes;
    }
    if (summary_.recovered_blobs > 0)
      summary_.held.push_back("what snapshots need was taken back from the trash, it read well nowhere else (blobs: " +
                              std::to_string(summary_.recovered_blobs) +
                              "). `check --read-data` names what is damaged; look at the disk");
    return {};
  }

  void describe_survey() {
    summary_.snapshots = survey_.roots();
    summary_.packs = survey_.packs().size();
    summary_.blobs = survey_.blobs();
    summary_.live_bytes = survey_.live_bytes();
    summary_.dead_bytes = survey_.dead_bytes();
    for (const auto& [space, what] : survey_.unproven())
      summary_.held.push_back("domain " + space.domain.hex() + " is left as it is: " + what +
                              ", so nobody knows what is below it. `check` names what suffers");
  }

  std::vector<PackFacts> facts() const {
    std::vector<PackFacts> out = survey_.facts();
    for (PackFacts& pack : out) pack.damaged = parts_.damage.pack_is_damaged(pack.id);
    return out;
  }

  Status carry_out(const CollectPlan& plan) {
    HF_TRY_DO(empty());
    HF_TRY_DO(release().context("note what remains of deleted snapshots"));
    survey_.forget_remains();
    HF_TRY_DO(condemn_all(plan.condemn).context("condemn dead packs"));
    for (const std::vector<PackId>& group : plan.rewrite) HF_TRY_DO(rewrite_what_fits(group).context("rewrite packs"));
    if (without_room_ > 0)
      summary_.held.push_back(std::to_string(without_room_) +
                              " packs are not rewritten: the disk has too little room for copies. Add space, or wait "
                              "for what is in the trash; later passes go on");
    return {};
  }

  void foresee(const CollectPlan& plan) {
    for (const PackId& id : plan.condemn) {
      summary_.condemned_packs += 1;
      summary_.condemned_bytes += survey_.packs().at(id).pack.note.bytes;
      gone_.insert(id);
    }
    for (const std::vector<PackId>& group : plan.rewrite) {
      for (const PackId& id : group) {
        summary_.rewritten_packs += 1;
        summary_.rewritten_bytes += survey_.packs().at(id).pack.note.bytes;
      }
    }
  }

  /// What has waited long enough goes, unless something is missing that may be found among it.
  Status empty() {
    if (survey_.missing() > 0) {
      summary_.held.push_back("the trash is kept: " + std::to_string(survey_.missing()) +
                              " blobs that snapshots need are in no readable pack. `check` names what suffers");
      return {};
    }
    if (not_recovered_.left > 0) {
      summary_.held.push_back("the trash is kept, it may hold what snapshots need and could not be looked through: " +
                              not_recovered_.first_left);
      return {};
    }
    HF_TRY(const std::uint64_t available, parts_.store->available_bytes());
    if (available < parts_.env.floor_bytes)
      trash_time_ = std::chrono::duration_cast<std::chrono::hours>(tenant::kMinTrash);
    return empty_trash(parts_, trash_time_, survey_.live_runs(), known_damage_, summary_);
  }

  /// Before anything is condemned: afterwards nobody could tell where the bytes of a deleted snapshot are.
  Status release() {
    journal::CondemnPayload payload;
    std::size_t packs = 0;
    for (const Departed& snapshot : survey_.departed()) {
      if (survey_.unproven().contains(snapshot.root.space)) continue;
      std::optional<journal::CondemnPayload::Release> next;
      if (snapshot.released) {
        next = shrunk(snapshot);
      } else {
        HF_TRY(next, remains_of(snapshot));
      }
      if (!next) continue;
      for (journal::CondemnPayload::Release& part : in_parts(*next, journal::kMaxReleasedPacks)) {
        if (packs + part.packs.size() > journal::kMaxReleasedPacks ||
            payload.releases.size() == journal::kMaxReleasesPerRecord) {
          HF_TRY_DO(publish_releases(std::exchange(payload, {})));
          packs = 0;
        }
        packs += part.packs.size();
        payload.releases.push_back(std::move(part));
      }
    }
    return payload.releases.empty() ? Status{} : publish_releases(std::move(payload));
  }

  Result<std::optional<journal::CondemnPayload::Release>> remains_of(const Departed& snapshot) {
    HF_TRY(Remains remains, survey_.remains_of(snapshot));
    // What could not be found may be in a pack that cannot be read, or hide something in any pack with dead blobs.
    for (const auto& [id, pack] : survey_.packs()) {
      const bool here = std::find(pack.spaces.begin(), pack.spaces.end(), snapshot.root.space) != pack.spaces.end();
      if (!remains.all_found && (!pack.facts.listed || (here && pack.facts.dead_blobs > 0))) remains.packs.insert(id);
    }
    return std::optional(
        journal::CondemnPayload::Release{snapshot.id, {remains.packs.begin(), remains.packs.end()}, false});
  }

  /// Packs in which nothing is dead any more do not count: what stood there was taken up again.
  std::optional<journal::CondemnPayload::Release> shrunk(const Departed& snapshot) const {
    journal::CondemnPayload::Release out{snapshot.id, {}, false};
    for (const PackId& id : snapshot.remains) {
      const auto found = survey_.packs().find(id);
      const bool all_alive =
          found != survey_.packs().end() && found->second.facts.listed && found->second.facts.dead_blobs == 0;
      if (!all_alive) out.packs.push_back(id);
    }
    const bool fits = out.packs.size() <= journal::kMaxReleasedPacks;
    if (out.packs.size() == snapshot.remains.size() || !fits) return std::nullopt;
    return out;
  }

  Status publish_releases(journal::CondemnPayload payload) {
    const auto propose = [&](const tenant::State& state, const tenant::Stamp&) -> Result<Records> {
      // What this pass has removed meanwhile remains no more.
      for (journal::CondemnPayload::Release& release : payload.releases) {
        const tenant::Snapshot& snapshot = *state.snapshot(release.snapshot);
        std::erase_if(release.packs, [&](const PackId& id) {
          return snapshot.released ? !snapshot.remains.contains(id) : state.pack(id) == nullptr;
        });
      }
      return Records{tenant::new_record(journal::Kind::Condemn, journal::encode(payload))};
    };
    HF_TRY_DO(publish_judgement(parts_, survey_, propose));
    return {};
  }

  Status condemn_all(const std::vector<PackId>& packs) {
    Condemnation work;
    std::size_t entries = 0;
    const auto go = [&]() -> Status {
      HF_TRY(const std::vector<PackId> condemned, condemn(parts_, survey_, std::exchange(work, {})));
      entries = 0;
      for (const PackId& id : condemned) {
        summary_.condemned_packs += 1;
        summary_.condemned_bytes += survey_.packs().at(id).pack.note.bytes;
        gone_.insert(id);
      }
      return {};
    };
    for (const PackId& id : packs) {
      HF_TRY_DO(survey_.go_on());
      const Result<Candidate> read = read_candidate(parts_, survey_.packs().at(id).pack);
      if (!read) {
        summary_.held.push_back("pack " + id.hex() + " is left as it is: " + read.error().message);
        continue;
      }
      Candidate candidate = *read;
      // Listed, and unreadable meanwhile: nothing can be judged again, so the next pass, which knows, must.
      if (!candidate.footer && survey_.packs().at(id).facts.listed) continue;
      entries += candidate.footer ? candidate.footer->entries.size() : 0;
      work.packs.push_back(std::move(candidate));
      if (work.packs.size() == kPacksAtOnce || entries >= kEntriesAtOnce) HF_TRY_DO(go());
    }
    return work.packs.empty() ? Status{} : go();
  }

  Status remove_stray_slots() {
    HF_TRY(const tenant::StraySlots strays, tenant_.remove_stray_slots());
    if (strays.left > 0)
      summary_.held.push_back(
          std::to_string(strays.left) +
          " key slots that no record names are left: so many are rather a sign of a lost journal than "
          "of crashes. Compare with `check`");
    return {};
  }

  /// One by one where there is no room for all: each makes room for others. What would only be merged is not worth it.
  Status rewrite_what_fits(const std::vector<PackId>& group) {
    HF_TRY_DO(survey_.go_on());
    if (has_room(group)) return rewrite_group(group);
    for (const PackId& id : group) {
      HF_TRY_DO(survey_.go_on());
      if (survey_.packs().at(id).facts.dead_bytes == 0 || !has_room({id}))
        without_room_ += 1;
      else
        HF_TRY_DO(rewrite_group({id}));
    }
    return {};
  }

  bool has_room(const std::vector<PackId>& group) const {
    std::uint64_t bytes = 0;
    for (const PackId& id : group) bytes += survey_.packs().at(id).facts.live_bytes;
    return has_room_for_copies(parts_, bytes);
  }

  Status rewrite_group(const std::vector<PackId>& group) {
    Result<Rewritten> tried = rewrite(parts_, survey_, group);
    if (!tried && tried.error().code == Errc::DiskFull) {  // others write too; nothing remains of the copies
      without_room_ += group.size();
      return {};
    }
    HF_TRY(const Rewritten done, std::move(tried));
    for (const PackId& id : done.condemned) {
      summary_.rewritten_packs += 1;
      summary_.rewritten_bytes += survey_.packs().at(id).pack.note.bytes;
      gone_.insert(id);
    }
    summary_.written_packs += done.written_packs;
    summary_.written_bytes += done.written_bytes;
    copied_runs_.insert(done.runs.begin(), done.runs.end());
    return {};
  }

  /// Runs of which a live pack holds something; nullopt: not known. Those of open sessions' packs are judged by their
  /// sessions.
  std::optional<std::unordered_set<RunId>> surviving_runs() const {
    std::unordered_set<RunId> out = survey_.live_runs();
    out.insert(copied_runs_.begin(), copied_runs_.end());
    for (const auto& [id, pack] : survey_.packs()) {
      if (gone_.contains(id)) continue;
      out.insert(pack.runs.begin(), pack.runs.end());
      if (pack.runs.empty()) return std::nullopt;
    }
    return out;
  }

  tenant::Tenant& tenant_;
  tenant::Parts& parts_;
  const CollectOptions options_;
  Survey survey_;
  CollectSummary summary_;
  std::chrono::hours trash_time_ = options_.trash;
  std::size_t without_room_ = 0;    ///< packs that are not rewritten for that
  Recovered not_recovered_;         ///< the last round
  std::uint64_t known_damage_ = 0;  ///< version of the register when the trash was last looked through
  std::unordered_set<PackId> gone_;
  std::unordered_set<RunId> copied_runs_;
};

}  // namespace

Result<CollectSummary> collect(tenant::Tenant& tenant, const CollectOptions& options) {
  const std::unique_lock alone(tenant.parts().collecting, std::try_to_lock);
  if (!alone.owns_lock())
    return Error{Errc::Locked,
                 "a collection of this tenant is running already, or `usage` is counting; try again later"};
  return Pass(tenant, options).run();
}

}  // namespace holdfast::collect
