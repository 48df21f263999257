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
  EXPECT_EQ(apply_bytes(journal::Kind::Plan, {}).error().code, Errc::TooNew);
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

}  // namespace
}  // namespace holdfast::tenant
