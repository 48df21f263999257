#pragma once
// Why: the daemon's answers as tables for people and JSON for scripts. Field names are a contract: only ever added.

#include <string>
#include <vector>

#include "common/console/console.h"
#include "proto/holdfast/v1/admin.pb.h"

namespace holdfast::ctl {

namespace v1 = ::holdfast::v1;

console::Json to_json(const v1::TenantInfo& tenant);
console::Json to_json(const v1::SnapshotInfo& snapshot);
console::Json to_json(const v1::Finding& finding);
console::Json to_json(const v1::CheckSummary& summary);
console::Json to_json(const v1::RebuildSummary& summary);

void show_tenants(console::Console& out, const std::vector<v1::TenantInfo>& tenants);
void show_snapshots(console::Console& out, const std::vector<v1::SnapshotInfo>& snapshots);
void show_finding(console::Console& out, const v1::Finding& finding);
console::Json to_json(const v1::CollectReport& report);
/// Returns the exit code that this tenant's pass asks for.
int show_collect(console::Console& out, const v1::CollectReport& report);
console::Json to_json(const v1::UsageReport& report);
/// Returns the exit code that this tenant asks for.
int show_usage(console::Console& out, const v1::UsageReport& report);
void show_status(console::Console& out, const v1::StatusReport& report);

}  // namespace holdfast::ctl
