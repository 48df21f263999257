// A server that lies while a client backs up: one behaviour a row. The exit code is the documented one, nothing of the
// local state is replaced by what it says, and an honest server makes everything right again.
#include <gtest/gtest.h>

#include <limits>

#include "common/console/exit_code.h"
#include "tests/support/enrolled_client.h"
#include "tests/support/evil_remote.h"

namespace holdfast::test {
namespace {

using console::exit_code;
using snapshot::Receipt;
namespace fs = std::filesystem;

/// A client with one honest snapshot, and something new to back up.
class World {
 public:
  World() {
    client.write("old", noise(400'000));
    client.age();
    HF_ASSERT(client.back_up().has_value());
    client.write("new", noise(900'000));
    client.age();
  }

  Result<backup::BackupReport> back_up(remote::Remote& server) const {
    return backup::run_backup(server, client.ring, holdfast::fs::real(), system_clock(), system_random(), options);
  }
  /// Everything that the client remembers, byte for byte; not the lock, nor what a broken run leaves half written.
  std::map<std::string, std::string> memory() const {
    std::map<std::string, std::string> out;
    for (const char* name : {"receipt", "state", "segments"})
      out[name] = EnrolledClient::text_of(client.root + "/state/" + name);
    return out;
  }
  /// What the newest snapshot gives back: the names of the files that are there, each of which must be right.
  std::vector<std::string> restored(int* code) {
    const std::string target = client.root + "/back";
    fs::remove_all(target);
    client.failures.clear();
    const Result<restore::RestoreReport> done = client.restore_to(target);
    *code = !done               ? exit_code(done.error().code)
            : done->failed == 0 ? int{console::kDone}
                                : console::graver(console::kFailed, exit_code(*done->gravest));
    std::vector<std::string> names;
    for (const char* name : {"new", "old"}) {
      const std::string path = target + client.root + "/data/" + name;
      if (!fs::exists(path)) continue;
      EXPECT_EQ(EnrolledClient::text_of(path), EnrolledClient::text_of(client.root + "/data/" + name)) << name;
      names.emplace_back(name);
    }
    return names;
  }
  /// The receipt that a server with this key would give, changed.
  Bytes receipt_for(ByteSpan core_bytes, const std::function<void(Receipt&)>& change,
                    const crypto::SigningKey* key = nullptr) const {
    const snapshot::Core core = snapshot::decode_core(core_bytes)->core;
    Receipt made;
    made.tenant = core.tenant;
    made.client = core.client;
    made.snapshot = snapshot::snapshot_id(core_bytes);
    made.sequence = core.sequence;
    made.server_ns = client.remote->server_ns;
    made.lock_not_before_ns = made.server_ns + std::chrono::nanoseconds(std::chrono::hours(24 * 30)).count();
    made.plan = "30d";
    made.journal_number = core.sequence * 3;
    change(made);
    return snapshot::encode_signed(made, key == nullptr ? client.receipt_key : *key);
  }

  EnrolledClient client;
  backup::BackupOptions options = client.options();
};

struct Behaviour {
  std::string name;
  std::function<void(World&, EvilRemote&)> lie;
  int code = console::kDamaged;
};

std::function<void(World&, EvilRemote&)> opening(void (*change)(remote::Opened&)) {
  return [=](World&, EvilRemote& server) {
    server.opened = [=](remote::Opened truth) -> Result<remote::Opened> {
      change(truth);
      return truth;
    };
  };
}

std::function<void(World&, EvilRemote&)> receipt_with(void (*change)(Receipt&)) {
  return [=](World& world, EvilRemote& server) {
    server.committed = [=, &world](ByteSpan core) -> Result<Bytes> { return world.receipt_for(core, change); };
  };
}

std::function<void(World&, EvilRemote&)> receipt_bytes(Bytes (*change)(Bytes)) {
  return [=](World&, EvilRemote& server) {
    server.receipt = [=](Bytes truth) -> Result<Bytes> { return change(std::move(truth)); };
  };
}

std::function<void(World&, EvilRemote&)> refusing(Errc code) {
  return [=](World&, EvilRemote& server) {
    server.committed = [=](ByteSpan) -> Result<Bytes> { return Error{code, "says the server"}; };
  };
}

std::vector<Behaviour> behaviours() {
  return {
      {"an older journal", opening([](remote::Opened& o) { --o.head_number; })},
      {"a journal of nothing", opening([](remote::Opened& o) { o.head_number = 0; })},
      {"the same journal with another record", opening([](remote::Opened& o) { o.head_digest.bytes[0] ^= 1; })},
      {"the sequence again", opening([](remote::Opened& o) { --o.next_sequence; })},
      {"another newest snapshot", opening([](remote::Opened& o) { o.previous.bytes[3] ^= 1; })},
      {"no newest snapshot", opening([](remote::Opened& o) { o.previous = {}; })},
      {"receipt: of another key",
       [](World& world, EvilRemote& server) {
         server.committed = [&](ByteSpan core) -> Result<Bytes> {
           const auto other = crypto::SigningKey::generate(system_random());
           return world.receipt_for(core, [](Receipt&) {}, &other);
         };
       }},
      {"receipt: the last one again",
       [](World& world, EvilRemote& server) {
         server.committed = [&](ByteSpan) -> Result<Bytes> {
           return to_bytes(as_bytes(EnrolledClient::text_of(world.client.root + "/state/receipt")));
         };
       }},
      {"receipt: the core",
       [](World&, EvilRemote& server) {
         server.committed = [](ByteSpan core) -> Result<Bytes> { return to_bytes(core); };
       }},
      {"receipt: empty", receipt_bytes([](Bytes) { return Bytes{}; })},
      {"receipt: cut", receipt_bytes([](Bytes r) {
         r.pop_back();
         return r;
       })},
      {"receipt: a byte too many", receipt_bytes([](Bytes r) {
         r.push_back(0);
         return r;
       })},
      {"receipt: one byte flipped", receipt_bytes([](Bytes r) {
         r[r.size() / 2] ^= 1;
         return r;
       })},
      {"receipt: 1 MiB", receipt_bytes([](Bytes) { return Bytes(1u << 20); }), console::kDamaged},
      {"receipt: of another tenant", receipt_with([](Receipt& r) { r.tenant.bytes[0] ^= 1; })},
      {"receipt: of another client", receipt_with([](Receipt& r) { r.client.bytes[0] ^= 1; })},
      {"receipt: of another core", receipt_with([](Receipt& r) { r.snapshot.bytes[0] ^= 1; })},
      {"receipt: of another sequence", receipt_with([](Receipt& r) { ++r.sequence; })},
      {"receipt: the journal stood still", receipt_with([](Receipt& r) { r.journal_number -= 3; })},
      {"receipt: the journal went back", receipt_with([](Receipt& r) { r.journal_number = 0; })},
      {"receipt: kept one nanosecond too short", receipt_with([](Receipt& r) { --r.lock_not_before_ns; })},
      {"receipt: kept until 1970", receipt_with([](Receipt& r) { r.lock_not_before_ns = 0; })},
      {"receipt: a date beyond the end of time", receipt_with([](Receipt& r) {
         r.server_ns = std::numeric_limits<std::int64_t>::max();
         r.lock_not_before_ns = r.server_ns;
       })},
      {"commit: always misses something", refusing(Errc::Missing)},
      {"commit: damaged", refusing(Errc::Corrupt)},
      {"commit: quota", refusing(Errc::Quota), console::kRefused},
      {"commit: denied", refusing(Errc::Denied), console::kRefused},
      {"commit: full", refusing(Errc::DiskFull), console::kFailed},
  };
}

TEST(EvilServer, ReplacesNothingThatTheClientRemembers) {
  const std::vector<Behaviour> all = behaviours();
  EXPECT_GE(all.size(), 25u);
  World world;
  const std::map<std::string, std::string> before = world.memory();
  const std::vector<remote::SnapshotRow> stored = world.client.remote->rows;
  for (const Behaviour& one : all) {
    SCOPED_TRACE(one.name);
    EvilRemote server(*world.client.remote);
    one.lie(world, server);
    const Result<backup::BackupReport> done = world.back_up(server);
    ASSERT_FALSE(done);
    EXPECT_EQ(exit_code(done.error().code), one.code) << done.error().message;
    EXPECT_EQ(world.memory(), before);
    EXPECT_LE(server.commits, 2u);       // whatever it answers, nobody asks for ever
    world.client.remote->rows = stored;  // what an honest server would have kept of it is not the question here
  }
  const Result<backup::BackupReport> honest = world.client.back_up();
  ASSERT_TRUE(honest) << honest.error().message;
  int code = -1;
  EXPECT_EQ(world.restored(&code), (std::vector<std::string>{"new", "old"}));
  EXPECT_EQ(code, console::kDone);
}

/// A lie that the client cannot see while it backs up: what it gets back shows it, and the next honest run mends it.
struct Hidden {
  std::string name;
  std::function<void(World&, EvilRemote&)> lie;
  std::vector<std::string> whole;  ///< files that come back all the same
  int code = console::kDamaged;    ///< of the restore
};

/// Signs whatever comes, proven or not.
void sign_anything(World& world, EvilRemote& server) {
  server.committed = [&](ByteSpan core) -> Result<Bytes> {
    world.client.remote->rows.push_back({to_bytes(core), world.client.remote->server_ns, 0, "live"});
    return world.receipt_for(core, [](Receipt&) {});
  };
}

bool is_data(const Bytes& record) { return blob::decode_record(record)->header.type == blob::Type::Data; }

std::vector<Hidden> hidden_lies() {
  return {
      {"it has everything already, under a run that never was",
       [](World& world, EvilRemote& server) {
         sign_anything(world, server);
         server.known = [](const auto& ids, auto& answer) {
           for (std::size_t i = 0; i < ids.size(); ++i) answer[i] = remote::Known{system_random().id<RunId>(), {}};
         };
       },
       {"old"}},
      {"it has everything already, under an older run",
       [](World& world, EvilRemote& server) {
         sign_anything(world, server);
         const RunId run = snapshot::decode_core(world.client.remote->rows[0].core)->core.run;
         server.known = [=](const auto& ids, auto& answer) {
           for (std::size_t i = 0; i < ids.size(); ++i) answer[i] = remote::Known{run, {}};
         };
       },
       {"old"}},
      {"it throws every data blob away and acknowledges it",
       [](World& world, EvilRemote& server) {
         sign_anything(world, server);
         server.kept = [](Bytes record) { return is_data(record) ? std::nullopt : std::optional(std::move(record)); };
       },
       {"old"}},
      {"it throws every manifest segment away",
       [](World& world, EvilRemote& server) {
         sign_anything(world, server);
         server.kept = [](Bytes record) { return is_data(record) ? std::optional(std::move(record)) : std::nullopt; };
       },
       {}},
      {"it keeps every data blob with one byte flipped",
       [](World& world, EvilRemote& server) {
         sign_anything(world, server);
         server.kept = [](Bytes record) {
           if (is_data(record)) record.back() ^= 1;
           return std::optional(std::move(record));
         };
       },
       {"old"}},
      {"it has never heard of the base, nor of any blob",
       [](World&, EvilRemote& server) {
         server.opened = [](remote::Opened truth) -> Result<remote::Opened> {
           truth.base_known = false;
           return truth;
         };
         server.known = [](const auto&, auto& answer) { std::fill(answer.begin(), answer.end(), std::nullopt); };
       },
       {"new", "old"},
       console::kDone},
      {"it gives absurd figures",
       [](World&, EvilRemote& server) {
         server.opened = [](remote::Opened truth) -> Result<remote::Opened> {
           truth.quota_bytes = 1;
           truth.used_bytes = truth.head_number = std::numeric_limits<std::uint64_t>::max() - 9;
           truth.head_number = 5;
           return truth;
         };
       },
       {"new", "old"},
       console::kDone},
  };
}

TEST(EvilServer, CannotMakeASnapshotThatLiesAboutItsBytes) {
  for (const Hidden& one : hidden_lies()) {
    SCOPED_TRACE(one.name);
    World world;
    EvilRemote server(*world.client.remote);
    one.lie(world, server);
    const Result<backup::BackupReport> done = world.back_up(server);
    ASSERT_TRUE(done) << done.error().message;
    int code = -1;
    EXPECT_EQ(world.restored(&code), one.whole);
    EXPECT_EQ(code, one.code);

    // The same server, honest from now on.
    const Result<backup::BackupReport> honest = world.client.back_up();
    ASSERT_TRUE(honest) << honest.error().message;
    const Result<backup::BackupReport> full = [&] {
      world.options.full = true;
      return world.back_up(*world.client.remote);
    }();
    ASSERT_TRUE(full) << full.error().message;
    if (one.name.find("flipped") != std::string::npos) continue;  // its digests are right for what it keeps: CRYPTO.md
    EXPECT_EQ(world.restored(&code), (std::vector<std::string>{"new", "old"}));
    EXPECT_EQ(code, console::kDone);
  }
}

TEST(EvilServer, MayStateAnyTimeInItsReceipts) {
  constexpr std::int64_t kFirst = std::numeric_limits<std::int64_t>::min();
  World world;
  const std::string old = EnrolledClient::text_of(world.client.root + "/data/old");
  std::size_t bytes = old.size();
  for (const std::int64_t ns : {kFirst, std::int64_t{-1}, std::int64_t{1'800'000'000'000'000'000}, kFirst + 1}) {
    SCOPED_TRACE(ns);
    world.client.remote->server_ns = ns;
    world.client.write("old", old.substr(0, bytes -= 50'000));  // a blob of every age is used in part
    const Result<backup::BackupReport> done = world.client.back_up();
    ASSERT_TRUE(done) << done.error().message;
    int code = -1;
    EXPECT_EQ(world.restored(&code), (std::vector<std::string>{"new", "old"}));
  }
}

}  // namespace
}  // namespace holdfast::test
