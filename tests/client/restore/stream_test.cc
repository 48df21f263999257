#include "client/restore/stream.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "client/backup/run_key.h"
#include "client/chunking/splitter.h"
#include "client/sealing/sealing.h"
#include "tests/support/enrolled_client.h"

namespace holdfast::test {
namespace {

/// A stream in a snapshot made by hand: says anything, whether it is true or not. Its one blob holds `blob`; the entry
/// names what of it, and claims this digest.
struct Claim {
  std::string blob = "abcdefgh";
  std::vector<manifest::Extent> extents;  ///< without the blob's name; an offset of 1000 makes a hole
  std::string digest_of;
};

void commit_by_hand(EnrolledClient& client, Claim claim) {
  Random& random = system_random();
  const keyring::DomainKeys keys(client.ring.domain_key->clone());
  const Result<backup::RunSecrets> run = backup::begin_run(client.ring, system_clock(), random);
  HF_ASSERT(run.has_value());
  const Result<remote::Opened> session = client.remote->open_session(run->run_record, run->slot, {}, std::nullopt);
  HF_ASSERT(session.has_value());
  const sealing::Sealer sealer({client.ring.tenant, client.ring.domain, client.ring.domain_epoch}, run->run, run->key,
                               random);
  const auto store = [&](blob::Type type, const BlobId& id, const std::vector<blob::BlobRef>& children, ByteSpan raw) {
    Result<Bytes> record = sealer.seal(type, id, children, raw, {static_cast<std::uint32_t>(raw.size())});
    HF_ASSERT(record.has_value());
    const Digest digest = blob::record_digest(*record);
    HF_ASSERT(client.remote->put(session->session, *std::move(record)).has_value());
    return digest;
  };
  const blob::BlobRef data{
      chunking::group_id(keys.blob, {chunking::fingerprint(keys.fingerprint, as_bytes(claim.blob))}), run->run};
  store(blob::Type::Data, data.blob, {}, as_bytes(claim.blob));

  manifest::Entry entry;
  entry.source = "made";
  entry.path = "/made";
  entry.kind = manifest::EntryKind::Stream;
  const chunking::Chunker chunker(chunking::make_gear_table(keys.cut), chunking::Class::Files);
  chunking::ContentVerifier verifier(chunker, keys.fingerprint);
  HF_ASSERT(verifier.data(as_bytes(claim.digest_of)).has_value());
  entry.content_digest = *verifier.finish();
  for (manifest::Extent& one : claim.extents) {
    if (one.offset == 1000)
      one.offset = 0;
    else
      one.blob = data;
    entry.size += one.length;
    entry.extents.push_back(one);
  }
  snapshot::Core core;
  manifest::ManifestWriter writer(
      keys.blob, [&](const std::vector<manifest::Segment>& segments) -> Result<std::vector<blob::BlobRef>> {
        std::vector<blob::BlobRef> refs;
        for (const manifest::Segment& segment : segments) {
          core.root = {run->run, segment.id, store(segment.type, segment.id, segment.children, segment.plaintext)};
          refs.push_back({segment.id, run->run});
        }
        return refs;
      });
  HF_ASSERT(writer.add(entry).has_value());
  HF_ASSERT(writer.finish().has_value());
  core.tenant = client.ring.tenant;
  core.domain = client.ring.domain;
  core.epoch = client.ring.domain_epoch;
  core.client = client.ring.client;
  core.sequence = session->next_sequence;
  core.previous = session->previous;
  core.run = run->run;
  const SourceId source = random.id<SourceId>();
  core.sources = {{source, snapshot::SourceResult::Complete}};
  core.certificate = client.ring.certificate;
  snapshot::SealedPart part;
  part.sources = {{source, "made", "command"}};
  part.domain_keys = {{core.domain, core.epoch, to_bytes(keys.domain.span())}};
  core.sealed = sealing::seal_part(run->key, snapshot::sealed_part_context(core), snapshot::encode(part), random);
  HF_ASSERT(client.remote->commit(session->session, snapshot::encode_signed(core, *client.ring.signing)).has_value());
}

class Stream : public ::testing::Test {
 protected:
  void SetUp() override { before_ = ::signal(SIGPIPE, SIG_IGN); }  // as the whole program does
  void TearDown() override { ::signal(SIGPIPE, before_); }

  void back_up(const std::string& name, const std::string& content) {
    std::ofstream(client.root + "/dump", std::ios::binary) << content;
    backup::BackupOptions options = client.options();
    options.files.roots.clear();
    options.commands = {{name, "cat '" + client.root + "/dump'"}};
    const Result<backup::BackupReport> done = client.back_up(options);
    ASSERT_TRUE(done) << done.error().message;
  }

