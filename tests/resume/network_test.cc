// Row 39: whatever happens to the connection, at every border of a frame and inside of one, a backup and a restore end as
// if nothing had happened. Client and server are the real ones, in one process, with a relay between them.
#include <gtest/gtest.h>

#include "tests/client/backup/watched_client.h"
#include "tests/support/loopback_server.h"
#include "tests/support/relay.h"

namespace holdfast::test {
namespace {

using namespace std::chrono_literals;
using support::Relay;

constexpr auto kBudget = 60s;            // for all places together, under ASan
constexpr std::uint64_t kMostDone = 12;  // snapshots of one world: their list is part of every restore

std::map<std::string, std::string> files_below(const std::string& path) {
  std::map<std::string, std::string> out;
  for (const auto& one : std::filesystem::recursive_directory_iterator(path)) {
    if (one.is_regular_file()) out[one.path().lexically_relative(path)] = EnrolledClient::text_of(one.path());
  }
  return out;
}

/// A client, its server, and the network between them.
struct World {
  World() {
    server.enrol(client);
    client.write("shop/index.html", noise(20'000));
    client.age();
  }

  remote::Patience patience() {
    remote::Patience out;
    out.total = kBudget;
    out.first_pause = 2ms;
    out.stop = &stop;
    return out;
  }
  Result<backup::BackupReport> back_up() {
    HF_TRY(const std::unique_ptr<remote::Remote> remote, server.connect(client, relay.address(), patience()));
    return backup::run_backup(*remote, client.ring, fs::real(), clock, system_random(), client.options());
  }
  Status restore(const std::string& target) {
    HF_TRY(const std::unique_ptr<remote::Remote> remote, server.connect(client, relay.address(), patience()));
    HF_TRY(restore::OpeningKey key, restore::own_key(client.ring));
    restore::Archive archive(*remote, {}, std::move(key));
    HF_TRY(const restore::SnapshotInfo info, archive.find("latest", ""));
    restore::RestoreOptions options;
    options.target.target = target;
    options.target.set_owner = ::geteuid() == 0;
    HF_TRY(const restore::RestoreReport report, restore::run_restore(archive, info, options));
    if (report.failed > 0) return Error{Errc::Corrupt, "files failed"};
    return {};
  }
  /// One session that stores something new, and a restore: what there is of both, when nothing disturbs them.
  void one_session(const std::string& what) {
    client.write("shop/new", noise(2'000));
    const Result<backup::BackupReport> report = back_up();
    ASSERT_TRUE(report) << what << ": " << report.error().message;
    EXPECT_EQ(report->sequence, ++done) << what;  // no snapshot is made twice, none is left out
    EXPECT_TRUE(report->failed_sources.empty());
    EXPECT_FALSE(report->state_lost);
    const std::string target = client.root + "/back";
    std::filesystem::remove_all(target);
    const Status restored = restore(target);
    ASSERT_TRUE(restored) << what << ": " << restored.error().message;
    EXPECT_EQ(files_below(target + client.root + "/data"), files_below(client.root + "/data")) << what;
    EXPECT_EQ(server.snapshots(), done) << what;
  }

  EnrolledClient client;
  LoopbackServer server;
  Relay relay{server.address()};
  const LaterClock clock;
  std::atomic<bool> stop{false};
  std::uint64_t done = 0;
};

class Network : public ::testing::Test {
 protected:
  void SetUp() override { new_world(); }
  void new_world() {
    world.reset();
    world = std::make_unique<World>();
  }
  std::unique_ptr<World> world;
};

/// A kind of harm, and at how many of the records it is done: one in `stride`.
struct Kind {
  Relay::Harm harm;
  bool inside;
  std::size_t stride;
};
constexpr Kind kKinds[] = {{Relay::Harm::Cut, false, 1},
                           {Relay::Harm::Cut, true, 2},
                           {Relay::Harm::Duplicate, false, 3},
                           {Relay::Harm::Delay, true, 5}};

TEST_F(Network, MayBreakStallOrComeTwiceAtEveryBorderOfAFrameAndInsideOfOne) {
  const MonotonicTime begun = system_clock().monotonic();
  world->one_session("the first");  // the next ones are of one shape
  world->relay.arm({});
  world->one_session("undisturbed");
  const std::size_t records[] = {world->relay.records(Relay::Way::ToServer),
                                 world->relay.records(Relay::Way::ToClient)};
  std::size_t places = 0;
  for (const Relay::Way way : {Relay::Way::ToServer, Relay::Way::ToClient}) {
    const std::size_t most = records[static_cast<int>(way)];
    ASSERT_GT(most, 10u);
    for (const Kind& kind : kKinds) {
      for (std::size_t at = 0; at < most; at += kind.stride) {
        if (world->done >= kMostDone) {
          new_world();
          world->one_session("the first");
        }
        world->relay.arm({kind.harm, way, at, kind.inside});
        world->one_session("harm " + std::to_string(static_cast<int>(kind.harm)) + " way " +
                           std::to_string(static_cast<int>(way)) + " record " + std::to_string(at) +
                           (kind.inside ? " inside" : ""));
        if (HasFatalFailure()) return;
        places += world->relay.harmed();
        world->relay.cut_all();
      }
    }
  }
  const auto took = std::chrono::duration_cast<std::chrono::seconds>(system_clock().monotonic() - begun);
  RecordProperty("places", static_cast<int>(places));
  RecordProperty("seconds", static_cast<int>(took.count()));
  std::printf("%zu records to the server, %zu to the client; %zu places, %lld s\n", records[0], records[1], places,
              static_cast<long long>(took.count()));
  EXPECT_GT(places, 100u);
}

TEST_F(Network, MayBeGoneForAWhileAndTheServerMayStartAnewInTheMiddle) {
  world->client.write("shop/big", noise(12u << 20));
  world->client.age();
  world->relay.arm({Relay::Harm::Cut, Relay::Way::ToServer, 300, true});
  std::thread vandal([&] {
    while (!world->relay.harmed()) std::this_thread::sleep_for(1ms);
    world->relay.close();
    world->server.kill();
    std::this_thread::sleep_for(50ms);
    world->server.start();
    world->relay.open();
  });
  const Result<backup::BackupReport> report = world->back_up();
  vandal.join();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_EQ(report->sequence, 1u);
  EXPECT_EQ(world->server.snapshots(), 1u);
  EXPECT_GE(world->relay.connections(), 2u);
  const Status restored = world->restore(world->client.root + "/back");
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ(files_below(world->client.root + "/back" + world->client.root + "/data"),
            files_below(world->client.root + "/data"));
}

TEST_F(Network, ThatStaysAwayIsGivenUpAndTheNextRunSendsOnlyTheRest) {
  world->client.write("shop/big", noise(12u << 20));
  world->client.age();
  world->relay.arm({Relay::Harm::Cut, Relay::Way::ToServer, 500, false});  // a record is at most 16 KiB
  std::thread vandal([&] {
    while (!world->relay.harmed()) std::this_thread::sleep_for(1ms);
    world->relay.close();
    world->stop = true;  // the operator has seen enough
  });
  const Result<backup::BackupReport> interrupted = world->back_up();
  vandal.join();
  ASSERT_FALSE(interrupted);
  EXPECT_EQ(interrupted.error().code, Errc::Canceled);
  EXPECT_EQ(world->server.snapshots(), 0u);
  world->relay.open();
  world->stop = false;
  const Result<backup::BackupReport> report = world->back_up();
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_GT(report->blobs_known, 2u);
  EXPECT_LT(report->sealed_bytes_sent, 9u << 20);
  EXPECT_EQ(report->sequence, 1u);
  EXPECT_TRUE(world->restore(world->client.root + "/back"));
}

}  // namespace
}  // namespace holdfast::test
