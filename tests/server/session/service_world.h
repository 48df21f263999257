#pragma once
// Builders for tests of the service: a server's state on a disk in memory, tenants with enrolled machines, and a peer that
// speaks frames to a real session over a pair of streams.

#include <future>
#include <thread>

#include "server/session/enrolment.h"
#include "server/session/session.h"
#include "server/session/tokens.h"
#include "tests/server/tenant/tenant_world.h"
#include "tests/support/frame_pair.h"

namespace holdfast::session {

using tenant::must;

inline constexpr std::chrono::seconds kPatience{60};  ///< far beyond what any wait here takes

/// A machine with everything that enrolment gives it.
struct Member {
  std::string tenant;
  tenant::Machine machine;
  identity::CertificateFacts facts;
};

inline std::string text_of(ByteSpan bytes) { return std::string(as_text(bytes)); }
template <class Id>
  requires requires(const Id& i) {
    i.bytes.size();
    Id::kBytes;
  }
std::string text_of(const Id& id) {
  return text_of(ByteSpan(id.bytes));
}

/// The server's state without its network. One test's.
class ServiceWorld {
 public:
  explicit ServiceWorld(std::uint64_t seed = 1) : random(seed), receipt_key(crypto::SigningKey::generate(random)) {
    ca = must(identity::make_ca(clock, "Test CA"));
    must(fs.disk().make_directory("/srv", 0700));
    must(fs.disk().sync_directory("/"));
    start();
  }

  void start() {
    tenant::Environment env{fs, clock, random, shared, receipt_key, 0};
    tenants = must(Tenants::open(env, "/srv", max_open));
    operators.emplace(fs, clock, random, "/srv/operators");
    denied.emplace(fs, clock, "/srv/denied");
    access.emplace(*tenants, *operators, *denied);
    context.emplace(RequestContext{*tenants, *access, clock, "holdfastd test"});
  }
  void stop() {
    context.reset();
    access.reset();
    denied.reset();
    operators.reset();
    tenants.reset();
  }
  void restart() {
    stop();
    start();
  }

  TenantId add_tenant(const std::string& name, std::uint64_t quota_bytes = 0) {
    const TenantId id = must(tenants->create(name, "30d", quota_bytes));
    // A tenant's world of its own, used for its builders only: they need the id and the root, nothing else of it.
    builders[name] = std::make_unique<tenant::World>(random.below(1u << 30));
    builders[name]->tenant_id = id;
    return id;
  }
  tenant::World& build(const std::string& tenant) { return *builders.at(tenant); }

  Issuer issuer() const { return {ca, receipt_key.public_key()}; }
  Result<v1::EnrolResponse> ask_enrolment(const v1::EnrolRequest& request) {
    return enrol(*tenants, *operators, issuer(), clock, request);
  }

  Bytes invite(const std::string& tenant, const std::string& name) {
    const Bytes secret = new_token_secret(random);
    (void)must(
        must(tenants->find(tenant))->invite(name, token_digest(secret), to_ns(clock.wall() + std::chrono::hours(1))));
    return secret;
  }
  static identity::Name name_of(const std::string& tenant, const std::string& name) {
    return {identity::Role::Client, tenant, name};
  }

  /// The request of the second step, with a fresh TLS key.
  v1::EnrolRequest completing(const Bytes& secret, const identity::Name& name, const Bytes& certificate) {
    v1::EnrolRequest request;
    request.set_token_secret(text_of(secret));
    request.set_name(name.uri());
    request.mutable_complete()->set_request_pem(must(identity::make_request_pem(must(identity::make_key_pem()), name)));
    request.mutable_complete()->set_client_certificate(text_of(certificate));
    return request;
  }

  Member add_member(const std::string& tenant, const std::string& name) {
    const Bytes secret = invite(tenant, name);
    const ClientId id = must(must(tenants->find(tenant))->client_by_name(name)).id;
    Member member{tenant, {name, id, random.id<DomainId>(), 1, crypto::SigningKey::generate(random), {}}, {}};
    member.machine.certificate = build(tenant).certify(member.machine);
    const v1::EnrolResponse answer =
        must(ask_enrolment(completing(secret, name_of(tenant, name), member.machine.certificate)));
    member.facts = must(identity::inspect(answer.certificate_pem()));
    return member;
  }

