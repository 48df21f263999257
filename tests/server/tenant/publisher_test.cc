#include "server/tenant/publisher.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <latch>
#include <thread>

#include "tests/support/fake_clock.h"
#include "tests/support/memory_coordinator.h"
#include "tests/support/seeded_random.h"

namespace holdfast::tenant {
namespace {

using Records = std::vector<coordinator::NewRecord>;

struct PublisherTest : testing::Test {
  support::SeededRandom random;
  support::FakeClock clock;
  support::MemoryCoordinator coordinator{random};
  SharedState state;
  retention::VaultClock vault{clock};
  std::vector<std::uint64_t> generations;  // one for each batch
  std::unique_ptr<Publisher> publisher;

  void SetUp() override {
    const coordinator::Epoch epoch = *coordinator.acquire();
    publisher = std::make_unique<Publisher>(
        coordinator, epoch, 0, state, vault, clock,
        [this](const std::vector<pack::Footer>&, std::uint64_t generation) { generations.push_back(generation); });
    ASSERT_TRUE(publish("tenant", new_record(journal::Kind::Tenant, journal::encode(journal::TenantPayload{
                                                                        random.id<TenantId>(), "acme", "30d", 0}))));
  }
  static coordinator::NewRecord client_record(const ClientId& id, const std::string& name) {
    journal::ClientPayload payload;
    payload.id = id;
    payload.name = name;
    return new_record(journal::Kind::Client, journal::encode(payload));
  }
  Result<std::vector<journal::Record>> publish(const std::string& subject, coordinator::NewRecord record) {
    return publisher->publish(subject,
                              [record](const State&, const Stamp&) -> Result<Records> { return Records{record}; });
  }
  std::size_t clients() const {
    return state.read([](const State& s) { return s.clients_by_name().size(); });
  }
};

using PublisherGroup = PublisherTest;

TEST_F(PublisherTest, StampsRecordsAndAppliesThemBeforeItReturns) {
  const ClientId id = random.id<ClientId>();
  const auto records = publish("c", client_record(id, "shop"));
  ASSERT_TRUE(records.has_value());
  ASSERT_EQ(records->size(), 1u);
  EXPECT_EQ((*records)[0].wall_ns, to_ns(clock.wall()));
  EXPECT_EQ((*records)[0].vault_ns, to_ns(clock.wall()));
  EXPECT_EQ((*records)[0].number, 2u);
  EXPECT_EQ(clients(), 1u);
}

TEST_F(PublisherTest, RefusesARecordThatReplayWouldRefuseBeforeItIsWritten) {
  const std::uint64_t number = state.state.number();
  const auto refused = publish(
      "x", new_record(journal::Kind::Deleted, journal::encode(journal::DeletedPayload{{random.id<SnapshotId>()}})));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::Conflict);
  EXPECT_EQ(state.state.number(), number);
  EXPECT_FALSE(publisher->stopped().has_value());
  EXPECT_TRUE(publish("c", client_record(random.id<ClientId>(), "shop")).has_value());
}

TEST_F(PublisherTest, GivesBackTheProposalsErrorAndPublishesNothing) {
  const auto refused =
      publisher->publish("x", [](const State&, const Stamp&) -> Result<Records> { return Error{Errc::Denied, "no"}; });
  EXPECT_EQ(refused.error().code, Errc::Denied);
  const auto nothing = publisher->publish("x", [](const State&, const Stamp&) -> Result<Records> { return Records{}; });
  ASSERT_TRUE(nothing.has_value());
  EXPECT_TRUE(nothing->empty());
  EXPECT_EQ(generations.size(), 1u);
}

TEST_F(PublisherGroup, PutsWaitingProposalsIntoOneBatchAndThoseOfOneSubjectIntoSeveral) {
  // The leader is held inside its proposal until everybody else waits.
  std::latch leading(1), release(1);
  std::thread leader([&] {
    EXPECT_TRUE(publisher
                    ->publish("leader",
                              [&](const State&, const Stamp&) -> Result<Records> {
                                leading.count_down();
                                release.wait();
                                return Records{client_record(ClientId{}, "leader")};
                              })
                    .has_value());
  });
  leading.wait();
  std::atomic<int> started = 0;
  std::vector<std::thread> others;
  for (int i = 0; i < 6; ++i) {
    const std::string subject = i < 4 ? "s" + std::to_string(i) : "same";
    const auto record = client_record(random.id<ClientId>(), "c" + std::to_string(i));
    others.emplace_back([&, subject, record] {
      ++started;
      EXPECT_TRUE(publish(subject, record).has_value());
    });
  }
  while (publisher->waiting() < 6) std::this_thread::yield();
  release.count_down();
  leader.join();
  for (std::thread& other : others) other.join();
  EXPECT_EQ(clients(), 7u);
  EXPECT_EQ(generations.size(), 1u + 1u + 2u);  // the tenant, the leader, five subjects, the second of "same"
}

TEST_F(PublisherGroup, ARecordThatMovesTheVaultClockSharesItsBatchWithNobodyAndCountsFromTheNextOn) {
  const std::int64_t day = 86'400'000'000'000, before = vault.now_ns();
  std::latch leading(1), release(1);
  std::thread leader([&] {
    EXPECT_TRUE(publisher
                    ->publish("leader",
                              [&](const State&, const Stamp&) -> Result<Records> {
                                leading.count_down();
                                release.wait();
                                return Records{};
                              })
                    .has_value());
  });
  leading.wait();
  std::vector<std::thread> others;
  for (std::size_t i = 0; i < 7; ++i) {
    others.emplace_back([&, i] {
      const bool alone = i == 3;
      const auto propose = [&, i, alone](const State&, const Stamp& stamp) -> Result<Records> {
        if (!alone) return Records{client_record(ClientId{{static_cast<std::uint8_t>(i)}}, "c" + std::to_string(i))};
        journal::ClockPayload payload;
        payload.boottime_ns = vault.anchor().moment.boottime_ns;
        payload.vault_ns = stamp.vault_ns + day;
        return Records{new_record(journal::Kind::Clock, journal::encode(payload))};
      };
      const auto done = publisher->publish(alone ? std::string(Publisher::kAlone) : "s" + std::to_string(i), propose);
      EXPECT_TRUE(done.has_value());
      EXPECT_EQ((*done)[0].vault_ns, before);
    });
    while (publisher->waiting() < i + 1) std::this_thread::yield();
  }
  release.count_down();
  leader.join();
  for (std::thread& other : others) other.join();
  EXPECT_EQ(generations.size(), 1u + 2u);  // the tenant, the six, and the one alone, though it came in their midst
  EXPECT_EQ(vault.now_ns(), before + day);
  const auto next = publish("next", client_record(ClientId{{9}}, "next"));
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ((*next)[0].vault_ns, before + day);
}

TEST_F(PublisherTest, LetsTheSecondOfASubjectSeeWhatTheFirstHasDone) {
  std::vector<std::thread> threads;
  std::atomic<int> made = 0;
  for (int i = 0; i < 50; ++i) {
    const ClientId id = random.id<ClientId>();
    threads.emplace_back([&, id] {
      const auto done = publisher->publish("shop", [&](const State& s, const Stamp&) -> Result<Records> {
        if (s.client(std::string("shop")) != nullptr) return Records{};
        return Records{client_record(id, "shop")};
      });
      made += done && !done->empty() ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made.load(), 1);
}

TEST_F(PublisherTest, GoesOnAfterAFullDisk) {
  coordinator.fail_at(0, Errc::DiskFull);
  EXPECT_EQ(publish("c", client_record(random.id<ClientId>(), "shop")).error().code, Errc::DiskFull);
  EXPECT_EQ(clients(), 0u);
  EXPECT_TRUE(publish("c", client_record(random.id<ClientId>(), "shop")).has_value());
}

TEST_F(PublisherTest, StopsForGoodWhenTheOutcomeIsInDoubtOrTheEpochIsOver) {
  coordinator.unknown_at(0, true);
  EXPECT_EQ(publish("c", client_record(random.id<ClientId>(), "shop")).error().code, Errc::Unknown);
  EXPECT_EQ(clients(), 0u);
  EXPECT_EQ(publish("d", client_record(random.id<ClientId>(), "till")).error().code, Errc::Unknown);
  ASSERT_TRUE(publisher->stopped().has_value());
}

TEST_F(PublisherTest, StopsWhenSomebodyElseOwnsTheTenant) {
  coordinator.steal();
  EXPECT_EQ(publish("c", client_record(random.id<ClientId>(), "shop")).error().code, Errc::Fenced);
  EXPECT_EQ(publisher->stopped()->code, Errc::Fenced);
}

TEST_F(PublisherTest, FailsEverybodyWhenAProposalThrowsAndBlocksNobody) {
  const auto thrown =
      publisher->publish("c", [](const State&, const Stamp&) -> Result<Records> { throw std::bad_alloc(); });
  EXPECT_EQ(thrown.error().code, Errc::Unknown);
  EXPECT_EQ(publish("d", client_record(random.id<ClientId>(), "till")).error().code, Errc::Unknown);
}

TEST_F(PublisherTest, LetsNobodyPublishWhileQuietWorkRuns) {
  std::thread other;
  EXPECT_TRUE(publisher
                  ->quietly([&]() -> Status {
                    other = std::thread(
                        [&] { EXPECT_TRUE(publish("c", client_record(random.id<ClientId>(), "shop")).has_value()); });
                    while (publisher->waiting() < 1) std::this_thread::yield();
                    EXPECT_EQ(clients(), 0u);
                    return {};
                  })
                  .has_value());
  other.join();
  EXPECT_EQ(clients(), 1u);
}

}  // namespace
}  // namespace holdfast::tenant
