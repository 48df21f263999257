#include "tests/support/memory_object_store.h"

#include <algorithm>

namespace holdfast::support {

class MemoryWriter final : public store::ObjectWriter {
 public:
  MemoryWriter(MemoryObjectStore& store, std::string name) : store_(store), name_(std::move(name)) {}
  Status append(ByteSpan bytes) override {
    if (failed_) return Error{Errc::Io, "object " + name_ + ": an earlier write failed"};
    Status done = store_.append(name_, bytes_, bytes);
    failed_ = !done.has_value();
    return done;
  }
  Status commit() override {
    if (failed_) return Error{Errc::Io, "object " + name_ + ": an earlier write failed"};
    return store_.commit(name_, bytes_);
  }

 private:
  MemoryObjectStore& store_;
  const std::string name_;
  Bytes bytes_;
  bool failed_ = false;
};

namespace {

bool is_name(const std::string& name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '/' || c == '.' || c == '-';
  };
  const std::string slashed = "/" + name + "/";
  return std::all_of(name.begin(), name.end(), good) && name.find('/') != std::string::npos &&
         slashed.find("//") == std::string::npos && slashed.find("/.") == std::string::npos &&
         !name.starts_with("tmp/");
}

Status checked(const std::string& name) {
  if (is_name(name)) return {};
  return Error{Errc::Usage, "'" + printable(name) + "' is not an object's name"};
}

Error not_found(const std::string& name) { return {Errc::NotFound, "object " + name + ": there is none"}; }

}  // namespace

void MemoryObjectStore::plan(Fault fault, std::uint64_t steps, Errc code) {
  const std::lock_guard guard(mutex_);
  planned_ = Planned{fault, steps_ + steps, code};
  struck_ = false;
}
void MemoryObjectStore::fail_at(std::uint64_t steps, Errc code) { plan(Fault::Fail, steps, code); }
void MemoryObjectStore::unknown_at(std::uint64_t steps, bool carried_out) {
  plan(carried_out ? Fault::UnknownDone : Fault::UnknownNotDone, steps, Errc::Unknown);
}
void MemoryObjectStore::lose_at(std::uint64_t steps) { plan(Fault::Lose, steps, Errc::Io); }

void MemoryObjectStore::clear_faults() {
  const std::lock_guard guard(mutex_);
  planned_.reset();
}
bool MemoryObjectStore::struck() const {
  const std::lock_guard guard(mutex_);
  return struck_;
}
std::uint64_t MemoryObjectStore::steps() const {
  const std::lock_guard guard(mutex_);
  return steps_;
}
void MemoryObjectStore::set_delay(std::uint64_t steps) {
  const std::lock_guard guard(mutex_);
  delay_ = steps;
}
void MemoryObjectStore::settle() {
  const std::lock_guard guard(mutex_);
  later_.clear();
  visible_ = stored_;
}
void MemoryObjectStore::flip(const std::string& name, std::uint64_t offset) {
  const std::lock_guard guard(mutex_);
  HF_ASSERT(stored_.contains(name) && offset < stored_[name].size());
  stored_[name][offset] ^= 1;
  visible_ = stored_;
}
void MemoryObjectStore::lose(const std::string& name) {
  const std::lock_guard guard(mutex_);
  stored_.erase(name);
  visible_.erase(name);
}
void MemoryObjectStore::set_capacity(std::uint64_t bytes) {
  const std::lock_guard guard(mutex_);
  capacity_ = bytes;
}

std::uint64_t MemoryObjectStore::room() const {
  std::uint64_t used = 0;
  for (const auto& [name, bytes] : stored_) used += bytes.size();
  return used < capacity_ ? capacity_ - used : 0;
}

void MemoryObjectStore::show_due() {
  const auto is_due = [&](const Change& change) { return change.visible_from <= steps_; };
  for (const Change& change : later_) {
    if (!is_due(change)) continue;
    if (change.bytes)
      visible_[change.name] = *change.bytes;
    else
      visible_.erase(change.name);
  }
  std::erase_if(later_, is_due);
}

