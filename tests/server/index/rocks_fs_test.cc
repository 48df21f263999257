#include "server/index/rocks_fs.h"

#include <gtest/gtest.h>

#include "tests/support/faulty_fs.h"

namespace holdfast::index {
namespace {

using rocksdb::IOStatus;
using rocksdb::Slice;

class RocksFsTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(disk.make_directory("/db", 0700)); }

  std::unique_ptr<rocksdb::FSWritableFile> create(const std::string& path) {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    const IOStatus status = fs.NewWritableFile(path, files, &file, nullptr);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return file;
  }
  void write(const std::string& path, const std::string& text) {
    const auto file = create(path);
    ASSERT_NE(file, nullptr);
    ASSERT_TRUE(file->Append(text, io, nullptr).ok());
    ASSERT_TRUE(file->Close(io, nullptr).ok());
  }
  std::string read(const std::string& path) {
    std::unique_ptr<rocksdb::FSRandomAccessFile> file;
    EXPECT_TRUE(fs.NewRandomAccessFile(path, files, &file, nullptr).ok());
    if (!file) return {};
    char scratch[100];
    Slice out;
    EXPECT_TRUE(file->Read(0, sizeof scratch, io, &out, scratch, nullptr).ok());
    return out.ToString();
  }

  support::FaultyFs disk;
  RocksFs fs{disk};
  rocksdb::FileOptions files;
  rocksdb::IOOptions io;
};

TEST_F(RocksFsTest, ReadsInOrderAndAtOffsetsWhatWasAppended) {
  const auto out = create("/db/1");
  ASSERT_TRUE(out->Append("hello ", io, nullptr).ok());
  ASSERT_TRUE(out->Append("world", io, nullptr).ok());
  ASSERT_TRUE(out->Sync(io, nullptr).ok());
  EXPECT_EQ(out->GetFileSize(io, nullptr), 11u);

  std::unique_ptr<rocksdb::FSSequentialFile> in;
  ASSERT_TRUE(fs.NewSequentialFile("/db/1", files, &in, nullptr).ok());
  char scratch[6];
  Slice got;
  ASSERT_TRUE(in->Read(3, io, &got, scratch, nullptr).ok());
  EXPECT_EQ(got.ToString(), "hel");
  ASSERT_TRUE(in->Skip(3).ok());
  ASSERT_TRUE(in->Read(6, io, &got, scratch, nullptr).ok());
  EXPECT_EQ(got.ToString(), "world");
  ASSERT_TRUE(in->Read(6, io, &got, scratch, nullptr).ok());
  EXPECT_TRUE(got.empty()) << "the end of the file is no error";

  std::unique_ptr<rocksdb::FSRandomAccessFile> random;
  ASSERT_TRUE(fs.NewRandomAccessFile("/db/1", files, &random, nullptr).ok());
  ASSERT_TRUE(random->Read(6, 3, io, &got, scratch, nullptr).ok());
  EXPECT_EQ(got.ToString(), "wor");
}

TEST_F(RocksFsTest, ReplacesAFileThatIsWrittenAnew) {
  write("/db/1", "a long text");
  write("/db/1", "short");
  EXPECT_EQ(read("/db/1"), "short");
}

TEST_F(RocksFsTest, GoesOnWhereAReopenedFileEnded) {
  write("/db/1", "one ");
  std::unique_ptr<rocksdb::FSWritableFile> file;
  ASSERT_TRUE(fs.ReopenWritableFile("/db/1", files, &file, nullptr).ok());
  ASSERT_TRUE(file->Append("two", io, nullptr).ok());
  EXPECT_EQ(read("/db/1"), "one two");
  ASSERT_TRUE(file->Truncate(3, io, nullptr).ok());
  ASSERT_TRUE(file->Append("!", io, nullptr).ok());
  EXPECT_EQ(read("/db/1"), "one!");
  ASSERT_TRUE(fs.ReopenWritableFile("/db/new", files, &file, nullptr).ok());
}

