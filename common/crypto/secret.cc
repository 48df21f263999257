#include "common/crypto/secret.h"

#include <sodium.h>

#include <new>

#include "common/crypto/hash.h"

namespace holdfast::crypto {
namespace {

/// Guarded memory where the kernel grants it. sodium_malloc asks for mlock itself and goes on without it when
/// RLIMIT_MEMLOCK is used up; a null pointer means that the address space is, which we treat as out of memory.
std::uint8_t* guarded(std::size_t bytes) {
  init();  // sodium_malloc's canary and page size
  void* const p = sodium_malloc(bytes);
  if (p == nullptr) throw std::bad_alloc();
  return static_cast<std::uint8_t*>(p);
}

}  // namespace

template <std::size_t N>
void Secret<N>::Free::operator()(std::uint8_t* p) const {
  sodium_free(p);  // wipes
}

template <std::size_t N>
Secret<N>::Secret() : data_(guarded(N)) {
  sodium_memzero(data_.get(), N);  // sodium_malloc fills with a pattern, which is no value of ours
}

template <std::size_t N>
Secret<N>::Secret(ByteSpan bytes) : data_(guarded(N)) {
  HF_ASSERT(bytes.size() == N);
  std::memcpy(data_.get(), bytes.data(), N);
}

template <std::size_t N>
Secret<N> Secret<N>::random(Random& random) {
  Secret secret;
  random.fill(secret.mutable_span());
  return secret;
}

template <std::size_t N>
bool Secret<N>::equals(const Secret& other) const {
  return sodium_memcmp(data_.get(), other.data_.get(), N) == 0;
}

template class Secret<32>;
template class Secret<64>;

void wipe(MutableByteSpan bytes) {
  if (!bytes.empty()) sodium_memzero(bytes.data(), bytes.size());
}

}  // namespace holdfast::crypto
