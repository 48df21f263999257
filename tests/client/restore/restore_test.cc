#include <gtest/gtest.h>

#include "tests/support/enrolled_client.h"

namespace holdfast::test {
namespace {

TEST(Restore, NamesAFileOfADamagedBlobAndRestoresAllOthers) {
  EnrolledClient client;
  client.write("a", noise(6'000'000));
  client.write("b", noise(6'000'000));
  client.write("c", noise(6'000'000));
  ASSERT_TRUE(client.back_up());
  // Damage one data blob: whichever, its files must be named and nothing wrong written.
  bool damaged = false;
  for (auto& [ref, record] : client.remote->records) {
    if (damaged || record.size() < 500'000) continue;
    record[record.size() / 2] ^= 1;
    damaged = true;
  }
  ASSERT_TRUE(damaged);
  const Result<restore::RestoreReport> restored = client.restore_to(client.root + "/back");
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_GE(restored->failed, 1u);
  EXPECT_LE(restored->failed, 2u);
  EXPECT_EQ(restored->gravest, Errc::Corrupt);
  for (const char* name : {"a", "b", "c"}) {
    const std::string path = client.root + "/back" + client.root + "/data/" + name;
    const std::string original = client.root + "/data/" + name;
    const bool failed = std::find(client.failures.begin(), client.failures.end(), original) != client.failures.end();
    EXPECT_EQ(std::filesystem::exists(path), !failed) << name;
    if (!failed) {
      EXPECT_EQ(EnrolledClient::text_of(path), EnrolledClient::text_of(original)) << name;
    }
  }
}

TEST(Restore, OpensWithTheRecoveryKeyWhatAWriteOnlyClientCannot) {
  EnrolledClient client;
  client.ring.read.reset();
  client.ring.recipients.resize(1);
  client.write("file", "secret");
  ASSERT_TRUE(client.back_up());
  const Result<restore::RestoreReport> refused = client.restore_to(client.root + "/back");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::WrongKey);
  EXPECT_FALSE(std::filesystem::exists(client.root + "/back"));

  const keyring::RecoveryKey recovery = keyring::recovery_of(client.kit);
  restore::Archive archive(*client.remote, {}, restore::recovery_key(recovery));
  const Result<restore::SnapshotInfo> info = archive.find("latest", "");
  ASSERT_TRUE(info) << info.error().message;
  restore::RestoreOptions options;
  options.target.target = client.root + "/back";
  options.target.set_owner = ::geteuid() == 0;
  const Result<restore::RestoreReport> restored = restore::run_restore(archive, *info, options);
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ(EnrolledClient::text_of(client.root + "/back" + client.root + "/data/file"), "secret");
}

TEST(Restore, RefusesAnotherTenantsKeyBeforeAnythingIsTouched) {
  EnrolledClient client;
  client.write("file", "text");
  ASSERT_TRUE(client.back_up());
  const keyring::RecoveryKey wrong = keyring::recovery_of(keyring::make_kit(system_random()));
  restore::Archive archive(*client.remote, {}, restore::recovery_key(wrong));
  const Result<restore::SnapshotInfo> info = archive.find("latest", "");
  ASSERT_FALSE(info);
  EXPECT_EQ(info.error().code, Errc::WrongKey);
}

/// A thief's snapshot: signed with the client's own key, its sealed part authentic and senseless.
Bytes with_senseless_part(const EnrolledClient& client, const remote::RunRow& run) {
  snapshot::Core core = snapshot::decode_core(client.remote->rows.back().core)->core;
  const snapshot::RunRecord record = *snapshot::decode_run_record_unverified(run.run_record);
  const crypto::Key key = *snapshot::unwrap_run_key(
      *snapshot::decode_key_slot(run.slot), record, run.run_record, *client.ring.read,
      keyring::wrap_secret(client.kit.tenant_secret, record.client, client.ring.read->recipient()));
  core.sequence += 1;
  core.previous = snapshot::snapshot_id(client.remote->rows.back().core);
  core.sealed = sealing::seal_part(key, snapshot::sealed_part_context(core), as_bytes("no part"), system_random());
  return snapshot::encode_signed(core, *client.ring.signing);
}

TEST(Restore, ASenselessSealedPartHidesNoOtherSnapshot) {
  EnrolledClient client;
  client.write("file", "text");
  ASSERT_TRUE(client.back_up());
  const snapshot::Core core = snapshot::decode_core(client.remote->rows.back().core)->core;
  remote::SnapshotRow poisoned = client.remote->rows.back();
  poisoned.core = with_senseless_part(client, *client.remote->run({}, core.run));
  client.remote->rows.push_back(poisoned);

  restore::Archive archive(*client.remote, {}, *restore::own_key(client.ring));
  const Result<std::vector<restore::SnapshotInfo>> all = archive.snapshots();
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_EQ(all->size(), 2u);
  EXPECT_FALSE((*all)[1].part);
  ASSERT_TRUE((*all)[1].why_closed);
  EXPECT_EQ((*all)[1].why_closed->code, Errc::Corrupt);
  const Result<restore::SnapshotInfo> older = archive.find("1", "");
  ASSERT_TRUE(older) << older.error().message;
  EXPECT_TRUE(older->part);
  EXPECT_EQ(archive.find("latest", "files")->core().sequence, 1u);
}

TEST(Restore, RefusesAnotherMachinesSnapshots) {
  EnrolledClient client;
  client.write("file", "text");
  ASSERT_TRUE(client.back_up());
  const keyring::RecoveryKey recovery = keyring::recovery_of(client.kit);
  restore::OpeningKey key = restore::recovery_key(recovery);
  EXPECT_TRUE(restore::Archive(*client.remote, {}, key).find("latest", ""));
  key.client = system_random().id<ClientId>();
  const Result<restore::SnapshotInfo> foreign = restore::Archive(*client.remote, {}, key).find("latest", "");
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().code, Errc::Protocol);
}

TEST(Restore, TakesOnePathWithItsParents) {
  EnrolledClient client;
  client.write("keep/this/file", "wanted");
  client.write("keep/other", "not wanted");
  std::filesystem::permissions(client.root + "/data/keep", std::filesystem::perms(0710));
  ASSERT_TRUE(client.back_up());
  const Result<restore::RestoreReport> restored =
      client.restore_to(client.root + "/back", {client.root + "/data/keep/this"});
  ASSERT_TRUE(restored) << restored.error().message;
  const std::string base = client.root + "/back" + client.root + "/data/keep";
  EXPECT_EQ(EnrolledClient::text_of(base + "/this/file"), "wanted");
  EXPECT_FALSE(std::filesystem::exists(base + "/other"));
  EXPECT_EQ(std::filesystem::status(base).permissions(), std::filesystem::perms(0710));
}

TEST(Restore, SaysWhichPathIsNotThere) {
  EnrolledClient client;
  client.write("file", "text");
  ASSERT_TRUE(client.back_up());
  const Result<restore::RestoreReport> restored = client.restore_to(client.root + "/back", {"/no/such/path"});
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().code, Errc::NotFound);
  EXPECT_NE(restored.error().message.find("/no/such/path"), std::string::npos);
}

