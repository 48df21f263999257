#include "client/cli/app.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "common/console/command_line.h"
#include "common/crypto/hash.h"

namespace holdfast::cli {
namespace {

std::atomic<bool> g_stop{false};
std::atomic<int> g_signal{0};

extern "C" void on_signal(int number) {
  if (g_stop.exchange(true)) ::_exit(128 + number);
  g_signal = number;
}

/// Manners of the process: signals, descriptors, no core dumps with keys in them.
void set_up_process() {
  struct sigaction action{};
  action.sa_handler = on_signal;
  ::sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGCHLD, SIG_DFL);  // ignored, it would hide how commands ended
  // A connection must not become what others take for their standard output. Uses of these fail, as of closed ones.
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) >= 0) continue;
    if (::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) ::_exit(console::kFailed);
  }
  ::umask(077);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
}

int parse_and_run(int argc, char** argv) {
  Global global;
  Body body;
  CLI::App app{"Holdfast: encrypted, incremental backups to a server that cannot read them."};
  app.name("holdfast");
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", console::version_text("holdfast"));
  CLI::Option* config = app.add_option("--config", global.config_path, "Configuration file")->capture_default_str();
  app.add_flag("--json", global.output.json, "Answers for programs: JSON, one object a line");
  app.add_flag("-q,--quiet", global.output.quiet, "Errors and warnings only");
  app.add_flag("-v,--verbose", global.output.verbose, "Say more");
  app.add_flag("--fips", global.fips, "Use validated cryptography only; refused: no such profile exists yet");
  for (const auto add : {add_enroll, add_backup, add_snapshots, add_ls, add_find, add_diff, add_compare, add_restore,
                         add_verify, add_status, add_key, add_config})
    add(app, &body);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& e) {
    return app.exit(e);
  } catch (const CLI::CallForAllHelp& e) {
    return app.exit(e);
  } catch (const CLI::CallForVersion& e) {
    return app.exit(e);
  } catch (const CLI::ParseError& e) {
    std::cerr << "holdfast: " << console::usage_text(app, e)
              << "\nRun `holdfast --help` or `holdfast COMMAND --help`.\n";
    return console::kUsage;
  }
  global.config_given = config->count() > 0;
  if (global.fips) {
    console::Console out("holdfast", global.output);
    return fail(out, Error{Errc::Denied,
                           "--fips: this version has no FIPS 140-3 profile (its profile 1 uses BLAKE2b, Ed25519 and "
                           "Argon2id); nothing was done"});
  }
  int code = body(global);
  console::Console out("holdfast", global.output);
  if (const Status written = out.finish(); !written) code = console::graver(code, out.fail(written.error()));
  return g_stop && code == console::kInterrupted ? signal_exit_code() : code;
}

}  // namespace

int run(int argc, char** argv) {
  set_up_process();
  crypto::init();
  try {
    return parse_and_run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::cerr << "holdfast: out of memory\n";
  } catch (const std::exception& e) {
    std::cerr << "holdfast: internal error: " << printable(e.what()) << "\n";
  }
  return console::kFailed;
}

const std::atomic<bool>& stop_requested() { return g_stop; }
int signal_exit_code() { return 128 + (g_signal != 0 ? g_signal.load() : SIGINT); }

int fail(console::Console& out, const Error& error) {
  return out.fail(error, error.code == Errc::Canceled ? signal_exit_code() : console::exit_code(error.code));
}

Result<Opened> open_config(const Global& global) {
  Opened opened;
  HF_TRY(opened.config, read_config(global.config_path));
  Result<keyring::Keyring> ring = keyring::read_keyring(fs::real(), opened.config.keyring).context("open the keyring");
  if (!ring) {
    Error error = std::move(ring).error();
    if (error.code == Errc::NotFound)
      error.message += "; `holdfast enroll` makes it, 'keyring' in " + printable(global.config_path) + " names it";
    return error;
  }
  opened.keyring = std::move(*ring);
  return opened;
}

Result<std::unique_ptr<remote::Remote>> connect(const Opened& opened, const Global& global) {
  transport::ClientOptions options;
  options.address = opened.config.server.empty() ? opened.keyring.service : opened.config.server;
  options.certificate = opened.keyring.tls;
  options.ca_pem = opened.keyring.ca_pem;
  options.alpn = "holdfast/1";
  const std::string doing = "connect to " + printable(options.address);
  remote::Patience patience;
  patience.total = opened.config.reconnect;
  patience.stop = &stop_requested();
  const auto out = std::make_shared<console::Console>("holdfast", global.output);  // the remote's: warnings come later
  patience.tell = [out, address = options.address](const std::string& what) {
    out->warning("server " + printable(address) + ": " + what);
  };
  Result<std::unique_ptr<remote::Remote>> made = remote::Remote::connect(std::move(options), std::move(patience));
  if (made) return made;
  Error error = std::move(made).error();
  if (!error.message.starts_with(doing)) error = std::move(error).with_context(doing);  // what dials says so itself
  if (error.code == Errc::Unreachable && error.message.find("check ") == std::string::npos)
    error.message += "; is holdfastd running there, and is this the right port?";
  return error;
}

