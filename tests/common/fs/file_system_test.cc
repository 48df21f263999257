// One suite over the real file system and the one in memory: what holds for one holds for the other.

#include "common/fs/file_system.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/support/mem_fs.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::fs {
namespace {

struct Place {
  virtual ~Place() = default;
  virtual FileSystem& fs() = 0;
  virtual std::string root() = 0;
};
struct RealPlace final : Place {
  support::TemporaryDirectory directory;
  FileSystem& fs() override { return real(); }
  std::string root() override { return directory.path(); }
};
struct MemPlace final : Place {
  support::MemFs memory;
  FileSystem& fs() override { return memory; }
  std::string root() override { return "/"; }
};

struct Kind {
  const char* name;
  std::function<std::unique_ptr<Place>()> make;
};
class AnyFileSystem : public testing::TestWithParam<Kind> {
 protected:
  std::string at(const std::string& name) { return join(place_->root(), name); }
  FileSystem& fs() { return place_->fs(); }
  void write(const std::string& name, std::string_view text) {
    Result<std::unique_ptr<File>> file = fs().create(at(name), 0600);
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_TRUE((*file)->append(as_bytes(text)));
  }
  std::string text(const std::string& name) {
    Result<Bytes> bytes = read_file(fs(), at(name), 1 << 20);
    return bytes ? std::string(as_text(*bytes)) : "error: " + bytes.error().message;
  }
  std::unique_ptr<Place> place_ = GetParam().make();
};
INSTANTIATE_TEST_SUITE_P(Fs, AnyFileSystem,
                         testing::Values(Kind{"Real", [] { return std::make_unique<RealPlace>(); }},
                                         Kind{"Memory", [] { return std::make_unique<MemPlace>(); }}),
                         [](const auto& kind) { return std::string(kind.param.name); });

template <class T>
Errc code_of(const Result<T>& result) {
  EXPECT_FALSE(result.has_value());
  return result ? Errc{} : result.error().code;
}

TEST_P(AnyFileSystem, ReadsBackWhatWasWritten) {
  Result<std::unique_ptr<File>> file = fs().create(at("a"), 0600);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->append(as_bytes("hello ")));
  ASSERT_TRUE((*file)->append(as_bytes("world")));
  ASSERT_TRUE((*file)->write_at(0, as_bytes("J")));
  ASSERT_TRUE((*file)->append(as_bytes("!")));
  ASSERT_TRUE((*file)->sync());
  EXPECT_EQ(*(*file)->size(), 12u);
  EXPECT_EQ(text("a"), "Jello world!");
}

TEST_P(AnyFileSystem, GivesFewerBytesOnlyAtTheEndOfTheFile) {
  write("a", "12345");
  Result<std::unique_ptr<File>> file = fs().open_read(at("a"));
  ASSERT_TRUE(file);
  Bytes out(4);
  EXPECT_EQ(*(*file)->read_at(0, out), 4u);
  EXPECT_EQ(*(*file)->read_at(3, out), 2u);
  EXPECT_EQ(*(*file)->read_at(5, out), 0u);
  EXPECT_EQ(*(*file)->read_at(std::uint64_t{1} << 63, out), 0u);
}

TEST_P(AnyFileSystem, WritesBeyondTheEndLeaveZerosBetween) {
  Result<std::unique_ptr<File>> file = fs().create(at("a"), 0600);
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->write_at(3, as_bytes("x")));
  EXPECT_EQ(text("a"), std::string("\0\0\0x", 4));
  ASSERT_TRUE((*file)->truncate(1));
  ASSERT_TRUE((*file)->append(as_bytes("y")));
  EXPECT_EQ(text("a"), std::string("\0y", 2));
  ASSERT_TRUE((*file)->truncate(4));
  EXPECT_EQ(text("a"), std::string("\0y\0\0", 4));
}

TEST_P(AnyFileSystem, RefusesToCreateWhatExists) {
  write("a", "first");
  EXPECT_EQ(code_of(fs().create(at("a"), 0600)), Errc::Exists);
  EXPECT_EQ(code_of(fs().make_directory(at("a"), 0700)), Errc::Exists);
  EXPECT_EQ(text("a"), "first");
}

