#include "server/session/tenants.h"

#include "server/session/small_file.h"
#include "tests/server/session/service_world.h"

namespace holdfast::session {
namespace {

TEST(Tenants, AreFoundByNameAlsoAfterARestart) {
  ServiceWorld world;
  const TenantId acme = world.add_tenant("acme"), beta = world.add_tenant("beta");
  EXPECT_NE(acme, beta);
  EXPECT_EQ(world.tenants->names(), (std::vector<std::string>{"acme", "beta"}));
  world.restart();
  EXPECT_EQ(world.tenants->names(), (std::vector<std::string>{"acme", "beta"}));
  EXPECT_EQ(world.tenants->open_now("acme"), nullptr);  // a start opens nobody
  EXPECT_EQ(must(world.tenants->find("acme"))->id(), acme);
  EXPECT_NE(world.tenants->open_now("acme"), nullptr);
  EXPECT_EQ(world.tenants->find("gamma").error().code, Errc::NotFound);
  EXPECT_TRUE(world.tenants->health().empty());
}

TEST(Tenants, RefuseNamesThatExistOrCannotBe) {
  ServiceWorld world;
  world.add_tenant("acme");
  EXPECT_EQ(world.tenants->create("acme", "30d", 0).error().code, Errc::Exists);
  for (const char* bad : {"", "Acme", "server", "operator", "a/b", "..", ".a", "a b", "\xff"}) {
    EXPECT_EQ(world.tenants->create(bad, "30d", 0).error().code, Errc::Usage) << bad;
  }
  EXPECT_EQ(world.tenants->create("other", "no such plan", 0).error().code, Errc::Usage);
  EXPECT_EQ(world.tenants->names(), std::vector<std::string>{"acme"});
  world.restart();
  EXPECT_EQ(world.tenants->names(), std::vector<std::string>{"acme"});
}

TEST(Tenants, AreGivenOutAsOneObjectToAllThreads) {
  ServiceWorld world;
  world.add_tenant("acme");
  world.restart();
  std::vector<std::thread> threads;
  std::vector<std::shared_ptr<tenant::Tenant>> got(8);
  for (std::size_t i = 0; i < got.size(); ++i)
    threads.emplace_back([&, i] { got[i] = must(world.tenants->find("acme")); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& one : got) EXPECT_EQ(one, got[0]);
}

TEST(Tenants, CloseTheLeastRecentlyUsedButNeverOneInUse) {
  ServiceWorld world;
  world.max_open = 2;
  for (const char* name : {"a", "b", "c", "d"}) world.add_tenant(name);
  world.restart();
  const std::shared_ptr<tenant::Tenant> held = must(world.tenants->find("a"));
  (void)must(world.tenants->find("b"));
  (void)must(world.tenants->find("c"));
  EXPECT_EQ(world.tenants->open_now("a"), held);
  EXPECT_EQ(world.tenants->open_now("b"), nullptr);
  EXPECT_NE(world.tenants->open_now("c"), nullptr);
  EXPECT_TRUE(must(world.tenants->find("b"))->account().name == "b");  // and open again
}

TEST(Tenants, ManyThreadsOpenAndCloseWithoutEverHavingOneTwice) {
  ServiceWorld world;
  world.max_open = 1;
  for (const char* name : {"a", "b", "c"}) world.add_tenant(name);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&world, t] {
      for (int i = 0; i < 6; ++i) {
        const std::string name(1, static_cast<char>('a' + (i + t) % 3));
        const auto found = world.tenants->find(name);  // a second object of one directory would not get its lock
        EXPECT_TRUE(found) << found.error().message;
        if (found) {
          EXPECT_EQ((*found)->account().name, name);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Tenants, ALostOrDamagedNameFileIsMadeAnewFromTheJournal) {
  ServiceWorld world;
  const std::string file = "/srv/names/" + world.add_tenant("acme").hex();
  const Bytes good = must(fs::read_file(world.fs, file, 1000));
  for (std::size_t at = 0; at < good.size(); ++at) {
    Bytes bad = good;
    bad[at] ^= 0x20;
    must(fs::replace_file(world.fs, file, bad, 0600));
    EXPECT_EQ(world.tenants->health().size(), 1u) << at;
  }
  must(world.fs.unlink(file));
  EXPECT_EQ(world.tenants->health().size(), 1u);
  world.restart();
  EXPECT_EQ(world.tenants->names(), std::vector<std::string>{"acme"});
  EXPECT_EQ(must(fs::read_file(world.fs, file, 1000)), good);
  EXPECT_TRUE(world.tenants->health().empty());
}

TEST(Tenants, ADamagedOneHarmsNobodyElse) {
  ServiceWorld world;
  const TenantId acme = world.add_tenant("acme");
  world.add_tenant("beta");
  world.stop();
  must(fs::replace_file(world.fs, "/srv/tenants/" + acme.hex() + "/head", Bytes(100, 7), 0600));
  must(world.fs.unlink("/srv/names/" + acme.hex()));
  world.start();
  EXPECT_TRUE(world.tenants->find("beta"));
  const auto found = world.tenants->find("acme");
  const bool named = !world.tenants->health().empty() || (found && !(*found)->account().health.empty()) || !found;
  EXPECT_TRUE(named);
}

TEST(Tenants, AnInterruptedCreationLeavesNoTenant) {
  for (std::uint64_t step = 0;; ++step) {
    ServiceWorld world;
    world.fs.crash_after(step);
    const auto created = world.tenants->create("acme", "30d", 0);
    const bool crashed = world.fs.crashed();
    world.stop();
    world.fs.reboot();
    world.start();
    // All of it or nothing; a second try works.
    if (created) {
      EXPECT_EQ(world.tenants->names(), std::vector<std::string>{"acme"}) << step;
    }
    if (!world.tenants->knows("acme")) {
      EXPECT_TRUE(world.tenants->create("acme", "30d", 0)) << step;
    }
    EXPECT_TRUE(world.tenants->find("acme")) << step;
    if (!crashed) break;
  }
}

}  // namespace
}  // namespace holdfast::session
