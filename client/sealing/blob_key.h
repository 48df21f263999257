#pragma once
// Why: the (key, nonce) pair of every sealed blob is made here and nowhere else, so that a test can draw millions of
// them without sealing anything. Private to this folder.

#include "common/base/ids.h"
#include "common/crypto/aead.h"

namespace holdfast::sealing {

/// derive(R, "blob", cipher ‖ id): one key per run, cipher and blob. Sealing the same blob twice in a run repeats the
/// key, never the nonce.
crypto::Key blob_key(const crypto::Key& run_key, crypto::Cipher cipher, const BlobId& id);
/// Fresh random bytes of the cipher's nonce length.
Bytes draw_nonce(Random& random, crypto::Cipher cipher);

}  // namespace holdfast::sealing
