// Streams whose blobs come again at a distance: each is fetched once as long as the spool has room.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "client/restore/stream.h"
#include "tests/support/enrolled_client.h"

namespace holdfast::test {
namespace {

constexpr std::size_t kMiB = 1u << 20;

class LongStream : public ::testing::Test {
 protected:
  void back_up(const std::string& content) {
    std::ofstream(client.root + "/dump", std::ios::binary) << content;
    backup::BackupOptions options = client.options();
    options.files.roots.clear();
    options.commands = {{"dump", "cat '" + client.root + "/dump'"}};
    const Result<backup::BackupReport> done = client.back_up(options);
    ASSERT_TRUE(done) << done.error().message;
  }

  Result<restore::StreamReport> restore(const restore::SpoolOptions& spool) {
    Result<restore::OpeningKey> key = restore::own_key(client.ring);
    restore::Archive archive(*client.remote, {}, *std::move(key));
    const Result<restore::SnapshotInfo> info = archive.find("latest", "");
    HF_ASSERT(info.has_value());
    const std::string out = client.root + "/out";
    const int fd = ::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    restore::StreamOptions options;
    options.name = "dump";
    options.descriptor = fd;
    options.spool = spool;
    Result<restore::StreamReport> done = restore::restore_stream(archive, *info, options);
    ::close(fd);
    got = EnrolledClient::text_of(out);
    return done;
  }
  restore::SpoolOptions on_disk() const {
    restore::SpoolOptions spool;
    spool.directories = {client.root};
    spool.memory_will_do = false;
    return spool;
  }
  /// Data blobs that the server holds: those that are larger than any segment of these snapshots.
  std::size_t stored_blobs() const {
    std::size_t count = 0;
    for (const auto& [ref, record] : client.remote->records)
      count += blob::decode_record(record)->header.type == blob::Type::Data;
    return count;
  }

  EnrolledClient client;
  std::string got;
};

TEST_F(LongStream, FetchesEachBlobOnceThoughAllComeAgainFarAway) {
  const std::string block = noise(40 * kMiB);
  const std::string dump = block + noise(kMiB) + block;
  back_up(dump);
  const Result<restore::StreamReport> done = restore(on_disk());
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_TRUE(got == dump);
  EXPECT_EQ(done->blobs_fetched, stored_blobs());
  EXPECT_EQ(done->blobs_fetched_again, 0u);
  EXPECT_GT(done->spool_bytes, 25 * kMiB);
}

TEST_F(LongStream, FetchesAgainWhatTheSpoolHasNoRoomForAndSaysHowOften) {
  const std::string block = noise(40 * kMiB);
  const std::string dump = block + block;
  back_up(dump);
  restore::SpoolOptions spool = on_disk();
  spool.limit_bytes = 10 * kMiB;
  const Result<restore::StreamReport> done = restore(spool);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_TRUE(got == dump);
  EXPECT_GT(done->blobs_fetched_again, 10u);
  EXPECT_EQ(done->blobs_fetched, stored_blobs() + done->blobs_fetched_again);
  EXPECT_LE(done->spool_bytes, 10 * kMiB);
}

TEST_F(LongStream, NeedsNoSpoolForWhatIsNeededOnce) {
  const std::string dump = noise(40 * kMiB);
  back_up(dump);
  restore::SpoolOptions spool = on_disk();
  spool.limit_bytes = 0;
  const Result<restore::StreamReport> done = restore(spool);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_TRUE(got == dump);
  EXPECT_EQ(done->blobs_fetched_again, 0u);
}

TEST_F(LongStream, InThousandsOfPiecesComesBackWithEachBlobFetchedOnce) {
  // Pieces of one block in another order: long lists of extents, and every blob is needed all over the stream.
  const std::string block = noise(12 * kMiB);
  back_up(block);
  constexpr std::size_t kPiece = 24'576;
  const std::size_t pieces = block.size() / kPiece;
  std::string dump;
  for (std::size_t i = 0; i < pieces; ++i) dump += block.substr(i * 199 % pieces * kPiece, kPiece);
  back_up(dump);
  const Result<restore::StreamReport> done = restore(on_disk());
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_TRUE(got == dump);
  EXPECT_EQ(done->blobs_fetched_again, 0u);
  EXPECT_LE(done->blobs_fetched, stored_blobs());
}

}  // namespace
}  // namespace holdfast::test
