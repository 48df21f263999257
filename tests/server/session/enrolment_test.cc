// Row 36: a token enrols exactly one client; the same request again gets the same answer; nothing is learned without it.
#include "server/session/enrolment.h"

#include "server/session/small_file.h"
#include "tests/server/session/service_world.h"

namespace holdfast::session {
namespace {

v1::EnrolRequest preparing(const Bytes& secret, const identity::Name& name) {
  v1::EnrolRequest request;
  request.set_token_secret(text_of(secret));
  request.set_name(name.uri());
  request.mutable_prepare();
  return request;
}

class EnrolmentTest : public ::testing::Test {
 protected:
  EnrolmentTest() { tenant_id = world.add_tenant("acme"); }
  /// A machine that has been told its ids.
  tenant::Machine prepared(const Bytes& secret, const identity::Name& who) {
    const v1::EnrolResponse answer = must(world.ask_enrolment(preparing(secret, who)));
    EXPECT_EQ(answer.tenant_id(), text_of(tenant_id));
    tenant::Machine machine{who.name,
                            must(ClientId::from_bytes(as_bytes(answer.client_id()))),
                            world.random.id<DomainId>(),
                            1,
                            crypto::SigningKey::generate(world.random),
                            {}};
    machine.certificate = world.build("acme").certify(machine);
    return machine;
  }
  ServiceWorld world;
  TenantId tenant_id;
  const identity::Name name = ServiceWorld::name_of("acme", "shop");
};

TEST_F(EnrolmentTest, AHundredParallelUsesMakeExactlyOneClient) {
  const Bytes secret = world.invite("acme", "shop");
  const tenant::Machine machine = prepared(secret, name);
  std::vector<v1::EnrolRequest> requests;
  for (int i = 0; i < 100; ++i) requests.push_back(world.completing(secret, name, machine.certificate));
  std::vector<std::optional<Result<v1::EnrolResponse>>> answers(requests.size());
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 20; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = t; i < requests.size(); i += 20) answers[i].emplace(world.ask_enrolment(requests[i]));
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::size_t winners = 0, winner = 0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (!answers[i]->has_value()) {
      EXPECT_EQ(answers[i]->error().code, Errc::Denied);
      continue;
    }
    ++winners;
    winner = i;
  }
  ASSERT_EQ(winners, 1u);
  const std::string certificate = (**answers[winner]).certificate_pem();

  // The winner asks again, also of a server that was killed in between, and gets the same; the others still nothing.
  world.restart();
  EXPECT_EQ(must(world.ask_enrolment(requests[winner])).certificate_pem(), certificate);
  EXPECT_FALSE(world.ask_enrolment(requests[(winner + 1) % 100]));
  EXPECT_EQ(must(world.tenants->find("acme"))->clients().size(), 1u);
  const identity::CertificateFacts facts = must(identity::inspect(certificate));
  EXPECT_EQ(facts.name, name);
  EXPECT_EQ(facts.not_after - facts.not_before, std::chrono::hours(24 * 90) + std::chrono::minutes(10));
  EXPECT_TRUE(world.access->admit(facts));
}

TEST_F(EnrolmentTest, EveryWrongTokenNameOrTenantGetsTheSameAnswer) {
  const Bytes secret = world.invite("acme", "shop");
  Bytes wrong = secret;
  wrong[31] ^= 1;
  world.add_member("acme", "other");
  std::vector<Error> refusals;
  for (const v1::EnrolRequest& request :
       {preparing(wrong, name), preparing(secret, ServiceWorld::name_of("acme", "nobody")),
        preparing(secret, ServiceWorld::name_of("nowhere", "shop")),
        preparing(secret, ServiceWorld::name_of("acme", "other")),
        preparing(secret, {identity::Role::Operator, "", "shop"}),
        preparing(secret, {identity::Role::Server, "", "shop"})}) {
    const auto answer = world.ask_enrolment(request);
    ASSERT_FALSE(answer);
    refusals.push_back(answer.error());
  }
  for (const Error& one : refusals) {
    EXPECT_EQ(one.code, Errc::Denied);
    EXPECT_EQ(one.message, refusals[0].message);
  }
  v1::EnrolRequest no_uri = preparing(secret, name);
  no_uri.set_name("acme/shop");
  EXPECT_EQ(world.ask_enrolment(no_uri).error().code, Errc::Denied);
}

