#include "client/restore/plan.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temporary_directory.h"

namespace holdfast::restore {
namespace {

using manifest::Entry;
using manifest::EntryKind;

blob::BlobRef blob_of(std::uint8_t number) {
  blob::BlobRef ref;
  ref.blob.bytes.fill(number);
  ref.run.bytes.fill(1);
  return ref;
}

struct Piece {
  std::uint8_t blob;  ///< 0: a hole
  std::uint32_t offset;
  std::uint64_t length;
};

Entry file(std::string path, const std::vector<Piece>& pieces) {
  Entry entry;
  entry.source = "files";
  entry.path = std::move(path);
  for (const Piece& one : pieces) {
    entry.extents.push_back({one.blob == 0 ? blob::BlobRef{} : blob_of(one.blob), one.offset, one.length});
    entry.size += one.length;
  }
  return entry;
}

class Plans : public ::testing::Test {
 protected:
  void SetUp() override {
    auto root = std::make_shared<const Descriptor>(::open(tmp.path().c_str(), O_PATH | O_DIRECTORY));
    Result<PlanDirectory> opened = PlanDirectory::open(root);
    ASSERT_TRUE(opened) << opened.error().message;
    directory.emplace(*std::move(opened));
  }
  Result<Plan> make(const std::vector<Entry>& wanted) {
    HF_TRY(const std::unique_ptr<PlanBuilder> builder, PlanBuilder::begin(*directory, ""));
    for (const Entry& one : wanted) HF_TRY_DO(builder->add(one));
    PlanFacts facts;
    facts.tag = "0123456789abcdef";
    facts.began = {7, 8};
    facts.left_in_place = 3;
    return builder->finish(facts, key, binding);
  }
  std::optional<Plan> load() { return Plan::load(*directory, "", key, binding); }
  static std::vector<Use> uses_of(const Plan& plan, std::uint64_t blob) {
    std::vector<Use> uses;
    EXPECT_TRUE(plan.each_use(blob, [&](const Use& use) -> Status {
      uses.push_back(use);
      return {};
    }));
    return uses;
  }
  std::string at(const std::string& name) const { return tmp / (std::string(kPlanDirectory) + "/" + name); }

  support::TemporaryDirectory tmp;
  std::optional<PlanDirectory> directory;
  const crypto::Key key = crypto::derive(crypto::Key::random(system_random()), "test");
  Digest binding = crypto::digest(as_bytes("what was asked"));
  const std::vector<Entry> tree = {file("/a", {{9, 0, 10}, {0, 0, 5}, {2, 100, 20}}),
                                   file("/b", {{2, 0, 30}, {9, 10, 40}}), file("/empty", {}),
                                   file("/c", {{5, 1, 2}, {9, 0, 10}, {0, 0, 7}})};
};

TEST_F(Plans, GroupUsesByBlobInTheOrderOfTheirFirstUse) {
  const Result<Plan> plan = make(tree);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->facts().entries, 4u);
  EXPECT_EQ(plan->facts().data_bytes, 112u);
  ASSERT_EQ(plan->facts().blobs, 3u);
  EXPECT_EQ(*plan->blob(0), blob_of(9));
  EXPECT_EQ(*plan->blob(1), blob_of(2));
  EXPECT_EQ(*plan->blob(2), blob_of(5));
  EXPECT_EQ(uses_of(*plan, 0), (std::vector<Use>{{0, 0, 0, 0, 10}, {1, 30, 0, 10, 40}, {3, 2, 0, 0, 10}}));
  EXPECT_EQ(uses_of(*plan, 1), (std::vector<Use>{{0, 15, 5, 100, 20}, {1, 0, 0, 0, 30}}));
  EXPECT_EQ(uses_of(*plan, 2), (std::vector<Use>{{3, 0, 0, 1, 2}}));
  const Result<PlannedEntry> last = plan->entry(3);
  ASSERT_TRUE(last);
  EXPECT_EQ(last->entry.path, "/c");
  EXPECT_EQ(last->uses, 2u);
  std::vector<Stretch> holes;
  ASSERT_TRUE(plan->each_stretch(*last, [&](const Stretch& one) -> Status {
    holes.push_back(one);
    return {};
  }));
  EXPECT_EQ(holes, (std::vector<Stretch>{{12, 7}}));
}

TEST_F(Plans, AreFoundAgainWithWhatWasDone) {
  {
    Result<Plan> plan = make(tree);
    ASSERT_TRUE(plan);
    ASSERT_TRUE(plan->set_written(1, true));
    ASSERT_TRUE(plan->set_state(2, {77, 5}));
  }
  std::optional<Plan> found = load();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->facts().tag, "0123456789abcdef");
  EXPECT_EQ(found->facts().began.tv_nsec, 8);
  EXPECT_EQ(found->facts().left_in_place, 3u);
  EXPECT_FALSE(found->is_written(0));
  EXPECT_TRUE(found->is_written(1));
  EXPECT_EQ(*found->state(2), (FileState{77, 5}));
  EXPECT_EQ(found->entry(0)->entry.path, "/a");
  EXPECT_EQ(uses_of(*found, 2).size(), 1u);
}

