#include "tests/support/faulty_fs.h"

namespace holdfast::support {
namespace {

const char* verb(Operation kind) {
  switch (kind) {
    case Operation::Create:
      return "create";
    case Operation::Write:
      return "write";
    case Operation::Truncate:
      return "truncate";
    case Operation::Sync:
      return "sync";
    case Operation::Rename:
      return "rename to";
    case Operation::Unlink:
      return "remove";
    case Operation::MakeDirectory:
      return "make directory";
    case Operation::RemoveDirectory:
      return "remove directory";
    case Operation::SyncDirectory:
      return "sync directory";
  }
  return "?";
}

class FaultyFile final : public fs::File {
 public:
  FaultyFile(FaultyFs& owner, std::string path, std::unique_ptr<fs::File> inner)
      : owner_(owner), path_(std::move(path)), inner_(std::move(inner)) {}

  Status append(ByteSpan bytes) override {
    bool torn = false;
    Status due = owner_.step(Operation::Write, path_, &torn);
    if (due) return inner_->append(bytes);
    if (torn) (void)inner_->append(bytes.first(bytes.size() / 2));
    return due;
  }
  Status write_at(std::uint64_t offset, ByteSpan bytes) override {
    bool torn = false;
    Status due = owner_.step(Operation::Write, path_, &torn);
    if (due) return inner_->write_at(offset, bytes);
    if (torn) (void)inner_->write_at(offset, bytes.first(bytes.size() / 2));
    return due;
  }
  Result<std::size_t> read_at(std::uint64_t offset, MutableByteSpan out) const override {
    HF_TRY_DO(owner_.read_step(path_));
    return inner_->read_at(offset, out);
  }
  Result<std::uint64_t> size() const override {
    HF_TRY_DO(owner_.read_step(path_));
    return inner_->size();
  }
  Status truncate(std::uint64_t length) override {
    HF_TRY_DO(owner_.step(Operation::Truncate, path_));
    return inner_->truncate(length);
  }
  Status sync() override {
    if (Status due = owner_.step(Operation::Sync, path_); !due) {
      if (!owner_.crashed()) owner_.disk().lose_unsynced(path_);
      return due;
    }
    return inner_->sync();
  }

