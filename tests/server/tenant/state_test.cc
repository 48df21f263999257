#include "server/tenant/state.h"

#include <gtest/gtest.h>

#include "tests/support/seeded_random.h"

namespace holdfast::tenant {
namespace {

using Phase = Session::Phase;

struct StateTest : testing::Test {
  support::SeededRandom random;
  State state;
  std::uint64_t number = 0;
  TenantId tenant = random.id<TenantId>();
  crypto::SigningKey root = crypto::SigningKey::generate(random);
  crypto::SigningKey key = crypto::SigningKey::generate(random);
  DomainId domain = random.id<DomainId>();

  template <class Payload>
  Status apply(journal::Kind kind, const Payload& payload) {
    return apply_bytes(kind, journal::encode(payload));
  }
  Status apply_bytes(journal::Kind kind, Bytes payload) {
    journal::Record record;
    record.number = ++number;
    record.generation = number;
    record.kind = kind;
    record.vault_ns = static_cast<std::int64_t>(number) * 1000;
    record.payload = std::move(payload);
    Status done = state.apply(record);
    if (!done) --number;
    return done;
  }
  Status add_tenant() { return apply(journal::Kind::Tenant, journal::TenantPayload{tenant, "acme", "30d", 0}); }
  journal::ClientPayload enrolled(const ClientId& id, const std::string& name) {
    journal::ClientPayload payload;
    payload.id = id;
    payload.name = name;
    payload.state = journal::ClientPayload::State::Enrolled;
    payload.client_certificate = snapshot::encode_signed(
        snapshot::ClientCertificate{tenant, id, key.public_key(), domain, 0, root.public_key()}, root);
    return payload;
  }
  journal::SessionPayload session_of(const ClientId& client) {
    snapshot::RunRecord run;
    run.tenant = tenant;
    run.domain = domain;
    run.epoch = 1;
    run.client = client;
    run.run = random.id<RunId>();
    return {random.id<SessionId>(), client, run.run, {}, snapshot::encode_signed(run, key), {}};
  }
  journal::CommitPayload commit_of(const journal::SessionPayload& session, std::uint64_t sequence) {
    return {session.session, session.client, sequence, random.id<SnapshotId>(), 5, "30d", random.bytes(10)};
  }
  journal::PacksPayload packs_of(const journal::SessionPayload& session, std::uint64_t bytes) {
    return {session.session, {{random.id<PackId>(), 1, bytes, {}}}};
  }
};

TEST_F(StateTest, FollowsALifeOfOneClient) {
  ASSERT_TRUE(add_tenant());
  const ClientId id = random.id<ClientId>();
  ASSERT_TRUE(apply(journal::Kind::Client, enrolled(id, "shop")));
  EXPECT_EQ(state.pinned_root(), root.public_key());
  const auto session = session_of(id);
  ASSERT_TRUE(apply(journal::Kind::Session, session));
  const auto packs = packs_of(session, 1000);
  ASSERT_TRUE(apply(journal::Kind::Packs, packs));
  EXPECT_EQ(state.used_bytes(), 1000u);
  const ClientId stranger = random.id<ClientId>();
  const Pack& pack = *state.pack(packs.packs[0].id);
  EXPECT_TRUE(state.visible(pack, id));
  EXPECT_FALSE(state.visible(pack, stranger));
  const auto commit = commit_of(session, 1);
  ASSERT_TRUE(apply(journal::Kind::Commit, commit));
  EXPECT_TRUE(state.visible(pack, stranger));
  EXPECT_EQ(state.session(session.session)->phase, Phase::Committed);
  EXPECT_EQ(state.client(id)->newest, commit.snapshot);
  EXPECT_EQ(state.client(id)->last_sequence, 1u);
  EXPECT_EQ(state.snapshot(commit.snapshot)->number, number);
  EXPECT_EQ(state.generation(), number);
  ASSERT_TRUE(apply(journal::Kind::Damage, journal::DamagePayload{packs.packs[0].id, "a byte"}));
  EXPECT_EQ(*state.damage(packs.packs[0].id), "a byte");
  ASSERT_TRUE(apply(journal::Kind::Damage, journal::DamagePayload{packs.packs[0].id, ""}));
  EXPECT_EQ(state.damage(packs.packs[0].id), nullptr);
}

TEST_F(StateTest, RefusesRecordsThatContradictTheOnesBeforeAndStaysAsItWas) {
  const ClientId id = random.id<ClientId>();
  EXPECT_EQ(apply(journal::Kind::Client, enrolled(id, "shop")).error().code, Errc::Corrupt);  // no tenant yet
  ASSERT_TRUE(add_tenant());
  EXPECT_FALSE(apply(journal::Kind::Tenant, journal::TenantPayload{random.id<TenantId>(), "other", "30d", 0}));
  EXPECT_FALSE(apply(journal::Kind::Session, session_of(id)));
  ASSERT_TRUE(apply(journal::Kind::Client, enrolled(id, "shop")));
  EXPECT_FALSE(apply(journal::Kind::Client, enrolled(random.id<ClientId>(), "shop")));
  auto foreign = enrolled(random.id<ClientId>(), "till");
  foreign.id = random.id<ClientId>();
  EXPECT_FALSE(apply(journal::Kind::Client, foreign));

  const auto session = session_of(id);
  auto other_run = session;
  other_run.run = random.id<RunId>();
  EXPECT_FALSE(apply(journal::Kind::Session, other_run));
  EXPECT_FALSE(apply(journal::Kind::Packs, packs_of(session, 1)));
  EXPECT_FALSE(apply(journal::Kind::Commit, commit_of(session, 1)));
  EXPECT_FALSE(apply(journal::Kind::ExpireSession, journal::ExpireSessionPayload{session.session}));
  ASSERT_TRUE(apply(journal::Kind::Session, session));
  EXPECT_FALSE(apply(journal::Kind::Session, session));
  EXPECT_FALSE(apply(journal::Kind::Commit, commit_of(session, 2)));
  const auto packs = packs_of(session, 7);
  ASSERT_TRUE(apply(journal::Kind::Packs, packs));
  EXPECT_FALSE(apply(journal::Kind::Packs, packs));
  auto twice = packs_of(session, 7);
  twice.packs.push_back(twice.packs[0]);
  EXPECT_FALSE(apply(journal::Kind::Packs, twice));
  EXPECT_FALSE(apply(journal::Kind::Damage, journal::DamagePayload{random.id<PackId>(), "x"}));
  EXPECT_EQ(state.used_bytes(), 7u);

  ASSERT_TRUE(apply(journal::Kind::Commit, commit_of(session, 1)));
  EXPECT_FALSE(apply(journal::Kind::Commit, commit_of(session, 2)));
  EXPECT_FALSE(apply(journal::Kind::ExpireSession, journal::ExpireSessionPayload{session.session}));
  EXPECT_EQ(state.number(), number);
  EXPECT_EQ(state.snapshots().size(), 1u);
}

TEST_F(StateTest, DoesNotSkipAKindThatItCannotReplay) {
  ASSERT_TRUE(add_tenant());
  EXPECT_EQ(apply_bytes(static_cast<journal::Kind>(13), {}).error().code, Errc::TooNew);
}

TEST_F(StateTest, RefusesPayloadsCutAtEveryLength) {
  ASSERT_TRUE(add_tenant());
  const ClientId id = random.id<ClientId>();
  ASSERT_TRUE(apply(journal::Kind::Client, enrolled(id, "shop")));
  const auto session = session_of(id);
  ASSERT_TRUE(apply(journal::Kind::Session, session));
  const std::vector<std::pair<journal::Kind, Bytes>> payloads{
      {journal::Kind::Client, journal::encode(enrolled(random.id<ClientId>(), "till"))},
      {journal::Kind::Session, journal::encode(session_of(id))},
      {journal::Kind::Packs, journal::encode(packs_of(session, 1))},
      {journal::Kind::Commit, journal::encode(commit_of(session, 1))},
  };
  for (const auto& [kind, bytes] : payloads) {
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      EXPECT_FALSE(apply_bytes(kind, Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length))))
          << length;
    }
  }
}