TEST_P(AnyFileSystem, NamesThePathInItsErrors) {
  const auto missing = fs().open_read(at("nowhere"));
  ASSERT_EQ(code_of(missing), Errc::NotFound);
  EXPECT_NE(missing.error().message.find("nowhere"), std::string::npos);
  EXPECT_EQ(code_of(fs().open_write(at("nowhere"))), Errc::NotFound);
  EXPECT_EQ(code_of(fs().create(at("no/where"), 0600)), Errc::NotFound);
  EXPECT_EQ(code_of(fs().unlink(at("nowhere"))), Errc::NotFound);
  EXPECT_EQ(code_of(fs().rename(at("nowhere"), at("b"))), Errc::NotFound);
  EXPECT_EQ(code_of(fs().stat(at("nowhere"))), Errc::NotFound);
  EXPECT_EQ(code_of(fs().list(at("nowhere"))), Errc::NotFound);
  EXPECT_EQ(code_of(fs().sync_directory(at("nowhere"))), Errc::NotFound);
  EXPECT_EQ(code_of(fs().available_bytes(at("nowhere"))), Errc::NotFound);
}

TEST_P(AnyFileSystem, RefusesToOpenADirectoryAsAFile) {
  ASSERT_TRUE(fs().make_directory(at("d"), 0700));
  EXPECT_EQ(code_of(fs().open_read(at("d"))), Errc::Io);
  EXPECT_EQ(code_of(fs().open_write(at("d"))), Errc::Io);
  EXPECT_EQ(code_of(fs().unlink(at("d"))), Errc::Io);
}

TEST_P(AnyFileSystem, RefusesToWriteThroughAReader) {
  write("a", "text");
  Result<std::unique_ptr<File>> file = fs().open_read(at("a"));
  ASSERT_TRUE(file);
  EXPECT_FALSE((*file)->append(as_bytes("more")));
  EXPECT_FALSE((*file)->truncate(0));
  EXPECT_EQ(text("a"), "text");
}

TEST_P(AnyFileSystem, OpensForWritingWithoutLosingWhatIsThere) {
  write("a", "text");
  Result<std::unique_ptr<File>> file = fs().open_write(at("a"));
  ASSERT_TRUE(file);
  ASSERT_TRUE((*file)->append(as_bytes("+")));
  EXPECT_EQ(text("a"), "text+");
}

TEST_P(AnyFileSystem, RenameReplacesAndRenameNewDoesNot) {
  write("a", "new");
  write("b", "old");
  EXPECT_EQ(code_of(fs().rename_new(at("a"), at("b"))), Errc::Exists);
  EXPECT_EQ(text("a"), "new");
  EXPECT_EQ(text("b"), "old");
  ASSERT_TRUE(fs().rename(at("a"), at("b")));
  EXPECT_EQ(text("b"), "new");
  EXPECT_EQ(code_of(fs().stat(at("a"))), Errc::NotFound);
  ASSERT_TRUE(fs().rename_new(at("b"), at("c")));
  EXPECT_EQ(text("c"), "new");
}

TEST_P(AnyFileSystem, RenamesBetweenDirectories) {
  ASSERT_TRUE(make_directories(fs(), at("x/y"), 0700));
  write("a", "text");
  ASSERT_TRUE(fs().rename(at("a"), at("x/y/a")));
  EXPECT_EQ(text("x/y/a"), "text");
  EXPECT_FALSE(fs().rename(at("x"), at("x/y/x")));
  write("b", "file");
  EXPECT_EQ(code_of(fs().rename(at("b"), at("x"))), Errc::Io);
}

TEST_P(AnyFileSystem, ListsSortedWithKindsAndSizes) {
  write("b", "12");
  ASSERT_TRUE(fs().make_directory(at("a"), 0700));
  write("c", "");
  const auto entries = fs().list(place_->root());
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 3u);
  EXPECT_EQ((*entries)[0].name, "a");
  EXPECT_EQ((*entries)[0].kind, FileKind::Directory);
  EXPECT_EQ((*entries)[0].size, 0u);
  EXPECT_EQ((*entries)[1].name, "b");
  EXPECT_EQ((*entries)[1].kind, FileKind::File);
  EXPECT_EQ((*entries)[1].size, 2u);
  EXPECT_EQ(fs().stat(at("b"))->size, 2u);
  EXPECT_EQ(fs().stat(at("b"))->name, "b");
  EXPECT_GT(*fs().available_bytes(place_->root()), 0u);
}