Result<Bytes> read_passphrase(const std::string& file) {
  if (file.empty()) return Bytes{};
  return keyring::read_passphrase(fs::real(), file);
}

void ReadOptions::add_to(CLI::App& command) {
  command.add_option("--key", key_file, "Open with this recovery file or kit instead of the machine's own key");
  command.add_option("--passphrase-file", passphrase_file, "File with the passphrase of --key");
  command.add_option("--as", as, "`operator`: read another machine's backups")->check(CLI::IsMember({"operator"}));
  command.add_option("--tenant", tenant, "With --as operator: the tenant");
  command.add_option("--client", client, "With --as operator: the client");
}

namespace {

/// A receipt that is damaged, or of another enrolment, proves nothing about this server.
void expect_last_snapshot(const Opened& opened, restore::Archive& archive) {
  const Result<Bytes> bytes =
      fs::read_file(fs::real(), fs::join(opened.config.state_dir, "receipt"), snapshot::kMaxReceiptBytes);
  if (!bytes) return;
  const Result<snapshot::Receipt> last = snapshot::decode_receipt(*bytes, opened.keyring.receipt_key);
  if (!last || last->client != opened.keyring.client) return;
  if (to_ns(system_clock().wall()) < last->lock_not_before_ns) archive.expect(*last);
}

}  // namespace

Result<std::unique_ptr<Reader>> open_reader(const Global& global, const ReadOptions& options) {
  auto reader = std::make_unique<Reader>();
  HF_TRY(reader->opened, open_config(global));
  const bool operates = reader->opened.keyring.name.role == identity::Role::Operator;
  const bool named = !options.tenant.empty() && !options.client.empty();
  if ((operates || !options.as.empty()) && !named) {
    return Error{Errc::Usage,
                 "an operator reads another machine's backups: give --as operator --tenant TENANT --client CLIENT"};
  }
  if (!options.as.empty() && !operates) {
    return Error{Errc::Denied, "--as operator: the keyring of this configuration is a client's (" +
                                   reader->opened.keyring.name.uri() +
                                   "); give --config with an operator's configuration"};
  }
  if (!operates && (!options.tenant.empty() || !options.client.empty())) {
    return Error{Errc::Usage, "--tenant and --client go with --as operator"};
  }
  restore::OpeningKey key;
  if (!options.key_file.empty()) {
    HF_TRY(const Bytes passphrase, read_passphrase(options.passphrase_file));
    HF_TRY(keyring::RecoveryKey recovery, keyring::read_recovery(fs::real(), options.key_file, passphrase));
    reader->recovery.emplace(std::move(recovery));
    key = restore::recovery_key(*reader->recovery);
    if (!operates) key.client = reader->opened.keyring.client;
  } else {
    HF_TRY(key, restore::own_key(reader->opened.keyring));
  }
  HF_TRY(reader->remote, connect(reader->opened, global));
  reader->archive = std::make_unique<restore::Archive>(*reader->remote, remote::Subject{options.tenant, options.client},
                                                       std::move(key));
  if (!operates) expect_last_snapshot(reader->opened, *reader->archive);
  return reader;
}

Result<restore::SnapshotInfo> find_snapshot(console::Console& out, restore::Archive& archive, const std::string& spec,
                                            const std::string& source) {
  HF_TRY(restore::SnapshotInfo found, archive.find(spec, source));
  if (found.newer_locked) {
    out.warning("'" + printable(spec) + "' is snapshot " + std::to_string(found.core().sequence) +
                ": the server's operator has locked snapshot " + std::to_string(*found.newer_locked) +
                ", which is newer; ask them why");
  }
  return found;
}

void report_skew(console::Console& out, const remote::Remote& remote) {
  const auto skew = std::chrono::duration_cast<std::chrono::seconds>(remote.clock_skew()).count();
  if (skew > 300 || skew < -300) {
    out.warning("this machine's clock is " + std::to_string(skew < 0 ? -skew : skew) + " s " +
                (skew < 0 ? "ahead of" : "behind") +
                " the server's: set it right (the server's time decides about retention)");
  }
}

std::string absolute_path(const std::string& path) {
  std::string whole = path;
  if (whole.empty() || whole[0] != '/') {
    char here[4096];
    if (::getcwd(here, sizeof here) != nullptr) whole = std::string(here) + "/" + path;
  }
  std::vector<std::string> parts;
  std::size_t at = 0;
  while (at <= whole.size()) {
    const std::size_t slash = std::min(whole.find('/', at), whole.size());
    const std::string part = whole.substr(at, slash - at);
    at = slash + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
      continue;
    }
    parts.push_back(part);
  }
  std::string out;
  for (const std::string& part : parts) out += "/" + part;
  return out.empty() ? "/" : out;
}

}  // namespace holdfast::cli
