#pragma once
// Why: every run has a fresh key R; this makes R, the signed run record and the key slot that wraps R for the pinned
// recipients. R is forgotten when the value is destroyed.

#include "client/keyring/keyring.h"

namespace holdfast::backup {

struct RunSecrets {
  RunId run;
  crypto::Key key;
  Bytes run_record;  ///< signed
  Bytes slot;
};
/// Errors: Config when the keyring names no recipient (nothing could ever be restored).
Result<RunSecrets> begin_run(const keyring::Keyring& keyring, const Clock& clock, Random& random);

}  // namespace holdfast::backup
