#pragma once
// Why: what every command needs: where the configuration is, how to print, whether a signal asked to stop.

#include <CLI/CLI.hpp>
#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "client/cli/config.h"
#include "client/keyring/keyring.h"
#include "client/remote/remote.h"
#include "client/restore/archive.h"
#include "common/console/console.h"
#include "common/console/exit_code.h"

namespace holdfast::cli {

/// Options that stand before or after any command.
struct Global {
  std::string config_path = kDefaultConfig;
  bool config_given = false;
  bool fips = false;
  console::Options output;
};

/// A command's body: runs after parsing, returns the exit code.
using Body = std::function<int(const Global&)>;
/// Adds a command to the parser; sets `*body` when it was chosen.
void add_key(CLI::App& app, Body* body);
void add_enroll(CLI::App& app, Body* body);
void add_backup(CLI::App& app, Body* body);
void add_snapshots(CLI::App& app, Body* body);
void add_ls(CLI::App& app, Body* body);
void add_find(CLI::App& app, Body* body);
void add_diff(CLI::App& app, Body* body);
void add_compare(CLI::App& app, Body* body);
void add_restore(CLI::App& app, Body* body);
void add_verify(CLI::App& app, Body* body);
void add_status(CLI::App& app, Body* body);
void add_config(CLI::App& app, Body* body);

/// The whole program.
int run(int argc, char** argv);

// ---- what commands share ----

/// Set by the first SIGINT or SIGTERM; the second ends the program at once.
const std::atomic<bool>& stop_requested();
/// 128 + the signal that asked to stop.
int signal_exit_code();
/// exit_code of an error, signals included; prints it.
int fail(console::Console& out, const Error& error);

struct Opened {
  Config config;
  keyring::Keyring keyring;
};
Result<Opened> open_config(const Global& global);
/// Connects with the keyring's certificate. What becomes of a connection that is lost later is said as warnings; a signal
/// ends the waiting for another one.
Result<std::unique_ptr<remote::Remote>> connect(const Opened& opened, const Global& global);
/// Empty without a file, else what keyring::read_passphrase says.
Result<Bytes> read_passphrase(const std::string& file);

/// --key FILE, --passphrase-file, --as operator, --tenant, --client.
struct ReadOptions {
  std::string key_file, passphrase_file, as, tenant, client;
  void add_to(CLI::App& command);
};
/// Everything a reading command needs, alive together.
struct Reader {
  Opened opened;
  std::unique_ptr<remote::Remote> remote;
  std::optional<keyring::RecoveryKey> recovery;
  std::unique_ptr<restore::Archive> archive;
};
Result<std::unique_ptr<Reader>> open_reader(const Global& global, const ReadOptions& options);

/// Archive::find, and a warning when a newer snapshot was passed over because the server's operator has locked it.
Result<restore::SnapshotInfo> find_snapshot(console::Console& out, restore::Archive& archive, const std::string& spec,
                                            const std::string& source);

/// Warns when the machine's clock is more than 5 minutes off the server's.
void report_skew(console::Console& out, const remote::Remote& remote);
/// Absolute, "." and ".." and double slashes resolved by text.
std::string absolute_path(const std::string& path);

}  // namespace holdfast::cli
