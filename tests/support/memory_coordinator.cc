#include "tests/support/memory_coordinator.h"

namespace holdfast::support {

using coordinator::Epoch;
using coordinator::Head;
using coordinator::NewRecord;
using coordinator::Published;

struct MemoryCoordinator::Tenant {
  std::mutex mutex;
  Head head;
  Epoch owner;
  std::vector<Bytes> records;  ///< as encoded
};

MemoryCoordinator::MemoryCoordinator(Random& random) : MemoryCoordinator(random, std::make_shared<Tenant>()) {}
MemoryCoordinator::MemoryCoordinator(Random& random, std::shared_ptr<Tenant> tenant)
    : random_(random), tenant_(std::move(tenant)) {}

std::unique_ptr<MemoryCoordinator> MemoryCoordinator::sibling() const {
  return std::unique_ptr<MemoryCoordinator>(new MemoryCoordinator(random_, tenant_));
}

void MemoryCoordinator::plan(Fault fault, std::uint64_t steps, Errc code) {
  const std::lock_guard guard(tenant_->mutex);
  planned_ = Planned{fault, steps_ + steps, code};
  struck_ = false;
}
void MemoryCoordinator::fail_at(std::uint64_t steps, Errc code) { plan(Fault::Fail, steps, code); }
void MemoryCoordinator::unknown_at(std::uint64_t steps, bool carried_out) {
  plan(carried_out ? Fault::UnknownDone : Fault::UnknownNotDone, steps, Errc::Unknown);
}
void MemoryCoordinator::steal_at(std::uint64_t steps) { plan(Fault::Steal, steps, Errc::Fenced); }

void MemoryCoordinator::steal() {
  const std::lock_guard guard(tenant_->mutex);
  take();
}
void MemoryCoordinator::damage(std::uint64_t number) {
  const std::lock_guard guard(tenant_->mutex);
  HF_ASSERT(number >= 1 && number <= tenant_->records.size());
  tenant_->records[number - 1].back() ^= 1;
}
bool MemoryCoordinator::struck() const {
  const std::lock_guard guard(tenant_->mutex);
  return struck_;
}
std::uint64_t MemoryCoordinator::steps() const {
  const std::lock_guard guard(tenant_->mutex);
  return steps_;
}

std::optional<MemoryCoordinator::Planned> MemoryCoordinator::step() {
  const std::uint64_t now = steps_++;
  if (!planned_ || now < planned_->at) return std::nullopt;
  struck_ = true;
  return std::exchange(planned_, std::nullopt);
}

Epoch MemoryCoordinator::take() {
  tenant_->head.epoch += 1;
  tenant_->owner.counter = tenant_->head.epoch;
  random_.fill(tenant_->owner.token);
  return tenant_->owner;
}

Result<Epoch> MemoryCoordinator::acquire() {
  const std::lock_guard guard(tenant_->mutex);
  const std::optional<Planned> due = step();
  if (due && due->fault != Fault::Steal) return Error{due->code, "acquire: injected"};
  if (due) take();
  unknown_ = false;
  return take();
}

Result<Head> MemoryCoordinator::head() {
  const std::lock_guard guard(tenant_->mutex);
  return tenant_->head;
}

Status MemoryCoordinator::check_turn(const Epoch& epoch, std::uint64_t generation) const {
  if (tenant_->head.epoch == 0 || !(epoch == tenant_->owner)) return Error{Errc::Fenced, "publish: the epoch is over"};
  if (unknown_) return Error{Errc::Unknown, "publish: the outcome of an earlier one is unknown; acquire again"};
  if (generation == tenant_->head.generation) return {};
  return Error{Errc::Conflict, "publish: the generation has moved to " + std::to_string(tenant_->head.generation)};
}

Result<Published> MemoryCoordinator::publish(const Epoch& epoch, std::uint64_t generation,
                                             const std::vector<NewRecord>& records) {
  const std::lock_guard guard(tenant_->mutex);
  const std::optional<Planned> due = step();
  if (due && due->fault == Fault::Steal) take();
  HF_TRY_DO(check_turn(epoch, generation));
  if (records.empty()) return Error{Errc::Usage, "publish: there is no record"};
  for (const NewRecord& record : records) {
    if (record.payload.size() > journal::kMaxPayloadBytes) return Error{Errc::Limit, "publish: a payload is too long"};
  }
  if (due && due->fault == Fault::Fail) return Error{due->code, "publish: injected"};
  if (due && due->fault != Fault::Steal) {
    if (due->fault == Fault::UnknownDone) append(records);
    unknown_ = true;
    return Error{Errc::Unknown, "publish: injected"};
  }
  return append(records);
}

Published MemoryCoordinator::append(const std::vector<NewRecord>& records) {
  Head& head = tenant_->head;
  Published out;
  head.generation += 1;
  for (const NewRecord& fresh : records) {
    journal::Record record;
    record.number = ++head.number;
    record.epoch = head.epoch;
    record.generation = head.generation;
    record.kind = fresh.kind;
    record.vault_ns = fresh.vault_ns;
    record.wall_ns = fresh.wall_ns;
    record.previous = head.digest;
    random_.fill(record.salt);
    record.payload = fresh.payload;
    tenant_->records.push_back(journal::encode(record));
    head.digest = record.digest;
    head.segment = 1;
    head.segment_bytes += tenant_->records.back().size();
    out.records.push_back(std::move(record));
  }
  out.head = head;
  return out;
}

Status MemoryCoordinator::read(std::uint64_t from, const std::function<Status(const journal::Record&)>& visit) {
  std::vector<Bytes> records;
  {
    const std::lock_guard guard(tenant_->mutex);
    records = tenant_->records;  // the visitor may call us
  }
  std::optional<journal::Record> before;
  for (const Bytes& bytes : records) {
    const std::uint64_t number = before ? before->number + 1 : 1;
    Result<journal::Decoded> decoded = journal::decode(bytes);
    if (!decoded) return std::move(decoded).error().with_context("record " + std::to_string(number));
    HF_TRY_DO(journal::check_link(before ? &*before : nullptr, decoded->record));
    if (number >= from) HF_TRY_DO(visit(decoded->record));
    before = std::move(decoded->record);
  }
  return {};
}

}  // namespace holdfast::support
