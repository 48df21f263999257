#pragma once
// Why: who owns a tenant's state (epoch), how far it has advanced (generation), and the only way to advance it
// (publish). The head is the commit point: records beyond it never happened; anything missing or wrong up to it is
// damage, never "a torn tail". Local: journal segments + a head file with two checksummed slots. Later: PostgreSQL.

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "common/journal/journal.h"

namespace holdfast::coordinator {

struct Epoch {
  std::uint64_t counter = 0;
  std::array<std::uint8_t, 16> token{};
  bool operator==(const Epoch&) const = default;
};

struct Head {
  std::uint64_t epoch = 0;          ///< counter of the last acquire
  std::uint64_t generation = 0;     ///< 0: nothing published yet
  std::uint64_t number = 0;         ///< last record
  Digest digest;                    ///< its chain digest
  std::uint64_t segment = 0;        ///< number of the first record of the last segment
  std::uint64_t segment_bytes = 0;  ///< valid length of the last segment
};

/// A record to be published: the coordinator numbers, chains and stores it.
struct NewRecord {
  journal::Kind kind;
  std::int64_t vault_ns = 0;
  std::int64_t wall_ns = 0;
  Bytes payload;
};

struct Published {
  Head head;
  std::vector<journal::Record> records;
};  ///< as stored

/// One tenant. Thread-safe.
class Coordinator {
 public:
  virtual ~Coordinator() = default;
  /// Takes ownership: a new epoch, larger than every one before, durable. Whoever held the old one is fenced.
  /// Errors: Corrupt when head or journal are damaged (the message names the file), Locked when another process holds it.
  virtual Result<Epoch> acquire() = 0;
  virtual Result<Head> head() = 0;
  /// Appends all of `records` or none. Errors: Fenced (epoch), Conflict (generation), DiskFull and Io before the commit
  /// point (nothing happened), Unknown after it (every later publish fails too: read-only until acquired again).
  virtual Result<Published> publish(const Epoch& epoch, std::uint64_t generation,
                                    const std::vector<NewRecord>& records) = 0;
  /// Verifies the chain and hands out every record from number `from` to the head, in order.
  /// Errors: Corrupt naming file and record; what the visitor returns.
  virtual Status read(std::uint64_t from, const std::function<Status(const journal::Record&)>& visit) = 0;
  /// What the last acquire found wrong and put right without losing anything acknowledged: one sentence each, naming
  /// the file. Empty after a clean stop; for `check` and the log.
  virtual std::vector<std::string> repairs() { return {}; }
};

}  // namespace holdfast::coordinator