TEST_P(AnyFileSystem, RemovesOnlyEmptyDirectories) {
  ASSERT_TRUE(make_directories(fs(), at("a/b"), 0700));
  EXPECT_FALSE(fs().remove_directory(at("a")));
  ASSERT_TRUE(fs().remove_directory(at("a/b")));
  ASSERT_TRUE(fs().remove_directory(at("a")));
  EXPECT_EQ(code_of(fs().stat(at("a"))), Errc::NotFound);
  write("f", "");
  EXPECT_FALSE(fs().remove_directory(at("f")));
}

TEST_P(AnyFileSystem, LetsOnlyOneHoldALock) {
  Result<std::unique_ptr<Lock>> first = fs().lock(at("lock"));
  ASSERT_TRUE(first);
  EXPECT_EQ(code_of(fs().lock(at("lock"))), Errc::Locked);
  first->reset();
  EXPECT_TRUE(fs().lock(at("lock")));
}

TEST_P(AnyFileSystem, KeepsReadingAFileThatLostItsName) {
  write("a", "text");
  Result<std::unique_ptr<File>> file = fs().open_read(at("a"));
  ASSERT_TRUE(file);
  ASSERT_TRUE(fs().unlink(at("a")));
  Bytes out(4);
  EXPECT_EQ(*(*file)->read_at(0, out), 4u);
}

TEST_P(AnyFileSystem, ReadFileRefusesMoreThanItsLimit) {
  write("a", "12345");
  EXPECT_EQ(code_of(read_file(fs(), at("a"), 4)), Errc::Limit);
  EXPECT_TRUE(read_file(fs(), at("a"), 5));
  EXPECT_EQ(code_of(read_file(fs(), at("b"), 5)), Errc::NotFound);
}

TEST_P(AnyFileSystem, ReplaceFileOverwritesAndCreateFileDoesNot) {
  ASSERT_TRUE(create_file(fs(), at("a"), as_bytes("one"), 0600));
  EXPECT_EQ(code_of(create_file(fs(), at("a"), as_bytes("two"), 0600)), Errc::Exists);
  EXPECT_EQ(text("a"), "one");
  ASSERT_TRUE(replace_file(fs(), at("a"), as_bytes("three"), 0600));
  EXPECT_EQ(text("a"), "three");
  EXPECT_EQ(fs().list(place_->root())->size(), 1u) << "a temporary file was left behind";
}

TEST_P(AnyFileSystem, ReplaceFileRemovesWhatACrashLeft) {
  write("a.tmp", "half");
  ASSERT_TRUE(replace_file(fs(), at("a"), as_bytes("whole"), 0600));
  EXPECT_EQ(text("a"), "whole");
  EXPECT_EQ(fs().list(place_->root())->size(), 1u);
}

TEST_P(AnyFileSystem, MakesDirectoriesOnceAndAgain) {
  ASSERT_TRUE(make_directories(fs(), at("a/b/c"), 0700));
  ASSERT_TRUE(make_directories(fs(), at("a/b/c"), 0700));
  EXPECT_EQ(fs().stat(at("a/b/c"))->kind, FileKind::Directory);
  write("f", "");
  EXPECT_EQ(code_of(make_directories(fs(), at("f"), 0700)), Errc::Exists);
  EXPECT_FALSE(make_directories(fs(), at("f/g"), 0700));
}

TEST(Paths, JoinAndParentKeepOneSlashBetween) {
  EXPECT_EQ(join("/a", "b"), "/a/b");
  EXPECT_EQ(join("/a/", "b"), "/a/b");
  EXPECT_EQ(join("/", "b"), "/b");
  EXPECT_EQ(parent("/a/b"), "/a");
  EXPECT_EQ(parent("/a/b/"), "/a");
  EXPECT_EQ(parent("/a"), "/");
  EXPECT_EQ(parent("/"), "/");
  EXPECT_EQ(parent("a"), ".");
}

}  // namespace
}  // namespace holdfast::fs
