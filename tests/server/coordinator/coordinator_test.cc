// One suite over every coordinator: local on the real disk, local in memory, and the double.

#include "server/coordinator/coordinator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "server/coordinator/local_coordinator.h"
#include "tests/support/fake_clock.h"
#include "tests/support/mem_fs.h"
#include "tests/support/memory_coordinator.h"
#include "tests/support/seeded_random.h"
#include "tests/support/temporary_directory.h"

namespace holdfast::coordinator {
namespace {

struct Place {
  virtual ~Place() = default;
  virtual Coordinator& get() = 0;
  virtual void reopen() = 0;  ///< as after a clean restart
};
struct LocalPlace : Place {
  LocalPlace(fs::FileSystem& files, std::string path) : fs(files), directory(std::move(path)) { LocalPlace::reopen(); }
  Coordinator& get() override { return *local; }
  void reopen() override {
    local.reset();
    Result<std::unique_ptr<Coordinator>> opened = open_local_coordinator(fs, clock, random, directory, 4096);
    HF_ASSERT(opened.has_value());
    local = std::move(*opened);
  }
  fs::FileSystem& fs;
  const std::string directory;
  support::FakeClock clock;
  support::SeededRandom random;
  std::unique_ptr<Coordinator> local;
};
struct RealDirectory {
  support::TemporaryDirectory temporary;
};
struct RealPlace final : RealDirectory, LocalPlace {
  RealPlace() : LocalPlace(fs::real(), temporary / "tenants/a") {}
};
struct MemDirectory {
  support::MemFs memory;
};
struct MemPlace final : MemDirectory, LocalPlace {
  MemPlace() : LocalPlace(memory, "/tenants/a") {}
};
struct DoublePlace final : Place {
  DoublePlace() : view(std::make_unique<support::MemoryCoordinator>(random)) {}
  Coordinator& get() override { return *view; }
  void reopen() override { view = view->sibling(); }
  support::SeededRandom random;
  std::unique_ptr<support::MemoryCoordinator> view;
};

struct Variant {
  const char* name;
  std::function<std::unique_ptr<Place>()> make;
};
class AnyCoordinator : public testing::TestWithParam<Variant> {
 protected:
  Coordinator& it() { return place_->get(); }
  Epoch acquire() {
    const Result<Epoch> epoch = it().acquire();
    EXPECT_TRUE(epoch) << epoch.error().message;
    return epoch ? *epoch : Epoch{};
  }
  std::vector<std::string> texts(std::uint64_t from = 1) {
    std::vector<std::string> out;
    const Status read = it().read(from, [&](const journal::Record& record) -> Status {
      out.emplace_back(as_text(record.payload));
      return {};
    });
    EXPECT_TRUE(read) << read.error().message;
    return out;
  }
  std::unique_ptr<Place> place_ = GetParam().make();
};
INSTANTIATE_TEST_SUITE_P(Coordinator, AnyCoordinator,
                         testing::Values(Variant{"LocalReal", [] { return std::make_unique<RealPlace>(); }},
                                         Variant{"LocalMemory", [] { return std::make_unique<MemPlace>(); }},
                                         Variant{"Double", [] { return std::make_unique<DoublePlace>(); }}),
                         [](const auto& variant) { return std::string(variant.param.name); });

using Texts = std::vector<std::string>;
std::vector<NewRecord> say(std::initializer_list<std::string_view> texts) {
  std::vector<NewRecord> out;
  for (const std::string_view text : texts) out.push_back({journal::Kind::Packs, 11, 22, to_bytes(as_bytes(text))});
  return out;
}
template <class T>
Errc code_of(const Result<T>& result) {
  EXPECT_FALSE(result.has_value());
  return result ? Errc{} : result.error().code;
}

TEST_P(AnyCoordinator, StartsWithNothing) {
  EXPECT_EQ(it().head()->generation, 0u);
  EXPECT_EQ(texts(), Texts{});
  const Epoch epoch = acquire();
  EXPECT_GE(epoch.counter, 1u);
  EXPECT_EQ(it().head()->epoch, epoch.counter);
  EXPECT_EQ(it().head()->number, 0u);
  EXPECT_EQ(texts(), Texts{});
}

TEST_P(AnyCoordinator, NumbersChainsAndKeepsWhatIsPublished) {
  const Epoch epoch = acquire();
  const Result<Published> first = it().publish(epoch, 0, say({"a", "b"}));
  ASSERT_TRUE(first) << first.error().message;
  const Result<Published> second = it().publish(epoch, 1, say({"c"}));
  ASSERT_TRUE(second) << second.error().message;
  ASSERT_EQ(first->records.size(), 2u);
  EXPECT_EQ(first->records[0].number, 1u);
  EXPECT_EQ(first->records[1].number, 2u);
  EXPECT_EQ(first->records[1].generation, 1u);
  EXPECT_EQ(first->records[1].vault_ns, 11);
  EXPECT_EQ(first->records[1].wall_ns, 22);
  EXPECT_EQ(second->records[0].previous, first->records[1].digest);
  EXPECT_EQ(second->records[0].generation, 2u);
  EXPECT_EQ(second->head.generation, 2u);
  EXPECT_EQ(second->head.number, 3u);
  EXPECT_EQ(second->head.digest, second->records[0].digest);
  EXPECT_EQ(texts(), (Texts{"a", "b", "c"}));
  place_->reopen();
  EXPECT_EQ(texts(), (Texts{"a", "b", "c"}));
  EXPECT_EQ(it().head()->digest, second->head.digest);
  acquire();
  EXPECT_EQ(texts(), (Texts{"a", "b", "c"}));
  EXPECT_TRUE(it().repairs().empty());
}

TEST_P(AnyCoordinator, RefusesAGenerationThatHasMoved) {
  const Epoch epoch = acquire();
  EXPECT_EQ(code_of(it().publish(epoch, 1, say({"x"}))), Errc::Conflict);
  ASSERT_TRUE(it().publish(epoch, 0, say({"a"})));
  EXPECT_EQ(code_of(it().publish(epoch, 0, say({"x"}))), Errc::Conflict);
  EXPECT_EQ(texts(), Texts{"a"});
  EXPECT_TRUE(it().publish(epoch, 1, say({"b"})));
}

TEST_P(AnyCoordinator, FencesEveryEpochButTheLast) {
  EXPECT_EQ(code_of(it().publish(Epoch{}, 0, say({"x"}))), Errc::Fenced);
  const Epoch first = acquire();
  const Epoch second = acquire();
  EXPECT_GT(second.counter, first.counter);
  EXPECT_NE(second.token, first.token);
  EXPECT_EQ(code_of(it().publish(first, 0, say({"x"}))), Errc::Fenced);
  Epoch guessed = second;
  guessed.token[0] ^= 1;
  EXPECT_EQ(code_of(it().publish(guessed, 0, say({"x"}))), Errc::Fenced);
  ASSERT_TRUE(it().publish(second, 0, say({"a"})));
  place_->reopen();
  EXPECT_EQ(code_of(it().publish(Epoch{}, 1, say({"x"}))), Errc::Fenced);
  const Epoch third = acquire();
  EXPECT_GT(third.counter, second.counter);
  EXPECT_EQ(code_of(it().publish(second, 1, say({"x"}))), Errc::Fenced);
  ASSERT_TRUE(it().publish(third, 1, say({"b"})));
  EXPECT_EQ(texts(), (Texts{"a", "b"}));
}

TEST_P(AnyCoordinator, RefusesAnEmptyPublishAndAPayloadThatIsTooLong) {
  const Epoch epoch = acquire();
  EXPECT_EQ(code_of(it().publish(epoch, 0, {})), Errc::Usage);
  std::vector<NewRecord> big = say({"x"});
  big[0].payload.resize(journal::kMaxPayloadBytes + 1);
  EXPECT_EQ(code_of(it().publish(epoch, 0, big)), Errc::Limit);
  EXPECT_EQ(it().head()->generation, 0u);
  EXPECT_TRUE(it().publish(epoch, 0, say({""})));
}

TEST_P(AnyCoordinator, ReadsFromAnyNumberOverAnySegments) {
  const Epoch epoch = acquire();
  Texts all;
  for (std::uint64_t generation = 0; generation < 40; ++generation) {
    all.push_back("record " + std::to_string(generation) + std::string(generation * 20, '.'));
    ASSERT_TRUE(it().publish(epoch, generation, say({all.back()})));
  }
  for (int round = 0; round < 2; ++round) {
    for (std::uint64_t from = 0; from <= all.size() + 2; ++from) {
      const std::size_t skip = from == 0 ? 0 : std::min<std::size_t>(from - 1, all.size());
      EXPECT_EQ(texts(from), Texts(all.begin() + static_cast<std::ptrdiff_t>(skip), all.end())) << from;
    }
    place_->reopen();
  }
}

TEST_P(AnyCoordinator, StopsWhereTheVisitorFails) {
  const Epoch epoch = acquire();
  ASSERT_TRUE(it().publish(epoch, 0, say({"a", "b", "c"})));
  int seen = 0;
  const Status read = it().read(1, [&](const journal::Record&) -> Status {
    if (++seen == 2) return Error{Errc::Quota, "enough"};
    return {};
  });
  EXPECT_EQ(code_of(read), Errc::Quota);
  EXPECT_EQ(seen, 2);
}

TEST_P(AnyCoordinator, LetsTheVisitorCallBack) {
  const Epoch epoch = acquire();
  ASSERT_TRUE(it().publish(epoch, 0, say({"a"})));
  const Status read = it().read(1, [&](const journal::Record& record) -> Status {
    HF_TRY(const Head head, it().head());
    const std::string copy = "copy of " + std::string(as_text(record.payload));
    HF_TRY(const Published done, it().publish(epoch, head.generation, say({copy})));
    return done.records.size() == 1 ? Status{} : Error{Errc::Io, "one record was published"};
  });
  EXPECT_TRUE(read) << read.error().message;
  EXPECT_EQ(texts(), (Texts{"a", "copy of a"}));
}

TEST_P(AnyCoordinator, LosesNothingBetweenThreads) {
  const Epoch epoch = acquire();
  constexpr int kThreads = 4, kEach = 20;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach;) {
        const Result<Published> done =
            it().publish(epoch, it().head()->generation, say({std::to_string(t * kEach + i)}));
        if (done)
          ++i;
        else
          EXPECT_EQ(done.error().code, Errc::Conflict);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Texts all = texts();
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return std::stoi(a) < std::stoi(b); });
  ASSERT_EQ(all.size(), static_cast<std::size_t>(kThreads * kEach));
  for (int i = 0; i < kThreads * kEach; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)], std::to_string(i));
}

}  // namespace
}  // namespace holdfast::coordinator