TEST_F(RocksFsTest, ListsRenamesAndRemovesWithAndWithoutATrailingSlash) {
  write("/db/1", "12345");
  ASSERT_TRUE(fs.RenameFile("/db/1", "/db/2", io, nullptr).ok());
  std::vector<std::string> names;
  ASSERT_TRUE(fs.GetChildren("/db/", io, &names, nullptr).ok());
  EXPECT_EQ(names, std::vector<std::string>{"2"});
  std::vector<rocksdb::Env::FileAttributes> attributes;
  ASSERT_TRUE(fs.GetChildrenFileAttributes("/db", io, &attributes, nullptr).ok());
  ASSERT_EQ(attributes.size(), 1u);
  EXPECT_EQ(attributes[0].size_bytes, 5u);
  bool is_directory = false;
  ASSERT_TRUE(fs.IsDirectory("/db/", io, &is_directory, nullptr).ok());
  EXPECT_TRUE(is_directory);
  ASSERT_TRUE(fs.CreateDirIfMissing("/db/", io, nullptr).ok());
  EXPECT_FALSE(fs.CreateDir("/db", io, nullptr).ok());
  ASSERT_TRUE(fs.DeleteFile("/db/2", io, nullptr).ok());
  ASSERT_TRUE(fs.DeleteDir("/db/", io, nullptr).ok());
  EXPECT_TRUE(fs.FileExists("/db", io, nullptr).IsNotFound());
}

TEST_F(RocksFsTest, SpeaksRocksDbsErrorsForWhatIsMissingFullOrLocked) {
  std::unique_ptr<rocksdb::FSSequentialFile> file;
  EXPECT_TRUE(fs.NewSequentialFile("/db/none", files, &file, nullptr).IsPathNotFound());
  EXPECT_TRUE(fs.FileExists("/db/none", io, nullptr).IsNotFound());
  std::vector<std::string> names;
  EXPECT_TRUE(fs.GetChildren("/none", io, &names, nullptr).IsNotFound());
  std::uint64_t size = 0;
  EXPECT_TRUE(fs.GetFileSize("/db/none", io, &size, nullptr).IsPathNotFound());
  EXPECT_TRUE(fs.DeleteFile("/db/none", io, nullptr).IsPathNotFound());

  const auto out = create("/db/1");
  disk.fail_at(0, Errc::DiskFull);
  EXPECT_TRUE(out->Append("x", io, nullptr).IsNoSpace());
  disk.fail_at(0, Errc::Io);
  EXPECT_TRUE(out->Append("x", io, nullptr).IsIOError());

  rocksdb::FileLock *first = nullptr, *second = nullptr;
  ASSERT_TRUE(fs.LockFile("/db/LOCK", io, &first, nullptr).ok());
  EXPECT_TRUE(fs.LockFile("/db/LOCK", io, &second, nullptr).IsBusy());
  EXPECT_EQ(second, nullptr);
  ASSERT_TRUE(fs.UnlockFile(first, io, nullptr).ok());
  ASSERT_TRUE(fs.LockFile("/db/LOCK", io, &second, nullptr).ok());
  ASSERT_TRUE(fs.UnlockFile(second, io, nullptr).ok());
}

TEST_F(RocksFsTest, SyncsTheDirectoryItIsAskedToSync) {
  std::unique_ptr<rocksdb::FSDirectory> directory;
  ASSERT_TRUE(fs.NewDirectory("/db/", io, &directory, nullptr).ok());
  disk.fail_on(support::Operation::SyncDirectory, "/db");
  EXPECT_TRUE(directory->Fsync(io, nullptr).IsIOError());
  EXPECT_EQ(disk.struck_at(), "sync directory /db");
  EXPECT_TRUE(directory->Fsync(io, nullptr).ok());
}

TEST_F(RocksFsTest, RefusesWhatWouldPassTheSeamBy) {
  write("/db/1", "x");
  std::unique_ptr<rocksdb::FSRandomRWFile> random;
  EXPECT_TRUE(fs.NewRandomRWFile("/db/1", files, &random, nullptr).IsNotSupported());
  std::unique_ptr<rocksdb::MemoryMappedFileBuffer> mapped;
  EXPECT_TRUE(fs.NewMemoryMappedFileBuffer("/db/1", &mapped).IsNotSupported());
  EXPECT_TRUE(fs.LinkFile("/db/1", "/db/2", io, nullptr).IsNotSupported());
  std::shared_ptr<rocksdb::Logger> logger;
  EXPECT_TRUE(fs.NewLogger("/db/LOG", io, &logger, nullptr).IsNotSupported());
  std::unique_ptr<rocksdb::FSWritableFile> file;
  EXPECT_TRUE(fs.ReuseWritableFile("/db/2", "/db/1", files, &file, nullptr).IsNotSupported());
}

}  // namespace
}  // namespace holdfast::index
