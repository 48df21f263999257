// purge, snapshot lock|undelete|explain, source …, client retire.

#include <nlohmann/json.hpp>

#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "server/ctl/command.h"
#include "server/ctl/life_text.h"

namespace holdfast::ctl {
namespace {

using console::Console;
using console::Json;

// ---- purge ----

/// A tenant's lists may come in several answers; the one without `more` has the figures.
void join(v1::PurgeReport& sum, v1::PurgeReport part) {
  part.mutable_deleted()->MergeFrom(sum.deleted());
  part.mutable_locked()->MergeFrom(sum.locked());
  part.mutable_paused()->MergeFrom(sum.paused());
  sum = std::move(part);
}

int purge(Console& out, const std::string& socket, const Arguments& arguments) {
  v1::AdminRequest request;
  request.mutable_purge()->set_tenant(arguments.tenant);
  request.mutable_purge()->set_dry_run(arguments.dry_run);
  int code = console::kDone;
  Json tenants = Json::array();
  v1::PurgeReport report;
  const Status asked = ask(socket, request, [&](const v1::AdminResponse& response) {
    if (!response.has_purge_report()) return;
    join(report, response.purge_report());
    if (report.more()) return;
    if (!out.options().quiet)
      for (const std::string& sentence : sentences_of(report)) out.print(sentence);
    if (is_held(report)) code = console::kWarnings;
    tenants.push_back(to_json(report));
    report.Clear();
  });
  if (!asked) {
    if (!tenants.empty()) out.json({{"type", "purge"}, {"tenants", std::move(tenants)}});
    return end(out, asked);
  }
  if (code == console::kWarnings)
    out.warning(
        "some snapshots that are due were held by the cap or by the clock: `holdfastctl purge --dry-run` names them");
  out.json({{"type", "result"}, {"ok", true}, {"exit_code", code}, {"tenants", std::move(tenants)}});
  return end(out, asked, code);
}

// ---- one snapshot ----

int tell(Console& out, const std::string& socket, const v1::AdminRequest& request) {
  const Status asked = ask(socket, request, [&](const v1::AdminResponse& response) {
    if (!response.has_snapshot_story()) return;
    for (const std::string& sentence : sentences_of(response.snapshot_story())) out.print(sentence);
    Json result = {{"type", "result"}, {"ok", true}};
    result["snapshot"] = to_json(response.snapshot_story());
    out.json(result);
  });
  return end(out, asked);
}

int snapshot_lock(Console& out, const std::string& socket, const Arguments& arguments) {
  v1::AdminRequest request;
  request.mutable_snapshot_lock()->set_snapshot(arguments.snapshot);
  return tell(out, socket, request);
}
int snapshot_undelete(Console& out, const std::string& socket, const Arguments& arguments) {
  v1::AdminRequest request;
  request.mutable_snapshot_undelete()->set_snapshot(arguments.snapshot);
  return tell(out, socket, request);
}
int snapshot_explain(Console& out, const std::string& socket, const Arguments& arguments) {
  v1::AdminRequest request;
  request.mutable_snapshot_explain()->set_snapshot(arguments.snapshot);
  return tell(out, socket, request);
}

// ---- sources ----

int source_list(Console& out, const std::string& socket, const Arguments& arguments) {
  v1::AdminRequest request;
  request.mutable_source_list()->set_subject(arguments.subject);
  std::vector<v1::SourceInfo> sources;
  const Status asked = ask(socket, request, [&](const v1::AdminResponse& response) {
    sources.insert(sources.end(), response.sources().begin(), response.sources().end());
  });
  if (asked) {
    Json list = Json::array();
    for (const v1::SourceInfo& one : sources) list.push_back(to_json(one));
    out.json({{"sources", std::move(list)}});
    show_sources(out, sources);
  }
  return end(out, asked);
}

int say(Console& out, const std::string& socket, const v1::AdminRequest& request) {
  const Status asked = ask(socket, request, [&](const v1::AdminResponse& response) {
    if (response.note().empty()) return;
    out.print(printable(response.note()));
    out.json({{"type", "result"}, {"ok", true}, {"note", response.note()}});
  });
  return end(out, asked);
}

int set_source(Console& out, const std::string& socket, const Arguments& arguments, bool retired) {
  v1::AdminRequest request;
  v1::SourceSet* const call = request.mutable_source_set();
  call->set_client(arguments.name);
  call->set_retired(retired);
  call->set_label(arguments.label);
  if (!arguments.source.empty()) {
    const Result<SourceId> id = SourceId::from_hex(arguments.source).context("SOURCE-ID '" + arguments.source + "'");
    if (!id)
      return out.fail({Errc::Usage, id.error().message + " (`holdfastctl source list` shows the ids: 32 hex digits)"});
    call->set_source(std::string(as_text(id->bytes)));
  }
  return say(out, socket, request);
}
int source_register(Console& out, const std::string& socket, const Arguments& arguments) {
  return set_source(out, socket, arguments, false);
}
int source_retire(Console& out, const std::string& socket, const Arguments& arguments) {
  return set_source(out, socket, arguments, true);
}

int client_retire(Console& out, const std::string& socket, const Arguments& arguments) {
  v1::AdminRequest request;
  request.mutable_client_retire()->set_client(arguments.name);
  return say(out, socket, request);
}

void add_source_command(CLI::App& source, Arguments& arguments, Command* chosen, const char* name, const char* text,
                        Command which) {
  CLI::App* const made = command(source, name, text, chosen, which);
  made->add_option("TENANT/CLIENT", arguments.name)->required();
  made->add_option("SOURCE-ID", arguments.source, "32 hex digits; without it, the client as a whole");
  made->add_option("--label", arguments.label, "For people: shown in lists and by explain");
}

}  // namespace

void add_client_retire(CLI::App& client, Arguments& arguments, Command* chosen) {
  command(client, "retire", "Its newest snapshots go by age too, from now on", chosen, client_retire)
      ->add_option("TENANT/CLIENT", arguments.name)
      ->required();
}

void add_life_commands(CLI::App& app, Arguments& arguments, Command* chosen) {
  CLI::App* const pass =
      command(app, "purge", "Lock what is due, delete what has been locked for long enough", chosen, purge);
  pass->add_option("TENANT", arguments.tenant, "Default: all tenants");
  pass->add_flag("--dry-run", arguments.dry_run, "Say what would be done");

  CLI::App* const snapshot =
      app.add_subcommand("snapshot", "One snapshot: hide it, take that back, ask why it is kept");
  snapshot->require_subcommand(1);
  const char* const spec = "TENANT/CLIENT/SEQUENCE, or at least 6 hex digits of its id";
  command(*snapshot, "lock", "Hide it from its client; it is deleted no earlier than without", chosen, snapshot_lock)
      ->add_option("SNAP", arguments.snapshot, spec)
      ->required();
  command(*snapshot, "undelete", "Make a locked one live again, for the whole term of its plan", chosen,
          snapshot_undelete)
      ->add_option("SNAP", arguments.snapshot, spec)
      ->required();
  command(*snapshot, "explain", "Why it is kept, when it is locked, deleted, erased, by which rule", chosen,
          snapshot_explain)
      ->add_option("SNAP", arguments.snapshot, spec)
      ->required();

  CLI::App* const source = app.add_subcommand("source", "Whose newest good snapshot stays, whatever its age");
  source->require_subcommand(1);
  command(*source, "list", "What is registered, retired, and was seen", chosen, source_list)
      ->add_option("TENANT[/CLIENT]", arguments.subject);
  add_source_command(*source, arguments, chosen, "register", "Keep its newest good snapshot", source_register);
  add_source_command(*source, arguments, chosen, "retire", "Let its newest snapshots go by age", source_retire);
}

}  // namespace holdfast::ctl
