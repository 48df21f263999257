#include "common/crypto/secret.h"

#include <sodium.h>

#include "common/crypto/guarded.h"

namespace holdfast::crypto {

template <std::size_t N>
void Secret<N>::Free::operator()(std::uint8_t* p) const {
  return_guarded_slot(p);
}

template <std::size_t N>
Secret<N>::Secret() : data_(take_guarded_slot()) {
  static_assert(N <= kGuardedSlotBytes);
  std::memset(data_.get(), 0, N);
}

template <std::size_t N>
Secret<N>::Secret(ByteSpan bytes) : data_(take_guarded_slot()) {
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