TEST(Restore, GivesAHardLinkItsContentWhenTheFirstLinkWasNotAskedFor) {
  EnrolledClient client;
  client.write("a/first", "shared content");
  std::filesystem::create_directories(client.root + "/data/b");
  std::filesystem::create_hard_link(client.root + "/data/a/first", client.root + "/data/b/second");
  std::filesystem::create_hard_link(client.root + "/data/a/first", client.root + "/data/b/third");
  ASSERT_TRUE(client.back_up());
  const Result<restore::RestoreReport> restored = client.restore_to(client.root + "/back", {client.root + "/data/b"});
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ(restored->failed, 0u);
  const std::string base = client.root + "/back" + client.root + "/data/b/";
  EXPECT_EQ(EnrolledClient::text_of(base + "second"), "shared content");
  EXPECT_EQ(std::filesystem::hard_link_count(base + "third"), 2u);
}

TEST(Restore, KeepsAHoleAHole) {
  EnrolledClient client;
  client.write("sparse", "start");
  std::filesystem::resize_file(client.root + "/data/sparse", 50'000'000);
  ASSERT_TRUE(client.back_up());
  ASSERT_TRUE(client.restore_to(client.root + "/back"));
  const std::string path = client.root + "/back" + client.root + "/data/sparse";
  EXPECT_EQ(std::filesystem::file_size(path), 50'000'000u);
  struct stat facts{};
  ASSERT_EQ(::stat(path.c_str(), &facts), 0);
  EXPECT_LT(facts.st_blocks * 512, 1'000'000);
}