TEST_F(Plans, OfOtherQuestionsOrUnderOtherKeysAreNone) {
  ASSERT_TRUE(make(tree));
  EXPECT_TRUE(load());
  EXPECT_FALSE(Plan::load(*directory, "", crypto::Key::random(system_random()), binding));
  EXPECT_FALSE(Plan::load(*directory, "other-", key, binding));
  binding.bytes[0] ^= 1;
  EXPECT_FALSE(load());
}

TEST_F(Plans, AreNoneOnceAnyByteOfWhatTheySayHasChanged) {
  ASSERT_TRUE(make(tree));
  for (const char* name : {"head", "entries", "index", "uses", "blobs", "stretches"}) {
    std::fstream bytes(at(name), std::ios::in | std::ios::out | std::ios::binary);
    const std::uintmax_t size = std::filesystem::file_size(at(name));
    ASSERT_GT(size, 0u) << name;
    for (std::uintmax_t i = 0; i < size; i += 1 + size / 60) {
      const auto flip = [&] {
        bytes.seekg(static_cast<std::streamoff>(i));
        const int old = bytes.get();
        bytes.seekp(static_cast<std::streamoff>(i));
        bytes.put(static_cast<char>(old ^ 4)).flush();
      };
      flip();
      EXPECT_FALSE(load()) << name << " byte " << i;
      flip();
    }
    EXPECT_TRUE(load());
  }
  for (const char* name : {"head", "entries", "index", "uses", "blobs", "stretches", "states", "written"}) {
    const std::uintmax_t size = std::filesystem::file_size(at(name));
    std::filesystem::resize_file(at(name), size - 1);
    EXPECT_FALSE(load()) << name;
    std::filesystem::remove(at(name));
    EXPECT_FALSE(load()) << name;
    ASSERT_TRUE(make(tree));
  }
}

TEST_F(Plans, AreMadeInADirectoryThatIsOursAlone) {
  const auto open_in = [](const std::string& target) {
    return PlanDirectory::open(std::make_shared<const Descriptor>(::open(target.c_str(), O_PATH | O_DIRECTORY)));
  };
  EXPECT_EQ(open_in(tmp.path()).error().code, Errc::Locked);
  directory->remove();
  EXPECT_FALSE(std::filesystem::exists(at("")));
  EXPECT_TRUE(open_in(tmp.path()));
  std::filesystem::permissions(at(""), std::filesystem::perms(0755));
  EXPECT_EQ(open_in(tmp.path()).error().code, Errc::Denied);
  std::filesystem::remove(at(""));
  std::filesystem::create_directory_symlink("/tmp", tmp / std::string(kPlanDirectory));
  EXPECT_EQ(open_in(tmp.path()).error().code, Errc::Denied);
}

}  // namespace
}  // namespace holdfast::restore