MemoryObjectStore::Step MemoryObjectStore::step(const std::string& what) {
  const std::uint64_t now = steps_++;
  show_due();
  if (!planned_ || now < planned_->at) return {{}, true};
  const Planned due = *planned_;
  planned_.reset();
  struck_ = true;
  if (due.fault == Fault::Lose) return {{}, false};
  return {Error{due.code, what + ": injected"}, due.fault == Fault::UnknownDone};
}

Status MemoryObjectStore::change(const std::string& what, const std::string& name, std::optional<Bytes> bytes) {
  const Step now = step(what + " object " + name);
  if (now.carry_out) {
    if (bytes)
      stored_[name] = *bytes;
    else
      stored_.erase(name);
    later_.push_back({steps_ + delay_, name, std::move(bytes)});
    show_due();
  }
  return now.answer;
}

Status MemoryObjectStore::append(const std::string& name, Bytes& to, ByteSpan bytes) {
  const std::lock_guard guard(mutex_);
  const Step now = step("write object " + name);
  if (!now.answer) return now.answer;
  if (to.size() + bytes.size() > room()) return Error{Errc::DiskFull, "write object " + name + ": the store is full"};
  to.insert(to.end(), bytes.begin(), bytes.end());
  return {};
}

Status MemoryObjectStore::commit(const std::string& name, const Bytes& bytes) {
  const std::lock_guard guard(mutex_);
  if (stored_.contains(name)) return Error{Errc::Exists, "object " + name + " is there already"};
  return change("store", name, bytes);
}

Result<std::unique_ptr<store::ObjectWriter>> MemoryObjectStore::create(const std::string& name) {
  const std::lock_guard guard(mutex_);
  HF_TRY_DO(checked(name));
  if (Step now = step("create object " + name); !now.answer) return now.answer.error();
  if (stored_.contains(name)) return Error{Errc::Exists, "object " + name + " is there already"};
  return std::unique_ptr<store::ObjectWriter>(std::make_unique<MemoryWriter>(*this, name));
}

Result<Bytes> MemoryObjectStore::get(const std::string& name, std::uint64_t offset, std::uint64_t length) {
  const std::lock_guard guard(mutex_);
  HF_TRY_DO(checked(name));
  if (Step now = step("read object " + name); !now.answer) return now.answer.error();
  const auto found = visible_.find(name);
  if (found == visible_.end()) return not_found(name);
  const Bytes& bytes = found->second;
  if (offset > bytes.size() || length > bytes.size() - offset) {
    return Error{Errc::Corrupt, "object " + name + " ends at byte " + std::to_string(bytes.size())};
  }
  const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(offset);
  return Bytes(from, from + static_cast<std::ptrdiff_t>(length));
}

Result<std::uint64_t> MemoryObjectStore::size(const std::string& name) {
  const std::lock_guard guard(mutex_);
  HF_TRY_DO(checked(name));
  if (Step now = step("read object " + name); !now.answer) return now.answer.error();
  const auto found = visible_.find(name);
  if (found == visible_.end()) return not_found(name);
  return std::uint64_t{found->second.size()};
}

Status MemoryObjectStore::remove(const std::string& name) {
  const std::lock_guard guard(mutex_);
  HF_TRY_DO(checked(name));
  if (!stored_.contains(name)) return not_found(name);
  return change("remove", name, std::nullopt);
}

Result<std::vector<store::ObjectInfo>> MemoryObjectStore::list(const std::string& prefix) {
  const std::lock_guard guard(mutex_);
  if (Step now = step("list objects " + prefix); !now.answer) return now.answer.error();
  std::vector<store::ObjectInfo> out;
  for (const auto& [name, bytes] : visible_) {
    if (name.starts_with(prefix)) out.push_back({name, bytes.size()});
  }
  return out;
}

Status MemoryObjectStore::replace(const std::string& name, ByteSpan bytes) {
  const std::lock_guard guard(mutex_);
  HF_TRY_DO(checked(name));
  if (bytes.size() > room()) return Error{Errc::DiskFull, "replace object " + name + ": the store is full"};
  return change("replace", name, to_bytes(bytes));
}

Result<std::uint64_t> MemoryObjectStore::available_bytes() {
  const std::lock_guard guard(mutex_);
  return room();
}

}  // namespace holdfast::support
