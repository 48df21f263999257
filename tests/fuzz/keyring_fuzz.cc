// Key files. First byte: kit, recovery file, keyring as it is, keyring with its checksum put right.
#include <cstdlib>

#include "client/keyring/keyring_codec.h"
#include "client/keyring/text_file.h"
#include "common/crypto/hash.h"

using namespace holdfast;
using namespace holdfast::keyring;

namespace {

void read_text(const TextKind& kind, ByteSpan bytes) {
  const Result<TextFile> file = decode_text_file(kind, bytes);
  if (!file) return;
  // No passphrase: a protected file must say so, whatever parameters it names.
  const Result<Bytes> secret = open_text_file(kind, *file, {}, 96);
  if (secret && secret->size() != 96) std::abort();
  if (secret && file->is_protected) std::abort();
}

void read_keyring(ByteSpan bytes) {
  const Result<Keyring> keyring = decode_keyring(bytes);
  if (keyring && !same_bytes(encode_keyring(*keyring), bytes)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteSpan rest(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      read_text(kKitKind, rest);
      break;
    case 1:
      read_text(kRecoveryKind, rest);
      break;
    case 2:
      read_keyring(rest);
      break;
    default: {
      Bytes whole = to_bytes(rest);
      const Digest sum = crypto::digest(rest);
      whole.insert(whole.end(), sum.bytes.begin(), sum.bytes.end());
      read_keyring(whole);
    }
  }
  return 0;
}