TEST_F(EnrolmentTest, ATenantThatDoesNotOpenTellsStrangersNothing) {
  const Bytes secret = world.invite("acme", "shop");
  world.stop();
  must(
      write_small_file(world.fs, "/srv/names/" + tenant_id.hex(), "HFTN", as_bytes("other")));  // the journal says acme
  world.start();
  ASSERT_EQ(world.tenants->find("other").error().code, Errc::Corrupt);
  const auto nowhere = world.ask_enrolment(preparing(secret, ServiceWorld::name_of("nowhere", "shop")));
  const auto damaged = world.ask_enrolment(preparing(secret, ServiceWorld::name_of("other", "shop")));
  ASSERT_FALSE(nowhere);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, nowhere.error().code);
  EXPECT_EQ(damaged.error().message, nowhere.error().message);
}

TEST_F(EnrolmentTest, AnExpiredOrRevokedTokenIsRefused) {
  const Bytes secret = world.invite("acme", "shop");
  const tenant::Machine machine = prepared(secret, name);
  const v1::EnrolRequest request = world.completing(secret, name, machine.certificate);
  world.clock.advance(std::chrono::hours(2));
  EXPECT_EQ(world.ask_enrolment(preparing(secret, name)).error().code, Errc::Denied);
  EXPECT_EQ(world.ask_enrolment(request).error().code, Errc::Denied);
  const Bytes fresh = world.invite("acme", "shop");
  EXPECT_EQ(world.ask_enrolment(request).error().code, Errc::Denied);  // the new token ends the old one
  must(must(world.tenants->find("acme"))->revoke("shop"));
  EXPECT_EQ(world.ask_enrolment(preparing(fresh, name)).error().code, Errc::Denied);
}

TEST_F(EnrolmentTest, RefusesMalformedRequests) {
  const Bytes secret = world.invite("acme", "shop");
  v1::EnrolRequest request = preparing(secret, name);
  request.clear_step();
  EXPECT_EQ(world.ask_enrolment(request).error().code, Errc::Protocol);
  request = preparing(Bytes(31), name);
  EXPECT_EQ(world.ask_enrolment(request).error().code, Errc::Protocol);
  request = world.completing(secret, name, Bytes(snapshot::kMaxCertificateBytes + 1));
  EXPECT_EQ(world.ask_enrolment(request).error().code, Errc::Limit);
  request.mutable_complete()->set_client_certificate("x");
  request.mutable_complete()->set_request_pem(std::string(kMaxRequestPemBytes + 1, 'x'));
  EXPECT_EQ(world.ask_enrolment(request).error().code, Errc::Limit);
  const tenant::Machine machine = prepared(secret, name);
  request.mutable_complete()->set_client_certificate(text_of(machine.certificate));
  request.mutable_complete()->set_request_pem("no PEM");
  EXPECT_FALSE(world.ask_enrolment(request));
  // None of this has used the token.
  EXPECT_TRUE(world.ask_enrolment(world.completing(secret, name, machine.certificate)));
}

TEST_F(EnrolmentTest, TheFirstRootIsPinnedAndTold) {
  const Bytes first = world.invite("acme", "shop");
  EXPECT_TRUE(must(world.ask_enrolment(preparing(first, name))).tenant_root().empty());
  const tenant::Machine machine = prepared(first, name);
  (void)must(world.ask_enrolment(world.completing(first, name, machine.certificate)));
  const identity::Name second_name = ServiceWorld::name_of("acme", "web");
  const Bytes second = world.invite("acme", "web");
  EXPECT_EQ(must(world.ask_enrolment(preparing(second, second_name))).tenant_root(),
            text_of(world.build("acme").root.public_key()));
  tenant::Machine stranger = prepared(second, second_name);
  const tenant::World other_kit(99);
  snapshot::ClientCertificate certificate{tenant_id,       stranger.id, stranger.key.public_key(),
                                          stranger.domain, 0,           other_kit.root.public_key()};
  stranger.certificate = snapshot::encode_signed(certificate, other_kit.root);
  EXPECT_EQ(world.ask_enrolment(world.completing(second, second_name, stranger.certificate)).error().code,
            Errc::Denied);
}