  identity::CertificateFacts add_operator(const std::string& name) {
    const Bytes secret = new_token_secret(random);
    must(operators->invite(name, token_digest(secret), to_ns(clock.wall() + std::chrono::hours(1))));
    const v1::EnrolResponse answer = must(ask_enrolment(completing(secret, {identity::Role::Operator, "", name}, {})));
    return must(identity::inspect(answer.certificate_pem()));
  }

  Requests requests(const identity::CertificateFacts& facts) { return Requests(*context, must(access->admit(facts))); }

  // ---- requests ----

  v1::Request opening(const Member& member, const tenant::TestRun& run) const {
    (void)member;
    v1::Request request;
    request.mutable_open_session()->set_run_record(text_of(run.record));
    request.mutable_open_session()->set_slot(text_of(run.slot));
    return request;
  }

  support::FaultyFs fs;
  support::FakeClock clock;
  support::SeededRandom random;
  std::size_t max_open = 8;
  std::shared_ptr<index::Shared> shared = index::make_shared_resources(8u << 20, 8u << 20);
  crypto::SigningKey receipt_key;
  identity::KeyAndCertificate ca;
  std::map<std::string, std::unique_ptr<tenant::World>> builders;
  std::unique_ptr<Tenants> tenants;
  std::optional<Operators> operators;
  std::optional<DenyList> denied;
  std::optional<Access> access;
  std::optional<RequestContext> context;
};

inline tenant::SessionOpened opened_of(const v1::Response& response) {
  tenant::SessionOpened out;
  out.session = must(SessionId::from_bytes(as_bytes(response.session_opened().session_id())));
  out.next_sequence = response.session_opened().next_sequence();
  if (!response.session_opened().previous().empty())
    out.previous = must(SnapshotId::from_bytes(as_bytes(response.session_opened().previous())));
  return out;
}

/// A whole backup through the request layer. Returns the run with its session and the tree.
struct BackedUp {
  tenant::TestRun run;
  tenant::Tree tree;
  Bytes core;
  SnapshotId snapshot;
};
inline BackedUp back_up(ServiceWorld& world, Requests& requests, const Member& member, std::size_t leaves = 2,
                        std::size_t data = 2) {
  tenant::World& build = world.build(member.tenant);
  BackedUp out;
  out.run = build.plan_run(member.machine);
  out.run.opened = opened_of(must(requests.answer(world.opening(member, out.run))));
  out.tree = build.tree(member.machine, out.run, leaves, data);
  std::uint64_t number = 1;
  for (const tenant::TreeBlob& one : out.tree.blobs) (void)must(requests.put(number++, one.record));
  (void)must(requests.flush());
  out.core = build.core(member.machine, out.run, out.tree.root);
  out.snapshot = snapshot::snapshot_id(out.core);
  v1::Request request;
  request.mutable_commit()->set_session_id(text_of(out.run.opened.session));
  request.mutable_commit()->set_core(text_of(out.core));
  (void)must(requests.answer(request));
  return out;
}

/// A loop on a thread of its own, with a way to wait for a coroutine from the test's thread.
class LoopThread {
 public:
  LoopThread() : thread_([this] { loop_.run(); }) {}
  ~LoopThread() { join(); }
  void join() {
    if (!thread_.joinable()) return;
    loop_.stop();
    thread_.join();
  }
  runtime::Loop& loop() { return loop_; }

