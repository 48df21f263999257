#include "server/admin/collecting.h"

#include "common/base/log.h"

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

bool stopped(const collect::CollectOptions& options) { return options.stop != nullptr && *options.stop; }

}  // namespace

Status collect(AdminContext& context, const v1::Collect& call, const Emit& emit) {
  if (!call.tenant().empty() && !context.tenants.knows(call.tenant()))
    return Error{Errc::NotFound, "no tenant '" + printable(call.tenant()) + "'; `tenant list` shows them"};
  collect::CollectOptions options = context.collecting;
  options.dry_run = call.dry_run();
  const std::vector<std::string> names =
      call.tenant().empty() ? context.tenants.names() : std::vector<std::string>{call.tenant()};
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

void collect_round(session::Tenants& tenants, const collect::CollectOptions& options) {
  for (const std::string& name : tenants.names()) {
    if (stopped(options)) return;
    log_pass(name, collect_one(tenants, name, options));
  }
}

}  // namespace holdfast::admin
