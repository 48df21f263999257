// holdfastd: makes a data directory, or serves it. Wires what the modules offer; decides nothing itself.

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>

#include "common/base/log.h"
#include "common/base/version.h"
#include "common/console/command_line.h"
#include "common/console/console.h"
#include "common/console/exit_code.h"
#include "common/crypto/hash.h"
#include "common/runtime/signals.h"
#include "common/runtime/timer.h"
#include "server/admin/admin.h"
#include "server/admin/collecting.h"
#include "server/config/data_dir.h"
#include "server/session/enrolment.h"
#include "server/session/session.h"
#include "server/session/uptime_file.h"

namespace holdfast {
namespace {

static_assert(session::kProtocol == console::kProtocolVersion);

constexpr std::size_t kCareThreads = 2;          ///< checks and rebuilds beside each other
constexpr std::size_t kAdminThreads = 2;         ///< the other requests of administration: each takes moments
constexpr std::chrono::minutes kFirstRound{10};  ///< of collection, after the start: clients come first
constexpr std::chrono::seconds kLastWords{2};    ///< of connections that have ended, within the drain

/// The daemon's parts, in the order in which they are made; the pools go first, so that no job outlives what it uses.
class Daemon {
 public:
  Daemon(const config::ServerConfig& config, std::string config_file, config::ServerKeys keys)
      : config_(config),
        config_file_(std::move(config_file)),
        keys_(std::move(keys)),
        operators_(fs::real(), system_clock(), system_random(), fs::join(config.data_dir, "operators")),
        denied_(fs::real(), system_clock(), fs::join(config.data_dir, "denied")),
        uptime_(fs::real(), system_clock(), config.data_dir),
        disk_(config.disk_threads, "disk"),
        care_(kCareThreads, "care"),
        admin_pool_(kAdminThreads, "admin"),
        rounds_(1, "collect") {}

  /// Serves until a signal ends it. Returns after the drain. Errors: those of the start.
  Status run() {
    uptime_.save();
    HF_TRY_DO(open_tenants());
    HF_TRY_DO(listen_all());
    const runtime::Signals signals(loop_, {SIGTERM, SIGINT, SIGHUP}, [this](int number) { on_signal(number); });
    ready();
    note_uptime_later();
    if (config_.collect_hours > 0) schedule_round(kFirstRound);
    loop_.run();
    stop_rounds_ = true;
    uptime_.save();
    return {};
  }
  /// Something still runs that nobody waits for (a check of hours): leave without waiting for it.
  bool busy() const { return busy_; }

 private:
  Status open_tenants() {
    tenant::Environment env{fs::real(), system_clock(), system_random(),
                            index::make_shared_resources(config_.index_cache_bytes, config_.index_write_buffer_bytes),
                            keys_.receipt};
    env.floor_bytes = config_.min_free_bytes;
    env.uptime = &uptime_.uptime();
    HF_TRY(tenants_, session::Tenants::open(env, config_.data_dir, config_.open_tenants));
    access_ = std::make_unique<session::Access>(*tenants_, operators_, denied_);
    return {};
  }

  Status listen_all() {
    HF_TRY_DO(listen_service());
    HF_TRY_DO(listen_enrolment());
    return listen_admin();
  }

  Status listen_service() {
    service_context_.emplace(
        session::ServiceContext{loop_,
                                disk_,
                                sessions_,
                                {*tenants_, *access_, system_clock(), std::string("holdfastd ") + HF_VERSION},
                                system_random(),
                                {}});
    service_context_->deadlines.idle = std::chrono::seconds(config_.idle_seconds);
    service_context_->deadlines.frame = std::chrono::seconds(config_.frame_seconds);
    transport::ServerOptions options;
    options.listen = config_.listen;
    options.certificate = keys_.server;
    options.ca_pem = keys_.ca.certificate_pem;
    options.alpn = "holdfast/1";
    options.max_connections = config_.max_connections;
    options.denied = [this](const identity::CertificateFacts& facts) { return access_->denied(facts); };
    HF_TRY(service_,
           transport::listen(loop_, std::move(options), [this](std::unique_ptr<transport::FrameStream> stream) {
             return session::serve(*service_context_, std::move(stream));
           }));
    return {};
  }

  Status listen_enrolment() {
    const session::Issuer issuer{keys_.ca, keys_.receipt.public_key(),
                                 std::chrono::hours(24 * config_.certificate_days)};
    enrolment_context_.emplace(session::EnrolmentContext{
        loop_, disk_, *tenants_, operators_, issuer, system_clock(), system_random(),
        session::RateLimit(system_clock(), config_.enroll_per_address, config_.enroll_total)});
    transport::ServerOptions options;
    options.listen = config_.enroll_listen;
    options.certificate = keys_.server;
    options.ca_pem = keys_.ca.certificate_pem;
    options.require_peer = false;
    options.alpn = "holdfast-enrol/1";
    options.max_connections = config_.enroll_max_connections;
    HF_TRY(enrolment_,
           transport::listen(loop_, std::move(options), [this](std::unique_ptr<transport::FrameStream> stream) {
             return session::serve_enrolment(*enrolment_context_, std::move(stream));
           }));
    return {};
  }