TEST(Verify, ReadsEveryByteAndFindsADamagedBlob) {
  EnrolledClient client;
  client.write("file", noise(3'000'000));
  ASSERT_TRUE(client.back_up());
  const Result<restore::OpeningKey> key = restore::own_key(client.ring);
  ASSERT_TRUE(key);
  restore::Archive archive(*client.remote, {}, *key);
  const Result<restore::SnapshotInfo> info = archive.find("1", "");
  ASSERT_TRUE(info);
  restore::VerifyOptions options;
  options.read_data = true;
  Result<restore::RestoreReport> whole = restore::run_verify(archive, *info, options);
  ASSERT_TRUE(whole) << whole.error().message;
  EXPECT_EQ(whole->failed, 0u);
  EXPECT_EQ(whole->bytes, 3'000'000u);
  for (auto& [ref, record] : client.remote->records) {
    if (record.size() > 200'000) record[1000] ^= 0x80;
  }
  whole = restore::run_verify(archive, *info, options);
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->failed, 1u);
}

TEST(FindSnapshot, KnowsAllTheWaysToNameOne) {
  EnrolledClient client;
  client.write("file", "text");
  ASSERT_TRUE(client.back_up());
  ASSERT_TRUE(client.back_up());
  const Result<restore::OpeningKey> key = restore::own_key(client.ring);
  restore::Archive archive(*client.remote, {}, *key);
  const std::string id = snapshot::snapshot_id(client.remote->rows[0].core).hex();
  EXPECT_EQ(archive.find("latest", "")->core().sequence, 2u);
  EXPECT_EQ(archive.find("1", "")->core().sequence, 1u);
  EXPECT_EQ(archive.find(id.substr(0, 8), "")->core().sequence, 1u);
  EXPECT_EQ(archive.find("@2026-11-21T06:00Z", "")->core().sequence, 2u);
  EXPECT_EQ(archive.find("latest", "files")->core().sequence, 2u);
  for (const char* wrong : {"3", "0", "", "zzz", "ffffffffff", "@1969-01-01T00:00Z"}) {
    const Result<restore::SnapshotInfo> missing = archive.find(wrong, "");
    ASSERT_FALSE(missing) << wrong;
    EXPECT_EQ(missing.error().code, Errc::NotFound) << wrong;
  }
  EXPECT_EQ(archive.find("@yesterday", "").error().code, Errc::Usage);
}

TEST(FindSnapshot, TakesNoOlderOneForTheNewestThatTheServerHides) {
  EnrolledClient client;
  client.write("file", "text");
  ASSERT_TRUE(client.back_up());
  ASSERT_TRUE(client.back_up());
  const Result<restore::OpeningKey> key = restore::own_key(client.ring);
  restore::Archive archive(*client.remote, {}, *key);
  const Result<restore::SnapshotInfo> newest = archive.find("latest", "");
  ASSERT_TRUE(newest);
  snapshot::Receipt receipt;
  receipt.snapshot = newest->verified.id;
  receipt.sequence = 2;
  receipt.server_ns = newest->received_ns;
  archive.expect(receipt);
  EXPECT_EQ(archive.find("latest", "")->core().sequence, 2u);
  client.remote->rows.pop_back();
  for (const char* spec : {"latest", "@2026-11-21T06:00Z"}) {
    const Result<restore::SnapshotInfo> found = archive.find(spec, "");
    ASSERT_FALSE(found) << spec;
    EXPECT_EQ(found.error().code, Errc::Rollback) << spec;
  }
  EXPECT_EQ(archive.find("1", "")->core().sequence, 1u) << "who asks for it gets it";
  EXPECT_EQ(archive.find("@1970-01-01T00:16Z", "").error().code, Errc::NotFound) << "no question of the newest";
}

