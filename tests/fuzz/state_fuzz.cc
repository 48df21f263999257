// The local state: blocks behind their MAC (first byte even), and whole files (odd), which must be found wanting.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "client/state/layout.h"

using namespace holdfast;
using namespace holdfast::state;

namespace {

void read_block(ByteSpan body) {
  Result<BlockReader> reader = BlockReader::open(to_bytes(body));
  if (!reader) return;
  for (;;) {
    Result<std::optional<Remembered>> next = reader->next();
    if (!next || !*next) return;
    if (!manifest::check_entry((*next)->entry, (*next)->spill.has_value())) std::abort();
  }
}

void read_file(ByteSpan bytes) {
  static const int file = ::memfd_create("state", MFD_CLOEXEC);
  static const crypto::Key key{ByteSpan(Bytes(32, 0x73))};
  if (file < 0 || ::ftruncate(file, 0) != 0) std::abort();
  if (::pwrite(file, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) std::abort();
  Binding binding;
  binding.client.bytes.fill(0xc0);
  binding.domain.bytes.fill(0xd0);
  binding.epoch = 7;
  std::string why;
  std::optional<StateReader> reader =
      StateReader::open(fs::real(), "/proc/self/fd/" + std::to_string(file), key, binding, &why);
  if (reader) (void)reader->find("zz", "/zz");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteSpan rest(data + 1, size - 1);
  if (data[0] % 2 == 0) {
    read_block(rest);
  } else {
    read_file(rest);
  }
  return 0;
}
