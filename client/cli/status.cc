// `holdfast status` and `holdfast config check`.
#include <nlohmann/json.hpp>

#include "client/cli/app.h"
#include "client/sources/files.h"
#include "common/console/format.h"

namespace holdfast::cli {
namespace {

constexpr auto kExpiryWarning = std::chrono::hours(24 * 14);

int status(const Global& global) {
  console::Console out("holdfast", global.output);
  const Result<Opened> opened = open_config(global);
  if (!opened) return fail(out, opened.error());
  const keyring::Keyring& ring = opened->keyring;
  const std::string server = opened->config.server.empty() ? ring.service : opened->config.server;
  const Result<identity::CertificateFacts> facts = identity::inspect(ring.tls.certificate_pem);
  if (!facts) return fail(out, facts.error());
  console::Json result{{"type", "result"},
                       {"ok", true},
                       {"name", ring.name.uri()},
                       {"server", server},
                       {"certificate_expires", rfc3339(facts->not_after)},
                       {"write_only", ring.signing && !ring.read}};
  out.print("Name         " + ring.name.uri() + (ring.signing && !ring.read ? " (write-only)" : ""));
  out.print("Certificate  valid until " + rfc3339(facts->not_after));
  const Result<std::unique_ptr<remote::Remote>> remote = connect(*opened, global);
  out.print("Server       " + printable(server) + (remote ? ", reachable" : ", not usable now"));
  if (!remote) return fail(out, remote.error());
  int code = console::kDone;
  const auto warn = [&](const std::string& text) {
    out.warning(text);
    code = console::kWarnings;
  };
  if (ring.name.role == identity::Role::Client) {
    const Result<remote::Account> account = (*remote)->account({});
    if (!account) return fail(out, account.error());
    result["plan"] = account->plan;
    const Result<std::vector<remote::SnapshotRow>> own = (*remote)->snapshots({});
    if (!own) return fail(out, own.error());
    const std::int64_t newest_ns = own->empty() ? 0 : own->back().received_ns;
    result["snapshots"] = own->size();
    result["used_bytes"] = account->used_bytes;
    result["quota_bytes"] = account->quota_bytes;
    result["health"] = account->health;
    result["tenant_snapshots"] = account->snapshots;
    if (!own->empty()) result["newest"] = rfc3339(from_ns(newest_ns));
    out.print("Plan         " + printable(account->plan));
    out.print("Snapshots    " + console::human_count(own->size()) + " of this machine" +
              (own->empty() ? "" : ", newest " + rfc3339(from_ns(newest_ns))));
    out.print("Tenant       " + console::human_count(account->snapshots) + " snapshots, stored " +
              console::human_bytes(account->used_bytes) +
              (account->quota_bytes > 0 ? " of " + console::human_bytes(account->quota_bytes) : ""));
    out.print("Health       " + printable(account->health));
    if (account->health != "ok") warn("the server says of this tenant: " + printable(account->health));
  }
  report_skew(out, **remote);
  if (facts->not_after - system_clock().wall() < kExpiryWarning)
    warn("the certificate expires soon; enrol again before that (holdfastctl(8), RENEWAL)");
  const std::string kit = fs::join(fs::parent(opened->config.keyring), "tenant.kit");
  if (fs::real().stat(kit))
    warn("the tenant's kit is still on this machine (" + printable(kit) + "): move it to a safe place");
  out.json(result);
  return code;
}

int check_config(const Global& global) {
  console::Console out("holdfast", global.output);
  const Result<Opened> opened = open_config(global);
  if (!opened) return fail(out, opened.error());
  const Result<sources::GlobList> patterns = sources::GlobList::compile(opened->config.files.excludes);
  if (!patterns) return fail(out, patterns.error());
  console::Json result{{"type", "result"}, {"ok", true}, {"config", global.config_path}};
  out.json(result);
  out.print("The configuration " + printable(global.config_path) + " is right.");
  return console::kDone;
}

}  // namespace

void add_status(CLI::App& app, Body* body) {
  CLI::App* command = app.add_subcommand("status", "This machine's enrolment, its server, its newest snapshot");
  command->callback([=] { *body = status; });
}

void add_config(CLI::App& app, Body* body) {
  CLI::App* config = app.add_subcommand("config", "The configuration file");
  config->require_subcommand(1);
  CLI::App* check = config->add_subcommand("check", "Read the configuration and say what is wrong with it");
  check->callback([=] { *body = check_config; });
}

}  // namespace holdfast::cli
