#include "server/ctl/show.h"

#include <nlohmann/json.hpp>

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/console/exit_code.h"
#include "common/console/format.h"

namespace holdfast::ctl {
namespace {

using console::Json;
using console::Table;

Json time_json(std::int64_t ns) { return ns == 0 ? Json(nullptr) : Json(rfc3339(from_ns(ns))); }
std::string time_text(std::int64_t ns) { return ns == 0 ? "-" : rfc3339(from_ns(ns)); }
std::string hex(const std::string& id) { return to_hex(as_bytes(id)); }
/// With the date of their end, of those that have one.
std::string state_text(const v1::SnapshotInfo& snapshot) {
  if (snapshot.delete_not_before_ns() == 0) return snapshot.state();
  return snapshot.state() + ", deleted after " + time_text(snapshot.delete_not_before_ns());
}
std::string health_text(const std::string& health) { return health.empty() ? "ok" : health; }

/// A gap of less than a day is what reboots and repairs leave.
constexpr std::chrono::nanoseconds kNotableGap = std::chrono::hours(24);

void show_vault_gap(console::Console& out, const v1::TenantInfo& tenant) {
  const std::chrono::nanoseconds gap(tenant.vault_gap_ns());
  if (gap > kNotableGap)
    out.print("tenant " + printable(tenant.name()) + ": its vault clock is " + console::human_duration(gap) +
              " behind the wall clock; what is due waits as much longer");
  else if (gap < -kNotableGap)
    out.print("tenant " + printable(tenant.name()) + ": the wall clock is more than a day behind its vault clock");
}

}  // namespace

Json to_json(const v1::TenantInfo& tenant) {
  return {{"name", tenant.name()},
          {"id", hex(tenant.id())},
          {"plan", tenant.plan()},
          {"quota_bytes", tenant.quota_bytes()},
          {"used_bytes", tenant.used_bytes()},
          {"clients", tenant.clients()},
          {"snapshots", tenant.snapshots()},
          {"newest", time_json(tenant.newest_ns())},
          {"vault_clock_behind_seconds", tenant.vault_gap_ns() / 1'000'000'000},
          {"health", health_text(tenant.health())}};
}

Json to_json(const v1::SnapshotInfo& snapshot) {
  return {{"client", snapshot.client()},
          {"sequence", snapshot.sequence()},
          {"id", hex(snapshot.id())},
          {"received", time_json(snapshot.received_ns())},
          {"client_time", time_json(snapshot.client_ns())},
          {"kept_until_at_least", time_json(snapshot.lock_not_before_ns())},
          {"state", snapshot.state()},
          {"complete", snapshot.complete()},
          {"delete_not_before", time_json(snapshot.delete_not_before_ns())}};
}

Json to_json(const v1::Finding& finding) {
  Json snapshots = Json::array();
  for (const std::string& snapshot : finding.snapshots()) snapshots.push_back(snapshot);
  Json out = {{"type", finding.note() ? "note" : "damage"}};
  if (!finding.tenant().empty()) out["tenant"] = finding.tenant();
  console::put_path(out, "file", finding.file());
  out["what"] = finding.what();
  out["snapshots"] = std::move(snapshots);
  return out;
}

Json to_json(const v1::CheckSummary& summary) {
  return {{"packs", summary.packs()},
          {"blobs", summary.blobs()},
          {"bytes_read", summary.bytes_read()},
          {"snapshots", summary.snapshots()},
          {"records", summary.records()},
          {"damaged_files", summary.damaged_files()},
          {"damaged_snapshots", summary.damaged_snapshots()}};
}

Json to_json(const v1::RebuildSummary& summary) {
  return {{"tenants", summary.tenants()},
          {"packs", summary.packs()},
          {"blobs", summary.blobs()},
          {"seconds", summary.seconds()}};
}

void show_tenants(console::Console& out, const std::vector<v1::TenantInfo>& tenants) {
  Table table({{"TENANT"},
               {"PLAN"},
               {"CLIENTS", Table::Align::Right},
               {"SNAPSHOTS", Table::Align::Right},
               {"USED", Table::Align::Right},
               {"QUOTA", Table::Align::Right},
               {"NEWEST"},
               {"HEALTH"}});
  for (const v1::TenantInfo& tenant : tenants) {
    table.row({tenant.name(), tenant.plan(), std::to_string(tenant.clients()), std::to_string(tenant.snapshots()),
               console::human_bytes(tenant.used_bytes()),
               tenant.quota_bytes() == 0 ? "-" : console::human_bytes(tenant.quota_bytes()),
               time_text(tenant.newest_ns()), health_text(tenant.health())});
  }
  out.print(table);
}

void show_snapshots(console::Console& out, const std::vector<v1::SnapshotInfo>& snapshots) {
  Table table({{"CLIENT"},
               {"SEQUENCE", Table::Align::Right},
               {"ID"},
               {"RECEIVED"},
               {"KEPT AT LEAST UNTIL"},
               {"STATE"},
               {"COMPLETE"}});
  for (const v1::SnapshotInfo& one : snapshots) {
    table.row({one.client(), std::to_string(one.sequence()), hex(one.id()).substr(0, 12), time_text(one.received_ns()),
               time_text(one.lock_not_before_ns()), state_text(one), one.complete() ? "yes" : "no"});
  }
  out.print(table);
}

void show_finding(console::Console& out, const v1::Finding& finding) {
  out.print((finding.note() ? "note: " : "damaged: ") + printable(finding.file()) + ": " + printable(finding.what()));
  for (const std::string& snapshot : finding.snapshots())
    out.print("  snapshot " + printable(finding.tenant() + "/" + snapshot));
}

Json to_json(const v1::CollectReport& report) {
  Json object = {{"type", "collect"},
                 {"tenant", report.tenant()},
                 {"dry_run", report.dry_run()},
                 {"snapshots", report.snapshots()},
                 {"packs", report.packs()},
                 {"blobs", report.blobs()},
                 {"live_bytes", report.live_bytes()},
                 {"dead_bytes", report.dead_bytes()},
                 {"expired_sessions", report.expired_sessions()},
                 {"condemned_packs", report.condemned_packs()},
                 {"condemned_bytes", report.condemned_bytes()},
                 {"rewritten_packs", report.rewritten_packs()},
                 {"rewritten_bytes", report.rewritten_bytes()},
                 {"written_packs", report.written_packs()},
                 {"written_bytes", report.written_bytes()},
                 {"postponed_bytes", report.postponed_bytes()},
                 {"orphans", report.orphans()},
                 {"orphan_bytes", report.orphan_bytes()},
                 {"slots", report.slots()},
                 {"removed_packs", report.removed_packs()},
                 {"removed_bytes", report.removed_bytes()},
                 {"erased_snapshots", report.erased()},
                 {"trash_packs", report.trash_packs()},
                 {"trash_bytes", report.trash_bytes()},
                 {"next_removal", time_json(report.next_removal_ns())},
                 {"held", Json::array()}};
  for (const std::string& held : report.held()) object["held"].push_back(held);
  if (!report.failed().empty()) object["failed"] = report.failed();
  return object;
}

namespace {

/// "3 packs (48 MiB)"
std::string packs_text(std::uint64_t packs, std::uint64_t bytes) {
  return console::counted(packs, "pack") + " (" + console::human_bytes(bytes) + ")";
}

void show_done(console::Console& out, const std::string& tenant, const v1::CollectReport& report) {
  out.print(tenant + console::counted(report.snapshots(), "snapshot") +
            (report.snapshots() == 1 ? " refers to " : " refer to ") + console::human_bytes(report.live_bytes()) +
            " in " + console::counted(report.packs(), "pack") + "; " + console::human_bytes(report.dead_bytes()) +
            " are dead");
  const std::string would = report.dry_run() ? "would be " : "";
  if (report.expired_sessions() > 0)
    out.print("  " + console::counted(report.expired_sessions(), "session") + " ended: unused for 7 days");
  if (report.condemned_packs() > 0)
    out.print("  " + packs_text(report.condemned_packs(), report.condemned_bytes()) + " " + would + "condemned");
  if (report.rewritten_packs() > 0)
    out.print("  " + packs_text(report.rewritten_packs(), report.rewritten_bytes()) + " " + would + "rewritten" +
              (report.dry_run() ? "" : " into " + packs_text(report.written_packs(), report.written_bytes())));
  if (report.postponed_bytes() > 0)
    out.print("  " + console::human_bytes(report.postponed_bytes()) + " left for later passes to rewrite");
  if (report.orphans() > 0)
    out.print("  " + packs_text(report.orphans(), report.orphan_bytes()) + " that no record names " + would +
              "condemned");
  if (report.removed_packs() > 0)
    out.print("  " + packs_text(report.removed_packs(), report.removed_bytes()) + " removed from the trash");
  if (report.erased() > 0)
    out.print("  " + console::counted(report.erased(), "snapshot") + " erased: nothing is left of " +
              (report.erased() == 1 ? "it" : "them"));
  if (report.trash_packs() > 0)
    out.print("  " + packs_text(report.trash_packs(), report.trash_bytes()) + " in the trash, the first until " +
              time_text(report.next_removal_ns()));
}

}  // namespace

int show_collect(console::Console& out, const v1::CollectReport& report) {
  const std::string tenant = "tenant " + printable(report.tenant()) + ": ";
  if (!report.failed().empty()) {
    const Error error{static_cast<Errc>(report.failed_code()), report.failed()};
    out.error(tenant + printable(report.failed()));
    return console::exit_code(error.code);
  }
  if (!out.options().quiet) show_done(out, tenant, report);
  for (const std::string& held : report.held()) out.warning(tenant + printable(held));
  return report.held().empty() ? console::kDone : console::kWarnings;
}

Json to_json(const v1::UsageReport& report) {
  Json object = {{"type", "usage"},
                 {"tenant", report.tenant()},
                 {"snapshots", report.snapshots()},
                 {"locked_snapshots", report.locked_snapshots()},
                 {"logical_bytes", report.logical_bytes()},
                 {"stored_bytes", report.stored_bytes()},
                 {"live_bytes", report.live_bytes()},
                 {"shared_bytes", report.shared_bytes()},
                 {"locked_bytes", report.locked_bytes()},
                 {"uploading_bytes", report.uploading_bytes()},
                 {"dead_bytes", report.dead_bytes()},
                 {"copies_bytes", report.copies_bytes()},
                 {"overhead_bytes", report.overhead_bytes()},
                 {"unlisted_bytes", report.unlisted_bytes()},
                 {"trash_bytes", report.trash_bytes()},
                 {"missing_blobs", report.missing_blobs()},
                 {"quota_bytes", report.quota_bytes()},
                 {"returns", Json::array()}};
  for (const v1::UsageReport::Return& day : report.returns())
    object["returns"].push_back({{"not_before", time_json(day.not_before_ns())},
                                 {"trash_bytes", day.trash_bytes()},
                                 {"locked_bytes", day.locked_bytes()}});
  if (!report.failed().empty()) object["failed"] = report.failed();
  return object;
}

namespace {

/// "    live          1.2 GiB  what it is"; nothing where there is nothing to tell.
void usage_row(console::Console& out, const std::string& name, std::uint64_t bytes, const std::string& what) {
  if (bytes == 0) return;
  std::string size = console::human_bytes(bytes);
  size.insert(0, size.size() < 10 ? 10 - size.size() : 0, ' ');
  std::string label = "  " + name;
  label.resize(std::max<std::size_t>(label.size(), 16), ' ');
  out.print(label + size + "  " + what);
}

/// "3.4 times"
std::string times_text(std::uint64_t more, std::uint64_t less) {
  const std::uint64_t tenths =
      less == 0 ? 0 : static_cast<std::uint64_t>(static_cast<double>(more) * 10 / static_cast<double>(less));
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " times";
}

}  // namespace

int show_usage(console::Console& out, const v1::UsageReport& report) {
  const std::string tenant = "tenant " + printable(report.tenant()) + ": ";
  if (!report.failed().empty()) {
    out.error(tenant + printable(report.failed()));
    return console::exit_code(static_cast<Errc>(report.failed_code()));
  }
  const std::uint64_t on_disk = report.stored_bytes() + report.trash_bytes();
  out.print(tenant + console::counted(report.snapshots(), "snapshot") + ", " +
            console::human_count(report.locked_snapshots()) + " locked; " + console::human_bytes(on_disk) + " on disk" +
            (report.quota_bytes() == 0 ? "" : " of a quota of " + console::human_bytes(report.quota_bytes())));
  usage_row(out, "logical", report.logical_bytes(),
            "what these snapshots would take one by one: " + times_text(report.logical_bytes(), on_disk) +
                " what is on disk");
  usage_row(out, "stored", report.stored_bytes(), "in packs, of which:");
  usage_row(out, "  live", report.live_bytes(), "live snapshots need it");
  usage_row(out, "  (shared)", report.shared_bytes(), "of this, what several clients need");
  usage_row(out, "  locked", report.locked_bytes(), "only locked snapshots need it");
  usage_row(out, "  unfinished", report.uploading_bytes(), "of uploads that are not committed");
  usage_row(out, "  dead", report.dead_bytes(), "no snapshot needs it; collection takes it pack by pack");
  usage_row(out, "  copies", report.copies_bytes(), "of what stands there already");
  usage_row(out, "  overhead", report.overhead_bytes(), "headers and footers of packs");
  usage_row(out, "  unlisted", report.unlisted_bytes(), "packs that the index does not know");
  usage_row(out, "trash", report.trash_bytes(), "in condemned packs, beside that");
  for (const v1::UsageReport::Return& day : report.returns()) {
    const char* const what = day.locked_bytes() == 0  ? "in the trash"
                             : day.trash_bytes() == 0 ? "of locked snapshots"
                                                      : "in the trash and of locked snapshots";
    usage_row(out, rfc3339(from_ns(day.not_before_ns())).substr(0, 10), day.trash_bytes() + day.locked_bytes(),
              std::string("comes back then at the earliest: ") + what);
  }
  if (report.missing_blobs() + report.unlisted_bytes() == 0) return console::kDone;
  out.warning(tenant + std::to_string(report.missing_blobs()) + " references lead to blobs that are in no pack, and " +
              console::human_bytes(report.unlisted_bytes()) +
              " are in packs that the index does not know: `check` names what suffers");
  return console::kWarnings;
}

void show_status(console::Console& out, const v1::StatusReport& report) {
  const std::vector<v1::TenantInfo> tenants(report.tenants().begin(), report.tenants().end());
  if (out.options().json) {
    Json list = Json::array();
    for (const v1::TenantInfo& tenant : tenants) list.push_back(to_json(tenant));
    out.json({{"version", report.version()},
              {"started", time_json(report.started_ns())},
              {"service", report.service()},
              {"enrolment", report.enrolment()},
              {"sessions", report.sessions()},
              {"available_bytes", report.available_bytes()},
              {"tenants", std::move(list)}});
    return;
  }
  out.print("holdfastd " + report.version() + ", up since " + time_text(report.started_ns()));
  out.print("service " + report.service() + ", enrolment " + report.enrolment());
  out.print(std::to_string(report.sessions()) + " connections, " + console::human_bytes(report.available_bytes()) +
            " free");
  if (!tenants.empty()) show_tenants(out, tenants);
  for (const v1::TenantInfo& tenant : tenants) show_vault_gap(out, tenant);
}

}  // namespace holdfast::ctl
