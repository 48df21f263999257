// The double's faults do what they say; tests elsewhere rest on it.

#include "tests/support/memory_object_store.h"

#include <gtest/gtest.h>

namespace holdfast::support {
namespace {

Status put(store::ObjectStore& store, const std::string& name, std::string_view text) {
  HF_TRY(const std::unique_ptr<store::ObjectWriter> writer, store.create(name));
  HF_TRY_DO(writer->append(as_bytes(text)));
  return writer->commit();
}

TEST(MemoryObjectStore, FailsAtTheStepThatWasNamed) {
  for (std::uint64_t step = 0; step < 3; ++step) {
    MemoryObjectStore store;
    store.fail_at(step, Errc::DiskFull);
    const Status stored = put(store, "packs/a", "x");
    ASSERT_FALSE(stored);
    EXPECT_EQ(stored.error().code, Errc::DiskFull);
    EXPECT_TRUE(store.struck());
    EXPECT_FALSE(store.size("packs/a"));
    EXPECT_TRUE(put(store, "packs/a", "x"));
  }
}

TEST(MemoryObjectStore, AnswersUnknownWithOrWithoutTheChange) {
  for (const bool carried_out : {false, true}) {
    MemoryObjectStore store;
    store.unknown_at(2, carried_out);
    const Status stored = put(store, "packs/a", "x");
    ASSERT_FALSE(stored);
    EXPECT_EQ(stored.error().code, Errc::Unknown);
    EXPECT_EQ(store.size("packs/a").has_value(), carried_out);
  }
}

TEST(MemoryObjectStore, LosesWhatItAcknowledged) {
  MemoryObjectStore store;
  store.lose_at(2);
  EXPECT_TRUE(put(store, "packs/a", "x"));
  EXPECT_FALSE(store.size("packs/a"));
}

TEST(MemoryObjectStore, ShowsChangesLaterWhenDelayed) {
  MemoryObjectStore store;
  store.set_delay(2);
  ASSERT_TRUE(put(store, "packs/a", "x"));
  EXPECT_FALSE(put(store, "packs/a", "y")) << "a second put is refused although nobody sees the first";
  EXPECT_FALSE(store.list("")->empty()) << "the second call after it sees it";
  ASSERT_TRUE(store.remove("packs/a"));
  EXPECT_TRUE(store.size("packs/a"));
  store.settle();
  EXPECT_FALSE(store.size("packs/a"));
}

TEST(MemoryObjectStore, FillsUp) {
  MemoryObjectStore store;
  store.set_capacity(3);
  const Status full = put(store, "packs/a", "1234");
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Errc::DiskFull);
}

}  // namespace
}  // namespace holdfast::support
