// Why: how fast a tenant reads its packs back: the index rebuilt from footers, and `check --read-data`. Beside each
// stands a yardstick over the same bytes in the same round: a plain read and BLAKE2b. The work is the tenant's own
// (Tenant::rebuild_index, Tenant::check) on real packs below $TMPDIR; only the syncs are left out while they are made.
// Usage: index_bench [ROUNDS [BLOBS [MIB]]]

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "common/console/console.h"
#include "common/console/format.h"
#include "common/crypto/hash.h"
#include "server/tenant/tenant.h"
#include "tests/bench/unsynced_fs.h"
#include "tests/support/fake_clock.h"
#include "tests/support/seeded_random.h"
#include "tests/support/temporary_directory.h"

namespace holdfast {
namespace {

// As holdfastd has them by default.
constexpr std::size_t kIndexCacheBytes = 256u << 20;
constexpr std::size_t kIndexWriteBufferBytes = 64u << 20;
// A pack of real data has some 36 blobs. Bodies of 1 KiB make it longer than the one read that fetches its tail, so
// that reading a footer takes as many reads as it does in a pack of 16 MiB.
constexpr std::size_t kBlobsPerPack = 36;
constexpr std::size_t kSmallBodyBytes = 1024;
constexpr std::size_t kBlobsPerLeaf = 256;
constexpr std::uint64_t kTailBytes = 32u << 10;
constexpr std::size_t kLeastBodyBytes = 300u << 10, kMostBodyBytes = 600u << 10;

constexpr double kWantedBlobsPerSecond = 300'000;
constexpr double kWantedBytesPerSecond = 300e6;

template <class T>
T must(Result<T> result) {
  if (!result) std::fprintf(stderr, "index_bench: %s\n", result.error().message.c_str());
  HF_ASSERT(result.has_value());
  return *std::move(result);
}

/// One tenant with one client and one run that has sent blobs.
class Store {
 public:
  explicit Store(std::string directory) : directory_(std::move(directory)) {
    id_ = must(tenant::Tenant::create(environment(unsynced_), directory_, "bench", "30d", 0));
    tenant_ = must(tenant::Tenant::open(environment(unsynced_), directory_));
    enrol();
    begin();
  }
  /// From now on as holdfastd sees it.
  void open_synced() {
    tenant_.reset();
    tenant_ = must(tenant::Tenant::open(environment(fs::real()), directory_));
  }
  tenant::Tenant& tenant() { return *tenant_; }
  const std::string& directory() const { return directory_; }
  support::SeededRandom& random() { return random_; }

  /// Returns the blob's name and the length of its record.
  std::pair<blob::BlobRef, std::uint64_t> put(blob::Type type, const std::vector<blob::BlobRef>& children,
                                              std::size_t body_bytes) {
    blob::Header header;
    header.cipher = 1;
    header.type = type;
    header.domain = domain_;
    header.epoch = 1;
    header.run = run_;
    header.blob = random_.id<BlobId>();
    header.child_count = static_cast<std::uint32_t>(children.size());
    header.body_bytes = static_cast<std::uint32_t>(body_bytes);
    ByteWriter record;
    record.raw(blob::encode_header(header)).raw(blob::encode_children(children));
    record.raw(ByteSpan(noise_).subspan(random_.below(kMostBodyBytes), 12 + body_bytes + 16));
    (void)must(tenant_->put(client_, session_, ++tag_, record.span()));
    return {header.ref(), record.size()};
  }
  void flush() { (void)must(tenant_->flush(client_, session_)); }