TEST_F(StateTest, KeepsTheCertificateThatASessionBeganWith) {
  ASSERT_TRUE(add_tenant());
  const ClientId id = random.id<ClientId>();
  const auto first = enrolled(id, "shop");
  ASSERT_TRUE(apply(journal::Kind::Client, first));
  const auto session = session_of(id);
  ASSERT_TRUE(apply(journal::Kind::Session, session));
  auto revoked = first;
  revoked.state = journal::ClientPayload::State::Revoked;
  revoked.client_certificate.clear();
  ASSERT_TRUE(apply(journal::Kind::Client, revoked));
  EXPECT_EQ(*state.session(session.session)->certificate, first.client_certificate);
  EXPECT_FALSE(state.client(id)->certificate.has_value());
  EXPECT_TRUE(state.client(id)->domains.contains(domain));
}

struct StateLife : StateTest {
  ClientId client = random.id<ClientId>();
  journal::SessionPayload session;
  journal::PacksPayload packs;
  journal::CommitPayload commit;
  static constexpr std::int64_t kDay = 86'400'000'000'000;
  std::int64_t now = 0;  ///< vault time of the next record

  /// One snapshot with one pack, lock date 5 days.
  void SetUp() override {
    ASSERT_TRUE(add_tenant());
    ASSERT_TRUE(apply(journal::Kind::Client, enrolled(client, "shop")));
    session = session_of(client);
    ASSERT_TRUE(apply(journal::Kind::Session, session));
    packs = packs_of(session, 1000);
    ASSERT_TRUE(apply(journal::Kind::Packs, packs));
    commit = commit_of(session, 1);
    commit.lock_not_before_ns = 5 * kDay;
    ASSERT_TRUE(apply(journal::Kind::Commit, commit));
  }
  template <class Payload>
  Status at(std::int64_t ns, journal::Kind kind, const Payload& payload) {
    journal::Record record;
    record.number = record.generation = number + 1;
    record.kind = kind;
    record.vault_ns = ns;
    record.payload = journal::encode(payload);
    Status done = state.apply(record);
    if (done) ++number;
    return done;
  }
  journal::LockPayload lock(std::int64_t delete_ns, journal::LockPayload::Reason reason) const {
    return {reason, "root", {{commit.snapshot, delete_ns}}};
  }
  journal::CondemnPayload condemn(const PackId& pack, journal::CondemnPayload::Why why) const {
    return {{{pack, 1, 1000, why}}, {}, {}};
  }
  Life life() const { return state.snapshot(commit.snapshot)->life; }
  const PackId& pack() const { return packs.packs[0].id; }
};