  Status listen_admin() {
    HF_TRY(const config::Dialled dialled, config::dialled(config_, service_->address(), enrolment_->address()));
    HF_TRY(const Digest fingerprint, identity::certificate_fingerprint(keys_.ca.certificate_pem));
    admin_context_.emplace(admin::AdminContext{
        loop_, admin_pool_, care_, sessions_, *tenants_, operators_, denied_, fs::real(), system_clock(),
        system_random(), config_.data_dir, std::string(HF_VERSION) + " (commit " + HF_COMMIT + ")",
        system_clock().wall(), dialled, fingerprint, keys_.receipt.public_key(), collect_options()});
    HF_TRY(admin_, transport::listen_unix(loop_, fs::join(config_.data_dir, config::kAdminSocket),
                                          [this](std::unique_ptr<transport::FrameStream> stream) {
                                            return admin::serve_admin(*admin_context_, std::move(stream));
                                          }));
    return {};
  }

  collect::CollectOptions collect_options() const {
    collect::CollectOptions options;
    options.trash = std::chrono::hours(24 * config_.trash_days);
    options.plan.rewrite_bytes = config_.collect_rewrite_bytes;
    options.stop = &stop_rounds_;
    return options;
  }

  /// Rounds never overlap: the next one is planned when one has ended.
  void schedule_round(std::chrono::nanoseconds in) {
    next_round_ = runtime::after(loop_, in, [this] {
      rounds_.post([this] {
        admin::collect_round(*tenants_, collect_options());
        loop_.post([this] { schedule_round(std::chrono::hours(config_.collect_hours)); });
      });
    });
  }

  /// The one line that says: clients may come. It is written whatever the log level is.
  void ready() {
    log::set_level(std::min(config_.level(), log::Level::Info));
    log::info("ready", {{"service", service_->address()},
                        {"enrolment", enrolment_->address()},
                        {"version", HF_VERSION},
                        {"data_dir", config_.data_dir}});
    log::set_level(config_.level());
    ::sd_notifyf(0, "READY=1\nSTATUS=serving on %s, enrolment on %s", service_->address().c_str(),
                 enrolment_->address().c_str());
  }

  void note_uptime_later() {
    next_note_ = runtime::after(loop_, session::UptimeFile::kInterval, [this] {
      admin_pool_.post([this] { uptime_.save(); });
      note_uptime_later();
    });
  }

  void on_signal(int number) {
    if (number == SIGHUP) return reload();
    if (draining_) ::_exit(128 + number);  // asked twice: at once; everything acknowledged is durable
    draining_ = true;
    stop_rounds_ = true;
    log::info("draining", {{"signal", number}});
    ::sd_notify(0, "STOPPING=1");
    runtime::Task<void> draining = drain();
    loop_.spawn(std::move(draining), [this](Status) { loop_.stop(); });
  }

  void reload() {
    ::sd_notify(0, "RELOADING=1");
    const Result<config::ServerConfig> again = config::load(fs::real(), config_file_);
    if (again) {
      log::set_level(again->level());
      log::info("log level read again", {{"level", again->log_level}});
    } else {
      log::error("configuration not read again", {{"why", again.error().message}});
    }
    ::sd_notify(0, "READY=1");
  }

  runtime::Task<void> drain() {
    for (transport::Listener* listener : {service_.get(), enrolment_.get(), admin_.get()}) listener->close();
    const std::chrono::nanoseconds limit = std::chrono::seconds(config_.drain_seconds);
    const Status drained = co_await sessions_.drain(
        std::max<std::chrono::nanoseconds>(limit - 3 * kLastWords, std::chrono::nanoseconds(0)));
    if (!drained) log::warning("not drained in time", {{"why", drained.error().message}});
    enrolment_->close_connections();
    admin_->close_connections();
    for (transport::Listener* listener : {service_.get(), enrolment_.get(), admin_.get()}) {
      const Status ended = co_await listener->drained(kLastWords);
      busy_ = busy_ || !ended;
    }
    log::info("stopped", {{"clean", busy_ ? "no" : "yes"}});
    co_return Status{};
  }

