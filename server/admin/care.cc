#include "server/admin/care.h"

namespace holdfast::admin {
namespace {

v1::AdminResponse finding(const std::string& tenant, const std::string& file, const std::string& what) {
  v1::AdminResponse response;
  v1::Finding* const out = response.add_findings();
  out->set_tenant(tenant);
  out->set_file(file);
  out->set_what(what);
  return response;
}

/// One pass over the store; counts while it emits.
class Checker {
 public:
  Checker(AdminContext& context, const Emit& emit) : context_(context), emit_(emit) {}

  void server_files() {
    for (const config::Damage& one : config::check_files(context_.fs, context_.data_dir))
      damaged("", one.file, one.what);
    for (const auto& one : context_.operators.health()) damaged("", one.file, one.what);
    for (const auto& one : context_.tenants.health()) damaged("", one.file, one.what);
    if (const Status list = context_.denied.health(); !list) damaged("", "denied", list.error().message);
  }

  Status tenant(const std::string& name, bool read_data) {
    const auto found = context_.tenants.find(name);
    if (!found && found.error().code == Errc::NotFound) return found.error();
    if (!found) {
      damaged(name, "tenants", found.error().message);
      return {};
    }
    const std::string directory = "tenants/" + (*found)->id().hex() + "/";
    const auto note = [&](const tenant::Finding& one) {
      v1::AdminResponse response = finding(name, directory + one.file, one.what);
      for (const std::string& snapshot : one.snapshots) response.mutable_findings(0)->add_snapshots(snapshot);
      response.mutable_findings(0)->set_note(!one.damage);
      listening_ = listening_ && emit_(std::move(response));
    };
    const Result<tenant::CheckSummary> checked = (*found)->check(read_data, note);
    if (!checked) {
      damaged(name, directory, checked.error().message);
      return {};
    }
    sum_.set_packs(sum_.packs() + checked->packs);
    sum_.set_blobs(sum_.blobs() + checked->blobs);
    sum_.set_bytes_read(sum_.bytes_read() + checked->bytes_read);
    sum_.set_snapshots(sum_.snapshots() + checked->snapshots);
    sum_.set_records(sum_.records() + checked->records);
    sum_.set_damaged_files(sum_.damaged_files() + checked->damaged_files);
    sum_.set_damaged_snapshots(sum_.damaged_snapshots() + checked->damaged_snapshots);
    return {};
  }

  bool listening() const { return listening_; }
  const v1::CheckSummary& summary() const { return sum_; }

 private:
  void damaged(const std::string& tenant, const std::string& file, const std::string& what) {
    sum_.set_damaged_files(sum_.damaged_files() + 1);
    listening_ = listening_ && emit_(finding(tenant, file, what));
  }

  AdminContext& context_;
  const Emit& emit_;
  v1::CheckSummary sum_;
  bool listening_ = true;
};

std::vector<std::string> names_for(AdminContext& context, const std::string& tenant) {
  return tenant.empty() ? context.tenants.names() : std::vector<std::string>{tenant};
}

}  // namespace

Status check(AdminContext& context, const v1::Check& call, const Emit& emit) {
  Checker checker(context, emit);
  if (call.tenant().empty()) checker.server_files();
  for (const std::string& name : names_for(context, call.tenant())) {
    if (!checker.listening()) return Error{Errc::Canceled, "nobody waits for this check any more"};
    HF_TRY_DO(checker.tenant(name, call.read_data()));
  }
  v1::AdminResponse response;
  *response.mutable_check_summary() = checker.summary();
  emit(std::move(response));
  return {};
}

Status rebuild_index(AdminContext& context, const v1::RebuildIndex& call, const Emit& emit) {
  const MonotonicTime begun = context.clock.monotonic();
  v1::AdminResponse response;
  v1::RebuildSummary* const sum = response.mutable_rebuild_summary();
  for (const std::string& name : names_for(context, call.tenant())) {
    HF_TRY(const std::shared_ptr<tenant::Tenant> found, context.tenants.find(name));
    HF_TRY(const tenant::Tenant::Rebuilt rebuilt,
           found->rebuild_index().context("rebuild the index of tenant '" + printable(name) + "'"));
    sum->set_tenants(sum->tenants() + 1);
    sum->set_packs(sum->packs() + rebuilt.packs);
    sum->set_blobs(sum->blobs() + rebuilt.blobs);
  }
  sum->set_seconds(std::chrono::duration<double>(context.clock.monotonic() - begun).count());
  emit(std::move(response));
  return {};
}

}  // namespace holdfast::admin
