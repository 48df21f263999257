#pragma once
// Why: an object store as a test wants it: one that fails, answers "unknown", loses what it acknowledged, or shows a
// change only later, at exactly the step that the test names. Every call of the store or of a writer is one step.

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "server/store/object_store.h"

namespace holdfast::support {

/// Without faults it passes the same suite as the real stores. Thread-safe; writers must not outlive it.
class MemoryObjectStore final : public store::ObjectStore {
 public:
  /// Carries out `steps` calls, then one fails with `code` and changes nothing.
  void fail_at(std::uint64_t steps, Errc code = Errc::Io);
  /// As fail_at, but the call answers Unknown; `carried_out` says whether it took effect all the same.
  void unknown_at(std::uint64_t steps, bool carried_out);
  /// The call says it succeeded, and its change never happens: a store that lies.
  void lose_at(std::uint64_t steps);
  void clear_faults();
  /// A fault that was set has struck.
  bool struck() const;
  std::uint64_t steps() const;

  /// From now on reads and lists see a change only `steps` calls after it was made, or after settle(). Exists is
  /// decided at once, as conditional writes are.
  void set_delay(std::uint64_t steps);
  void settle();
  /// The stored bytes, to damage: flips the lowest bit of the byte at `offset`.
  void flip(const std::string& name, std::uint64_t offset);
  /// The object is gone behind everybody's back.
  void lose(const std::string& name);
  void set_capacity(std::uint64_t bytes);

  Result<std::unique_ptr<store::ObjectWriter>> create(const std::string& name) override;
  Result<Bytes> get(const std::string& name, std::uint64_t offset, std::uint64_t length) override;
  Result<std::uint64_t> size(const std::string& name) override;
  Status remove(const std::string& name) override;
  Result<std::vector<store::ObjectInfo>> list(const std::string& prefix) override;
  Status replace(const std::string& name, ByteSpan bytes) override;
  Result<std::uint64_t> available_bytes() override;

 private:
  friend class MemoryWriter;
  enum class Fault { Fail, UnknownDone, UnknownNotDone, Lose };
  struct Planned {
    Fault fault;
    std::uint64_t at;
    Errc code;
  };
  struct Change {
    std::uint64_t visible_from;
    std::string name;
    std::optional<Bytes> bytes;
  };
  struct Step {
    Status answer;
    bool carry_out;
  };

  void plan(Fault fault, std::uint64_t steps, Errc code);
  Step step(const std::string& what);
  Status change(const std::string& what, const std::string& name, std::optional<Bytes> bytes);
  Status commit(const std::string& name, const Bytes& bytes);
  Status append(const std::string& name, Bytes& to, ByteSpan bytes);
  void show_due();
  std::uint64_t room() const;

  mutable std::mutex mutex_;
  std::map<std::string, Bytes> stored_;   ///< the truth
  std::map<std::string, Bytes> visible_;  ///< what reads see
  std::vector<Change> later_;
  std::optional<Planned> planned_;
  std::uint64_t steps_ = 0, delay_ = 0, capacity_ = std::uint64_t{1} << 40;
  bool struck_ = false;
};

}  // namespace holdfast::support
