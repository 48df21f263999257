#include "server/ctl/ctl.h"

#include <nlohmann/json.hpp>

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/console/command_line.h"
#include "common/console/format.h"
#include "common/identity/identity.h"
#include "server/ctl/command.h"
#include "server/ctl/show.h"

namespace holdfast::ctl {
namespace {

using console::Console;
using console::Json;

// ---- tenants ----

int tenant_add(Console& out, const std::string& socket, const Arguments& arguments) {
  v1::AdminRequest request;
  v1::TenantAdd* const call = request.mutable_tenant_add();
  call->set_name(arguments.name);
  call->set_plan(arguments.plan);
  if (!arguments.quota.empty()) {
    const Result<std::uint64_t> quota = console::parse_bytes(arguments.quota).context("--quota");
    if (!quota) return out.fail(quota.error());
    call->set_quota_bytes(*quota);
  }
  const Status asked = ask(socket, request, [&](const v1::AdminResponse& response) {
    show_note(out, response);
    for (const v1::TenantInfo& tenant : response.tenants()) {
      Json object = {{"type", "result"}, {"ok", true}, {"tenant", to_json(tenant)}};
      if (!response.note().empty()) object["note"] = response.note();
      out.json(object);
      out.print("tenant " + printable(tenant.name()) + " added: plan " + printable(tenant.plan()) + ", quota " +
                (tenant.quota_bytes() == 0 ? "none" : console::human_bytes(tenant.quota_bytes())));
    }
  });
  return end(out, asked);
}

int tenant_list(Console& out, const std::string& socket, const Arguments&) {
  v1::AdminRequest request;
  request.mutable_tenant_list();
  std::vector<v1::TenantInfo> tenants;
  const Status asked = ask(socket, request, [&](const v1::AdminResponse& response) {
    tenants.insert(tenants.end(), response.tenants().begin(), response.tenants().end());
  });
  if (asked) {
    Json list = Json::array();
    for (const v1::TenantInfo& tenant : tenants) list.push_back(to_json(tenant));
    out.json({{"tenants", std::move(list)}});
    show_tenants(out, tenants);
  }
  return end(out, asked);
}

// ---- machines and people ----

int add_holder(Console& out, const std::string& socket, const v1::AdminRequest& request) {
  const Status asked = ask(socket, request, [&](const v1::AdminResponse& response) {
    show_note(out, response);
    if (response.token().empty()) return;
    out.print(response.token());
    Json object = {{"token", response.token()}};
    if (const auto token = identity::decode_token(response.token()); token) {
      object["name"] = token->name.uri();
      object["service"] = token->service;
      object["enrolment"] = token->enrolment;
      object["expires"] = rfc3339(from_ns(token->expires_ns));
    }
    out.json(object);
  });
  return end(out, asked);
}

Result<std::int64_t> token_seconds(const Arguments& arguments) {
  if (arguments.expires.empty()) return std::int64_t{0};
  HF_TRY(const std::chrono::seconds time, console::parse_duration(arguments.expires).context("--expires"));
  if (time.count() == 0) return Error{Errc::Usage, "--expires: a token that has expired already helps nobody"};
  return time.count();
}

int client_add(Console& out, const std::string& socket, const Arguments& arguments) {
  const Result<std::int64_t> seconds = token_seconds(arguments);
  if (!seconds) return out.fail(seconds.error());
  v1::AdminRequest request;
  request.mutable_client_add()->set_name(arguments.name);
  request.mutable_client_add()->set_token_seconds(*seconds);
  return add_holder(out, socket, request);
}

int operator_add(Console& out, const std::string& socket, const Arguments& arguments) {
  const Result<std::int64_t> seconds = token_seconds(arguments);
  if (!seconds) return out.fail(seconds.error());
  v1::AdminRequest request;
  request.mutable_operator_add()->set_name(arguments.name);
  request.mutable_operator_add()->set_token_seconds(*seconds);
  return add_holder(out, socket, request);
}

int revoke(Console& out, const std::string& socket, const std::string& name) {
  v1::AdminRequest request;
  request.mutable_client_revoke()->set_name(name);
  const Status asked = ask(socket, request, [&](const v1::AdminResponse& response) {
    if (response.note().empty()) return;
    out.print(printable(response.note()));
    out.json({{"type", "result"}, {"ok", true}, {"revoked", name}, {"note", response.note()}});
  });
  return end(out, asked);
}

int client_revoke(Console& out, const std::string& socket, const Arguments& arguments) {
  return revoke(out, socket, arguments.name);
}
int operator_revoke(Console& out, const std::string& socket, const Arguments& arguments) {
  return revoke(out, socket, "operator/" + arguments.name);
}

// ---- questions and care ----

int snapshots(Console& out, const std::string& socket, const Arguments& arguments) {
  v1::AdminRequest request;
  request.mutable_snapshots()->set_subject(arguments.subject);
  std::vector<v1::SnapshotInfo> found;
  const Status asked = ask(socket, request, [&](const v1::AdminResponse& response) {
    found.insert(found.end(), response.snapshots().begin(), response.snapshots().end());
  });
  if (asked) {
    Json list = Json::array();
    for (const v1::SnapshotInfo& snapshot : found) list.push_back(to_json(snapshot));
    out.json({{"snapshots", std::move(list)}});
    show_snapshots(out, found);
  }
  return end(out, asked);
}

int check(Console& out, const std::string& socket, const Arguments& arguments) {
  v1::AdminRequest request;
  request.mutable_check()->set_tenant(arguments.tenant);
  request.mutable_check()->set_read_data(arguments.read_data);
  int code = console::kDone;
  v1::CheckSummary summary;
  const Status asked = ask(socket, request, [&](const v1::AdminResponse& response) {
    for (const v1::Finding& finding : response.findings()) {
      if (!finding.note()) code = console::kDamaged;
      show_finding(out, finding);
      out.json(to_json(finding));
    }
    if (response.has_check_summary()) summary = response.check_summary();
  });
  if (!asked) return end(out, asked);
  out.print(console::counted(summary.snapshots(), "snapshot") + ", " + console::counted(summary.packs(), "pack") +
            ", " + console::counted(summary.blobs(), "blob") + ", " +
            console::counted(summary.records(), "journal record") + ", " + console::human_bytes(summary.bytes_read()) +
            " read: " +
            (code == console::kDone ? "no damage"
                                    : console::counted(summary.damaged_files(), "damaged file") + ", " +
                                          console::counted(summary.damaged_snapshots(), "damaged snapshot")));
  Json result = {{"type", "result"}, {"ok", code == console::kDone}, {"exit_code", code}};
  result.update(to_json(summary));
  out.json(result);
  if (code != console::kDone)
    out.error("damage was found: restores of what is not named go on; keep the damaged files and see the log");
  return end(out, asked, code);
}

int rebuild_index(Console& out, const std::string& socket, const Arguments& arguments) {
  v1::AdminRequest request;
  request.mutable_rebuild_index()->set_tenant(arguments.tenant);
  const Status asked = ask(socket, request, [&](const v1::AdminResponse& response) {
    if (!response.has_rebuild_summary()) return;
    const v1::RebuildSummary& sum = response.rebuild_summary();
    out.print("index of " + std::to_string(sum.tenants()) + " tenants rebuilt from " + std::to_string(sum.packs()) +
              " packs: " + console::human_count(sum.blobs()) + " blobs in " +
              console::human_duration(std::chrono::nanoseconds(static_cast<std::int64_t>(sum.seconds() * 1e9))));
    Json result = {{"type", "result"}, {"ok", true}};
    result.update(to_json(sum));
    out.json(result);
  });
  return end(out, asked);
}

int collect(Console& out, const std::string& socket, const Arguments& arguments) {
  v1::AdminRequest request;
  request.mutable_collect()->set_tenant(arguments.tenant);
  request.mutable_collect()->set_dry_run(arguments.dry_run);
  int code = console::kDone;
  const Status asked = ask(socket, request, [&](const v1::AdminResponse& response) {
    if (!response.has_collect_report()) return;
    const v1::CollectReport& report = response.collect_report();
    code = console::graver(code, show_collect(out, report));
    out.json(to_json(report));
  });
  if (!asked) return end(out, asked);
  out.json({{"type", "result"}, {"ok", code == console::kDone}, {"exit_code", code}});
  return end(out, asked, code);
}

int usage(Console& out, const std::string& socket, const Arguments& arguments) {
  v1::AdminRequest request;
  request.mutable_usage()->set_tenant(arguments.tenant);
  int code = console::kDone;
  const Status asked = ask(socket, request, [&](const v1::AdminResponse& response) {
    if (!response.has_usage_report()) return;
    code = console::graver(code, show_usage(out, response.usage_report()));
    out.json(to_json(response.usage_report()));
  });
  if (!asked) return end(out, asked);
  out.json({{"type", "result"}, {"ok", code == console::kDone}, {"exit_code", code}});
  return end(out, asked, code);
}

int status(Console& out, const std::string& socket, const Arguments&) {
  v1::AdminRequest request;
  request.mutable_status();
  const Status asked = ask(socket, request, [&](const v1::AdminResponse& response) {
    if (response.has_status_report()) show_status(out, response.status_report());
  });
  return end(out, asked);
}

// ---- the command line ----

void add_tenant_commands(CLI::App& app, Arguments& arguments, Command* chosen) {
  CLI::App* const tenant = app.add_subcommand("tenant", "Customers");
  tenant->require_subcommand(1);
  CLI::App* const add = command(*tenant, "add", "Add a tenant", chosen, tenant_add);
  add->add_option("NAME", arguments.name, "Lower-case letters, digits, '.', '_', '-'")->required();
  add->add_option("--plan", arguments.plan, "30d, 2y, … (default 30d, which is said aloud)");
  add->add_option("--quota", arguments.quota, "500G, 2T, … (default: none)");
  command(*tenant, "list", "All tenants", chosen, tenant_list);
}

void add_holder_commands(CLI::App& app, Arguments& arguments, Command* chosen) {
  CLI::App* const client = app.add_subcommand("client", "Machines of a tenant");
  client->require_subcommand(1);
  CLI::App* const add = command(*client, "add", "Make a one-time enrolment token", chosen, client_add);
  add->add_option("TENANT/CLIENT", arguments.name)->required();
  add->add_option("--expires", arguments.expires, "Lifetime of the token: 90m, 24h, 7d (default 24h)");
  CLI::App* const cut =
      command(*client, "revoke", "Refuse a client from now on; its snapshots stay", chosen, client_revoke);
  cut->add_option("TENANT/CLIENT", arguments.name)->required();
  add_client_retire(*client, arguments, chosen);

  CLI::App* const person = app.add_subcommand("operator", "People who restore for customers");
  person->require_subcommand(1);
  CLI::App* const add_person = command(*person, "add", "Make a one-time enrolment token", chosen, operator_add);
  add_person->add_option("NAME", arguments.name)->required();
  add_person->add_option("--expires", arguments.expires, "Lifetime of the token (default 24h)");
  CLI::App* const cut_person = command(*person, "revoke", "Refuse an operator from now on", chosen, operator_revoke);
  cut_person->add_option("NAME", arguments.name)->required();
}

void add_questions(CLI::App& app, Arguments& arguments, Command* chosen) {
  command(app, "snapshots", "Snapshots of all, of a tenant, of a client", chosen, snapshots)
      ->add_option("TENANT[/CLIENT]", arguments.subject);
  CLI::App* const whole =
      command(app, "check", "Is everything what was stored? Exit 6 names what is not", chosen, check);
  whole->add_flag("--read-data", arguments.read_data, "Read every stored byte");
  whole->add_option("TENANT", arguments.tenant);
  command(app, "rebuild-index", "Make the index anew from the packs", chosen, rebuild_index)
      ->add_option("TENANT", arguments.tenant);
  CLI::App* const space = command(app, "collect", "Give back the space of what nothing refers to", chosen, collect);
  space->add_flag("--dry-run", arguments.dry_run, "Say what would be done, change nothing");
  space->add_option("TENANT", arguments.tenant);
  command(app, "usage", "Where the bytes of a tenant are, and when some come back", chosen, usage)
      ->add_option("TENANT", arguments.tenant);
  command(app, "status", "The daemon and its tenants", chosen, status);
}

int parse_and_run(int argc, char** argv) {
  Arguments arguments;
  Command chosen = nullptr;
  CLI::App app{"Administers a running holdfastd."};
  app.name("holdfastctl");
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", console::version_text("holdfastctl"));
  app.add_option("--config", arguments.config, "The daemon's server.toml")->capture_default_str();
  app.add_flag("--json", arguments.output.json, "Answers for programs");
  app.add_flag("-q,--quiet", arguments.output.quiet, "Errors and warnings only");
  app.add_flag("-v,--verbose", arguments.output.verbose, "Say more");
  add_tenant_commands(app, arguments, &chosen);
  add_holder_commands(app, arguments, &chosen);
  add_questions(app, arguments, &chosen);
  add_life_commands(app, arguments, &chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& failure) {
    if (failure.get_exit_code() == 0) return app.exit(failure);  // --help, --version
    std::fprintf(stderr, "holdfastctl: %s\nRun `holdfastctl --help` or `holdfastctl COMMAND --help`.\n",
                 console::usage_text(app, failure).c_str());
    return console::kUsage;
  }
  Console out("holdfastctl", arguments.output);
  const Result<std::string> socket = socket_path(arguments.config);
  if (!socket)
    return socket.error().code == Errc::NotFound ? out.fail({Errc::Config, socket.error().message})
                                                 : out.fail(socket.error());
  return chosen(out, *socket, arguments);
}

}  // namespace

int run(int argc, char** argv) {
  try {
    return parse_and_run(argc, argv);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "holdfastctl: %s\n", printable(failure.what()).c_str());
    return console::kFailed;
  }
}

}  // namespace holdfast::ctl