  Result<restore::StreamReport> restore(const std::string& name, int fd, const std::atomic<bool>* stop = nullptr) {
    Result<restore::OpeningKey> key = restore::own_key(client.ring);
    restore::Archive archive(*client.remote, {}, *std::move(key));
    const Result<restore::SnapshotInfo> info = archive.find("latest", "");
    HF_ASSERT(info.has_value());
    restore::StreamOptions options;
    options.name = name;
    options.descriptor = fd;
    options.stop = stop;
    return restore::restore_stream(archive, *info, options);
  }

  Result<restore::StreamReport> restore_to_file(const std::string& name) {
    const int fd = ::open(out().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    Result<restore::StreamReport> done = restore(name, fd);
    ::close(fd);
    return done;
  }
  std::string out() const { return client.root + "/out"; }
  std::string text() const { return EnrolledClient::text_of(out()); }

  EnrolledClient client;

 private:
  void (*before_)(int) = SIG_DFL;
};

TEST_F(Stream, ComesBackByteByByteThroughAPipe) {
  const std::string dump = noise(40'000'000);  // more than one window of blobs
  back_up("dump", dump);
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  std::string got;
  std::thread reader([&] {
    std::string buffer(100'000, '\0');
    for (ssize_t n; (n = ::read(ends[0], buffer.data(), buffer.size())) > 0;)
      got.append(buffer, 0, static_cast<std::size_t>(n));
  });
  const Result<restore::StreamReport> done = restore("dump", ends[1]);
  ::close(ends[1]);
  reader.join();
  ::close(ends[0]);
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(done->bytes, dump.size());
  EXPECT_TRUE(got == dump);
}

TEST_F(Stream, FetchesABlobThatComesAgainOnce) {
  const std::string block = noise(6'000'000);
  back_up("dump", block + block + block);
  const Result<restore::StreamReport> done = restore_to_file("dump");
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_TRUE(text() == block + block + block);
  EXPECT_LE(done->blobs_fetched, client.remote->records.size());
}

TEST_F(Stream, NamesThoseThatAreThere) {
  back_up("db.sql", "rows");
  for (const char* name : {"other", "", "a/b", ".."}) {
    const Result<restore::StreamReport> missing = restore_to_file(name);
    ASSERT_FALSE(missing) << name;
    EXPECT_EQ(missing.error().code, Errc::NotFound);
    EXPECT_NE(missing.error().message.find("it holds 'db.sql'"), std::string::npos) << missing.error().message;
    EXPECT_EQ(text(), "");
  }
}

TEST_F(Stream, IsNotAFileOfTheSameName) {
  client.write("file", "text");
  ASSERT_TRUE(client.back_up());
  const Result<restore::StreamReport> missing = restore_to_file(client.root.substr(1) + "/data/file");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Errc::NotFound);
  EXPECT_NE(missing.error().message.find("holds no streams"), std::string::npos) << missing.error().message;
}

TEST_F(Stream, EndsAtADamagedBlobAndSaysThatTheOutputIsWorthless) {
  const std::string dump = noise(70'000'000);
  back_up("dump", dump);
  Result<restore::OpeningKey> key = restore::own_key(client.ring);
  restore::Archive archive(*client.remote, {}, *std::move(key));
  const Result<restore::SnapshotInfo> info = archive.find("latest", "");
  ASSERT_TRUE(info);
  manifest::ManifestReader manifest = restore::open_manifest(archive, *info, *archive.domain_keys(*info));
  blob::BlobRef last;
  ASSERT_TRUE(manifest.visit_all([&](const manifest::Entry& entry) -> Status {
    last = entry.extents.back().blob;
    return {};
  }));
  Bytes& record = client.remote->records.at(last);
  record[record.size() / 2] ^= 1;
  const Result<restore::StreamReport> done = restore_to_file("dump");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::Corrupt);
  EXPECT_NE(done.error().message.find("must not be used"), std::string::npos) << done.error().message;
  EXPECT_TRUE(dump.starts_with(text()));
  EXPECT_LT(text().size(), dump.size());
}

TEST_F(Stream, SaysThatTheOutputIsWorthlessWhenOnlyTheDigestIsWrong) {
  Claim claim;
  claim.extents = {{{}, 0, 4}, {{}, 4, 4}};
  claim.digest_of = "abcdEFGH";
  commit_by_hand(client, claim);
  const Result<restore::StreamReport> done = restore_to_file("made");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::Corrupt);
  EXPECT_NE(done.error().message.find("content digest differs"), std::string::npos) << done.error().message;
  EXPECT_NE(done.error().message.find("8 of 8 bytes were written: the output must not be used"), std::string::npos);
}

TEST_F(Stream, PutsExtentsTogetherInTheirOrder) {
  Claim claim;
  claim.extents = {{{}, 4, 4}, {{}, 0, 4}, {{}, 4, 2}};
  claim.digest_of = "efghabcdef";
  commit_by_hand(client, claim);
  const Result<restore::StreamReport> done = restore_to_file("made");
  ASSERT_TRUE(done) << done.error().message;
  EXPECT_EQ(text(), "efghabcdef");
  EXPECT_EQ(done->blobs_fetched, 1u);
}

TEST_F(Stream, RefusesAnExtentBeyondItsBlob) {
  Claim claim;
  claim.extents = {{{}, 0, 8}, {{}, 6, 4}};
  commit_by_hand(client, claim);
  const Result<restore::StreamReport> done = restore_to_file("made");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::Corrupt);
  EXPECT_NE(done.error().message.find("beyond blob"), std::string::npos) << done.error().message;
}