using Reason = journal::LockPayload::Reason;
using Why = journal::CondemnPayload::Why;

TEST_F(StateLife, GoesFromLiveToErasedAndNeverEarly) {
  const journal::DeletedPayload deleted{{commit.snapshot}};
  const journal::ErasedPayload erased{{commit.snapshot}, ""};
  EXPECT_FALSE(at(5 * kDay - 1, journal::Kind::Lock, lock(20 * kDay, Reason::Age)));
  EXPECT_FALSE(at(5 * kDay, journal::Kind::Lock, lock(5 * kDay - 1, Reason::Age)));
  EXPECT_FALSE(at(90 * kDay, journal::Kind::Deleted, deleted));
  ASSERT_TRUE(at(5 * kDay, journal::Kind::Lock, lock(19 * kDay, Reason::Age)));
  EXPECT_EQ(life(), Life::Locked);
  EXPECT_FALSE(at(5 * kDay, journal::Kind::Lock, lock(19 * kDay, Reason::Age)));
  EXPECT_FALSE(at(19 * kDay - 1, journal::Kind::Deleted, deleted));
  EXPECT_FALSE(at(20 * kDay, journal::Kind::Condemn, journal::CondemnPayload{{}, {}, {{commit.snapshot, {}}}}));
  ASSERT_TRUE(at(19 * kDay, journal::Kind::Deleted, deleted));
  EXPECT_FALSE(
      at(19 * kDay, journal::Kind::Undelete, journal::UndeletePayload{"root", {{commit.snapshot, 90 * kDay}}}));
  EXPECT_FALSE(at(20 * kDay, journal::Kind::Erased, erased));

  journal::CondemnPayload dead = condemn(pack(), Why::Unreferenced);
  dead.slots = {session.run};
  dead.releases = {{commit.snapshot, {pack()}}};
  ASSERT_TRUE(at(20 * kDay, journal::Kind::Condemn, dead));
  EXPECT_EQ(state.pack(pack()), nullptr);
  EXPECT_NE(state.trashed(pack()), nullptr);
  EXPECT_EQ(state.live_bytes(), 0u);
  EXPECT_EQ(state.used_bytes(), 1000u);
  EXPECT_FALSE(at(21 * kDay, journal::Kind::Erased, erased));
  EXPECT_FALSE(at(21 * kDay - 1, journal::Kind::Removed, journal::RemovedPayload{{pack()}, {}}));
  EXPECT_FALSE(at(21 * kDay - 1, journal::Kind::Removed, journal::RemovedPayload{{}, {session.run}}));
  ASSERT_TRUE(at(21 * kDay, journal::Kind::Removed, journal::RemovedPayload{{pack()}, {session.run}}));
  EXPECT_EQ(state.used_bytes(), 0u);
  EXPECT_EQ(state.session(session.session)->slot, Session::Slot::Removed);
  ASSERT_TRUE(at(21 * kDay, journal::Kind::Erased, erased));
  EXPECT_EQ(life(), Life::Erased);
  EXPECT_TRUE(state.snapshot(commit.snapshot)->payload.core.empty());
  EXPECT_FALSE(at(30 * kDay, journal::Kind::Removed, journal::RemovedPayload{{pack()}, {}}));
}