 private:
  tenant::Environment environment(fs::FileSystem& fs) { return {fs, clock_, random_, shared_, receipt_key_}; }
  void enrol() {
    const Digest token = random_.id<Digest>();
    client_ = must(tenant_->invite("client", token, to_ns(clock_.wall()) + 1'000'000'000)).id;
    const snapshot::ClientCertificate certificate{id_, client_, key_.public_key(), domain_, 0, root_.public_key()};
    (void)must(tenant_->enrol("client", token, random_.id<Digest>(), snapshot::encode_signed(certificate, root_),
                              [] { return Result<std::string>("PEM"); }));
  }
  void begin() {
    snapshot::RunRecord record;
    record.tenant = id_;
    record.domain = domain_;
    record.epoch = 1;
    record.client = client_;
    record.run = run_;
    record.recipients = {random_.id<RecipientId>()};
    record.time_ns = to_ns(clock_.wall());
    snapshot::KeySlot slot;
    slot.run = run_;
    slot.wraps.push_back({record.recipients[0], random_.id<PublicKey>(), random_.bytes(48)});
    session_ = must(tenant_->open_session(client_, snapshot::encode_signed(record, key_), snapshot::encode(slot), {},
                                          std::nullopt))
                   .session;
  }

  bench::UnsyncedFs unsynced_;
  support::FakeClock clock_;
  support::SeededRandom random_;
  std::shared_ptr<index::Shared> shared_ = index::make_shared_resources(kIndexCacheBytes, kIndexWriteBufferBytes);
  crypto::SigningKey receipt_key_ = crypto::SigningKey::generate(random_);
  crypto::SigningKey root_ = crypto::SigningKey::generate(random_);
  crypto::SigningKey key_ = crypto::SigningKey::generate(random_);
  const DomainId domain_ = random_.id<DomainId>();
  const RunId run_ = random_.id<RunId>();
  const Bytes noise_ = random_.bytes(2 * kMostBodyBytes + 64);
  const std::string directory_;
  TenantId id_;
  ClientId client_;
  SessionId session_;
  std::uint64_t tag_ = 0;
  std::unique_ptr<tenant::Tenant> tenant_;
};

struct Cost {
  double wall = 0, cpu = 0;  ///< seconds; cpu is user and system
};

double cpu_seconds(int whose) {
  struct rusage usage{};
  HF_ASSERT(::getrusage(whose, &usage) == 0);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// `whose`: RUSAGE_SELF for work that has threads of its own; RUSAGE_THREAD leaves out RocksDB, which may still be merging.
Cost timed(int whose, const std::function<void()>& work) {
  const double cpu = cpu_seconds(whose);
  const auto started = std::chrono::steady_clock::now();
  work();
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - started;
  return {wall.count(), cpu_seconds(whose) - cpu};
}

/// Each by itself: the median round of one need not be that of the other.
Cost median(std::vector<Cost> costs) {
  const auto middle = costs.begin() + static_cast<std::ptrdiff_t>(costs.size() / 2);
  Cost out;
  std::nth_element(costs.begin(), middle, costs.end(), [](const Cost& a, const Cost& b) { return a.wall < b.wall; });
  out.wall = middle->wall;
  std::nth_element(costs.begin(), middle, costs.end(), [](const Cost& a, const Cost& b) { return a.cpu < b.cpu; });
  out.cpu = middle->cpu;
  return out;
}

/// Reads the last `tail_bytes` of every pack in pieces of 1 MiB, hashes them, and returns how many bytes that were.
std::uint64_t read_and_hash(const Store& store, std::uint64_t tail_bytes) {
  Bytes piece(1u << 20);
  crypto::Hasher hasher;
  std::uint64_t bytes = 0;
  const std::string packs = fs::join(store.directory(), "packs");
  for (const fs::DirectoryEntry& directory : must(fs::real().list(packs))) {
    const std::string path = fs::join(packs, directory.name);
    for (const fs::DirectoryEntry& entry : must(fs::real().list(path))) {
      const std::unique_ptr<fs::File> file = must(fs::real().open_read(fs::join(path, entry.name)));
      for (std::uint64_t at = entry.size - std::min(entry.size, tail_bytes);;) {
        const std::size_t n = must(file->read_at(at, piece));
        if (n == 0) break;
        hasher.update(ByteSpan(piece).first(n));
        at += n;
        bytes += n;
      }
    }
  }
  (void)hasher.finish();
  return bytes;
}

/// One line of the result: the work and its yardstick, round by round.
struct Line {
  std::string name, unit;
  double amount = 0;  ///< units
  double wanted = 0;  ///< units a second
  std::vector<Cost> work, yardstick;
};

std::string decimal(double value, const char* format) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

void print(const std::vector<Line>& lines) {
  using Align = console::Table::Align;
  console::Table table({{"", Align::Left},
                        {"wall s", Align::Right},
                        {"cpu s", Align::Right},
                        {"rate (wall)", Align::Right},
                        {"figure", Align::Right},
                        {"met", Align::Left},
                        {"x yardstick wall", Align::Right},
                        {"cpu", Align::Right}});
  const auto rate = [](const Line& line, double seconds) {
    return console::human_count(static_cast<std::uint64_t>(line.amount / seconds)) + " " + line.unit + "/s";
  };
  for (const Line& line : lines) {
    const Cost work = median(line.work), yardstick = median(line.yardstick);
    table.row({line.name, decimal(work.wall, "%.2f"), decimal(work.cpu, "%.2f"), rate(line, work.wall),
               console::human_count(static_cast<std::uint64_t>(line.wanted)),
               line.amount / work.wall >= line.wanted ? "yes" : "NO", decimal(work.wall / yardstick.wall, "%.2f"),
               decimal(work.cpu / yardstick.cpu, "%.2f")});
    table.row({"  its yardstick", decimal(yardstick.wall, "%.2f"), decimal(yardstick.cpu, "%.2f"),
               rate(line, yardstick.wall), "", "", "", ""});
  }
  std::fputs(table.text().c_str(), stdout);
}

Line rebuild(const support::TemporaryDirectory& temporary, std::size_t rounds, std::uint64_t blobs) {
  Store store(temporary / "footers");
  std::vector<std::vector<blob::BlobRef>> leaves(1);
  for (std::uint64_t i = 0; i < blobs; ++i) {
    if (leaves.back().size() == kBlobsPerLeaf) leaves.emplace_back();
    leaves.back().push_back(store.put(blob::Type::Data, {}, kSmallBodyBytes).first);
    if ((i + 1) % kBlobsPerPack == 0) store.flush();
  }
  for (std::vector<blob::BlobRef>& children : leaves) {
    std::sort(children.begin(), children.end());
    (void)store.put(blob::Type::Leaf, children, kSmallBodyBytes);
  }
  store.flush();
  store.open_synced();

  const std::uint64_t stored = blobs + leaves.size();
  Line line{"rebuild the index from footers", "blobs", static_cast<double>(stored), kWantedBlobsPerSecond, {}, {}};
  tenant::Tenant::Rebuilt rebuilt;
  std::uint64_t bytes = 0;
  (void)read_and_hash(store, kTailBytes);  // so that the first round finds the same cache as the others
  for (std::size_t round = 0; round < rounds; ++round) {
    line.yardstick.push_back(timed(RUSAGE_THREAD, [&] { bytes = read_and_hash(store, kTailBytes); }));
    line.work.push_back(timed(RUSAGE_SELF, [&] { rebuilt = must(store.tenant().rebuild_index()); }));
    HF_ASSERT(rebuilt.blobs == stored);
  }
  std::printf("footers: %s blobs in %s packs; the yardstick reads the last 32 KiB of each, %s bytes in all\n",
              console::human_count(stored).c_str(), console::human_count(rebuilt.packs).c_str(),
              console::human_count(bytes).c_str());
  return line;
}

Line read_data(const support::TemporaryDirectory& temporary, std::size_t rounds, std::uint64_t wanted_bytes) {
  Store store(temporary / "data");
  std::uint64_t records = 0, record_bytes = 0;
  while (record_bytes < wanted_bytes) {
    const std::size_t body = kLeastBodyBytes + store.random().below(kMostBodyBytes - kLeastBodyBytes);
    record_bytes += store.put(blob::Type::Data, {}, body).second;
    ++records;
  }
  store.flush();
  store.open_synced();

  Line line{"check --read-data", "bytes", static_cast<double>(record_bytes), kWantedBytesPerSecond, {}, {}};
  std::uint64_t packs = 0;
  const auto whole = std::numeric_limits<std::uint64_t>::max();
  (void)read_and_hash(store, whole);
  for (std::size_t round = 0; round < rounds; ++round) {
    line.yardstick.push_back(timed(RUSAGE_THREAD, [&] { (void)read_and_hash(store, whole); }));
    tenant::CheckSummary summary;
    line.work.push_back(
        timed(RUSAGE_SELF, [&] { summary = must(store.tenant().check(true, [](const tenant::Finding&) {})); }));
    HF_ASSERT(summary.damaged_files == 0 && summary.blobs == records && summary.bytes_read == record_bytes);
    packs = summary.packs;
  }
  std::printf("data: %s records of 300 to 600 KiB in %s packs, %s bytes; the yardstick reads and hashes all of it\n",
              console::human_count(records).c_str(), console::human_count(packs).c_str(),
              console::human_count(record_bytes).c_str());
  return line;
}

int run(std::size_t rounds, std::uint64_t blobs, std::uint64_t mib) {
  const support::TemporaryDirectory temporary;
  std::vector<Line> lines;
  lines.push_back(rebuild(temporary, rounds, blobs));
  lines.push_back(read_data(temporary, rounds, mib << 20));
  std::printf("medians of %zu rounds, work and yardstick in turn, files in the page cache\n", rounds);
  print(lines);
  return 0;
}

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) {
  const auto number = [&](int position, std::uint64_t usual) {
    return argc > position ? std::max<std::uint64_t>(1, std::strtoull(argv[position], nullptr, 10)) : usual;
  };
  return holdfast::run(number(1, 3), number(2, 1'000'000), number(3, 1100));
}