 private:
  FaultyFs& owner_;
  const std::string path_;
  const std::unique_ptr<fs::File> inner_;
};

}  // namespace

void FaultyFs::plan(Fault fault, std::uint64_t steps, Errc code) {
  const std::lock_guard guard(mutex_);
  planned_ = Planned{fault, steps_ + steps, code};
  struck_at_.clear();
}
void FaultyFs::crash_after(std::uint64_t steps) { plan(Fault::Crash, steps, Errc::Io); }
void FaultyFs::fail_at(std::uint64_t steps, Errc code) { plan(Fault::FailOnce, steps, code); }
void FaultyFs::fail_from(std::uint64_t steps, Errc code) { plan(Fault::FailFrom, steps, code); }
void FaultyFs::tear_at(std::uint64_t steps, Errc code) { plan(Fault::Tear, steps, code); }

void FaultyFs::plan_read(PlannedRead planned) {
  const std::lock_guard guard(mutex_);
  planned_read_ = std::move(planned);
  struck_at_.clear();
}
void FaultyFs::fail_read_at(std::uint64_t reads, Errc code) { plan_read({reads, true, code, ""}); }
void FaultyFs::fail_reads_from(std::uint64_t reads, Errc code) { plan_read({reads, false, code, ""}); }
void FaultyFs::fail_reads_of(std::string path_part, Errc code) { plan_read({0, false, code, std::move(path_part)}); }

void FaultyFs::fail_on(Operation kind, std::string path_part, Errc code) {
  const std::lock_guard guard(mutex_);
  targeted_ = Targeted{kind, std::move(path_part), code};
  struck_at_.clear();
}

void FaultyFs::clear_faults() {
  const std::lock_guard guard(mutex_);
  planned_.reset();
  planned_read_.reset();
  targeted_.reset();
}

void FaultyFs::watch(Watcher watcher) {
  const std::lock_guard guard(mutex_);
  watcher_ = watcher ? std::make_shared<const Watcher>(std::move(watcher)) : nullptr;
}

void FaultyFs::tell(std::optional<Operation> operation, const std::string& path) {
  std::unique_lock guard(mutex_);
  const auto watcher = watcher_;
  guard.unlock();
  if (watcher) (*watcher)(operation, path);
}

bool FaultyFs::crashed() const {
  const std::lock_guard guard(mutex_);
  return crashed_;
}
bool FaultyFs::struck() const {
  const std::lock_guard guard(mutex_);
  return !struck_at_.empty();
}
std::string FaultyFs::struck_at() const {
  const std::lock_guard guard(mutex_);
  return struck_at_;
}
std::uint64_t FaultyFs::steps() const {
  const std::lock_guard guard(mutex_);
  return steps_;
}

void FaultyFs::reboot(CrashMode mode, std::uint64_t seed) {
  disk_.reboot(mode, seed);
  const std::lock_guard guard(mutex_);
  planned_.reset();
  planned_read_.reset();
  targeted_.reset();
  crashed_ = false;
  steps_ = 0;
}

void FaultyFs::restart_process() {
  disk_.kill_process();
  const std::lock_guard guard(mutex_);
  planned_.reset();
  planned_read_.reset();
  targeted_.reset();
  crashed_ = false;
  steps_ = 0;
}

Status FaultyFs::strike(const char* doing, const std::string& path, Errc code) {
  struck_at_ = std::string(doing) + " " + path;
  return Error{code, struck_at_ + ": injected"};
}

Status FaultyFs::step(Operation kind, const std::string& path, bool* torn) {
  tell(kind, path);
  const std::lock_guard guard(mutex_);
  if (crashed_) return Error{Errc::Io, std::string(verb(kind)) + " " + path + ": the machine is down"};
  const std::uint64_t now = steps_++;
  if (targeted_ && targeted_->kind == kind && path.find(targeted_->path_part) != std::string::npos) {
    const Errc code = targeted_->code;
    targeted_.reset();
    return strike(verb(kind), path, code);
  }
  if (!planned_ || now < planned_->at) return {};
  const Planned due = *planned_;
  if (due.fault == Fault::Crash) crashed_ = true;
  if (due.fault == Fault::FailOnce || due.fault == Fault::Tear) planned_.reset();
  if (torn != nullptr) *torn = due.fault == Fault::Tear;
  return strike(verb(kind), path, due.code);
}

Status FaultyFs::read_step(const std::string& path) {
  tell(std::nullopt, path);
  const std::lock_guard guard(mutex_);
  if (crashed_) return Error{Errc::Io, "read " + path + ": the machine is down"};
  if (!planned_read_ || path.find(planned_read_->path_part) == std::string::npos) return {};
  if (planned_read_->left > 0) {
    --planned_read_->left;
    return {};
  }
  const Errc code = planned_read_->code;
  if (planned_read_->once) planned_read_.reset();
  return strike("read", path, code);
}

Result<std::unique_ptr<fs::File>> FaultyFs::create(const std::string& path, unsigned mode) {
  HF_TRY_DO(step(Operation::Create, path));
  HF_TRY(std::unique_ptr<fs::File> inner, disk_.create(path, mode));
  return std::unique_ptr<fs::File>(std::make_unique<FaultyFile>(*this, path, std::move(inner)));
}
Result<std::unique_ptr<fs::File>> FaultyFs::open_read(const std::string& path) {
  HF_TRY_DO(read_step(path));
  HF_TRY(std::unique_ptr<fs::File> inner, disk_.open_read(path));
  return std::unique_ptr<fs::File>(std::make_unique<FaultyFile>(*this, path, std::move(inner)));
}
Result<std::unique_ptr<fs::File>> FaultyFs::open_write(const std::string& path) {
  HF_TRY_DO(read_step(path));
  HF_TRY(std::unique_ptr<fs::File> inner, disk_.open_write(path));
  return std::unique_ptr<fs::File>(std::make_unique<FaultyFile>(*this, path, std::move(inner)));
}
Status FaultyFs::rename(const std::string& from, const std::string& to) {
  HF_TRY_DO(step(Operation::Rename, to));
  return disk_.rename(from, to);
}
Status FaultyFs::rename_new(const std::string& from, const std::string& to) {
  HF_TRY_DO(step(Operation::Rename, to));
  return disk_.rename_new(from, to);
}
Status FaultyFs::unlink(const std::string& path) {
  HF_TRY_DO(step(Operation::Unlink, path));
  return disk_.unlink(path);
}
Status FaultyFs::remove_directory(const std::string& path) {
  HF_TRY_DO(step(Operation::RemoveDirectory, path));
  return disk_.remove_directory(path);
}
Status FaultyFs::make_directory(const std::string& path, unsigned mode) {
  HF_TRY_DO(step(Operation::MakeDirectory, path));
  return disk_.make_directory(path, mode);
}
Status FaultyFs::sync_directory(const std::string& path) {
  if (Status due = step(Operation::SyncDirectory, path); !due) {
    if (!crashed()) disk_.lose_unsynced(path);
    return due;
  }
  return disk_.sync_directory(path);
}
Result<std::vector<fs::DirectoryEntry>> FaultyFs::list(const std::string& path) {
  HF_TRY_DO(read_step(path));
  return disk_.list(path);
}
Result<fs::DirectoryEntry> FaultyFs::stat(const std::string& path) {
  HF_TRY_DO(read_step(path));
  return disk_.stat(path);
}
Result<std::uint64_t> FaultyFs::available_bytes(const std::string& path) {
  HF_TRY_DO(read_step(path));
  return disk_.available_bytes(path);
}
Result<std::unique_ptr<fs::Lock>> FaultyFs::lock(const std::string& path) {
  HF_TRY_DO(read_step(path));
  return disk_.lock(path);
}

}  // namespace holdfast::support