TEST_F(StateLife, IsReleasedOnlyWhenEveryPartOfWhatRemainsIsNamed) {
  const journal::PacksPayload more_packs = packs_of(session, 2000);
  ASSERT_FALSE(apply(journal::Kind::Packs, more_packs)) << "the session has ended";
  journal::PacksPayload copies = more_packs;
  copies.session = {};
  ASSERT_TRUE(apply(journal::Kind::Packs, copies));
  const PackId second = copies.packs[0].id;
  ASSERT_TRUE(at(5 * kDay, journal::Kind::Lock, lock(19 * kDay, Reason::Age)));
  ASSERT_TRUE(at(19 * kDay, journal::Kind::Deleted, journal::DeletedPayload{{commit.snapshot}}));
  const auto release = [&](const std::vector<PackId>& ids, bool more) {
    return at(20 * kDay, journal::Kind::Condemn, journal::CondemnPayload{{}, {}, {{commit.snapshot, ids, more}}});
  };
  const auto remains = [&] { return state.snapshot(commit.snapshot)->remains; };
  ASSERT_TRUE(release({pack()}, true));
  EXPECT_FALSE(state.snapshot(commit.snapshot)->released);
  ASSERT_TRUE(release({pack()}, true)) << "whoever was stopped begins again";
  ASSERT_TRUE(release({second}, false));
  EXPECT_TRUE(state.snapshot(commit.snapshot)->released);
  EXPECT_EQ(remains(), (std::set<PackId>{pack(), second}));
  EXPECT_FALSE(release({second}, true)) << "it is released";
  ASSERT_TRUE(release({second}, false));
  EXPECT_EQ(remains(), std::set<PackId>{second});
  EXPECT_FALSE(release({pack()}, false)) << "never others";
}

TEST_F(StateLife, AnOperatorsLockHidesEarlyButDeletesNothingBeforeItsDate) {
  EXPECT_FALSE(at(1 * kDay, journal::Kind::Lock, lock(4 * kDay, Reason::Operator)));
  ASSERT_TRUE(at(1 * kDay, journal::Kind::Lock, lock(19 * kDay, Reason::Operator)));
  EXPECT_FALSE(
      at(2 * kDay, journal::Kind::Undelete, journal::UndeletePayload{"root", {{commit.snapshot, 5 * kDay - 1}}}));
  ASSERT_TRUE(at(2 * kDay, journal::Kind::Undelete, journal::UndeletePayload{"root", {{commit.snapshot, 32 * kDay}}}));
  EXPECT_EQ(life(), Life::Live);
  EXPECT_EQ(state.snapshot(commit.snapshot)->payload.lock_not_before_ns, 32 * kDay);
  EXPECT_EQ(state.snapshot(commit.snapshot)->promised_lock_ns, 5 * kDay);
  EXPECT_FALSE(at(31 * kDay, journal::Kind::Lock, lock(90 * kDay, Reason::Age)));
}

