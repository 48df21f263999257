// Much of what is right one by one, and halves of it.
#include "tests/server/session/evil_client.h"

namespace holdfast::session {
namespace {

void add_floods(Rows& rows) {
  rows.push_back({"262,144 ids that nobody has",
                  [](Attack& a) {
                    a.open();
                    const v1::Request question = a.have(4096);
                    for (std::uint64_t tag = 1; tag <= 64; ++tag) {
                      ASSERT_TRUE(a.client.send(tag, question));
                      const std::optional<v1::Response> answer = a.client.answer(tag);
                      ASSERT_TRUE(answer && answer->have_answer().known_size() == 0);
                    }
                  },
                  {},
                  After::Served});
  rows.push_back({"5,000 requests, 500 of them ahead of their answers",
                  [](Attack& a) {
                    v1::Request status;
                    status.mutable_account_status();
                    std::uint64_t answers = 0;
                    for (std::uint64_t first = 1; first <= 5'000; first += 500) {
                      Bytes many;
                      for (std::uint64_t tag = first; tag < first + 500; ++tag) {
                        const Bytes one = request_frame(tag, status);
                        many.insert(many.end(), one.begin(), one.end());
                      }
                      ASSERT_TRUE(a.client.send(many));
                      for (std::uint64_t tag = first; tag < first + 500; ++tag)
                        answers += a.client.answer(tag).has_value();
                    }
                    EXPECT_EQ(answers, 5'000u);
                  },
                  {},
                  After::Served});
  rows.push_back({"one blob fetched a thousand times a request, and not read",
                  [](Attack& a) {
                    a.open();
                    const tenant::TreeBlob big =
                        a.scene.build().blob(a.scene.machine(), a.run, blob::Type::Data, {}, 1u << 20);
                    ASSERT_TRUE(a.client.send(record_frame(3, big.record)));
                    v1::Request flush;
                    flush.mutable_flush()->set_session_id(text_of(a.run.opened.session));
                    ASSERT_TRUE(a.client.call(flush)->has_flushed());
                    v1::Request fetch;
                    for (int i = 0; i < 1024; ++i) {
                      v1::Ref* const ref = fetch.mutable_fetch()->add_refs();
                      ref->set_blob(text_of(big.id));
                      ref->set_run(text_of(a.run.id));
                      ref->set_domain(text_of(a.scene.machine().domain));
                      ref->set_epoch(1);
                    }
                    // Reads nothing, and goes on asking until it is cut off: after the deadline the server takes no frame, but for a
                    // few seconds it throws away whatever comes, so that no reset overtakes its last words.
                    const MonotonicTime begun = system_clock().monotonic();
                    const auto since = [&] { return system_clock().monotonic() - begun; };
                    for (std::uint64_t tag = 1; since() < kPatience && a.client.send(tag, fetch);) ++tag;
                    EXPECT_LT(since(), kPatience) << "asked on and on, never cut off";
                  },
                  {},
                  After::Ended});
  rows.push_back(
      {"16,384 invented children in each of 16 segments",
       [](Attack& a) {
         a.open();
         std::vector<blob::BlobRef> tops;
         std::uint64_t tag = 1;
         for (int i = 0; i < 16; ++i) {
           std::vector<blob::BlobRef> children;
           for (std::size_t j = 0; j < blob::kMaxChildren; ++j)
             children.push_back({a.scene.random.id<BlobId>(), a.run.id});
           std::sort(children.begin(), children.end());
           const tenant::TreeBlob leaf = a.scene.build().blob(a.scene.machine(), a.run, blob::Type::Leaf, children, 50);
           ASSERT_TRUE(a.client.send(record_frame(tag++, leaf.record)));
           tops.push_back({leaf.id, a.run.id});
         }
         std::sort(tops.begin(), tops.end());
         const tenant::TreeBlob root = a.scene.build().blob(a.scene.machine(), a.run, blob::Type::Index, tops, 50);
         ASSERT_TRUE(a.client.send(record_frame(tag++, root.record)));
         const std::optional<v1::Response> answer = a.client.call(a.commit(
             a.scene.build().core(a.scene.machine(), a.run, {a.run.id, root.id, blob::record_digest(root.record)})));
         ASSERT_TRUE(answer);
         EXPECT_LE(answer->error().missing_size(), 1000);
       },
       Errc::Missing, After::Served});
  rows.push_back({"a root that is its own child",
                  [](Attack& a) {
                    a.open();
                    blob::Header header;
                    header.type = blob::Type::Index;
                    header.domain = a.scene.machine().domain;
                    header.epoch = 1;
                    header.run = a.run.id;
                    header.blob = a.scene.random.id<BlobId>();
                    const Bytes root = tenant::make_record(a.scene.random, header, {{header.blob, a.run.id}}, 50);
                    ASSERT_TRUE(a.client.send(record_frame(1, root)));
                    const std::optional<v1::Response> answer = a.client.call(a.commit(a.scene.build().core(
                        a.scene.machine(), a.run, {a.run.id, header.blob, blob::record_digest(root)})));
                    ASSERT_TRUE(answer);  // the server cannot see that it is no manifest;
                                          // it must only come to an end
                  },
                  {},
                  After::Served});
  rows.push_back({"2,000 blobs of no content, which is no blob",
                  [](Attack& a) {
                    a.open();
                    for (std::uint64_t tag = 1; tag <= 2000; ++tag) {
                      ASSERT_TRUE(a.client.send(record_frame(
                          tag, a.scene.build().blob(a.scene.machine(), a.run, blob::Type::Data, {}, 0).record)));
                    }
                  },
                  Errc::Corrupt, After::Ended});
  rows.push_back({"70 sessions, none of them ended",
                  [](Attack& a) {
                    for (int i = 0; i < 70 && a.client.failures.empty(); ++i) {
                      const tenant::TestRun run = a.scene.build().plan_run(a.scene.machine());
                      (void)a.client.call(a.scene.service.world.opening(a.scene.evil.member, run));
                    }
                  },
                  Errc::Limit, After::Ended});
}

TEST_F(EvilClient, IsBoundedInWhateverItFloods) {
  Rows rows;
  add_floods(rows);
  expect_refused(rows);
}

TEST_F(EvilClient, CannotHoldPlacesOrMemoryWithHalfOfSomething) {
  Scene where = scene();
  Neighbour neighbour(service.address(), good);
  std::vector<std::unique_ptr<transport::testing_pki::RawSocket>> silent;  // not even a handshake
  for (int i = 0; i < 200; ++i)
    silent.push_back(
        std::make_unique<transport::testing_pki::RawSocket>(transport::testing_pki::dial_raw(service.address())));
  std::vector<std::unique_ptr<RawClient>> halves;
  for (std::size_t i = 0; i + 2 < kMaxConnectionsOfOne; ++i) {
    auto client = std::make_unique<RawClient>(service.address(), evil.identity);
    ASSERT_TRUE(client->hello());
    ASSERT_TRUE(client->send(raw_frame(2, 1, Bytes(64u << 10),
                                       8u << 20)));  // 8 MiB announced, and no more comes
    halves.push_back(std::move(client));
  }
  std::vector<std::unique_ptr<RawClient>> rest;
  for (std::size_t i = 0; i < 4; ++i) rest.push_back(std::make_unique<RawClient>(service.address(), evil.identity));
  std::size_t welcome = 0, limited = 0;
  for (const auto& client : rest) {
    welcome += client->hello();
    limited += !client->failures.empty() && client->failures[0] == Errc::Limit;
  }
  EXPECT_EQ(welcome, 2u);
  EXPECT_EQ(limited, 2u);
  halves.clear();
  rest.clear();
  silent.clear();
  neighbour.finish();
  expect_whole();
}

}  // namespace
}  // namespace holdfast::session