TEST(FindSnapshot, PassesOverWhatTheOperatorHasLockedAndOpensItForNoClient) {
  EnrolledClient client;
  client.write("file", "text");
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(client.back_up());
  const Result<restore::OpeningKey> key = restore::own_key(client.ring);
  restore::Archive archive(*client.remote, {}, *key);
  const SnapshotId newest = archive.find("latest", "")->verified.id;
  EXPECT_FALSE(archive.find("latest", "")->newer_locked);
  snapshot::Receipt receipt;
  receipt.snapshot = newest;
  receipt.sequence = 3;
  archive.expect(receipt);
  client.remote->rows[2].state = client.remote->rows[1].state = "locked";
  for (const char* spec : {"latest", "@2026-11-21T06:00Z"}) {
    const Result<restore::SnapshotInfo> found = archive.find(spec, "");
    ASSERT_TRUE(found) << found.error().message;  // it is shown, so the server is not an older one
    EXPECT_EQ(found->core().sequence, 1u);
    EXPECT_EQ(found->newer_locked, 3u);
  }
  EXPECT_EQ(archive.find("latest", "files")->core().sequence, 1u);
  for (const std::string& spec : {std::string("3"), newest.hex().substr(0, 10)}) {
    const Result<restore::SnapshotInfo> refused = archive.find(spec, "");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::Denied);
    EXPECT_NE(refused.error().message.find("operator has locked it"), std::string::npos) << refused.error().message;
  }
  EXPECT_EQ(archive.snapshots()->size(), 3u);
  client.remote->rows[0].state = "locked";
  EXPECT_EQ(archive.find("latest", "").error().code, Errc::NotFound);
  EXPECT_NE(archive.find("latest", "").error().message.find("number 3"), std::string::npos);
  // Operators open what they name, and their newest one is a live one too.
  restore::Archive by_operator(*client.remote, {"acme", "shop"}, *key);
  EXPECT_EQ(by_operator.find("3", "")->core().sequence, 3u);
  EXPECT_EQ(by_operator.find("latest", "").error().code, Errc::NotFound);
}

TEST(FindSnapshot, ReadsNoMoreOfTheListThanItNeeds) {
  EnrolledClient client;
  client.write("file", "text");
  for (int i = 0; i < 9; ++i) ASSERT_TRUE(client.back_up());
  client.remote->rows_per_page = 3;
  const Result<restore::OpeningKey> key = restore::own_key(client.ring);
  const auto found = [&](const char* spec, const char* source) {
    restore::Archive archive(*client.remote, {}, *key);
    client.remote->rows_given = client.remote->runs_given = 0;
    return archive.find(spec, source)->core().sequence;
  };
  EXPECT_EQ(found("latest", ""), 9u);
  EXPECT_EQ(client.remote->rows_given, 3u);
  EXPECT_EQ(client.remote->runs_given, 1u);
  EXPECT_EQ(found("latest", "files"), 9u);
  EXPECT_EQ(client.remote->rows_given, 3u);
  EXPECT_EQ(client.remote->runs_given, 1u);
  EXPECT_EQ(found("5", ""), 5u);
  EXPECT_EQ(client.remote->rows_given, 6u);
  EXPECT_EQ(client.remote->runs_given, 1u);
  client.remote->runs_given = 0;
  const std::vector<restore::SnapshotInfo> all = *restore::Archive(*client.remote, {}, *key).snapshots();
  EXPECT_EQ(all.size(), 9u);
  for (const restore::SnapshotInfo& one : all) EXPECT_TRUE(one.part) << one.why_closed->message;
  EXPECT_EQ(client.remote->runs_given, 0u) << "they come with the list";
}

}  // namespace
}  // namespace holdfast::test