TEST_F(StateLife, CondemnsOnlyWhatNobodyWillNeed) {
  EXPECT_FALSE(at(kDay, journal::Kind::Condemn, condemn(pack(), Why::Orphan)));
  EXPECT_FALSE(at(kDay, journal::Kind::Condemn, condemn(random.id<PackId>(), Why::Unreferenced)));
  const auto open = session_of(client);
  ASSERT_TRUE(apply(journal::Kind::Session, open));
  const auto more = packs_of(open, 1000);
  ASSERT_TRUE(apply(journal::Kind::Packs, more));
  EXPECT_FALSE(at(kDay, journal::Kind::Condemn, condemn(more.packs[0].id, Why::Unreferenced)));
  EXPECT_FALSE(at(kDay, journal::Kind::Condemn, journal::CondemnPayload{{}, {open.run}, {}}));
  ASSERT_TRUE(apply(journal::Kind::ExpireSession, journal::ExpireSessionPayload{open.session}));
  EXPECT_FALSE(apply(journal::Kind::Packs, packs_of(open, 5)));
  ASSERT_TRUE(at(kDay, journal::Kind::Condemn, condemn(more.packs[0].id, Why::Unreferenced)));
  EXPECT_FALSE(at(kDay, journal::Kind::Condemn, condemn(more.packs[0].id, Why::Unreferenced)));
  EXPECT_FALSE(apply(journal::Kind::Packs, journal::PacksPayload{{}, more.packs}));  // never again

  const PackId orphan = random.id<PackId>();
  ASSERT_TRUE(at(kDay, journal::Kind::Condemn, condemn(orphan, Why::Orphan)));
  EXPECT_FALSE(apply(journal::Kind::Packs, journal::PacksPayload{{}, {{orphan, 1, 1000, {}}}}));
  EXPECT_EQ(state.trash_bytes(), 2000u);
}

TEST_F(StateLife, ACopyWrittenByCollectionIsSeenByAll) {
  const PackId copy = random.id<PackId>();
  ASSERT_TRUE(apply(journal::Kind::Packs, journal::PacksPayload{{}, {{copy, 1, 700, {}}}}));
  ASSERT_TRUE(at(kDay, journal::Kind::Condemn, condemn(pack(), Why::Rewritten)));
  EXPECT_TRUE(state.visible(*state.pack(copy), random.id<ClientId>()));
  EXPECT_EQ(state.pack(copy)->order, 1u);
  EXPECT_EQ(state.live_bytes(), 700u);
}

TEST_F(StateLife, AConfirmedGapLengthensWhatWasCommittedMeanwhile) {
  const std::int64_t committed = state.snapshot(commit.snapshot)->vault_ns;
  journal::ClockPayload gap;
  gap.added_ns = 3 * kDay;
  gap.since_ns = committed + 1;
  ASSERT_TRUE(at(kDay, journal::Kind::Clock, gap));
  EXPECT_EQ(state.snapshot(commit.snapshot)->payload.lock_not_before_ns, 5 * kDay);
  gap.since_ns = committed;
  ASSERT_TRUE(at(kDay, journal::Kind::Clock, gap));
  EXPECT_EQ(state.snapshot(commit.snapshot)->payload.lock_not_before_ns, 8 * kDay);
  ASSERT_TRUE(at(8 * kDay, journal::Kind::Lock, lock(22 * kDay, Reason::Age)));
  ASSERT_TRUE(at(9 * kDay, journal::Kind::Clock, gap));
  EXPECT_FALSE(at(22 * kDay, journal::Kind::Deleted, journal::DeletedPayload{{commit.snapshot}}));
  EXPECT_TRUE(at(25 * kDay, journal::Kind::Deleted, journal::DeletedPayload{{commit.snapshot}}));
}

