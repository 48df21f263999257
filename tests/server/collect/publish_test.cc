// What a judgement and a commit must see of each other, and what stands when nobody knows whether it was published.
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "server/collect/survey.h"
#include "tests/server/collect/collect_world.h"

namespace holdfast::collect {
namespace {

using support::Operation;
using tenant::Machine;
using tenant::TestRun;
using tenant::Tree;

/// Nobody publishes while this lives; who wants to waits in a queue.
class Hush {
 public:
  explicit Hush(tenant::Publisher& publisher) : publisher_(publisher) {
    thread_ = std::thread([this] {
      must(publisher_.quietly([this]() -> Status {
        quiet_.set_value();
        end_.get_future().wait();
        return {};
      }));
    });
    quiet_.get_future().wait();
  }
  ~Hush() {
    end_.set_value();
    thread_.join();
  }
  void wait_for(std::size_t proposals) const {
    while (publisher_.waiting() < proposals) std::this_thread::yield();
  }

 private:
  tenant::Publisher& publisher_;
  std::promise<void> quiet_, end_;
  std::thread thread_;
};

/// A deleted snapshot's pack is about to be condemned, and a client that remembers its blobs is about to commit them once
/// more: it asked for nothing, so nothing pins them.
struct Meeting : CollectWorld {
  Meeting() : survey(parts()) {
    const SnapshotId first = back_up(shop, 1, 3);
    first_tree = last_tree;
    first_run = last_run;
    end(first);
    must(survey.take());
    const CollectPlan plan = plan_collect(survey.facts(), {});
    HF_ASSERT(plan.condemn.size() == 1);
    work.packs.push_back(must(read_candidate(parts(), survey.packs().at(plan.condemn[0]).pack)));
    run = begin(shop);
    fresh = tree(shop, run, 0, 0, 50, leaves_of(first_tree, first_run));
    HF_ASSERT(send(shop, run, fresh.blobs) == fresh.blobs.size());
    bytes = core(shop, run, fresh.root);
  }

  Result<Bytes> commit() { return tenant->commit(shop.id, run.opened.session, bytes, nullptr); }
  Result<std::vector<PackId>> judge() { return condemn(parts(), survey, work); }

  const Machine shop = enrol("shop");
  Tree first_tree, fresh;
  TestRun first_run, run;
  Survey survey;
  Condemnation work;
  Bytes bytes;
};

/// Both wait behind somebody else's record, so that one batch could take them together. The commit is first.
void commit_before_condemnation(int tries_outside_the_lock) {
  Meeting meeting;
  meeting.work.tries_outside_the_lock = tries_outside_the_lock;
  auto hush = std::make_unique<Hush>(*meeting.parts().publisher);
  auto committed = std::async(std::launch::async, [&] { return meeting.commit(); });
  hush->wait_for(1);
  auto condemned = std::async(std::launch::async, [&] { return meeting.judge(); });
  hush->wait_for(2);
  hush.reset();
  EXPECT_TRUE(committed.get().has_value());
  EXPECT_TRUE(must(condemned.get()).empty());
  EXPECT_TRUE(meeting.reads(meeting.shop, meeting.first_run, meeting.first_tree));
  meeting.expect_undamaged();
}

TEST(CollectPublish, ACommitThatWaitsBeforeACondemnationKeepsThePack) {
  commit_before_condemnation(kTriesOutsideTheLock);
}

/// As when the commits never end.
TEST(CollectPublish, ACommitThatWaitsBeforeACondemnationIsMarkedUnderTheLock) { commit_before_condemnation(0); }

/// It was checked while the pack was still live; what it relied on is gone when its turn comes.
TEST(CollectPublish, ACommitThatWaitsBehindACondemnationIsCheckedAgain) {
  Meeting meeting;
  auto hush = std::make_unique<Hush>(*meeting.parts().publisher);
  auto condemned = std::async(std::launch::async, [&] { return meeting.judge(); });
  hush->wait_for(1);
  auto committed = std::async(std::launch::async, [&] { return meeting.commit(); });
  hush->wait_for(2);
  hush.reset();
  EXPECT_EQ(must(condemned.get()).size(), 1u);
  const Result<Bytes> refused = committed.get();
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Errc::Missing);
  meeting.expect_undamaged();
}

/// The head of the record that names the copies is not synced: it may stand or not, and so the copies must.
void rewrite_with_unknown_outcome(bool machine_stops) {
  SCOPED_TRACE(machine_stops ? "the machine stops, the head is lost" : "the daemon restarts, the head is seen");
  CollectWorld world;
  const Machine shop = world.enrol("shop");
  const SnapshotId first = world.back_up(shop, 8, 3, 4000);
  std::vector<blob::BlobRef> leaves = world.leaves_of(world.last_tree, world.last_run);
  leaves.resize(2);
  (void)world.back_up_on(shop, first, leaves, 1, 3, 4000);
  const Tree second_tree = world.last_tree;
  const TestRun second_run = world.last_run;
  world.end(first);
  bool copying = false;
  world.fs.watch([&](std::optional<Operation> operation, const std::string& path) {
    if (operation != Operation::Create || copying || path.find("/tmp/") == std::string::npos) return;
    copying = true;
    world.fs.fail_on(Operation::Sync, "/head");
  });
  const Result<CollectSummary> done = collect(*world.tenant, {});
  world.fs.watch(nullptr);
  ASSERT_TRUE(copying);
  ASSERT_FALSE(done.has_value());
  ASSERT_EQ(done.error().code, Errc::Unknown);
  if (machine_stops) world.crash();
  world.reopen();
  EXPECT_TRUE(world.reads(shop, second_run, second_tree));
  for (const blob::BlobRef& leaf : leaves)
    EXPECT_TRUE(world.tenant->read_blob(shop.id, shop.domain, 1, leaf).has_value());
  world.expect_undamaged();
  for (int i = 0; i < 2; ++i) {
    (void)world.collect();
    world.clock.advance(8 * 24h);
  }
  (void)world.collect();
  world.expect_tidy();
  world.expect_undamaged();
}

TEST(CollectPublish, CopiesStayWhenNobodyKnowsWhetherTheyWerePublished) {
  rewrite_with_unknown_outcome(false);
  rewrite_with_unknown_outcome(true);
}

}  // namespace
}  // namespace holdfast::collect
