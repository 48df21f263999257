#include "tests/server/tenant/tenant_world.h"

namespace holdfast::tenant {
namespace {

std::string label(const Machine& machine, std::uint64_t sequence, const SnapshotId& id) {
  return machine.name + "/" + std::to_string(sequence) + " " + id.short_hex();
}

const Finding* finding(const World::Checked& checked, const std::string& file) {
  for (const Finding& f : checked.findings) {
    if (f.file == file) return &f;
  }
  return nullptr;
}

std::string told(const World::Checked& checked) {
  std::string out;
  for (const Finding& f : checked.findings) out += f.file + ": " + f.what + "\n";
  return out;
}

TEST(Check, FindsNothingInAWholeTenantAndCountsIt) {
  World world;
  const Machine machine = world.enrol("shop");
  (void)world.back_up(machine, 2, 3);
  (void)world.back_up(machine, 1, 1, 600'000);
  const World::Checked checked = world.check();
  EXPECT_TRUE(checked.findings.empty()) << told(checked);
  EXPECT_EQ(checked.summary.snapshots, 2u);
  EXPECT_EQ(checked.summary.packs, world.files("packs").size());
  EXPECT_EQ(checked.summary.blobs, 9u + 3u);
  EXPECT_EQ(checked.summary.damaged_files, 0u);
  EXPECT_GT(checked.summary.bytes_read, 600'000u);
  EXPECT_EQ(world.check(false).summary.bytes_read, 0u);
}

TEST(Check, NamesTheSnapshotsThatADamagedBlobBelongsToAndNoOthers) {
  World world;
  const Machine machine = world.enrol("shop");
  const SnapshotId first = world.back_up(machine, 2, 2);
  const std::string pack = world.files("packs").begin()->first;
  const blob::BlobRef kept{world.last_tree.blobs[5].id, world.last_run.id};  // second leaf
  const TreeBlob victim = world.last_tree.blobs[3];                          // a data blob below it
  const TestRun victim_run = world.last_run;
  const TestRun run = world.begin(machine, first);
  const Tree tree = world.tree(machine, run, 1, 1, 200, {kept});
  world.send(machine, run, tree.blobs);
  const Bytes core = world.core(machine, run, tree.root, first);
  ASSERT_OK(world.tenant->commit(machine.id, run.opened.session, core, nullptr));
  const SnapshotId second = snapshot::snapshot_id(core);
  (void)world.back_up(machine, 1, 1);

  const Bytes bytes = world.files("packs").at(pack);
  const auto at = std::search(bytes.begin(), bytes.end(), victim.record.begin(), victim.record.end());
  ASSERT_NE(at, bytes.end());
  const auto offset = static_cast<std::uint64_t>(at - bytes.begin()) + 150;
  world.write_byte(pack, offset, bytes[offset] ^ 1);

  EXPECT_TRUE(world.check(false).findings.empty());  // names and footers are right
  const World::Checked checked = world.check(true);
  ASSERT_EQ(checked.findings.size(), 1u) << told(checked);
  EXPECT_EQ(checked.findings[0].file, pack);
  std::vector<std::string> hurt = checked.findings[0].snapshots;
  std::sort(hurt.begin(), hurt.end());
  EXPECT_EQ(hurt, (std::vector<std::string>{label(machine, 1, first), label(machine, 2, second)}));
  EXPECT_EQ(checked.summary.damaged_files, 1u);
  EXPECT_EQ(checked.summary.damaged_snapshots, 2u);
  EXPECT_TRUE(world.tenant->account().health.starts_with("damaged")) << world.tenant->account().health;

  // Nothing new is built on that pack, the other blobs in it can still be read, and the damage survives a restart.
  world.reopen();
  EXPECT_TRUE(world.tenant->account().health.starts_with("damaged"));
  EXPECT_EQ(world.tenant->read_blob(machine.id, machine.domain, 1, {victim.id, victim_run.id}).error().code,
            Errc::Corrupt);
  EXPECT_OK(world.tenant->read_blob(machine.id, machine.domain, 1, kept));

  // Put right by hand, it counts again once it has been read back.
  world.write_byte(pack, offset, bytes[offset]);
  EXPECT_TRUE(world.check(true).findings.empty());
  EXPECT_EQ(world.tenant->account().health, "ok");
  world.reopen();
  EXPECT_EQ(world.tenant->account().health, "ok");
}

TEST(Check, ReadsAnotherCopyWhenOneIsDamaged) {
  World world;
  const Machine machine = world.enrol("shop");
  const TestRun run = world.begin(machine);
  const TreeBlob blob = world.blob(machine, run, blob::Type::Data, {}, 300);
  world.send(machine, run, {blob});
  const std::string first = world.files("packs").begin()->first;
  world.write_byte(first, 100, 0xEE);
  world.write_byte(first, 101, 0xEE);
  EXPECT_EQ(world.tenant->read_blob(machine.id, machine.domain, 1, {blob.id, run.id}).error().code, Errc::Corrupt);
  EXPECT_EQ(must(world.tenant->put(machine.id, run.opened.session, 5, blob.record)).size(),
            0u);  // not taken for stored
  EXPECT_EQ(must(world.tenant->flush(machine.id, run.opened.session)).size(), 1u);
  EXPECT_EQ(must(world.tenant->read_blob(machine.id, machine.domain, 1, {blob.id, run.id})), blob.record);
  EXPECT_EQ(world.files("packs").size(), 2u);
}

TEST(Check, NamesOrphansAndForeignFilesWithoutCallingThemDamage) {
  World world;
  const Machine machine = world.enrol("shop");
  (void)world.back_up(machine);
  const auto [name, bytes] = *world.files("packs").begin();
  const std::string orphan = pack::object_name(world.random.id<PackId>(), 1);
  must(fs::make_directories(world.fs.disk(), fs::parent(world.path(orphan)), 0700));
  must(fs::create_file(world.fs.disk(), world.path(orphan), bytes, 0600));
  for (const char* file :
       {"README", "packs/notes.txt", "slots/copy-of-a-slot", "journal/0000000000000001.seg.bak", "head.old"}) {
    must(fs::create_file(world.fs.disk(), world.path(file), Bytes(3), 0600));
  }
  const World::Checked checked = world.check();
  EXPECT_EQ(checked.findings.size(), 6u) << told(checked);
  EXPECT_EQ(checked.summary.damaged_files, 0u);
  ASSERT_NE(finding(checked, orphan), nullptr);
  EXPECT_TRUE(finding(checked, orphan)->what.starts_with("orphan"));
  for (const Finding& f : checked.findings) {
    EXPECT_FALSE(f.damage) << f.file;
    EXPECT_TRUE(f.snapshots.empty());
  }
}

/// Row 10: one byte of any stored file, while the server runs.
TEST(Check, NamesEverySingleFlippedByteOfEveryFile) {
  World world(42);
  const Machine machine = world.enrol("shop");
  const SnapshotId snapshot = world.back_up(machine, 2, 2, 64);
  const std::map<std::string, Bytes> files = world.files();
  // The journal first: once it is seen to be damaged nothing more is published, so that no file changes meanwhile.
  std::vector<std::string> order{"journal/0000000000000001.seg", "head"};
  for (const auto& [name, bytes] : files) {
    if (name.starts_with("packs/") || name.starts_with("slots/")) order.push_back(name);
  }
  ASSERT_EQ(order.size(), 4u);
  std::size_t flips = 0;
  for (const std::string& name : order) {
    const Bytes& bytes = files.at(name);
    for (std::size_t offset = 0; offset < bytes.size(); ++offset) {
      // Nearly all of the head are zeros under one digest: every byte that means something and every 64th of the rest.
      if (name == "head" && offset % 4096 > 120 && offset % 4096 < 4060 && offset % 64 != 0) continue;
      const auto bit = static_cast<std::uint8_t>(1u << (offset % 8));
      world.write_byte(name, offset, bytes[offset] ^ bit);
      const World::Checked checked = world.check();
      const Finding* const found = finding(checked, name);
      ASSERT_NE(found, nullptr) << name << " at " << offset << "\n" << told(checked);
      ASSERT_TRUE(found->damage);
      if (name.starts_with("packs/") || name.starts_with("slots/")) {
        ASSERT_EQ(found->snapshots, std::vector<std::string>{label(machine, 1, snapshot)}) << name << " at " << offset;
      }
      world.write_byte(name, offset, bytes[offset]);
      ++flips;
    }
  }
  EXPECT_GT(flips, 4000u);
  // Everything reads well again, and yet the tenant takes nothing until it is opened anew: that is not "all well".
  const World::Checked stopped = world.check();
  EXPECT_EQ(stopped.findings.size(), 1u) << told(stopped);
  EXPECT_GT(stopped.summary.damaged_files, 0u);
  world.reopen();
  EXPECT_TRUE(world.check().findings.empty());
}

/// Opened on a journal that could be read only in part, a tenant does not know the packs of the other part. They are
/// checked all the same: when the journal is put right, they are needed.
TEST(Check, NamesADamagedPackThatTheReadablePartOfTheJournalDoesNotName) {
  World world;
  const Machine machine = world.enrol("shop");
  (void)world.back_up(machine);
  const std::string segment = "journal/0000000000000001.seg";
  const std::size_t cut = world.files().at(segment).size() + 100;
  const std::map<std::string, Bytes> before = world.files("packs");
  (void)world.back_up(machine);
  std::map<std::string, Bytes> later = world.files("packs");
  std::erase_if(later, [&](const auto& file) { return before.contains(file.first); });
  ASSERT_EQ(later.size(), 1u);
  const auto& [pack, bytes] = *later.begin();
  const std::uint8_t good = world.files().at(segment).at(cut);
  world.close();
  world.write_byte(segment, cut, good ^ 1);
  world.open();
  ASSERT_TRUE(world.tenant->account().health.starts_with("read-only"));

  const World::Checked unnamed = world.check();
  ASSERT_NE(finding(unnamed, pack), nullptr) << told(unnamed);
  EXPECT_FALSE(finding(unnamed, pack)->damage);
  EXPECT_EQ(finding(unnamed, pack)->what.find("collect"), std::string::npos) << told(unnamed);  // it is not to go

  world.write_byte(segment, cut, good);
  for (const std::size_t at : {std::size_t{100}, bytes.size() - 100}) {
    world.write_byte(pack, at, bytes[at] ^ 1);
    const World::Checked checked = world.check();
    ASSERT_NE(finding(checked, pack), nullptr) << told(checked);
    EXPECT_TRUE(finding(checked, pack)->damage) << told(checked);
    ASSERT_NE(finding(checked, segment), nullptr) << told(checked);
    EXPECT_TRUE(finding(checked, segment)->damage) << told(checked);
    world.write_byte(pack, at, bytes[at]);
  }
  world.reopen();
  const World::Checked after = world.check();
  EXPECT_TRUE(after.findings.empty()) << told(after);
}

/// Row 10 again: found at the next start. Wrong bytes are never handed out.
TEST(Check, NamesAFlippedByteAfterARestartAndNeverReadsWrongBytes) {
  World world(43);
  const Machine machine = world.enrol("shop");
  (void)world.back_up(machine, 2, 2, 64);
  const Tree tree = world.last_tree;
  const TestRun run = world.last_run;
  world.close();
  const std::map<std::string, Bytes> files = world.files();
  std::size_t flips = 0, unopened = 0;
  for (const auto& [name, bytes] : files) {
    if (name == "lock" || bytes.empty()) continue;
    const bool derived = name.starts_with("index/");
    for (int i = 0; i < (derived ? 4 : 24); ++i) {
      const std::size_t offset = world.random.below(bytes.size());
      world.replace_all(files);
      world.write_byte(name, offset, bytes[offset] ^ 0x10);
      ++flips;
      auto opened = world.try_open();
      if (!opened) {
        ++unopened;  // only when even the tenant's first record is gone
        EXPECT_EQ(opened.error().code, Errc::Corrupt);
        EXPECT_NE(opened.error().message.find(name), std::string::npos) << opened.error().message;
        continue;
      }
      world.tenant = *std::move(opened);
      const World::Checked checked = world.check();
      EXPECT_TRUE(derived || finding(checked, name) != nullptr) << name << " at " << offset << "\n" << told(checked);
      for (const TreeBlob& b : tree.blobs) {
        const auto read = world.tenant->read_blob(machine.id, machine.domain, 1, {b.id, run.id});
        EXPECT_TRUE(read ? *read == b.record
                         : read.error().code == Errc::Corrupt || read.error().code == Errc::NotFound)
            << name << " at " << offset;
        EXPECT_TRUE(!derived || read.has_value()) << name << " at " << offset;  // a damaged index costs nothing
      }
      world.close();
    }
  }
  EXPECT_GT(flips, 100u);
  EXPECT_LT(unopened, flips / 4);
  world.replace_all(files);
  world.open();
}

/// Row 11: whole files.
TEST(Check, NamesFilesThatWereDeletedTruncatedLengthenedOrSwapped) {
  World world(44);
  const Machine machine = world.enrol("shop");
  const SnapshotId first = world.back_up(machine, 1, 2, 64);
  (void)world.back_up(machine, 1, 2, 64);
  world.close();
  const std::map<std::string, Bytes> files = world.files();
  std::vector<std::string> packs, slots;
  for (const auto& [name, bytes] : files) {
    if (name.starts_with("packs/")) packs.push_back(name);
    if (name.starts_with("slots/")) slots.push_back(name);
  }
  ASSERT_EQ(packs.size(), 2u);
  ASSERT_EQ(slots.size(), 2u);
  const auto expect_named = [&](const std::map<std::string, Bytes>& changed, const std::vector<std::string>& wanted) {
    world.replace_all(changed);
    auto opened = world.try_open();
    if (!opened) {
      EXPECT_NE(opened.error().message.find(wanted[0]), std::string::npos) << opened.error().message;
      return;
    }
    world.tenant = *std::move(opened);
    const World::Checked checked = world.check();
    for (const std::string& name : wanted) EXPECT_NE(finding(checked, name), nullptr) << name << "\n" << told(checked);
    EXPECT_GT(checked.summary.damaged_files, 0u);
    world.close();
  };
  for (const std::string& name :
       {packs[0], slots[0], std::string("head"), std::string("journal/0000000000000001.seg")}) {
    std::map<std::string, Bytes> changed = files;
    changed.erase(name);
    expect_named(changed, {name});
    for (const std::size_t length : {std::size_t{0}, files.at(name).size() / 2, files.at(name).size() - 1}) {
      changed = files;
      changed[name].resize(length);
      expect_named(changed, {name});
    }
    if (name.starts_with("journal/")) continue;  // bytes beyond the head never happened: set aside, not damage
    changed = files;
    changed[name].push_back(0);
    expect_named(changed, {name});
  }
  for (const auto& pair : {packs, slots}) {
    std::map<std::string, Bytes> changed = files;
    std::swap(changed[pair[0]], changed[pair[1]]);
    expect_named(changed, pair);
    changed = files;
    changed[pair[0]] = files.at(pair[1]);
    expect_named(changed, {pair[0]});
  }
  world.replace_all(files);
  world.open();
  EXPECT_TRUE(world.check().findings.empty());
  EXPECT_EQ(must(world.tenant->snapshots(machine.id, 0, 1)).at(0).id, first);
}

TEST(Check, SurvivesOlderCopiesOfIndexHeadAndWholeDirectory) {
  World world(45);
  const Machine machine = world.enrol("shop");
  (void)world.back_up(machine, 1, 2, 64);
  world.close();
  const std::map<std::string, Bytes> older = world.files();
  world.open();
  (void)world.back_up(machine, 1, 2, 64);
  (void)world.back_up(machine, 1, 2, 64);
  const Digest digest = must(world.tenant->index_digest());
  world.close();
  const std::map<std::string, Bytes> newer = world.files();
  const auto with_older = [&](const std::string& prefix) {
    std::map<std::string, Bytes> mixed;
    for (const auto& [name, bytes] : newer) {
      if (!name.starts_with(prefix)) mixed[name] = bytes;
    }
    for (const auto& [name, bytes] : older) {
      if (name.starts_with(prefix)) mixed[name] = bytes;
    }
    return mixed;
  };
  world.replace_all(with_older("index/"));
  world.open();
  EXPECT_EQ(must(world.tenant->index_digest()), digest);
  EXPECT_TRUE(world.check().findings.empty());
  world.close();

  world.replace_all(with_older("head"));
  world.open();
  EXPECT_TRUE(world.tenant->account().health.starts_with("read-only")) << world.tenant->account().health;
  EXPECT_TRUE(names(world.check().findings, "head"));
  world.close();

  world.replace_all(with_older("journal/"));
  world.open();
  EXPECT_TRUE(world.tenant->account().health.starts_with("read-only"));
  EXPECT_TRUE(names(world.check().findings, "journal/0000000000000001.seg"));
  EXPECT_EQ(world.tenant->account().snapshots, 1u);
  world.close();

  // Everything that says what happened is old, the packs are new: the client's receipt tells; here they are orphans,
  // and an index that knows more than the journal is thrown away.
  std::map<std::string, Bytes> rolled_back = newer;
  for (const auto& [name, bytes] : older) {
    if (!name.starts_with("index/")) rolled_back[name] = bytes;
  }
  world.replace_all(rolled_back);
  world.open();
  const World::Checked checked = world.check();
  EXPECT_EQ(checked.summary.damaged_files, 0u) << told(checked);
  EXPECT_EQ(checked.findings.size(), 4u) << told(checked);  // two packs, two slots
  EXPECT_EQ(world.tenant->account().snapshots, 1u);
}

/// Row 12.
TEST(Index, RebuiltFromFootersEqualsTheOneThatGrew) {
  World world(46);
  const Machine machine = world.enrol("shop");
  const Machine member = world.enrol("till", machine.domain);
  (void)world.back_up(machine, 3, 3);
  const TestRun unfinished = world.begin(machine);
  world.send(machine, unfinished, world.tree(machine, unfinished, 1, 1).blobs);
  const TestRun abandoned = world.begin(member);
  world.send(member, abandoned, world.tree(member, abandoned, 1, 1).blobs);
  ASSERT_OK(world.tenant->abandon(member.id, abandoned.opened.session));
  // The same blob, stored by another run as well.
  const TestRun twice = world.begin(member);
  blob::Header header;
  header.type = blob::Type::Data;
  header.domain = member.domain;
  header.epoch = 1;
  header.run = twice.id;
  header.blob = world.last_tree.blobs[0].id;
  world.send(member, twice, {{header.blob, make_record(world.random, header, {}, 50), blob::Type::Data}});
  // An orphan, and a pack with a blob that was found damaged.
  const auto [name, bytes] = *world.files("packs").begin();
  const std::string orphan = pack::object_name(world.random.id<PackId>(), 1);
  must(fs::make_directories(world.fs.disk(), fs::parent(world.path(orphan)), 0700));
  must(fs::create_file(world.fs.disk(), world.path(orphan), bytes, 0600));
  world.write_byte(name, 60, bytes[60] ^ 1);
  (void)world.check();

  const Digest grown = must(world.tenant->index_digest());
  const Tenant::Rebuilt rebuilt = must(world.tenant->rebuild_index());
  EXPECT_EQ(rebuilt.packs, world.files("packs").size() - 1);
  EXPECT_EQ(rebuilt.blobs, world.check(false).summary.blobs);
  EXPECT_EQ(must(world.tenant->index_digest()), grown);
  world.close();
  world.remove_tree(world.path("index"));
  world.open();
  EXPECT_EQ(must(world.tenant->index_digest()), grown);
  world.crash();
  world.open();
  EXPECT_EQ(must(world.tenant->index_digest()), grown);
}

TEST(Index, IsKeptWhenTheDiskDoesNotReadIt) {
  World world(48);
  const Machine machine = world.enrol("shop");
  (void)world.back_up(machine, 2, 2);
  const Digest grown = must(world.tenant->index_digest());
  world.close();
  // RocksDB leaves files alone that are not its own; a rebuild does not.
  const std::string witness = world.path("index/witness");
  must(fs::create_file(world.fs.disk(), witness, Bytes(1), 0600));

  world.fs.fail_reads_of("/index/");
  world.open();
  const Result<Digest> unread = world.tenant->index_digest();
  ASSERT_FALSE(unread);
  EXPECT_EQ(unread.error().code, Errc::Io) << unread.error().message;
  EXPECT_OK(world.fs.disk().stat(witness));

  world.fs.clear_faults();
  EXPECT_EQ(must(world.tenant->index_digest()), grown) << "the next lookup opens it";
  EXPECT_OK(world.fs.disk().stat(witness));

  EXPECT_OK(world.tenant->rebuild_index());
  EXPECT_FALSE(world.fs.disk().stat(witness)) << "a witness that sees nothing";
}

/// Several logs may be alive at a crash, none of them synced: the end of one may be lost, the next one kept. Totals do not
/// show it when the lost batches have added as many blobs as they have taken out, as the rewriting of a pack does.
TEST(Index, IsCompletedWhenItLacksAPackBelowItsGeneration) {
  World world;
  const Machine machine = world.enrol("shop");
  (void)world.back_up(machine);
  const Bytes packed = world.files("packs").begin()->second;
  const TestRun run = world.last_run;
  const Tree tree = world.last_tree;
  (void)world.back_up(machine);
  const Digest grown = must(world.tenant->index_digest());
  const pack::RangeReader read = [&](std::uint64_t offset, std::uint64_t length) {
    const auto from = packed.begin() + static_cast<std::ptrdiff_t>(offset);
    return Result<Bytes>(Bytes(from, from + static_cast<std::ptrdiff_t>(length)));
  };
  const pack::Footer lost = must(pack::read_footer(packed.size(), read)).footer;
  pack::Footer foreign = lost;
  foreign.id = world.random.id<PackId>();
  world.close();
  {
    const auto index = must(index::BlobIndex::open(world.path("index"), world.shared, &world.fs));
    const std::uint64_t generation = must(index->generation());
    ASSERT_OK(index->remove_packs({lost}));
    ASSERT_OK(index->add_packs({foreign}, generation));
  }
  world.open();
  for (const TreeBlob& b : tree.blobs)
    EXPECT_OK(world.tenant->read_blob(machine.id, machine.domain, 1, {b.id, run.id}));
  EXPECT_EQ(must(world.tenant->index_digest()), grown);
}

TEST(Index, IsRebuiltFromMoreFootersThanAreReadAtOnce) {
  World world(49);
  const Machine machine = world.enrol("shop");
  const TestRun run = world.begin(machine);
  constexpr std::size_t kPacks = 1100;
  for (std::size_t i = 0; i < kPacks; ++i)
    world.send(machine, run, {world.blob(machine, run, blob::Type::Data, {}, 1)});
  const Digest grown = must(world.tenant->index_digest());
  const Tenant::Rebuilt rebuilt = must(world.tenant->rebuild_index());
  EXPECT_EQ(rebuilt.packs, kPacks);
  EXPECT_EQ(rebuilt.blobs, kPacks);
  EXPECT_EQ(must(world.tenant->index_digest()), grown);

  // One that is not there must not take the others along.
  must(world.fs.disk().unlink(world.path(world.files("packs").rbegin()->first)));
  const Tenant::Rebuilt without = must(world.tenant->rebuild_index());
  EXPECT_EQ(without.packs, kPacks - 1);
  EXPECT_EQ(without.blobs, kPacks - 1);
}

TEST(Index, IsRebuiltWhileTheTenantServes) {
  World world(47);
  const Machine machine = world.enrol("shop");
  (void)world.back_up(machine, 2, 2);
  const TestRun run = world.begin(machine);
  const Tree tree = world.tree(machine, run, 2, 2);
  for (const TreeBlob& b : tree.blobs) {
    EXPECT_OK(world.tenant->put(machine.id, run.opened.session, 1, b.record));
    EXPECT_OK(world.tenant->rebuild_index());
  }
  EXPECT_OK(world.tenant->commit(machine.id, run.opened.session, world.core(machine, run, tree.root), nullptr));
  EXPECT_TRUE(world.check().findings.empty());
}

}  // namespace
}  // namespace holdfast::tenant