  template <class T>
  Result<T> wait(runtime::Task<T> task) {
    auto result = std::make_shared<std::promise<Result<T>>>();
    std::future<Result<T>> future = result->get_future();
    loop_.spawn(store(std::move(task), result), [](Status) {});
    if (future.wait_for(kPatience) != std::future_status::ready) return Error{Errc::Timeout, "the test waited in vain"};
    return future.get();
  }
  /// Runs on the loop's thread; returns when it has.
  void on_loop(const std::function<void()>& work) {
    std::promise<void> done;
    loop_.post([&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }

 private:
  template <class T>
  static runtime::Task<void> store(runtime::Task<T> task, std::shared_ptr<std::promise<Result<T>>> result) {
    Result<T> got = co_await std::move(task);
    result->set_value(std::move(got));
    co_return Status{};
  }
  runtime::Loop loop_;
  std::thread thread_;
};

/// The client's end of a connection to `serve`, used from the test's thread.
class Peer {
 public:
  Peer(LoopThread& loop, std::unique_ptr<transport::FrameStream> stream) : loop_(loop), stream_(std::move(stream)) {}
  ~Peer() {
    loop_.on_loop([this] { stream_.reset(); });
  }

  Status send(transport::FrameType type, std::uint64_t tag, Bytes payload) {
    transport::Frame frame{type, tag, std::move(payload)};
    return loop_.wait(stream_->send(std::move(frame), kPatience));
  }
  Status send(std::uint64_t tag, const v1::Request& request) {
    return send(transport::FrameType::Control, tag, to_bytes(as_bytes(request.SerializeAsString())));
  }
  Status send_blob(std::uint64_t tag, const Bytes& record) { return send(transport::FrameType::Blob, tag, record); }
  Result<transport::Frame> receive() { return loop_.wait(stream_->receive(kPatience)); }
  Result<v1::Response> receive_response(std::uint64_t* tag = nullptr) {
    HF_TRY(const transport::Frame frame, receive());
    if (tag) *tag = frame.tag;
    v1::Response response;
    if (frame.type != transport::FrameType::Control ||
        !response.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size()))) {
      return Error{Errc::Protocol, "not an answer"};
    }
    return response;
  }
  /// Asks, gathers acknowledgements on the way, returns the answer with this tag.
  Result<v1::Response> call(const v1::Request& request) {
    const std::uint64_t wanted = next_tag_++;
    HF_TRY_DO(send(wanted, request));
    for (;;) {
      std::uint64_t tag = 0;
      HF_TRY(v1::Response response, receive_response(&tag));
      if (tag == wanted) return response;
      HF_TRY_DO(take_push(response));
    }
  }
  Status take_push(const v1::Response& response) {
    if (response.has_error()) return Error{static_cast<Errc>(response.error().code()), response.error().message()};
    for (const std::uint64_t number : response.put_acks().tags()) acked.push_back(number);
    return {};
  }
  Result<v1::Response> hello(std::uint32_t protocol = kProtocol) {
    v1::Request request;
    request.mutable_hello()->set_protocol(protocol);
    return call(request);
  }
  void close() {
    loop_.on_loop([this] { stream_->close(); });
  }

  std::vector<std::uint64_t> acked;

 private:
  LoopThread& loop_;
  std::unique_ptr<transport::FrameStream> stream_;
  std::uint64_t next_tag_ = 1;
};

/// The whole service over pairs of streams.
class Service {
 public:
  explicit Service(ServiceWorld& world, Deadlines deadlines = {}) {
    context_.emplace(ServiceContext{loop_.loop(), disk_, sessions_, *world.context, world.random, deadlines});
  }
  ~Service() {
    // Every connection ends before the loop does.
    for (std::shared_future<void>& end : ends_) EXPECT_EQ(end.wait_for(kPatience), std::future_status::ready);
    loop_.join();
  }

  std::unique_ptr<Peer> connect(const identity::CertificateFacts& facts) {
    support::FramePairOptions options;
    options.client_name = facts;
    std::unique_ptr<transport::FrameStream> client;
    auto end = std::make_shared<std::promise<void>>();
    ends_.push_back(end->get_future().share());
    loop_.on_loop([&] {
      support::FramePair pair = support::make_frame_pair(options);
      client = std::move(pair.client);
      loop_.loop().spawn(serve(*context_, std::move(pair.server)), [end](Status) { end->set_value(); });
    });
    return std::make_unique<Peer>(loop_, std::move(client));
  }
  /// The newest connection's end.
  void wait_for_end() { ASSERT_EQ(ends_.back().wait_for(kPatience), std::future_status::ready); }
  LoopThread& loop() { return loop_; }
  Sessions& sessions() { return sessions_; }

 private:
  Sessions sessions_;
  LoopThread loop_;
  runtime::Pool disk_{4, "disk"};
  std::optional<ServiceContext> context_;
  std::vector<std::shared_future<void>> ends_;
};

}  // namespace holdfast::session
