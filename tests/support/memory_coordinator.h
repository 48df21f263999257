#pragma once
// Why: a coordinator as a test wants it: its epoch can be stolen, and any call can fail or leave its outcome unknown,
// at exactly the step that the test names. acquire and publish are one step each. Tests that use it link
// holdfast::coordinator.

#include <memory>
#include <mutex>
#include <optional>

#include "server/coordinator/coordinator.h"

namespace holdfast::support {

/// Several of them may share one tenant, as processes on several machines do. Thread-safe.
class MemoryCoordinator final : public coordinator::Coordinator {
 public:
  /// A new tenant of its own. `random` must outlive it and its siblings.
  explicit MemoryCoordinator(Random& random);
  /// Another process' view of the same tenant: its acquire fences this one.
  std::unique_ptr<MemoryCoordinator> sibling() const;

  /// Carries out `steps` calls, then one fails with `code` and changes nothing.
  void fail_at(std::uint64_t steps, Errc code = Errc::Io);
  /// As fail_at, but a publish answers Unknown (as does every later one until acquire); `carried_out` says whether its
  /// records count.
  void unknown_at(std::uint64_t steps, bool carried_out);
  /// Just before the call after `steps` others somebody else acquires the tenant.
  void steal_at(std::uint64_t steps);
  /// Somebody else acquires it now.
  void steal();
  /// Flips a bit in the stored record; read() must name it.
  void damage(std::uint64_t number);
  bool struck() const;
  std::uint64_t steps() const;

  Result<coordinator::Epoch> acquire() override;
  Result<coordinator::Head> head() override;
  Result<coordinator::Published> publish(const coordinator::Epoch& epoch, std::uint64_t generation,
                                         const std::vector<coordinator::NewRecord>& records) override;
  Status read(std::uint64_t from, const std::function<Status(const journal::Record&)>& visit) override;

 private:
  struct Tenant;
  enum class Fault { Fail, UnknownDone, UnknownNotDone, Steal };
  struct Planned {
    Fault fault;
    std::uint64_t at;
    Errc code;
  };

  MemoryCoordinator(Random& random, std::shared_ptr<Tenant> tenant);
  void plan(Fault fault, std::uint64_t steps, Errc code);
  std::optional<Planned> step();
  coordinator::Epoch take();
  Status check_turn(const coordinator::Epoch& epoch, std::uint64_t generation) const;
  coordinator::Published append(const std::vector<coordinator::NewRecord>& records);

  Random& random_;
  const std::shared_ptr<Tenant> tenant_;  // shared with siblings
  std::optional<Planned> planned_;
  std::uint64_t steps_ = 0;
  bool struck_ = false;
  bool unknown_ = false;
};

}  // namespace holdfast::support
