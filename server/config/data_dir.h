#pragma once
// Why: what a data directory holds besides tenants: its format version, the built-in CA, the server's own certificate and
// the receipt key. FORMAT.md beside this file lists the files. Secrets are files of mode 0600 in a directory of mode 0700;
// anything wider is refused with the command that mends it.
// Leaves to others: tenants (server/session), the configuration's text (config.h).

#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/crypto/sign.h"
#include "common/fs/file_system.h"
#include "common/identity/identity.h"
#include "server/config/config.h"

namespace holdfast::config {

inline constexpr unsigned kDataVersion = 1;
inline constexpr std::chrono::hours kServerCertificateLifetime{24 * 90};
inline constexpr std::chrono::hours kRenewBefore{
    24 * 30};  ///< a server certificate this close to its end is renewed at start

inline constexpr std::string_view kConfigFile = "server.toml";
inline constexpr std::string_view kAdminSocket = "admin.sock";

struct InitOptions {
  std::string data_dir;  ///< absolute
  std::string listen;
  std::string public_address;  ///< needed when `listen` is a wildcard
  std::string enroll_listen;   ///< empty: host of `listen`, next port
  std::string name;            ///< empty: "holdfast"
};
/// Makes the data directory with everything in it and returns the configuration that it wrote. The version file is
/// written last: a directory without it is no data directory. Errors: Usage, Exists (with what to do), Denied (modes), Io.
Result<ServerConfig> init(fs::FileSystem& fs, const Clock& clock, Random& random, const InitOptions& options);

/// Only one daemon works on a data directory. Errors: Locked.
Result<std::unique_ptr<fs::Lock>> lock_data_dir(fs::FileSystem& fs, const std::string& data_dir);
/// Errors: Config (no data directory), TooNew (refused untouched), Corrupt.
Status check_data_version(fs::FileSystem& fs, const std::string& data_dir);

/// Immutable. The secrets of the server; nothing in it opens customers' data.
struct ServerKeys {
  identity::KeyAndCertificate ca;
  identity::KeyAndCertificate server;
  crypto::SigningKey receipt;
  bool renewed = false;  ///< the server certificate was near its end and has been replaced
};
/// Reads the keys after checking their modes; renews the server's certificate when it ends within kRenewBefore or does
/// not carry `config.name`. Errors: Denied (modes), NotFound, Corrupt, TooNew.
Result<ServerKeys> load_keys(fs::FileSystem& fs, const Clock& clock, const ServerConfig& config);

/// The receipt key's file (FORMAT.md §3). `text` is untrusted.
std::string encode_receipt_key(const crypto::Key& seed);
Result<crypto::Key> decode_receipt_key(std::string_view text);  ///< Errors: Corrupt, TooNew

/// One of the server's own files that is not what was written.
struct Damage {
  std::string file, what;
};
/// Re-reads what init wrote: keys, certificates, version.
std::vector<Damage> check_files(fs::FileSystem& fs, const std::string& data_dir);

/// Errors: Denied when group or others have any right on it, or it belongs to somebody else, with the chmod to run.
Status check_private(const std::string& path, unsigned most);

/// What goes into tokens: addresses that clients dial.
struct Dialled {
  std::string service, enrolment;
};
/// `service`, `enrolment`: where the listeners really are (their ports may have been 0).
Result<Dialled> dialled(const ServerConfig& config, std::string_view service, std::string_view enrolment);

}  // namespace holdfast::config
