#pragma once
// Why: what operators ask about the lives of snapshots: purge, lock, undelete, explain, the list of registered sources.

#include "server/admin/admin.h"

namespace holdfast::admin {

/// Of one tenant, or of all: one that cannot be purged is named in its report and holds up no other.
/// Errors: NotFound; the first tenant's, when one was not purged.
Status purge(AdminContext& context, const v1::Purge& call, const Emit& emit);

/// SNAP is TENANT/CLIENT/SEQUENCE or at least 6 hex digits of an id. Errors: NotFound; Usage (malformed; ambiguous, and then
/// the message lists what it may mean); what the tenant says.
Status lock_snapshot(AdminContext& context, const std::string& snapshot, const std::string& who, const Emit& emit);
Status undelete_snapshot(AdminContext& context, const std::string& snapshot, const std::string& who, const Emit& emit);
Status explain_snapshot(AdminContext& context, const std::string& snapshot, const Emit& emit);

struct FoundSnapshot {
  std::string tenant_name;
  std::shared_ptr<tenant::Tenant> tenant;  ///< shared with Tenants
  tenant::SnapshotName name;
};
/// Of those whose id begins with `spec`. Errors: NotFound, Usage: names what it may mean.
Result<FoundSnapshot> only_one(std::vector<FoundSnapshot> found, const std::string& spec);

Status list_sources(AdminContext& context, const v1::SourceList& call, const Emit& emit);
Status set_source(AdminContext& context, const v1::SourceSet& call, const std::string& who, const Emit& emit);
Status retire_client(AdminContext& context, const v1::ClientRetire& call, const std::string& who, const Emit& emit);

}  // namespace holdfast::admin
