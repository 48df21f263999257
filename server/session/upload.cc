#include "server/session/upload.h"

namespace holdfast::session {
namespace {

/// Never repeats in this process: a session may be fed by several connections one after another.
std::uint64_t next_number() {
  static std::atomic<std::uint64_t> last{0};
  return ++last;
}

}  // namespace

Upload::Upload(std::shared_ptr<tenant::Tenant> tenant, const ClientId& client, const SessionId& session)
    : tenant_(std::move(tenant)), client_(client), session_(session) {}

std::vector<std::uint64_t> Upload::translate(const std::vector<std::uint64_t>& ours) {
  std::vector<std::uint64_t> theirs;
  for (const std::uint64_t number : ours) {
    const auto found = numbers_.find(number);
    if (found == numbers_.end()) continue;  // of an earlier connection: nobody waits for it
    theirs.push_back(found->second);
    numbers_.erase(found);
  }
  return theirs;
}

Result<std::vector<std::uint64_t>> Upload::put(std::uint64_t number, ByteSpan record) {
  const std::uint64_t ours = next_number();
  numbers_[ours] = number;
  Result<std::vector<std::uint64_t>> durable = tenant_->put(client_, session_, ours, record);
  if (!durable) {
    numbers_.erase(ours);
    return durable;
  }
  std::vector<std::uint64_t> theirs = translate(*durable);
  if (numbers_.size() < kMaxUnacknowledged) return theirs;
  HF_TRY(const std::vector<std::uint64_t> rest, flush());
  theirs.insert(theirs.end(), rest.begin(), rest.end());
  return theirs;
}

Result<std::vector<std::uint64_t>> Upload::flush() {
  if (numbers_.empty()) return std::vector<std::uint64_t>{};
  HF_TRY(const std::vector<std::uint64_t> durable, tenant_->flush(client_, session_));
  std::vector<std::uint64_t> theirs = translate(durable);
  // A flush that another connection's blob caused may have named ours already; now nothing of the session is open.
  for (const auto& [ours, number] : numbers_) theirs.push_back(number);
  numbers_.clear();
  return theirs;
}

}  // namespace holdfast::session
