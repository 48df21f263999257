#pragma once
// Why: the server may be rolled back, or lie. What it says is held against the last receipt before anything is sent,
// and its new receipt against what we committed before anything is called done.

#include "client/keyring/keyring.h"
#include "client/remote/remote.h"

namespace holdfast::backup {

/// Errors: Rollback when the server's head or newest snapshot is older than our last receipt; Denied when ids differ
/// from those of the enrolment.
Status check_server(const remote::Opened& opened, const keyring::Keyring& keyring, fs::FileSystem& fs,
                    const std::string& state_dir);

/// Errors: Corrupt or Protocol when the receipt is not for exactly this core; a lock date earlier than the plan agreed
/// at enrolment gives is Protocol too.
Result<snapshot::Receipt> check_receipt(ByteSpan bytes, const keyring::Keyring& keyring, const snapshot::Core& core,
                                        ByteSpan signed_core, const remote::Opened& opened);

}  // namespace holdfast::backup
