// A file that changes a little again and again: its last generation must not cost more and more to restore, though each
// run stores one small blob of 16 KiB for it.
#include <gtest/gtest.h>

#include <set>

#include "tests/support/enrolled_client.h"
#include "tests/support/seeded_random.h"

namespace holdfast::test {
namespace {

constexpr std::size_t kGenerations = 250;

/// All that the last snapshot refers to.
std::uint64_t bytes_of_last(const FakeRemote& remote) {
  const Result<snapshot::VerifiedCore> core = snapshot::decode_core(remote.rows.back().core);
  HF_ASSERT(core.has_value());
  std::vector<blob::BlobRef> open{{core->core.root.blob, core->core.root.run}};
  std::set<blob::BlobRef> seen(open.begin(), open.end());
  std::uint64_t bytes = 0;
  while (!open.empty()) {
    const Bytes& record = remote.records.at(open.back());
    open.pop_back();
    bytes += record.size();
    const Result<blob::RecordView> view = blob::decode_record(record);
    HF_ASSERT(view.has_value());
    for (const blob::BlobRef& child : blob::decode_children(view->child_bytes)) {
      if (seen.insert(child).second) open.push_back(child);
    }
  }
  return bytes;
}

TEST(Generations, TheLastOneStandsInLittleMoreThanTheFirst) {
  EnrolledClient client;
  support::SeededRandom random(50);
  std::string content = noise(1'500'000);
  client.write("file", content);
  ASSERT_TRUE(client.back_up());
  std::uint64_t first = 0;
  for (const auto& [ref, record] : client.remote->records) first += record.size();
  for (std::size_t i = 1; i < kGenerations; ++i) {
    content.replace(random.below(content.size() - 40), 40, noise(40));
    client.write("file", content);
    const Result<backup::BackupReport> done = client.back_up();
    ASSERT_TRUE(done) << done.error().message;
  }
  ASSERT_TRUE(client.restore_to(client.root + "/back"));
  EXPECT_TRUE(EnrolledClient::text_of(client.root + "/back" + client.root + "/data/file") == content);
  EXPECT_LE(bytes_of_last(*client.remote) * 10, first * 22);
}

}  // namespace
}  // namespace holdfast::test
