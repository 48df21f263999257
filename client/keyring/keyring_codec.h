#pragma once
// Why: the bytes of the keyring file, apart from where it lies. Private to client/keyring and its tests.

#include "client/keyring/keyring.h"

namespace holdfast::keyring {

inline constexpr std::size_t kMaxKeyringBytes = 256u << 10;

/// HF_ASSERTs that it is a client's or an operator's. The caller wipes what it gets.
Bytes encode_keyring(const Keyring& keyring);
/// Errors: Corrupt, TooNew, Limit.
Result<Keyring> decode_keyring(ByteSpan file);

}  // namespace holdfast::keyring