TEST_F(EnrolmentTest, OperatorsEnrolOnceAndAreTheSameForever) {
  const identity::Name olga{identity::Role::Operator, "", "olga"};
  const Bytes secret = new_token_secret(world.random);
  must(world.operators->invite("olga", token_digest(secret), to_ns(world.clock.wall() + std::chrono::hours(1))));
  EXPECT_TRUE(must(world.ask_enrolment(preparing(secret, olga))).tenant_id().empty());
  const v1::EnrolRequest request = world.completing(secret, olga, {});
  const v1::EnrolResponse answer = must(world.ask_enrolment(request));
  EXPECT_FALSE(world.ask_enrolment(world.completing(secret, olga, {})));
  world.restart();
  EXPECT_EQ(must(world.ask_enrolment(request)).certificate_pem(), answer.certificate_pem());
  const identity::CertificateFacts facts = must(identity::inspect(answer.certificate_pem()));
  EXPECT_EQ(must(world.access->admit(facts)).role, Role::Operator);
  (void)must(world.operators->revoke("olga"));
  EXPECT_FALSE(world.access->admit(facts));
  EXPECT_TRUE(world.access->denied(facts));
  world.restart();
  EXPECT_FALSE(world.access->admit(facts));
  EXPECT_FALSE(world.ask_enrolment(request));
}

TEST_F(EnrolmentTest, ACrashAtAnyStepOfAnOperatorsEnrolmentLeavesOneCertificateAtMost) {
  const identity::Name olga{identity::Role::Operator, "", "olga"};
  const Bytes secret = new_token_secret(world.random);
  must(world.operators->invite("olga", token_digest(secret), to_ns(world.clock.wall() + std::chrono::hours(1))));
  const v1::EnrolRequest request = world.completing(secret, olga, {});
  for (std::uint64_t step = 0; step < 20; ++step) {
    world.fs.crash_after(step);
    const auto answer = world.ask_enrolment(request);
    const bool crashed = world.fs.crashed();
    world.stop();
    world.fs.reboot();
    world.start();
    if (!answer) continue;
    EXPECT_EQ(must(world.ask_enrolment(request)).certificate_pem(), answer->certificate_pem());
    if (!crashed) return;
  }
  FAIL() << "the enrolment never succeeded";
}

TEST_F(EnrolmentTest, OneConnectionIsOneRequestAndTheRateIsLimited) {
  LoopThread loop;
  runtime::Pool disk(2, "disk");
  EnrolmentContext context{loop.loop(),    disk,        *world.tenants, *world.operators,
                           world.issuer(), world.clock, world.random,   RateLimit(world.clock, 2, 100)};
  const Bytes secret = world.invite("acme", "shop");
  const auto ask_once = [&](Bytes payload) {
    std::unique_ptr<transport::FrameStream> client;
    std::promise<void> ended;
    loop.on_loop([&] {
      support::FramePair pair = support::make_frame_pair();
      client = std::move(pair.client);
      loop.loop().spawn(serve_enrolment(context, std::move(pair.server)), [&](Status) { ended.set_value(); });
    });
    v1::EnrolResponse answer;
    {
      Peer peer(loop, std::move(client));
      EXPECT_TRUE(peer.send(transport::FrameType::Control, 1, std::move(payload)));
      const transport::Frame frame = must(peer.receive());
      EXPECT_TRUE(answer.ParseFromArray(frame.payload.data(), static_cast<int>(frame.payload.size())));
      peer.close();
    }
    ended.get_future().wait();
    return answer;
  };
  const Bytes good = to_bytes(as_bytes(preparing(secret, name).SerializeAsString()));
  EXPECT_EQ(ask_once(good).error_code(), 0u);
  const v1::EnrolResponse refused = ask_once(Bytes{0xFF, 0xFF});
  EXPECT_EQ(refused.error_code(), static_cast<std::uint32_t>(Errc::Protocol));
  EXPECT_EQ(refused.request_id().size(), 8u);
  EXPECT_EQ(ask_once(good).error_code(), static_cast<std::uint32_t>(Errc::Limit));  // the third of this minute
  world.clock.advance(std::chrono::minutes(1));
  EXPECT_EQ(ask_once(good).error_code(), 0u);
  loop.join();
}

}  // namespace
}  // namespace holdfast::session
