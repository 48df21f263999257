// One suite over every object store: local on the real disk, local in memory, and the double.

#include "server/store/object_store.h"

#include <gtest/gtest.h>

#include <functional>

#include "server/store/local_store.h"
#include "tests/support/mem_fs.h"
#include "tests/support/memory_object_store.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::store {
namespace {

struct Place {
  virtual ~Place() = default;
  virtual ObjectStore& store() = 0;
  virtual void reopen() = 0;
};

struct LocalPlace : Place {
  LocalPlace(fs::FileSystem& files, std::string path) : fs(files), directory(std::move(path)) { LocalPlace::reopen(); }
  ObjectStore& store() override { return *local; }
  void reopen() override {
    local.reset();
    Result<std::unique_ptr<ObjectStore>> opened = open_local_store(fs, directory);
    HF_ASSERT(opened.has_value());
    local = std::move(*opened);
  }
  fs::FileSystem& fs;
  const std::string directory;
  std::unique_ptr<ObjectStore> local;
};
struct RealDirectory {
  support::TemporaryDirectory temporary;
};
struct RealPlace final : RealDirectory, LocalPlace {
  RealPlace() : LocalPlace(fs::real(), temporary / "tenant/objects") {}
};
struct MemDirectory {
  support::MemFs memory;
};
struct MemPlace final : MemDirectory, LocalPlace {
  MemPlace() : LocalPlace(memory, "/tenant/objects") {}
};
struct DoublePlace final : Place {
  support::MemoryObjectStore memory;
  ObjectStore& store() override { return memory; }
  void reopen() override {}
};

struct Kind {
  const char* name;
  std::function<std::unique_ptr<Place>()> make;
};
class AnyObjectStore : public testing::TestWithParam<Kind> {
 protected:
  ObjectStore& store() { return place_->store(); }
  Status put(const std::string& name, std::string_view text) {
    HF_TRY(const std::unique_ptr<ObjectWriter> writer, store().create(name));
    HF_TRY_DO(writer->append(as_bytes(text)));
    return writer->commit();
  }
  std::string text(const std::string& name, std::uint64_t offset, std::uint64_t length) {
    const Result<Bytes> bytes = store().get(name, offset, length);
    return bytes ? std::string(as_text(*bytes)) : "<" + std::string(errc_name(bytes.error().code)) + ">";
  }
  std::vector<std::string> names(const std::string& prefix) {
    std::vector<std::string> out;
    const auto listed = store().list(prefix);
    EXPECT_TRUE(listed);
    for (const ObjectInfo& object : *listed) out.push_back(object.name);
    return out;
  }
  std::unique_ptr<Place> place_ = GetParam().make();
};
INSTANTIATE_TEST_SUITE_P(Store, AnyObjectStore,
                         testing::Values(Kind{"LocalReal", [] { return std::make_unique<RealPlace>(); }},
                                         Kind{"LocalMemory", [] { return std::make_unique<MemPlace>(); }},
                                         Kind{"Double", [] { return std::make_unique<DoublePlace>(); }}),
                         [](const auto& kind) { return std::string(kind.param.name); });

template <class T>
Errc code_of(const Result<T>& result) {
  EXPECT_FALSE(result.has_value());
  return result ? Errc{} : result.error().code;
}
using Names = std::vector<std::string>;

TEST_P(AnyObjectStore, GivesBackWhatWasStored) {
  auto writer = store().create("packs/9f/9f3c");
  ASSERT_TRUE(writer) << writer.error().message;
  ASSERT_TRUE((*writer)->append(as_bytes("hello ")));
  ASSERT_TRUE((*writer)->append(as_bytes("world")));
  ASSERT_TRUE((*writer)->commit());
  EXPECT_EQ(text("packs/9f/9f3c", 0, 11), "hello world");
  EXPECT_EQ(text("packs/9f/9f3c", 6, 5), "world");
  EXPECT_EQ(text("packs/9f/9f3c", 11, 0), "");
  EXPECT_EQ(*store().size("packs/9f/9f3c"), 11u);
  place_->reopen();
  EXPECT_EQ(text("packs/9f/9f3c", 0, 11), "hello world");
}

TEST_P(AnyObjectStore, CallsAShorterObjectCorrupt) {
  ASSERT_TRUE(put("packs/a", "12345"));
  EXPECT_EQ(text("packs/a", 0, 6), "<corrupt>");
  EXPECT_EQ(text("packs/a", 6, 0), "<corrupt>");
  EXPECT_EQ(text("packs/a", ~std::uint64_t{0}, 2), "<corrupt>");
  EXPECT_EQ(text("packs/a", 1, ~std::uint64_t{0}), "<corrupt>") << "and must not ask for that much memory";
}

TEST_P(AnyObjectStore, ShowsNothingBeforeCommit) {
  auto writer = store().create("packs/a");
  ASSERT_TRUE(writer);
  ASSERT_TRUE((*writer)->append(as_bytes("half")));
  EXPECT_EQ(code_of(store().size("packs/a")), Errc::NotFound);
  EXPECT_EQ(names(""), Names{});
  writer->reset();
  EXPECT_EQ(text("packs/a", 0, 1), "<not-found>");
  EXPECT_TRUE(put("packs/a", "whole")) << "a writer that was dropped must not be in the way";
}

TEST_P(AnyObjectStore, PutsOnce) {
  ASSERT_TRUE(put("packs/a", "first"));
  EXPECT_EQ(code_of(put("packs/a", "second")), Errc::Exists);
  EXPECT_EQ(text("packs/a", 0, 5), "first");
}

TEST_P(AnyObjectStore, LetsTheFirstOfTwoWritersWin) {
  auto first = store().create("packs/a");
  auto second = store().create("packs/a");
  ASSERT_TRUE(first && second);
  ASSERT_TRUE((*first)->append(as_bytes("1")));
  ASSERT_TRUE((*second)->append(as_bytes("2")));
  ASSERT_TRUE((*second)->commit());
  EXPECT_EQ(code_of((*first)->commit()), Errc::Exists);
  first->reset();
  EXPECT_EQ(text("packs/a", 0, 1), "2");
}

TEST_P(AnyObjectStore, ListsByPrefixInOrder) {
  for (const char* name : {"packs/b2", "packs/a1", "slots/a", "packs/b/1", "packs.old/x"}) ASSERT_TRUE(put(name, "x"));
  EXPECT_EQ(names(""), (Names{"packs.old/x", "packs/a1", "packs/b/1", "packs/b2", "slots/a"}));
  EXPECT_EQ(names("packs/"), (Names{"packs/a1", "packs/b/1", "packs/b2"}));
  EXPECT_EQ(names("packs/b"), (Names{"packs/b/1", "packs/b2"}));
  EXPECT_EQ(names("packs/b/1"), (Names{"packs/b/1"}));
  EXPECT_EQ(names("nothing/"), Names{});
  EXPECT_EQ((*store().list("slots/"))[0].bytes, 1u);
}

TEST_P(AnyObjectStore, RemovesForGood) {
  ASSERT_TRUE(put("packs/a", "x"));
  ASSERT_TRUE(store().remove("packs/a"));
  EXPECT_EQ(code_of(store().remove("packs/a")), Errc::NotFound);
  EXPECT_EQ(code_of(store().remove("packs/never")), Errc::NotFound);
  place_->reopen();
  EXPECT_EQ(text("packs/a", 0, 1), "<not-found>");
}

TEST_P(AnyObjectStore, ReplacesAndCreatesSlots) {
  ASSERT_TRUE(store().replace("slots/a", as_bytes("one")));
  ASSERT_TRUE(store().replace("slots/a", as_bytes("three")));
  EXPECT_EQ(text("slots/a", 0, 5), "three");
  EXPECT_EQ(*store().size("slots/a"), 5u);
}

TEST_P(AnyObjectStore, RefusesNamesThatCouldLeadElsewhere) {
  for (const char* name : {"", "packs", "packs/", "/packs", "packs//a", "../a", "packs/../a", "packs/.", "packs/.a",
                           "packs/A", "packs/a b", "packs/a\\b", "packs/a\x01", "tmp/a", "packs/ä"}) {
    EXPECT_EQ(code_of(store().create(name)), Errc::Usage) << name;
    EXPECT_EQ(code_of(store().get(name, 0, 0)), Errc::Usage) << name;
    EXPECT_EQ(code_of(store().size(name)), Errc::Usage) << name;
    EXPECT_EQ(code_of(store().remove(name)), Errc::Usage) << name;
    EXPECT_EQ(code_of(store().replace(name, {})), Errc::Usage) << name;
  }
}

TEST_P(AnyObjectStore, KeepsEmptyObjects) {
  ASSERT_TRUE(put("packs/empty", ""));
  EXPECT_EQ(*store().size("packs/empty"), 0u);
  EXPECT_EQ(text("packs/empty", 0, 0), "");
  EXPECT_EQ(names("packs/"), Names{"packs/empty"});
}

TEST_P(AnyObjectStore, TellsHowMuchRoomThereIs) { EXPECT_GT(*store().available_bytes(), 0u); }

}  // namespace
}  // namespace holdfast::store
