#include "common/runtime/task_group.h"

#include <list>
#include <optional>

#include "common/runtime/condition.h"
#include "common/runtime/loop_impl.h"

namespace holdfast::runtime {

namespace asio = boost::asio;

struct TaskGroup::Impl {
  explicit Impl(Loop& l) : loop(l) {}

  Loop& loop;
  std::list<asio::cancellation_signal> children;
  std::optional<Error> first_error;
  bool canceled = false;
  Condition ended;
};

TaskGroup::TaskGroup(Loop& loop) : impl_(std::make_shared<Impl>(loop)) {}

TaskGroup::~TaskGroup() { HF_ASSERT(impl_->children.empty() || impl_->loop.stopped()); }

void TaskGroup::spawn(Task<void> task) {
  const auto child = impl_->children.emplace(impl_->children.end());
  auto done = [impl = impl_, child](Status status) {
    if (!status && status.error().code != Errc::Canceled && !impl->first_error)
      impl->first_error = std::move(status).error();
    impl->children.erase(child);
    impl->ended.notify_all();
  };
  spawn_on(impl_->loop.impl().io, std::move(task), std::move(done), child->slot());
  if (impl_->canceled) impl_->loop.post([impl = impl_] { TaskGroup::cancel_all(*impl); });
}

void TaskGroup::cancel() {
  impl_->canceled = true;
  // Posted: a child that has been spawned and not begun has nothing to cancel yet.
  impl_->loop.post([impl = impl_] { TaskGroup::cancel_all(*impl); });
}

void TaskGroup::cancel_all(Impl& impl) {
  for (asio::cancellation_signal& child : impl.children) child.emit(asio::cancellation_type::terminal);
}

Task<void> TaskGroup::join() {
  const std::shared_ptr<Impl> impl = impl_;
  while (!impl->children.empty()) HF_CO_TRY_DO(co_await impl->ended.wait());
  if (impl->first_error) co_return *impl->first_error;
  co_return Status{};
}

std::size_t TaskGroup::size() const { return impl_->children.size(); }

}  // namespace holdfast::runtime