TEST_F(Stream, WritesAHoleAsZeros) {
  Claim claim;
  claim.extents = {{{}, 1000, 200'000}};
  commit_by_hand(client, claim);
  const Result<restore::StreamReport> done = restore_to_file("made");
  ASSERT_FALSE(done) << "the digest is that of no content";
  EXPECT_TRUE(text() == std::string(200'000, '\0'));
}

TEST_F(Stream, EndsWhenItsReaderHasGone) {
  back_up("dump", noise(3'000'000));
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  std::thread reader([&] {
    char byte;
    EXPECT_EQ(::read(ends[0], &byte, 1), 1);
    ::close(ends[0]);
  });
  const Result<restore::StreamReport> done = restore("dump", ends[1]);
  reader.join();
  ::close(ends[1]);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::Io);
  EXPECT_NE(done.error().message.find("the program that reads the output has ended"), std::string::npos);
}

TEST_F(Stream, EndsWhenAskedWhileItsReaderSleeps) {
  back_up("dump", noise(3'000'000));
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  std::atomic<bool> stop{false};
  std::thread asker([&] {
    char byte;
    EXPECT_EQ(::read(ends[0], &byte, 1), 1);  // and no more
    stop = true;
  });
  const Result<restore::StreamReport> done = restore("dump", ends[1], &stop);
  asker.join();
  ::close(ends[0]);
  ::close(ends[1]);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::Canceled);
}

TEST_F(Stream, SaysSoWhenTheDiskIsFull) {
  back_up("dump", "some bytes");
  const int fd = ::open("/dev/full", O_WRONLY | O_CLOEXEC);
  const Result<restore::StreamReport> done = restore("dump", fd);
  ::close(fd);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Errc::DiskFull);
}

TEST_F(Stream, IsReadByVerifyLikeAFile) {
  back_up("dump", noise(3'000'000));
  Result<restore::OpeningKey> key = restore::own_key(client.ring);
  restore::Archive archive(*client.remote, {}, *std::move(key));
  const Result<restore::SnapshotInfo> info = archive.find("latest", "");
  ASSERT_TRUE(info);
  std::vector<std::string> failures;
  restore::VerifyOptions options;
  options.read_data = true;
  options.on_failure = [&](const std::string& path, const Error&) { failures.push_back(path); };
  const Result<restore::RestoreReport> whole = restore::run_verify(archive, *info, options);
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_EQ(whole->streams, 1u);
  EXPECT_EQ(whole->files, 0u);
  EXPECT_EQ(whole->bytes, 3'000'000u);
  EXPECT_GT(whole->blobs_fetched, 0u);
  for (auto& [ref, record] : client.remote->records) {
    if (record.size() > 200'000) record[1000] ^= 0x80;
  }
  const Result<restore::RestoreReport> damaged = restore::run_verify(archive, *info, options);
  ASSERT_TRUE(damaged);
  EXPECT_EQ(failures, std::vector<std::string>{"/dump"});
  EXPECT_EQ(damaged->gravest, Errc::Corrupt);
}

TEST_F(Stream, DoesNotTakeTheNameOfADirectoryAboveARestoredPath) {
  client.write("kept/file", "text");
  const std::string top = client.root.substr(1, client.root.find('/', 1) - 1);  // its source stands before "files"…
  backup::BackupOptions options = client.options();
  options.files.source = "~files";  // …whatever its name is
  options.commands = {{top, "echo a stream"}};
  const Result<backup::BackupReport> done = client.back_up(options);
  ASSERT_TRUE(done) << done.error().message;
  const Result<restore::RestoreReport> restored =
      client.restore_to(client.root + "/back", {client.root + "/data/kept"});
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ(restored->failed, 0u);
  const auto mode_of = [](const std::string& path) { return std::filesystem::status(path).permissions(); };
  EXPECT_EQ(mode_of(client.root + "/back/" + top), mode_of("/" + top));
  EXPECT_EQ(EnrolledClient::text_of(client.root + "/back" + client.root + "/data/kept/file"), "text");
}

}  // namespace
}  // namespace holdfast::test
