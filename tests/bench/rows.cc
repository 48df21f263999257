// Rows of a made-up table, as fast as a disk reads: what `sizes.sh` backs up without storing it anywhere.
//
//   rows BYTES RUN [CHANGED]   the rows of run number RUN, BYTES in all. From run to run one row in CHANGED (997) is
//                              changed, others each time, and stays so.
//   rows BYTES RUN pieces      noise instead of rows: the same pieces of 64 KiB in another order in each run.
//
// A row is about 170 bytes: a number, a customer, a day, an amount, a state, a random token, words. The same on every machine.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string>
#include <string_view>

namespace {

constexpr std::array<std::string_view, 16> kWords{"order",  "customer", "paid", "shipped", "invoice", "return",
                                                  "garden", "door",     "late", "address", "phone",   "parcel",
                                                  "ring",   "bell",     "gift", "box"};

std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

void add_number(std::string& out, std::uint64_t number) { out += std::to_string(number); }

void add_hex(std::string& out, std::uint64_t bits) {
  for (int i = 0; i < 16; ++i, bits >>= 4) out += "0123456789abcdef"[bits & 15];
}

/// The latest run in which row `number` was changed.
std::uint64_t version_of(std::uint64_t number, std::uint64_t run, std::uint64_t changed) {
  for (; run > 1; --run) {
    if (mix(number * 1000003 + run) % changed == 0) return run;
  }
  return 1;
}

void add_row(std::string& out, std::uint64_t number, std::uint64_t version) {
  const std::uint64_t fixed = mix(number), moving = mix(fixed + version);
  add_number(out, number);
  out += '\t';
  add_number(out, fixed % 250000);
  out += "\t2026-";
  add_number(out, 10 + fixed % 3);
  out += '-';
  add_number(out, 10 + number / 20000 % 20);
  out += '\t';
  add_number(out, moving % 100000);
  out += '\t';
  out += kWords[moving >> 60];
  out += '\t';
  add_hex(out, fixed);
  add_hex(out, mix(fixed));
  std::uint64_t words = mix(fixed + 7);
  for (int i = 0; i < 12; ++i, words >>= 4) {
    out += i == 0 ? '\t' : ' ';
    out += kWords[words & 15];
  }
  out += '\n';
}

bool put(std::string_view bytes) { return std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size(); }

bool put_rows(std::uint64_t left, std::uint64_t run, std::uint64_t changed) {
  std::string out;
  for (std::uint64_t number = 0; left > 0; ++number) {
    add_row(out, number, version_of(number, run, changed));
    if (out.size() < (1u << 18) && out.size() < left) continue;
    if (out.size() > left) out.resize(static_cast<std::size_t>(left));
    if (!put(out)) return false;
    left -= out.size();
    out.clear();
  }
  return true;
}

/// Whole pieces only. A step that shares no factor with their count visits each once; one near the golden section comes back
/// to a neighbourhood only after it has been everywhere else.
bool put_pieces(std::uint64_t bytes, std::uint64_t run) {
  constexpr std::size_t kPiece = 65536;
  const std::uint64_t count = bytes / kPiece;
  std::uint64_t step = run == 1 ? 1 : count * 618034 / 1000000 + run;
  while (std::gcd(step, count) != 1) ++step;
  std::string out(kPiece, '\0');
  for (std::uint64_t i = 0; i < count; ++i) {
    std::uint64_t state = mix(i * step % count);
    for (std::size_t at = 0; at < kPiece; at += sizeof state) {
      state = mix(state);
      std::memcpy(out.data() + at, &state, sizeof state);
    }
    if (!put(out)) return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  const std::uint64_t bytes = std::strtoull(argv[1], nullptr, 10);
  const std::uint64_t run = std::strtoull(argv[2], nullptr, 10);
  const std::string_view changed = argc > 3 ? argv[3] : "997";
  const bool done =
      changed == "pieces" ? put_pieces(bytes, run) : put_rows(bytes, run, std::stoull(std::string(changed)));
  return done && std::fflush(stdout) == 0 ? 0 : 1;
}
