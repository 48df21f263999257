#include <sodium.h>

#include "common/crypto/hash.h"
#include "common/crypto/sign.h"

namespace holdfast::crypto {
namespace {

constexpr std::size_t kSaltBytes = crypto_pwhash_SALTBYTES;
constexpr std::size_t kMaxPasswordBytes = 64u << 10;  // a passphrase, or a small file that serves as one
constexpr std::uint32_t kMaxPasses = 16;
constexpr std::uint32_t kMinMemoryKib = 8;  // RFC 9106 §3.1: at least 8 × lanes
constexpr std::uint32_t kMaxMemoryKib = 1u << 20;
static_assert(kSaltBytes == 16 && crypto_pwhash_argon2id_MEMLIMIT_MIN == kMinMemoryKib * 1024);

Status check(ByteSpan password, PasswordParameters parameters) {
  if (parameters.passes < 1 || parameters.passes > kMaxPasses)
    return Error{Errc::Limit, "derive a key from a passphrase: " + std::to_string(parameters.passes) +
                                  " passes asked for, allowed are 1 to 16"};
  if (parameters.memory_kib < kMinMemoryKib || parameters.memory_kib > kMaxMemoryKib)
    return Error{Errc::Limit, "derive a key from a passphrase: " + std::to_string(parameters.memory_kib) +
                                  " KiB of memory asked for, allowed are 8 KiB to 1 GiB"};
  if (password.size() > kMaxPasswordBytes)
    return Error{Errc::Limit, "derive a key from a passphrase: the passphrase is longer than 64 KiB"};
  return {};
}

}  // namespace

Result<Key> derive_from_password(ByteSpan password, ByteSpan salt16, PasswordParameters parameters) {
  HF_ASSERT(salt16.size() == kSaltBytes);
  HF_TRY_DO(check(password, parameters));
  init();
  Key key;
  const char* const text = password.empty() ? "" : as_text(password).data();  // libsodium wants a pointer
  const int rc =
      crypto_pwhash(key.mutable_span().data(), key.span().size(), text, password.size(), salt16.data(),
                    parameters.passes, std::size_t{parameters.memory_kib} * 1024, crypto_pwhash_ALG_ARGON2ID13);
  if (rc != 0)
    return Error{Errc::Limit, "derive a key from a passphrase: " + std::to_string(parameters.memory_kib) +
                                  " KiB of memory are not to be had; free some and try again"};
  return key;
}

}  // namespace holdfast::crypto