  const config::ServerConfig config_;
  const std::string config_file_;
  const config::ServerKeys keys_;
  session::Operators operators_;
  session::DenyList denied_;
  session::UptimeFile uptime_;
  std::unique_ptr<session::Tenants> tenants_;
  std::unique_ptr<session::Access> access_;
  session::Sessions sessions_;
  std::optional<session::ServiceContext> service_context_;
  std::optional<session::EnrolmentContext> enrolment_context_;
  std::optional<admin::AdminContext> admin_context_;
  runtime::Loop loop_;
  runtime::Timer next_note_;
  std::unique_ptr<transport::Listener> service_, enrolment_, admin_;
  runtime::Timer next_round_;
  std::atomic<bool> stop_rounds_ = false;
  bool draining_ = false, busy_ = false;
  runtime::Pool disk_, care_, admin_pool_, rounds_;
};

/// Signals, descriptors, no core dumps with keys in them.
void set_up_process() {
  ::umask(077);
  std::signal(SIGPIPE, SIG_IGN);
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
}

Result<config::ServerConfig> load_config(const std::string& file) {
  Result<config::ServerConfig> config = config::load(fs::real(), file);
  if (!config && config.error().code == Errc::NotFound) return Error{Errc::Config, config.error().message};
  return config;
}

/// Returns when the daemon has been stopped.
Status serve(const std::string& config_file) {
  HF_TRY(const config::ServerConfig config, load_config(config_file));
  log::init(config.level(), config.format());
  // Looked at before anything is touched: a newer program's directory stays as it is.
  HF_TRY_DO(config::check_data_version(fs::real(), config.data_dir));
  HF_TRY(const std::unique_ptr<fs::Lock> lock, config::lock_data_dir(fs::real(), config.data_dir));
  HF_TRY(config::ServerKeys keys,
         config::load_keys(fs::real(), system_clock(), config).context("read the server's keys"));
  if (keys.renewed) log::info("server certificate renewed", {{"name", config.name}});
  const auto daemon = std::make_unique<Daemon>(config, config_file, std::move(keys));
  HF_TRY_DO(daemon->run());
  if (daemon->busy()) ::_exit(console::kDone);
  return {};
}

Status make_data_dir(const config::InitOptions& options, console::Console& out) {
  HF_TRY(const config::ServerConfig config, config::init(fs::real(), system_clock(), system_random(), options));
  const std::string file = fs::join(config.data_dir, config::kConfigFile);
  out.print("made " + printable(config.data_dir) + "; every option stands in " + printable(file));
  out.print("start it with: holdfastd --config " + printable(file));
  return {};
}

Status check_config(const std::string& file, console::Console& out) {
  HF_TRY(const config::ServerConfig config, load_config(file));
  HF_TRY_DO(config::check_data_version(fs::real(), config.data_dir));
  out.print(printable(file) + ": no errors");
  return {};
}

int parse_and_run(int argc, char** argv) {
  std::string config_file = "/etc/holdfast/server.toml";
  config::InitOptions options;
  CLI::App app{"The Holdfast server: keeps customers' encrypted backups."};
  app.name("holdfastd");
  app.require_subcommand(0, 1);
  app.set_version_flag("--version", console::version_text("holdfastd"));
  app.add_option("--config", config_file, "server.toml")->capture_default_str();
  CLI::App* const init = app.add_subcommand("init", "Make a data directory: server.toml, CA, keys");
  init->add_option("--data-dir", options.data_dir, "Absolute; must not exist, or be empty")->required();
  init->add_option("--listen", options.listen, "Service address, ADDR:PORT")->required();
  init->add_option("--public", options.public_address,
                   "What clients dial, HOST[:PORT]; needed when listening on a wildcard");
  init->add_option("--enroll-listen", options.enroll_listen, "Enrolment address, ADDR:PORT (default: the next port)");
  init->add_option("--name", options.name, "The server's name in its certificate (default: holdfast)");
  CLI::App* const config = app.add_subcommand("config", "The configuration");
  config->require_subcommand(1);
  config->fallthrough();
  config->add_subcommand("check", "Read it, say what is wrong")->fallthrough();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& failure) {
    if (failure.get_exit_code() == 0) return app.exit(failure);  // --help, --version
    std::fprintf(stderr, "holdfastd: %s\nRun `holdfastd --help`.\n", console::usage_text(app, failure).c_str());
    return console::kUsage;
  }
  console::Console out("holdfastd", {});
  Status done;
  if (*init)
    done = make_data_dir(options, out);
  else if (*config)
    done = check_config(config_file, out);
  else
    done = serve(config_file);
  if (done) done = out.finish();
  return done ? console::kDone : out.fail(done.error());
}

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) {
  holdfast::set_up_process();
  holdfast::crypto::init();
  try {
    return holdfast::parse_and_run(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("holdfastd: out of memory\n", stderr);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "holdfastd: internal error: %s\n", holdfast::printable(failure.what()).c_str());
  }
  return holdfast::console::kFailed;
}
