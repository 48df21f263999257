#include "server/admin/collecting.h"

#include "common/base/log.h"
#include "server/collect/usage.h"

namespace holdfast::admin {
namespace {

v1::CollectReport report_of(const std::string& tenant, const collect::CollectSummary& sum) {
  v1::CollectReport out;
  out.set_tenant(tenant);
  out.set_snapshots(sum.snapshots);
  out.set_packs(sum.packs);
  out.set_blobs(sum.blobs);
  out.set_live_bytes(sum.live_bytes);
  out.set_dead_bytes(sum.dead_bytes);
  out.set_expired_sessions(sum.expired_sessions);
  out.set_condemned_packs(sum.condemned_packs);
  out.set_condemned_bytes(sum.condemned_bytes);
  out.set_rewritten_packs(sum.rewritten_packs);
  out.set_rewritten_bytes(sum.rewritten_bytes);
  out.set_written_packs(sum.written_packs);
  out.set_written_bytes(sum.written_bytes);
  out.set_postponed_bytes(sum.postponed_bytes);
  out.set_orphans(sum.orphans);
  out.set_orphan_bytes(sum.orphan_bytes);
  out.set_slots(sum.slots);
  out.set_removed_packs(sum.removed_packs);
  out.set_removed_bytes(sum.removed_bytes);
  out.set_erased(sum.erased);
  out.set_trash_packs(sum.trash_packs);
  out.set_trash_bytes(sum.trash_bytes);
  out.set_next_removal_ns(sum.next_removal_ns);
  for (const std::string& held : sum.held) out.add_held(held);
  return out;
}

Result<collect::CollectSummary> collect_one(session::Tenants& tenants, const std::string& name,
                                            const collect::CollectOptions& options) {
  HF_TRY(const std::shared_ptr<tenant::Tenant> tenant, tenants.find(name));
  return collect::collect(*tenant, options);
}

void log_pass(const std::string& tenant, const Result<collect::CollectSummary>& done) {
  if (!done) {
    log::warning("collect failed", {{"tenant", tenant}, {"why", done.error().message}});
    return;
  }
  for (const std::string& held : done->held) log::warning("collect held", {{"tenant", tenant}, {"what", held}});
  const bool idle = done->condemned_packs + done->rewritten_packs + done->removed_packs + done->orphans + done->slots +
                        done->expired_sessions + done->erased ==
                    0;
  if (idle) return;
  log::info("collected", {{"tenant", tenant},
                          {"condemned_packs", std::to_string(done->condemned_packs)},
                          {"rewritten_packs", std::to_string(done->rewritten_packs)},
                          {"orphans", std::to_string(done->orphans)},
                          {"expired_sessions", std::to_string(done->expired_sessions)},
                          {"removed_packs", std::to_string(done->removed_packs)},
                          {"removed_bytes", std::to_string(done->removed_bytes)},
                          {"erased_snapshots", std::to_string(done->erased)},
                          {"trash_bytes", std::to_string(done->trash_bytes)}});
}

v1::UsageReport report_of(const collect::Usage& usage) {
  v1::UsageReport out;
  out.set_snapshots(usage.snapshots);
  out.set_locked_snapshots(usage.locked_snapshots);
  out.set_logical_bytes(usage.logical);
  out.set_stored_bytes(usage.stored);
  out.set_live_bytes(usage.live);
  out.set_shared_bytes(usage.shared);
  out.set_locked_bytes(usage.locked);
  out.set_uploading_bytes(usage.uploading);
  out.set_dead_bytes(usage.dead);
  out.set_copies_bytes(usage.copies);
  out.set_overhead_bytes(usage.overhead);
  out.set_unlisted_bytes(usage.unlisted);
  out.set_trash_bytes(usage.trash);
  out.set_missing_blobs(usage.missing);
  for (const collect::Usage::Return& day : usage.returns) {
    v1::UsageReport::Return* const row = out.add_returns();
    row->set_not_before_ns(day.not_before_ns);
    row->set_trash_bytes(day.trash);
    row->set_locked_bytes(day.locked);
  }
  return out;
}

Result<v1::UsageReport> usage_of(AdminContext& context, const std::string& name) {
  HF_TRY(const std::shared_ptr<tenant::Tenant> tenant, context.tenants.find(name));
  HF_TRY(const collect::Usage usage,
         collect::measure_usage(*tenant, context.collecting.trash, context.collecting.stop));
  v1::UsageReport out = report_of(usage);
  out.set_quota_bytes(tenant->account().quota_bytes);
  return out;
}

/// The one that was named, or all. Errors: NotFound.
Result<std::vector<std::string>> tenants_of(AdminContext& context, const std::string& name) {
  if (name.empty()) return context.tenants.names();
  if (context.tenants.knows(name)) return std::vector<std::string>{name};
  return Error{Errc::NotFound, "no tenant '" + printable(name) + "'; `tenant list` shows them"};
}

bool stopped(const collect::CollectOptions& options) { return options.stop != nullptr && *options.stop; }

}  // namespace

Status collect(AdminContext& context, const v1::Collect& call, const Emit& emit) {
  HF_TRY(const std::vector<std::string> names, tenants_of(context, call.tenant()));
  collect::CollectOptions options = context.collecting;
  options.dry_run = call.dry_run();
  for (const std::string& name : names) {
    const Result<collect::CollectSummary> done = collect_one(context.tenants, name, options);
    if (!options.dry_run) log_pass(name, done);
    v1::AdminResponse response;
    v1::CollectReport* const report = response.mutable_collect_report();
    if (done) *report = report_of(name, *done);
    report->set_tenant(name);
    report->set_dry_run(options.dry_run);
    if (!done) {
      report->set_failed(done.error().message);
      report->set_failed_code(static_cast<std::uint32_t>(done.error().code));
    }
    if (!emit(std::move(response))) return Error{Errc::Canceled, "nobody waits for this collection any more"};
    if (stopped(options)) return Error{Errc::Canceled, "the daemon is stopping"};
  }
  return {};
}

Status usage(AdminContext& context, const v1::Usage& call, const Emit& emit) {
  HF_TRY(const std::vector<std::string> names, tenants_of(context, call.tenant()));
  for (const std::string& name : names) {
    const Result<v1::UsageReport> measured = usage_of(context, name);
    v1::AdminResponse response;
    v1::UsageReport* const report = response.mutable_usage_report();
    if (measured) *report = *measured;
    report->set_tenant(name);
    if (!measured) {
      report->set_failed(measured.error().message);
      report->set_failed_code(static_cast<std::uint32_t>(measured.error().code));
    }
    if (!emit(std::move(response))) return Error{Errc::Canceled, "nobody waits for this answer any more"};
    if (stopped(context.collecting)) return Error{Errc::Canceled, "the daemon is stopping"};
  }
  return {};
}

void collect_round(session::Tenants& tenants, const collect::CollectOptions& options) {
  for (const std::string& name : tenants.names()) {
    if (stopped(options)) return;
    log_pass(name, collect_one(tenants, name, options));
  }
}

}  // namespace holdfast::admin
