#include "server/admin/collecting.h"

#include "server/tenant/parts.h"
#include "tests/server/admin/admin_world.h"

namespace holdfast::admin {
namespace {

/// Two tenants, each with two deleted snapshots and one that lives.
class CollectRound : public AdminWorld {
 protected:
  CollectRound() {
    world.add_tenant("beta");
    for (const char* name : {"acme", "beta"}) {
      const session::Member shop = world.add_member(name, "shop");
      session::Requests requests = world.requests(shop.facts);
      for (int i = 0; i < 3; ++i) (void)session::back_up(world, requests, shop);
    }
    for (const int days : {31, 14}) {
      world.clock.advance(std::chrono::days(days));
      for (const char* name : {"acme", "beta"}) (void)must(find(name)->purge(false));
    }
  }
  std::shared_ptr<tenant::Tenant> find(const std::string& name) { return must(world.tenants->find(name)); }
  std::size_t trash(const std::string& name) {
    return find(name)->parts().state.read([](const tenant::State& s) { return s.trash().size(); });
  }
};

TEST_F(CollectRound, GoesOverAllTenantsAndEmptiesTheirTrashInItsTime) {
  collect_round(*world.tenants, {});
  EXPECT_EQ(trash("acme"), 2u);
  EXPECT_EQ(trash("beta"), 2u);
  world.clock.advance(std::chrono::days(7));
  collect_round(*world.tenants, {});
  EXPECT_EQ(trash("acme") + trash("beta"), 0u);
}

TEST_F(CollectRound, ATenantThatIsCollectedAlreadyKeepsNoOtherWaiting) {
  {
    const std::shared_ptr<tenant::Tenant> acme = find("acme");
    const std::lock_guard other(acme->parts().collecting);
    collect_round(*world.tenants, {});
    EXPECT_EQ(trash("acme"), 0u);
    EXPECT_EQ(trash("beta"), 2u);
  }
  collect_round(*world.tenants, {});
  EXPECT_EQ(trash("acme"), 2u);
}

TEST_F(CollectRound, ATenantThatCannotBeOpenedKeepsNoOtherWaiting) {
  const std::string directory = "/srv/tenants/" + find("acme")->id().hex();
  world.stop();
  must(world.fs.disk().unlink(fs::join(directory, "head")));
  must(world.fs.disk().sync_directory(directory));
  world.start();
  collect_round(*world.tenants, {});
  EXPECT_EQ(trash("beta"), 2u);
}

TEST_F(CollectRound, EndsWhereItIsWhenTheDaemonStops) {
  world.stop();
  world.start();
  const std::atomic<bool> stop = true;
  collect::CollectOptions options;
  options.stop = &stop;
  collect_round(*world.tenants, options);
  for (const char* name : {"acme", "beta"}) EXPECT_EQ(world.tenants->open_now(name), nullptr) << name;
  EXPECT_EQ(trash("acme") + trash("beta"), 0u);
}

}  // namespace
}  // namespace holdfast::admin
