#pragma once
// A tenant's directory on a disk that fails, with the few things that these tests do to it again and again.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "server/coordinator/head_slot.h"
#include "server/coordinator/local_coordinator.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_fs.h"
#include "tests/support/seeded_random.h"

namespace holdfast::coordinator {

inline constexpr char kTenant[] = "/t/a";
inline constexpr char kHeadPath[] = "/t/a/head";
inline constexpr std::uint64_t kSmallSegment = 600;  ///< four records or so, so that segments change often

using Texts = std::vector<std::string>;

struct TenantDirectory {
  support::FaultyFs fs;
  support::FakeClock clock;
  support::SeededRandom random;
  std::unique_ptr<Coordinator> it;
  Epoch epoch;
  std::uint64_t generation = 0;

  explicit TenantDirectory(std::uint64_t seed = 1) : random(seed) { open(); }
  ~TenantDirectory() { it.reset(); }

  /// As a new process would.
  void open() {
    it.reset();
    Result<std::unique_ptr<Coordinator>> opened = open_local_coordinator(fs, clock, random, kTenant, kSmallSegment);
    HF_ASSERT(opened.has_value());
    it = std::move(*opened);
  }
  Status acquire() {
    HF_TRY(epoch, it->acquire());
    HF_TRY(const Head head, it->head());
    generation = head.generation;
    return {};
  }
  Status publish(const Texts& texts) {
    std::vector<NewRecord> records;
    for (const std::string& text : texts) records.push_back({journal::Kind::Packs, 1, 2, to_bytes(as_bytes(text))});
    HF_TRY(const Published done, it->publish(epoch, generation, records));
    generation = done.head.generation;
    return {};
  }
  /// What the journal holds; the error's code in angle brackets at the end when reading fails.
  Texts texts() {
    Texts out;
    const Status read = it->read(1, [&](const journal::Record& record) -> Status {
      out.emplace_back(as_text(record.payload));
      return {};
    });
    if (!read) out.push_back("<" + std::string(errc_name(read.error().code)) + "> " + read.error().message);
    return out;
  }
  /// A fresh process takes the directory over and tells what it finds there.
  Result<Texts> reopened() {
    open();
    HF_TRY_DO(acquire());
    return texts();
  }

  Bytes bytes(const std::string& path) {
    Result<Bytes> read = fs::read_file(fs.disk(), path, 1u << 26);
    return read ? std::move(*read) : Bytes{};
  }
  void write(const std::string& path, ByteSpan contents) {
    (void)fs.disk().unlink(path);
    HF_ASSERT(fs::create_file(fs.disk(), path, contents, 0600).has_value());
  }
  void flip(const std::string& path, std::size_t offset, std::uint8_t mask = 1) {
    Bytes all = bytes(path);
    HF_ASSERT(offset < all.size());
    all[offset] ^= mask;
    write(path, all);
  }
  std::vector<std::string> journal_files() {
    std::vector<std::string> out;
    const auto listed = fs.disk().list("/t/a/journal");
    if (listed) {
      for (const auto& entry : *listed) out.push_back("/t/a/journal/" + entry.name);
    }
    return out;
  }
};

}  // namespace holdfast::coordinator
