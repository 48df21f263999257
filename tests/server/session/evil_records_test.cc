// Blobs, cores and runs that are not what they say.
#include "tests/server/session/evil_client.h"

namespace holdfast::session {
namespace {

void add_blobs(Rows& rows) {
  sends(rows, "a blob before any session", record_frame(3, Bytes(300)), Errc::Protocol);
  const auto blob = [&](const std::string& name, std::function<Bytes(Attack&)> make, Errc failure) {
    rows.push_back({"a blob: " + name,
                    [=](Attack& a) {
                      a.open();
                      a.client.send(record_frame(3, make(a)));
                    },
                    failure});
  };
  blob("nothing", [](Attack&) { return Bytes{}; }, Errc::Corrupt);
  blob("a header of noise", [](Attack& a) { return a.scene.random.bytes(84); }, Errc::Corrupt);
  blob("100 KB of noise", [](Attack& a) { return a.scene.random.bytes(100'000); }, Errc::Corrupt);
  blob("8 MiB of zeros", [](Attack&) { return Bytes(8u << 20); }, Errc::Limit);
  blob("2^32 - 1 children", [](Attack& a) { return a.patched(76, Bytes(4, 0xff)); }, Errc::Corrupt);
  blob("a body of 2^32 - 1 bytes", [](Attack& a) { return a.patched(80, Bytes(4, 0xff)); }, Errc::Limit);
  blob("lengths of 2^31", [](Attack& a) { return a.patched(76, Bytes{0, 0, 0, 0x80, 0, 0, 0, 0x80}); }, Errc::Corrupt);
  blob(
      "a byte too few",
      [](Attack& a) {
        Bytes out = a.record([](blob::Header&) {});
        out.pop_back();
        return out;
      },
      Errc::Corrupt);
  blob(
      "another run", [](Attack& a) { return a.record([&](blob::Header& h) { h.run = a.scene.random.id<RunId>(); }); },
      Errc::Denied);
  blob(
      "another's run", [](Attack& a) { return a.record([&](blob::Header& h) { h.run = a.scene.neighbours_run.id; }); },
      Errc::Denied);
  blob(
      "another's domain",
      [](Attack& a) { return a.record([&](blob::Header& h) { h.domain = a.scene.good.member.machine.domain; }); },
      Errc::Denied);
  blob("another epoch", [](Attack& a) { return a.record([](blob::Header& h) { h.epoch = 77; }); }, Errc::Denied);
  blob(
      "data with children",
      [](Attack& a) { return a.record([](blob::Header&) {}, {{a.scene.random.id<BlobId>(), a.run.id}}); },
      Errc::Corrupt);
  blob(
      "children out of order",
      [](Attack& a) {
        std::vector<blob::BlobRef> two{{a.scene.random.id<BlobId>(), a.run.id},
                                       {a.scene.random.id<BlobId>(), a.run.id}};
        std::sort(two.begin(), two.end());
        Bytes out = a.record([](blob::Header& h) { h.type = blob::Type::Leaf; }, two);
        const auto first = out.begin() + blob::kHeaderBytes;
        std::swap_ranges(first, first + blob::kChildBytes, first + blob::kChildBytes);
        return out;
      },
      Errc::Corrupt);
}

void add_commits(Rows& rows) {
  const auto core = [&](const std::string& name, std::function<Bytes(Attack&)> make, Errc failure,
                        After after = After::Served) {
    rows.push_back({"a core: " + name,
                    [=](Attack& a) {
                      a.open();
                      a.client.send(7, a.commit(make(a)));
                    },
                    failure, after});
  };
  const auto changed = [](Attack& a, const std::function<void(snapshot::Core&)>& change) {
    snapshot::Root root{a.run.id, a.scene.random.id<BlobId>(), a.scene.random.id<Digest>()};
    snapshot::Core made = snapshot::decode_core(a.scene.build().core(a.scene.machine(), a.run, root))->core;
    change(made);
    return snapshot::encode_signed(made, a.scene.machine().key);
  };
  core("empty", [](Attack&) { return Bytes{}; }, Errc::Corrupt);
  core("noise", [](Attack& a) { return a.scene.random.bytes(400); }, Errc::Corrupt);
  core(
      "a byte beyond the limit", [](Attack&) { return Bytes(snapshot::kMaxCoreBytes + 1); }, Errc::Limit, After::Ended);
  core("a root that is nowhere", [=](Attack& a) { return changed(a, [](snapshot::Core&) {}); }, Errc::Missing);
  core(
      "another sequence", [=](Attack& a) { return changed(a, [](snapshot::Core& c) { c.sequence += 5; }); },
      Errc::Conflict);
  core(
      "sequence 2^64 - 1",
      [=](Attack& a) { return changed(a, [](snapshot::Core& c) { c.sequence = ~std::uint64_t{0}; }); }, Errc::Conflict);
  core(
      "another run",
      [=](Attack& a) { return changed(a, [&](snapshot::Core& c) { c.run = a.scene.neighbours_run.id; }); },
      Errc::Denied, After::Ended);
  core(
      "signed by another",
      [](Attack& a) {
        const snapshot::Root root{a.run.id, a.scene.random.id<BlobId>(), {}};
        const tenant::Machine& other = a.scene.machine();
        return a.scene.build().core(
            {other.name, other.id, other.domain, 1, crypto::SigningKey::generate(a.scene.random), other.certificate},
            a.run, root);
      },
      Errc::Corrupt);
  core(
      "the neighbour's name and blobs",
      [](Attack& a) {
        return a.scene.build().core(a.scene.good.member.machine, a.run, {a.run.id, a.scene.random.id<BlobId>(), {}});
      },
      Errc::Denied, After::Ended);
}

void add_openings(Rows& rows) {
  const auto opening = [&](const std::string& name, std::function<void(Attack&, v1::OpenSession&)> change, Errc failure,
                           After after) {
    rows.push_back({"a session: " + name,
                    [=](Attack& a) {
                      v1::Request request = a.scene.service.world.opening(a.scene.evil.member,
                                                                          a.scene.build().plan_run(a.scene.machine()));
                      change(a, *request.mutable_open_session());
                      a.client.send(7, request);
                    },
                    failure, after});
  };
  opening("no run", [](Attack&, v1::OpenSession& o) { o.clear_run_record(); }, Errc::Corrupt, After::Served);
  opening(
      "a run of noise", [](Attack& a, v1::OpenSession& o) { o.set_run_record(text_of(a.scene.random.bytes(500))); },
      Errc::Corrupt, After::Served);
  opening(
      "a run beyond the limit", [](Attack&, v1::OpenSession& o) { o.set_run_record(std::string(8193, 'x')); },
      Errc::Limit, After::Ended);
  opening(
      "a slot beyond the limit", [](Attack&, v1::OpenSession& o) { o.set_slot(std::string(8193, 'x')); }, Errc::Limit,
      After::Ended);
  opening(
      "a slot of noise", [](Attack& a, v1::OpenSession& o) { o.set_slot(text_of(a.scene.random.bytes(200))); },
      Errc::Corrupt, After::Served);
  opening(
      "another run's slot",
      [](Attack& a, v1::OpenSession& o) { o.set_slot(text_of(a.scene.build().plan_run(a.scene.machine()).slot)); },
      Errc::Denied, After::Ended);
  opening(
      "the neighbour's run",
      [](Attack& a, v1::OpenSession& o) {
        const tenant::TestRun run = a.scene.build().plan_run(a.scene.good.member.machine);
        o.set_run_record(text_of(run.record));
        o.set_slot(text_of(run.slot));
      },
      Errc::Corrupt, After::Served);
  opening(
      "a base of 31 bytes", [](Attack&, v1::OpenSession& o) { o.set_base(std::string(31, 'b')); }, Errc::Protocol,
      After::Ended);
  opening(
      "an unknown session to go on with", [](Attack&, v1::OpenSession& o) { o.set_session_id(std::string(16, 's')); },
      Errc::NotFound, After::Served);
}

TEST_F(EvilClient, IsRefusedWhateverItsRecordsSay) {
  Rows rows;
  add_blobs(rows);
  add_commits(rows);
  add_openings(rows);
  EXPECT_GE(rows.size(), 30u);
  expect_refused(rows);
}

}  // namespace
}  // namespace holdfast::session
