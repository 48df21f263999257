#pragma once
// Why: the keys of CRYPTO.md and the files they live in. Three files, each magic + version + checksum:
//  kit file       customer's, off line: root signing key, recovery key, tenant secret (optionally under a passphrase)
//  recovery file  what a restore needs: recovery key, tenant secret, root fingerprint
//  keyring        in state_dir, 0600: everything this machine keeps. FORMAT.md beside this file.
// Wider modes than 0600 on secrets are refused.

#include <optional>
#include <string>

#include "common/base/ids.h"
#include "common/crypto/sign.h"
#include "common/fs/file_system.h"
#include "common/identity/identity.h"
#include "common/snapshot/records.h"

namespace holdfast::keyring {

struct Kit {
  crypto::SigningKey root;
  crypto::WrapKeyPair recovery;
  crypto::Key tenant_secret;
};
/// What opens a tenant's backups without the machine that made them.
struct RecoveryKey {
  crypto::WrapKeyPair recovery;
  crypto::Key tenant_secret;
  PublicKey root;
};
Kit make_kit(Random& random);
/// The passphrase file's contents without the ends of its last line. Errors: Denied (mode), Usage (empty), Limit, NotFound.
Result<Bytes> read_passphrase(fs::FileSystem& fs, const std::string& path);
/// `passphrase` empty: stored open. Errors: Exists.
Status write_kit(fs::FileSystem& fs, const std::string& path, const Kit& kit, ByteSpan passphrase, Random& random);
Result<Kit> read_kit(fs::FileSystem& fs, const std::string& path,
                     ByteSpan passphrase);  ///< WrongKey, Corrupt, TooNew, Denied (mode)
Status write_recovery(fs::FileSystem& fs, const std::string& path, const RecoveryKey& key, ByteSpan passphrase,
                      Random& random);
/// Reads a recovery file or a kit.
Result<RecoveryKey> read_recovery(fs::FileSystem& fs, const std::string& path, ByteSpan passphrase);
RecoveryKey recovery_of(const Kit& kit);

/// wrap secret of (client, recipient) = derive(tenant secret, "wrap-secret", client id ‖ recipient id)
crypto::Key wrap_secret(const crypto::Key& tenant_secret, const ClientId& client, const RecipientId& recipient);

struct Recipient {
  PublicKey key;
  crypto::Key wrap_secret;
  std::string label;
};  ///< "recovery", "read"

/// K_D and what is derived from it (labels in common/crypto/FORMAT.md).
struct DomainKeys {
  explicit DomainKeys(crypto::Key domain);
  crypto::Key domain, cut, fingerprint, blob, image, state;
};

/// Everything an enrolled machine keeps. An operator's keyring has only the identity part.
struct Keyring {
  identity::Name name;
  identity::KeyAndCertificate tls;
  std::string ca_pem;
  std::string service;  ///< HOST:PORT
  PublicKey receipt_key;
  // clients only
  TenantId tenant;
  ClientId client;
  DomainId domain;
  std::uint32_t domain_epoch = 0;
  std::optional<crypto::SigningKey> signing;
  Bytes certificate;  ///< signed by the tenant root
  std::optional<crypto::Key> domain_key;
  std::optional<crypto::WrapKeyPair> read;  ///< absent with --write-only
  std::vector<Recipient> recipients;        ///< pinned at enrolment
  PublicKey root;                           ///< tenant root, pinned
  std::string plan;
};
Status write_keyring(fs::FileSystem& fs, const std::string& path, const Keyring& keyring);  ///< atomic replace
Result<Keyring> read_keyring(fs::FileSystem& fs, const std::string& path);

}  // namespace holdfast::keyring
