#include "common/crypto/hash.h"

#include <sodium.h>

namespace holdfast::crypto {
namespace {

static_assert(sizeof(crypto_generichash_state) == 384 && alignof(crypto_generichash_state) == 64,
              "Hasher's opaque state must hold libsodium's");

crypto_generichash_state* state_of(std::array<std::uint8_t, 384>& bytes) {
  return reinterpret_cast<crypto_generichash_state*>(bytes.data());
}

void start(std::array<std::uint8_t, 384>& state, const std::uint8_t* key, std::size_t key_bytes) {
  init();
  HF_ASSERT(crypto_generichash_init(state_of(state), key, key_bytes, Digest::kBytes) == 0);
}

void one_shot(std::uint8_t* out, ByteSpan bytes, const std::uint8_t* key, std::size_t key_bytes) {
  init();
  HF_ASSERT(crypto_generichash(out, Digest::kBytes, bytes.data(), bytes.size(), key, key_bytes) == 0);
}

}  // namespace

void init() {
  // A static: its first use is serialised by the language, every later one is a load.
  static const bool ready = sodium_init() >= 0;
  HF_ASSERT(ready);
}

Hasher::Hasher() { start(state_, nullptr, 0); }

Hasher::Hasher(const Key& key) { start(state_, key.span().data(), key.span().size()); }

Hasher::~Hasher() { sodium_memzero(state_.data(), state_.size()); }

Hasher& Hasher::update(ByteSpan bytes) {
  HF_ASSERT(crypto_generichash_update(state_of(state_), bytes.data(), bytes.size()) == 0);
  return *this;
}

Digest Hasher::finish() {
  Digest digest;
  // Fails when the state was finished before.
  HF_ASSERT(crypto_generichash_final(state_of(state_), digest.bytes.data(), Digest::kBytes) == 0);
  return digest;
}

Digest digest(ByteSpan bytes) {
  Digest out;
  one_shot(out.bytes.data(), bytes, nullptr, 0);
  return out;
}

Digest digest(std::initializer_list<ByteSpan> parts) {
  Hasher hasher;
  for (const ByteSpan part : parts) hasher.update(part);
  return hasher.finish();
}

Digest keyed_digest(const Key& key, ByteSpan bytes) {
  Digest out;
  one_shot(out.bytes.data(), bytes, key.span().data(), key.span().size());
  return out;
}

std::array<std::uint8_t, 16> short_hash(const Key& key, ByteSpan bytes) {
  static_assert(crypto_shorthash_siphashx24_BYTES == 16 && crypto_shorthash_siphashx24_KEYBYTES == 16);
  std::array<std::uint8_t, 16> out;
  HF_ASSERT(crypto_shorthash_siphashx24(out.data(), bytes.data(), bytes.size(), key.span().data()) == 0);
  return out;
}

Key derive(const Key& parent, std::string_view label, ByteSpan context) {
  // An empty label would start with a zero byte, which chunk fingerprints use (client/chunking/FORMAT.md).
  HF_ASSERT(!label.empty() && label.size() <= 255);
  const std::uint8_t label_bytes = static_cast<std::uint8_t>(label.size());
  Digest derived = Hasher(parent).update({&label_bytes, 1}).update(as_bytes(label)).update(context).finish();
  Key key{ByteSpan(derived.bytes)};
  wipe(derived.bytes);
  return key;
}

}  // namespace holdfast::crypto
