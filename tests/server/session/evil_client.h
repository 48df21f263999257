#pragma once
// A client with a valid certificate that does what no client does, one behaviour a row, against the real service over
// TLS on loopback. Each is refused with the documented failure, or its connection ends; memory stays bounded, another
// client is served all the while, and the tenant is whole at the end.

#include <fstream>

#include "tests/server/session/raw_client.h"

#ifdef __SANITIZE_ADDRESS__
extern "C" std::size_t __sanitizer_get_current_allocated_bytes();  // Debian has no header for it
#endif

namespace holdfast::session {
using std::chrono::milliseconds;

/// How far memory in use may grow at any moment, the attacker's own and the disk in memory included; what the behaviours
/// announce adds up to many gigabytes.
inline constexpr std::size_t kMostBytes = 320u << 20;
inline constexpr std::uint64_t kSeed = 20261122;

inline Deadlines quick_deadlines() {
  Deadlines deadlines;
  deadlines.idle_flush = milliseconds(20);
  deadlines.linger = milliseconds(200);
  deadlines.frame = std::chrono::seconds(2);
  return deadlines;
}

/// Allocated bytes where the sanitizer counts them (what is resident would be mostly its quarantine).
inline std::size_t bytes_in_use() {
#ifdef __SANITIZE_ADDRESS__
  return __sanitizer_get_current_allocated_bytes();
#else
  std::ifstream in("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  in >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
#endif
}

/// The attacker's surroundings: its own session, and a neighbour of the same tenant with a session and a snapshot.
struct Scene {
  TlsService& service;
  const Dialer& evil;
  const Dialer& good;
  tenant::TestRun neighbours_run;
  SnapshotId neighbours_snapshot;
  support::SeededRandom random{kSeed};

  tenant::World& build() { return service.world.build("acme"); }
  const tenant::Machine& machine() const { return evil.member.machine; }
};

/// One connection of the attacker's after its hello.
struct Attack {
  Scene& scene;
  RawClient& client;
  tenant::TestRun run;  ///< after `open`

  void open() {
    run = scene.build().plan_run(scene.machine());
    const std::optional<v1::Response> answer = client.call(scene.service.world.opening(scene.evil.member, run));
    ASSERT_TRUE(answer && answer->has_session_opened());
    run.opened = opened_of(*answer);
  }
  Bytes record(const std::function<void(blob::Header&)>& change, const std::vector<blob::BlobRef>& children = {}) {
    blob::Header header;
    header.domain = scene.machine().domain;
    header.epoch = 1;
    header.run = run.id;
    header.blob = scene.random.id<BlobId>();
    change(header);
    return tenant::make_record(scene.random, header, children, 200);
  }
  /// Bytes of a record from offset `at` replaced.
  Bytes patched(std::size_t at, ByteSpan bytes) {
    Bytes out = record([](blob::Header&) {});
    std::copy(bytes.begin(), bytes.end(), out.begin() + static_cast<std::ptrdiff_t>(at));
    return out;
  }
  v1::Request commit(const Bytes& core) const {
    v1::Request request;
    request.mutable_commit()->set_session_id(text_of(run.opened.session));
    request.mutable_commit()->set_core(text_of(core));
    return request;
  }
  v1::Request have(std::size_t count, std::size_t id_bytes = 32) {
    v1::Request request;
    request.mutable_have()->set_session_id(text_of(run.opened.session));
    request.mutable_have()->set_epoch(1);
    for (std::size_t i = 0; i < count; ++i) request.mutable_have()->add_blobs(text_of(scene.random.bytes(id_bytes)));
    return request;
  }
};

enum class After { Ended, Served };
struct Behaviour {
  std::string name;
  std::function<void(Attack&)> act;
  std::optional<Errc> failure;  ///< that the server says first; nullopt: it says none
  After after = After::Ended;
};
using Rows = std::vector<Behaviour>;

inline void sends(Rows& rows, const std::string& name, const Bytes& bytes, std::optional<Errc> failure = {},
                  After after = After::Ended) {
  rows.push_back({name, [=](Attack& a) { a.client.send(bytes); }, failure, after});
}

/// The neighbour asks all the time, on a thread of its own, and watches how much memory everybody takes.
class Neighbour {
 public:
  Neighbour(const std::string& address, const Dialer& dialer) : client_(address, dialer.identity) {
    EXPECT_TRUE(client_.hello());
    thread_ = std::thread([this] {
      while (!stop_) {
        const MonotonicTime begun = system_clock().monotonic();
        served_ += client_.is_served() ? 1 : 0;
        ++asked_;
        slowest_ = std::max<std::chrono::nanoseconds>(slowest_, system_clock().monotonic() - begun);
        most_bytes_ = std::max(most_bytes_, bytes_in_use());
        std::this_thread::sleep_for(milliseconds(5));
      }
    });
  }
  void finish() {
    stop_ = true;
    thread_.join();
    EXPECT_EQ(served_, asked_);
    EXPECT_GT(asked_, 10u);
    EXPECT_LT(slowest_, std::chrono::seconds(15));
    EXPECT_LT(most_bytes_, before_ + kMostBytes);
  }

 private:
  RawClient client_;
  std::atomic<bool> stop_{false};
  const std::size_t before_ = bytes_in_use();
  std::size_t most_bytes_ = 0;
  std::uint64_t served_ = 0, asked_ = 0;
  std::chrono::nanoseconds slowest_{};
  std::thread thread_;
};

class EvilClient : public ::testing::Test {
 protected:
  EvilClient()
      : service(quick_deadlines()),
        acme(service.world.add_tenant("acme")),
        other(service.world.add_tenant("other")),
        evil(service.enrol("acme", "evil")),
        good(service.enrol("acme", "good")) {
    (void)service.enrol("other", "shop");
  }
  Scene scene() {
    Requests requests = service.world.requests(good.member.facts);
    const BackedUp done = back_up(service.world, requests, good.member);
    tenant::TestRun run = service.world.build("acme").plan_run(good.member.machine);
    run.opened = opened_of(must(requests.answer(service.world.opening(good.member, run))));
    return Scene{service, evil, good, run, done.snapshot};
  }
  void expect_whole() {
    std::vector<tenant::Finding> findings;
    (void)must(must(service.world.tenants->find("acme"))->check(true, [&](const tenant::Finding& f) {
      findings.push_back(f);
    }));
    EXPECT_EQ(findings.size(), 0u) << findings[0].file << ": " << findings[0].what;
  }
  /// Lets every row happen, and asks afterwards whether anybody was harmed.
  void expect_refused(const Rows& rows) {
    RecordProperty("seed", std::to_string(kSeed));
    Scene where = scene();
    Neighbour neighbour(service.address(), good);
    for (const Behaviour& one : rows) {
      SCOPED_TRACE(one.name);
      RawClient client(service.address(), evil.identity);
      ASSERT_TRUE(client.hello());
      Attack attack{where, client, {}};
      one.act(attack);
      if (one.after == After::Served) {
        EXPECT_TRUE(client.is_served());
      } else {
        client.read_to_the_end();
      }
      const std::optional<Errc> said = client.failures.empty() ? std::nullopt : std::optional(client.failures[0]);
      EXPECT_EQ(said, one.failure) << (said ? errc_name(*said) : "nothing");
      if (!attack.run.opened.session.is_zero())
        (void)must(service.world.tenants->find("acme"))
            ->abandon(where.machine().id, attack.run.opened.session)
            .has_value();
    }
    neighbour.finish();
    Requests requests = service.world.requests(good.member.facts);
    (void)back_up(service.world, requests, good.member);
    expect_whole();
  }
  TlsService service;
  const TenantId acme, other;
  const Dialer evil, good;
};

}  // namespace holdfast::session
