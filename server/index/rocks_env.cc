#include "server/index/rocks_env.h"

#include <rocksdb/system_clock.h>

#include <algorithm>

#include "server/index/rocks_fs.h"

namespace holdfast::index {
namespace {

// After a failed flush or compaction RocksDB sleeps a second before it tries again, and closing waits for that. Here
// nothing is tried again (shared.cc), and the tenant behind the index would wait. Its other sleeps, which slow writers
// down, last about a millisecond each and are left as they are.
constexpr int kLongestSleepMicros = 10'000;

class ImpatientClock : public rocksdb::SystemClockWrapper {
 public:
  ImpatientClock() : SystemClockWrapper(rocksdb::SystemClock::Default()) {}
  const char* Name() const override { return "HoldfastClock"; }
  void SleepForMicroseconds(int micros) override {
    target_->SleepForMicroseconds(std::min(micros, kLongestSleepMicros));
  }
};

class IndexEnv : public rocksdb::EnvWrapper {
 public:
  explicit IndexEnv(const std::shared_ptr<rocksdb::Env>& files) : EnvWrapper(files) {
    file_system_ = files->GetFileSystem();
    system_clock_ = std::make_shared<ImpatientClock>();
  }
  const char* Name() const override { return "HoldfastEnv"; }
};

std::shared_ptr<rocksdb::Env> env_of_files(fs::FileSystem* fs, std::shared_ptr<DiskErrors> disk) {
  if (fs != nullptr) return rocksdb::NewCompositeEnv(std::make_shared<RocksFs>(*fs, std::move(disk)));
  return {rocksdb::Env::Default(), [](rocksdb::Env*) {}};  // RocksDB keeps it for ever
}

}  // namespace

std::unique_ptr<rocksdb::Env> make_env(fs::FileSystem* fs, std::shared_ptr<DiskErrors> disk) {
  return std::make_unique<IndexEnv>(env_of_files(fs, std::move(disk)));
}

}  // namespace holdfast::index