TEST_F(StateLife, AConfirmedGapLengthensEveryTermThatBeganMeanwhile) {
  const PackId orphan = random.id<PackId>();
  ASSERT_TRUE(at(5 * kDay, journal::Kind::Lock, lock(19 * kDay, Reason::Age)));
  ASSERT_TRUE(at(6 * kDay, journal::Kind::Condemn, condemn(orphan, Why::Orphan)));
  const std::int64_t active = state.session(session.session)->active_ns;
  journal::ClockPayload gap;
  gap.vault_ns = 9 * kDay;
  gap.added_ns = 3 * kDay;
  gap.since_ns = 5 * kDay;  // the snapshot was committed before, but locked since
  ASSERT_TRUE(at(6 * kDay, journal::Kind::Clock, gap));
  EXPECT_EQ(state.snapshot(commit.snapshot)->payload.lock_not_before_ns, 5 * kDay);
  EXPECT_EQ(state.snapshot(commit.snapshot)->delete_not_before_ns, 22 * kDay);
  EXPECT_EQ(state.trashed(orphan)->condemned_ns, 9 * kDay);
  EXPECT_EQ(state.session(session.session)->active_ns, active);
  gap.since_ns = gap.vault_ns + 1;
  ASSERT_TRUE(at(9 * kDay, journal::Kind::Clock, gap));
  EXPECT_EQ(state.snapshot(commit.snapshot)->delete_not_before_ns, 22 * kDay);
  EXPECT_EQ(state.trashed(orphan)->condemned_ns, 9 * kDay);
  gap.since_ns = 0;
  ASSERT_TRUE(at(9 * kDay, journal::Kind::Clock, gap));
  EXPECT_EQ(state.session(session.session)->active_ns, active + 3 * kDay);
}

TEST_F(StateLife, AConfirmedGapLengthensATermThatAnUndeletionBegan) {
  ASSERT_TRUE(at(5 * kDay, journal::Kind::Lock, lock(19 * kDay, Reason::Age)));
  ASSERT_TRUE(at(7 * kDay, journal::Kind::Undelete, journal::UndeletePayload{"eve", {{commit.snapshot, 20 * kDay}}}));
  journal::ClockPayload gap;
  gap.added_ns = 3 * kDay;
  gap.since_ns = 7 * kDay;
  ASSERT_TRUE(at(8 * kDay, journal::Kind::Clock, gap));
  EXPECT_EQ(state.snapshot(commit.snapshot)->payload.lock_not_before_ns, 23 * kDay);
  gap.since_ns = 8 * kDay;
  ASSERT_TRUE(at(8 * kDay, journal::Kind::Clock, gap));
  EXPECT_EQ(state.snapshot(commit.snapshot)->payload.lock_not_before_ns, 23 * kDay);
}

TEST_F(StateLife, RemembersTheNewestAnchor) {
  EXPECT_FALSE(state.anchor().has_value());
  journal::ClockPayload anchor;
  anchor.boot_id[0] = 7;
  anchor.boottime_ns = 11;
  anchor.vault_ns = 2 * kDay;
  ASSERT_TRUE(at(2 * kDay, journal::Kind::Clock, anchor));
  EXPECT_EQ(state.anchor()->moment.boot[0], 7);
  EXPECT_EQ(state.anchor()->moment.boottime_ns, 11);
  EXPECT_EQ(state.anchor()->vault_ns, 2 * kDay);
}

TEST_F(StateLife, RemembersSourcesAndForks) {
  journal::SourcePayload source{client, random.id<SourceId>(), journal::SourcePayload::State::Registered, "db"};
  ASSERT_TRUE(apply(journal::Kind::Source, source));
  source.state = journal::SourcePayload::State::Retired;
  ASSERT_TRUE(apply(journal::Kind::Source, source));
  EXPECT_EQ(state.sources().at({client, source.source}).state, journal::SourcePayload::State::Retired);
  source.client = random.id<ClientId>();
  EXPECT_FALSE(apply(journal::Kind::Source, source));
  EXPECT_EQ(state.frozen(), nullptr);
  ASSERT_TRUE(apply(journal::Kind::Fork, journal::ForkPayload{9, "older copy"}));
  ASSERT_NE(state.frozen(), nullptr);
  EXPECT_EQ(*state.frozen(), "older copy");
}

}  // namespace
}  // namespace holdfast::tenant
