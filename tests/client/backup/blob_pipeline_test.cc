#include "client/backup/blob_pipeline.h"

#include <gtest/gtest.h>

#include "tests/support/enrolled_client.h"

namespace holdfast::test {
namespace {

backup::Group group_of(const std::string& text, std::uint8_t fingerprint) {
  backup::Group group;
  group.raw = to_bytes(as_bytes(text));
  group.chunk_bytes = {static_cast<std::uint32_t>(text.size())};
  group.fingerprints.emplace_back();
  group.fingerprints.back().bytes.fill(fingerprint);
  return group;
}

TEST(BlobPipeline, StillSaysWhatStandsAfterItHasFailed) {
  EnrolledClient client;
  const keyring::DomainKeys keys(client.ring.domain_key->clone());
  const sealing::Space space{client.ring.tenant, client.ring.domain, client.ring.domain_epoch};
  const RunId run = system_random().id<RunId>();
  const crypto::Key run_key = crypto::Key::random(system_random());
  const sealing::Sealer sealer(space, run, run_key, system_random(), 3);
  client.remote->puts_before_loss = 1;
  backup::BlobPipeline pipeline(*client.remote, SessionId{}, space, run, keys.blob, sealer, 1);
  ASSERT_TRUE(pipeline.submit(group_of("the first", 1)));
  ASSERT_TRUE(pipeline.submit(group_of("the second", 2)));
  ASSERT_FALSE(pipeline.drain());
  const Result<backup::Standing> first = pipeline.resolve(0);
  ASSERT_TRUE(first);
  EXPECT_TRUE(client.remote->records.contains(first->ref));
  EXPECT_EQ(first->raw_bytes, 9u);
  EXPECT_EQ(pipeline.resolve(1).error().code, Errc::Unreachable);
  EXPECT_EQ(pipeline.resolve(2).error().code, Errc::Unreachable) << "which nobody will ever submit";
}

}  // namespace
}  // namespace holdfast::test
