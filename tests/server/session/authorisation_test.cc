// Rows 26 and 27: the matrices are generated from the RPC table (the protobuf descriptor), so that a new call without an
// expectation here fails.
#include "server/session/authorisation.h"

#include "tests/server/session/service_world.h"

namespace holdfast::session {
namespace {

struct Expected {
  bool client, operator_;
};
const std::map<std::string, Expected> kMatrix = {
    {"hello", {true, true}},          {"open_session", {true, false}},  {"have", {true, false}},
    {"flush", {true, false}},         {"commit", {true, false}},        {"abandon_session", {true, false}},
    {"list_snapshots", {true, true}}, {"get_snapshot", {true, true}},   {"get_run", {true, true}},
    {"fetch", {true, true}},          {"account_status", {true, true}},
};

const google::protobuf::OneofDescriptor& calls() { return *v1::Request::descriptor()->FindOneofByName("call"); }

v1::Request empty_request(const google::protobuf::FieldDescriptor& call) {
  v1::Request request;
  request.GetReflection()->MutableMessage(&request, &call);
  return request;
}

TEST(Authorisation, EveryCallHasExactlyTheRightsOfTheTable) {
  ASSERT_EQ(static_cast<std::size_t>(calls().field_count()), kMatrix.size());
  for (int i = 0; i < calls().field_count(); ++i) {
    const std::string& name = calls().field(i)->name();
    ASSERT_TRUE(kMatrix.contains(name)) << name << " has no expectation";
    const auto call = static_cast<v1::Request::CallCase>(calls().field(i)->number());
    EXPECT_EQ(authorise(Role::Client, call).has_value(), kMatrix.at(name).client) << name;
    EXPECT_EQ(authorise(Role::Operator, call).has_value(), kMatrix.at(name).operator_) << name;
    EXPECT_EQ(call_name(call), name);
  }
}

TEST(Authorisation, AnEmptyOrUnknownCallIsRefusedForEverybody) {
  for (const Role role : {Role::Client, Role::Operator}) {
    const Status status = authorise(role, v1::Request::CALL_NOT_SET);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Errc::Protocol);
  }
}

TEST(Authorisation, WhatTheTableDeniesIsDeniedBeforeAnythingIsLookedAt) {
  ServiceWorld world;
  world.add_tenant("acme");
  const Member shop = world.add_member("acme", "shop");
  Requests as_client = world.requests(shop.facts);
  Requests as_operator = world.requests(world.add_operator("olga"));
  for (int i = 0; i < calls().field_count(); ++i) {
    const v1::Request request = empty_request(*calls().field(i));
    const Expected& expected = kMatrix.at(calls().field(i)->name());
    for (const bool operates : {false, true}) {
      Requests& requests = operates ? as_operator : as_client;
      const Result<v1::Response> answer = requests.answer(request);
      const bool denied = !answer && answer.error().code == Errc::Denied;
      EXPECT_EQ(denied, !(operates ? expected.operator_ : expected.client))
          << calls().field(i)->name() << " as " << (operates ? "operator" : "client");
    }
  }
}

/// Every call that takes ids or a subject, filled with what `from` owns and sent by others.
struct Probe {
  std::string what;
  v1::Request request;
};

struct Owner {
  std::string tenant, client;
};
std::vector<Probe> probes(const Owner& owner, const SessionId& session, const SnapshotId& snapshot, const RunId& run,
                          const BlobId& blob, bool with_subject) {
  std::vector<Probe> out;
  const auto add = [&](std::string what) -> v1::Request& {
    out.push_back({std::move(what), {}});
    return out.back().request;
  };
  const auto subject = [&](v1::Subject* s) {
    if (!with_subject) return;
    s->set_tenant(owner.tenant);
    s->set_client(owner.client);
  };
  if (!with_subject) {
    v1::Request& have = add("have");
    have.mutable_have()->set_session_id(text_of(session));
    have.mutable_have()->add_blobs(text_of(blob));
    add("flush").mutable_flush()->set_session_id(text_of(session));
    v1::Request& commit = add("commit");
    commit.mutable_commit()->set_session_id(text_of(session));
    commit.mutable_commit()->set_core("core");
    add("abandon").mutable_abandon_session()->set_session_id(text_of(session));
  } else {
    subject(add("list").mutable_list_snapshots()->mutable_subject());
    subject(add("account").mutable_account_status()->mutable_subject());
  }
  v1::Request& get_snapshot = add("get_snapshot");
  get_snapshot.mutable_get_snapshot()->set_snapshot_id(text_of(snapshot));
  subject(get_snapshot.mutable_get_snapshot()->mutable_subject());
  v1::Request& get_run = add("get_run");
  get_run.mutable_get_run()->set_run(text_of(run));
  subject(get_run.mutable_get_run()->mutable_subject());
  return out;
}

TEST(Authorisation, AForeignIdIsAnsweredExactlyAsAnUnknownOne) {
  ServiceWorld world;
  world.add_tenant("acme");
  world.add_tenant("beta");
  const Member shop = world.add_member("acme", "shop"), web = world.add_member("acme", "web"),
               spy = world.add_member("beta", "spy");
  Requests owner = world.requests(shop.facts);
  const BackedUp made = back_up(world, owner, shop);
  const tenant::TestRun open_run = world.build("acme").plan_run(shop.machine);
  const SessionId open = opened_of(must(owner.answer(world.opening(shop, open_run)))).session;
  const BlobId blob = made.tree.blobs[0].id;
  // Another tenant's client, and another client of the same tenant.
  for (const Member* other : {&spy, &web}) {
    Requests stranger = world.requests(other->facts);
    for (const bool with_subject : {false, true}) {
      const Owner nobody{other == &spy ? "nowhere" : "acme", "nobody"};
      const auto real = probes({"acme", "shop"}, open, made.snapshot, made.run.id, blob, with_subject);
      const auto made_up = probes(nobody, world.random.id<SessionId>(), world.random.id<SnapshotId>(),
                                  world.random.id<RunId>(), world.random.id<BlobId>(), with_subject);
      for (std::size_t i = 0; i < real.size(); ++i) {
        const auto a = stranger.answer(real[i].request), b = stranger.answer(made_up[i].request);
        ASSERT_FALSE(a) << real[i].what << " by " << other->facts.name.uri();
        ASSERT_FALSE(b) << real[i].what;
        EXPECT_EQ(a.error().code, b.error().code)
            << real[i].what << ": " << a.error().message << " | " << b.error().message;
        EXPECT_EQ(a.error().message, b.error().message) << real[i].what;
        EXPECT_EQ(a.error().code, Errc::NotFound) << real[i].what << ": " << a.error().message;
      }
    }
  }
}

TEST(Authorisation, AForeignBlobIsReadExactlyAsAnUnknownOne) {
  ServiceWorld world;
  world.add_tenant("acme");
  world.add_tenant("beta");
  const Member shop = world.add_member("acme", "shop"), web = world.add_member("acme", "web"),
               spy = world.add_member("beta", "spy");
  Requests owner = world.requests(shop.facts);
  const BackedUp made = back_up(world, owner, shop);
  v1::Request fetch;
  for (const bool real : {true, false}) {
    v1::Ref* const ref = fetch.mutable_fetch()->add_refs();
    ref->set_blob(real ? text_of(made.tree.blobs[0].id) : text_of(world.random.id<BlobId>()));
    ref->set_run(text_of(made.run.id));
    ref->set_domain(text_of(shop.machine.domain));
    ref->set_epoch(1);
  }
  for (const Member* other : {&spy, &web}) {
    Requests stranger = world.requests(other->facts);
    Fetching fetching = must(stranger.start_fetch(fetch));
    const std::vector<ReadRecord> read = must(stranger.read_on(fetching));
    ASSERT_EQ(read.size(), 2u);
    for (const ReadRecord& one : read) {
      ASSERT_FALSE(one.record);
      EXPECT_EQ(one.record.error().code, Errc::NotFound);
      EXPECT_EQ(one.record.error().message, "no such blob");
    }
  }
  Fetching fetching = must(owner.start_fetch(fetch));
  std::size_t found = 0;
  for (const ReadRecord& one : must(owner.read_on(fetching))) found += one.record.has_value();
  EXPECT_EQ(found, 1u);
}

TEST(Authorisation, AForeignSessionIsResumedExactlyAsAnUnknownOne) {
  ServiceWorld world;
  world.add_tenant("acme");
  const Member shop = world.add_member("acme", "shop"), web = world.add_member("acme", "web");
  Requests owner = world.requests(shop.facts), stranger = world.requests(web.facts);
  const tenant::TestRun run = world.build("acme").plan_run(shop.machine);
  const SessionId foreign = opened_of(must(owner.answer(world.opening(shop, run)))).session;
  std::vector<Error> errors;
  for (const SessionId& id : {foreign, world.random.id<SessionId>()}) {
    v1::Request request = world.opening(web, world.build("acme").plan_run(web.machine));
    request.mutable_open_session()->set_session_id(text_of(id));
    const auto answer = stranger.answer(request);
    ASSERT_FALSE(answer);
    errors.push_back(answer.error());
  }
  EXPECT_EQ(errors[0].code, errors[1].code);
  EXPECT_EQ(errors[0].message, errors[1].message);
}

TEST(Authorisation, AnOperatorMustSayWhomItMeansAndLearnsNothingFromAWrongName) {
  ServiceWorld world;
  world.add_tenant("acme");
  const Member shop = world.add_member("acme", "shop");
  Requests owner = world.requests(shop.facts);
  const BackedUp made = back_up(world, owner, shop);
  Requests olga = world.requests(world.add_operator("olga"));
  v1::Request request;
  request.mutable_list_snapshots();
  EXPECT_EQ(olga.answer(request).error().code, Errc::Usage);
  v1::Subject* const subject = request.mutable_list_snapshots()->mutable_subject();
  subject->set_tenant("acme");
  EXPECT_EQ(olga.answer(request).error().code, Errc::Usage);
  subject->set_client("shop");
  const v1::Response list = must(olga.answer(request));
  ASSERT_EQ(list.snapshot_list().snapshots_size(), 1);
  EXPECT_EQ(list.snapshot_list().snapshots(0).core(), text_of(made.core));
  subject->set_client("nobody");
  const Error no_client = olga.answer(request).error();
  subject->set_tenant("nowhere");
  const Error no_tenant = olga.answer(request).error();
  EXPECT_EQ(no_client.code, Errc::NotFound);
  EXPECT_EQ(no_client.message, no_tenant.message);
}

TEST(Authorisation, AClientMayNameItself) {
  ServiceWorld world;
  world.add_tenant("acme");
  const Member shop = world.add_member("acme", "shop");
  Requests requests = world.requests(shop.facts);
  v1::Request request;
  request.mutable_list_snapshots()->mutable_subject()->set_tenant("acme");
  request.mutable_list_snapshots()->mutable_subject()->set_client("shop");
  EXPECT_TRUE(requests.answer(request));
}

}  // namespace
}  // namespace holdfast::session
