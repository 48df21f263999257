#include <atomic>
#include <thread>

#include "tests/server/tenant/tenant_world.h"

namespace holdfast::tenant {
namespace {

using namespace std::chrono_literals;
using ClientState = journal::ClientPayload::State;

struct Enrolment : testing::Test {
  World world;
  Digest token = world.random.id<Digest>();
  Digest request = world.random.id<Digest>();
  journal::ClientPayload invited =
      must(world.tenant->invite("shop", token, to_ns(world.clock.wall()) + std::chrono::nanoseconds(1h).count()));
  Machine machine{"shop", invited.id, world.random.id<DomainId>(), 1, crypto::SigningKey::generate(world.random), {}};
  Bytes certificate = world.certify(machine);
  std::atomic<int> issued = 0;

  Result<journal::ClientPayload> enrol(const Digest& with_token, const Digest& with_request,
                                       const Bytes& with_certificate) {
    return world.tenant->enrol("shop", with_token, with_request, with_certificate,
                               [this] { return Result<std::string>("PEM " + std::to_string(++issued)); });
  }
};

TEST_F(Enrolment, UsesItsTokenOnceAndAnswersTheSameRequestAgain) {
  const journal::ClientPayload first = must(enrol(token, request, certificate));
  EXPECT_EQ(first.state, ClientState::Enrolled);
  EXPECT_EQ(as_text(first.certificate_pem), "PEM 1");
  EXPECT_EQ(must(enrol(token, request, certificate)).certificate_pem, first.certificate_pem);
  world.reopen();
  EXPECT_EQ(must(enrol(token, request, certificate)).certificate_pem, first.certificate_pem);
  EXPECT_EQ(issued.load(), 1);
  EXPECT_EQ(enrol(token, world.random.id<Digest>(), certificate).error().code, Errc::Denied);
  EXPECT_EQ(enrol(world.random.id<Digest>(), request, certificate).error().code, Errc::Denied);
}

TEST_F(Enrolment, OfOneTokenFromAHundredMachinesMakesExactlyOneClient) {
  std::vector<Digest> requests;
  for (int i = 0; i < 100; ++i) requests.push_back(world.random.id<Digest>());
  const std::uint64_t before = world.check(false).summary.records;
  std::atomic<int> accepted = 0;
  std::vector<std::thread> threads;
  for (const Digest& each : requests) {
    threads.emplace_back([&, each] {
      const auto done = enrol(token, each, certificate);
      EXPECT_EQ(done ? Errc::Denied : done.error().code, Errc::Denied);
      accepted += done ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(accepted.load(), 1);
  EXPECT_EQ(issued.load(), 1);
  EXPECT_EQ(world.check(false).summary.records, before + 1);
}

TEST_F(Enrolment, OfTheSameRequestFromAHundredConnectionsGivesOneAnswer) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 100; ++i) {
    threads.emplace_back([&] {
      const auto done = enrol(token, request, certificate);
      EXPECT_TRUE(done.has_value());
      EXPECT_EQ(done ? std::string(as_text(done->certificate_pem)) : "", "PEM 1");
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(issued.load(), 1);
}

TEST_F(Enrolment, RefusesAnExpiredToken) {
  world.clock.advance(1h);
  EXPECT_EQ(enrol(token, request, certificate).error().code, Errc::Denied);
  EXPECT_EQ(issued.load(), 0);
}

TEST_F(Enrolment, RefusesAnUnknownClientLikeAWrongToken) {
  const auto wrong = enrol(world.random.id<Digest>(), request, certificate);
  const auto unknown =
      world.tenant->enrol("nobody", token, request, certificate, [] { return Result<std::string>("PEM"); });
  EXPECT_EQ(wrong.error().message, unknown.error().message);
  EXPECT_EQ(world.tenant->enrol("shop", Digest{}, request, certificate, [] { return Result<std::string>("PEM"); })
                .error()
                .code,
            Errc::Denied);
}

TEST_F(Enrolment, RefusesACertificateForSomebodyElseOrByAnotherRoot) {
  Machine elsewhere{"shop", world.random.id<ClientId>(), machine.domain, 1, crypto::SigningKey::generate(world.random),
                    {}};
  EXPECT_EQ(enrol(token, request, world.certify(elsewhere)).error().code, Errc::Denied);
  (void)world.enrol("first");
  EXPECT_EQ(world.tenant->pinned_root(), world.root.public_key());
  const crypto::SigningKey forged = crypto::SigningKey::generate(world.random);
  const snapshot::ClientCertificate other{world.tenant_id, machine.id, machine.key.public_key(),
                                          machine.domain,  0,          forged.public_key()};
  EXPECT_EQ(enrol(token, request, snapshot::encode_signed(other, forged)).error().code, Errc::Denied);
  EXPECT_EQ(enrol(token, request, Bytes(100)).error().code, Errc::Corrupt);
  EXPECT_OK(enrol(token, request, certificate));
}

TEST_F(Enrolment, OfTheFirstTwoClientsPinsOneRoot) {
  const Digest second_token = world.random.id<Digest>();
  const auto second = must(world.tenant->invite("till", second_token, to_ns(world.clock.wall()) + 1'000'000'000));
  const crypto::SigningKey other_root = crypto::SigningKey::generate(world.random);
  const snapshot::ClientCertificate other{world.tenant_id, second.id, machine.key.public_key(),
                                          machine.domain,  0,         other_root.public_key()};
  const Bytes other_certificate = snapshot::encode_signed(other, other_root);
  std::atomic<int> accepted = 0;
  std::thread a([&] { accepted += enrol(token, request, certificate).has_value() ? 1 : 0; });
  std::thread b([&] {
    accepted +=
        world.tenant->enrol("till", second_token, request, other_certificate, [] { return Result<std::string>("PEM"); })
                .has_value()
            ? 1
            : 0;
  });
  a.join();
  b.join();
  EXPECT_EQ(accepted.load(), 1);
}

TEST_F(Enrolment, MayBeTriedAgainWhenTheCertificateCouldNotBeMade) {
  const auto failed = world.tenant->enrol("shop", token, request, certificate,
                                          []() -> Result<std::string> { return Error{Errc::Io, "no CA"}; });
  EXPECT_EQ(failed.error().code, Errc::Io);
  EXPECT_OK(enrol(token, request, certificate));
}

TEST_F(Enrolment, OfARevokedClientKeepsItsIdAndItsSnapshots) {
  (void)must(enrol(token, request, certificate));
  machine.certificate = certificate;
  (void)world.back_up(machine);
  EXPECT_EQ(world.tenant->invite("shop", token, 0).error().code, Errc::Exists);
  ASSERT_OK(world.tenant->revoke("shop"));
  EXPECT_EQ(enrol(token, request, certificate).error().code, Errc::Denied);
  const Machine again = world.enrol("shop");
  EXPECT_EQ(again.id, machine.id);
  EXPECT_EQ(must(world.tenant->snapshots(again.id, 0, 10)).size(), 1u);
  EXPECT_OK(world.tenant->read_blob(again.id, machine.domain, 1, {world.last_tree.blobs[0].id, world.last_run.id}));
  EXPECT_EQ(must(world.tenant->run(again.id, world.last_run.id)).certificate, certificate);
  EXPECT_EQ(world.begin(again).opened.next_sequence, 2u);
}

TEST_F(Enrolment, RefusesNamesThatCannotStandInACertificate) {
  for (const char* name :
       {"", "A", "a/b", "-a", ".", "a b", "\n", "0123456789012345678901234567890123456789012345678901234567890123"}) {
    EXPECT_EQ(world.tenant->invite(name, token, 0).error().code, Errc::Usage) << name;
  }
  EXPECT_EQ(world.tenant->revoke("nobody").error().code, Errc::NotFound);
  EXPECT_EQ(world.tenant->client_by_name("nobody").error().code, Errc::NotFound);
  EXPECT_EQ(world.tenant->clients().size(), 1u);
}

TEST(Create, RefusesADirectoryThatHoldsATenantAndUnknownPlans) {
  World world;
  EXPECT_EQ(Tenant::create(world.environment(), world.directory, "other", "30d", 0).error().code, Errc::Exists);
  EXPECT_EQ(Tenant::create(world.environment(), "/d/new", "other", "forever", 0).error().code, Errc::Usage);
  EXPECT_EQ(Tenant::open(world.environment(), "/d/nowhere").error().code, Errc::NotFound);
  EXPECT_EQ(Tenant::open(world.environment(), world.directory).error().code, Errc::Locked);
  const Account account = world.tenant->account();
  EXPECT_EQ(account.name, "acme");
  EXPECT_EQ(account.plan, "30d");
  EXPECT_EQ(account.health, "ok");
  EXPECT_EQ(account.id, world.tenant_id);
}

}  // namespace
}  // namespace holdfast::tenant
