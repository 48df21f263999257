#include "server/admin/life.h"

#include <algorithm>
#include <charconv>

#include "common/base/log.h"

namespace holdfast::admin {
namespace {

using tenant::PurgeReport;
using tenant::SnapshotStory;
using TenantPointer = std::shared_ptr<tenant::Tenant>;

constexpr std::size_t kRowsAtOnce = 1000;
constexpr std::size_t kLeastDigits = 6;
constexpr std::size_t kMostListed = 5;

std::string text_of(ByteSpan bytes) { return std::string(as_text(bytes)); }

std::string_view rule_name(retention::Rule rule) {
  switch (rule) {
    case retention::Rule::Age:
      return "age";
    case retention::Rule::Pause:
      return "pause";
    case retention::Rule::Cap:
      return "cap";
    case retention::Rule::NextPass:
      return "next-pass";
    case retention::Rule::DeleteDelay:
      return "delete-delay";
  }
  return "";
}

v1::LifeRow row_of(const std::string& tenant, const tenant::SnapshotName& name, std::int64_t date_ns) {
  v1::LifeRow row;
  row.set_client(tenant + "/" + name.client);
  row.set_sequence(name.sequence);
  row.set_id(text_of(name.id.bytes));
  row.set_date_ns(date_ns);
  return row;
}

// ---- purge ----

/// Lists as they come, in answers of a bounded size; the figures last.
class ReportSender {
 public:
  ReportSender(const std::string& tenant, bool dry_run, const Emit& emit)
      : tenant_(tenant), dry_run_(dry_run), emit_(emit) {
    begin();
  }
  void send(const PurgeReport& report) {
    for (const PurgeReport::Row& row : report.deleted) add(row, [](v1::PurgeReport& r) { return r.add_deleted(); });
    for (const PurgeReport::Row& row : report.locked) add(row, [](v1::PurgeReport& r) { return r.add_locked(); });
    for (const PurgeReport::Row& row : report.paused) add(row, [](v1::PurgeReport& r) { return r.add_paused(); });
    v1::PurgeReport& out = *response_.mutable_purge_report();
    out.set_now_ns(report.now_ns);
    out.set_wall_ns(report.wall_ns);
    out.set_lock_cap(report.lock_cap);
    out.set_held_by_cap(report.held_by_cap);
    out.set_held_by_clock(report.held_by_clock);
    out.set_next_ns(report.next_ns.value_or(0));
    emit_(std::move(response_));
  }
  void send(const Error& error) {
    response_.mutable_purge_report()->set_error_code(static_cast<std::uint32_t>(error.code));
    response_.mutable_purge_report()->set_error_message(error.message);
    emit_(std::move(response_));
  }

 private:
  void begin() {
    response_ = {};
    response_.mutable_purge_report()->set_tenant(tenant_);
    response_.mutable_purge_report()->set_dry_run(dry_run_);
    rows_ = 0;
  }
  template <class Make>
  void add(const PurgeReport::Row& row, Make make) {
    *make(*response_.mutable_purge_report()) = row_of(tenant_, row.name, row.date_ns);
    if (++rows_ < kRowsAtOnce) return;
    response_.mutable_purge_report()->set_more(true);
    emit_(std::move(response_));
    begin();
  }

  const std::string tenant_;
  const bool dry_run_;
  const Emit& emit_;
  v1::AdminResponse response_;
  std::size_t rows_ = 0;
};

Result<PurgeReport> purge_one(AdminContext& context, const std::string& name, bool dry_run) {
  HF_TRY(const TenantPointer tenant, context.tenants.find(name));
  return tenant->purge(dry_run);
}

// ---- one snapshot ----

using Found = FoundSnapshot;

std::string text_of(const Found& one) {
  return one.tenant_name + "/" + one.name.client + "/" + std::to_string(one.name.sequence) + " (" + one.name.id.hex() +
         ")";
}

Error malformed(const std::string& spec) {
  return {Errc::Usage, "'" + printable(spec) + "' names no snapshot: give TENANT/CLIENT/SEQUENCE, or at least " +
                           std::to_string(kLeastDigits) + " hex digits of its id (`holdfastctl snapshots` lists them)"};
}

Error no_such(const std::string& spec) {
  return {Errc::NotFound,
          "no snapshot '" + printable(spec) + "' (`holdfastctl snapshots` lists those that have not been deleted)"};
}

Result<Found> find_by_number(AdminContext& context, const std::string& spec) {
  const std::size_t last = spec.rfind('/'), first = spec.find('/');
  std::uint64_t sequence = 0;
  const char* const end = spec.data() + spec.size();
  const auto [rest, failed] = std::from_chars(spec.data() + last + 1, end, sequence);
  if (first == last || failed != std::errc{} || rest != end) return malformed(spec);
  Found out;
  out.tenant_name = spec.substr(0, first);
  HF_TRY(out.tenant, context.tenants.find(out.tenant_name));
  std::vector<tenant::SnapshotName> names =
      out.tenant->snapshots_named(spec.substr(first + 1, last - first - 1), sequence);
  if (names.empty()) return no_such(spec);
  out.name = std::move(names.front());
  return out;
}

Result<Found> find_by_id(AdminContext& context, const std::string& spec) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (spec.size() < kLeastDigits || !std::ranges::all_of(spec, is_digit)) return malformed(spec);
  std::vector<Found> found;
  for (const std::string& name : context.tenants.names()) {
    HF_TRY(const TenantPointer tenant, context.tenants.find(name));
    for (tenant::SnapshotName& one : tenant->snapshots_beginning(spec)) found.push_back({name, tenant, std::move(one)});
  }
  return only_one(std::move(found), spec);
}

Result<Found> find_snapshot(AdminContext& context, const std::string& spec) {
  return spec.find('/') == std::string::npos ? find_by_id(context, spec) : find_by_number(context, spec);
}

v1::AdminResponse answer_of(const std::string& tenant, const SnapshotStory& story) {
  v1::AdminResponse response;
  v1::SnapshotStory* const out = response.mutable_snapshot_story();
  out->set_client(tenant + "/" + story.name.client);
  out->set_sequence(story.name.sequence);
  out->set_id(text_of(story.name.id.bytes));
  out->set_state(std::string(tenant::life_name(story.life)));
  out->set_plan(story.plan);
  out->set_now_ns(story.now_ns);
  out->set_committed_ns(story.committed_ns);
  out->set_received_wall_ns(story.received_wall_ns);
  out->set_promised_lock_ns(story.promised_lock_ns);
  out->set_lock_not_before_ns(story.lock_not_before_ns);
  out->set_locked_ns(story.locked_ns);
  out->set_locked_by_operator(story.locked_by_operator);
  out->set_locked_by(story.locked_by);
  out->set_delete_not_before_ns(story.delete_not_before_ns);
  out->set_deleted_ns(story.deleted_ns);
  out->set_erased_ns(story.erased_ns);
  if (story.rule) out->set_rule(std::string(rule_name(*story.rule)));
  for (const std::string& source : story.newest_good_of) out->add_newest_good_of(source);
  out->set_gone_by(story.gone_by);
  out->set_released(story.released);
  out->set_remains(story.remains);
  out->set_frozen(story.frozen);
  return response;
}

// ---- sources ----

struct Owner {
  std::string tenant_name, client;
  TenantPointer tenant;
};
Result<Owner> find_owner(AdminContext& context, const std::string& text) {
  HF_TRY(const identity::Name name, identity::parse_client_name(text));
  HF_TRY(TenantPointer tenant, context.tenants.find(name.tenant));
  return Owner{name.tenant, name.name, std::move(tenant)};
}

v1::SourceInfo info_of(const std::string& tenant, const tenant::SourceStory& story) {
  v1::SourceInfo info;
  info.set_client(tenant + "/" + story.client);
  if (!story.source.is_zero()) info.set_source(text_of(story.source.bytes));
  info.set_registered(story.registered);
  info.set_listed(story.listed);
  info.set_label(story.label);
  if (story.newest_good) *info.mutable_newest_good() = row_of(tenant, *story.newest_good, 0);
  info.set_newest_good_wall_ns(story.newest_good_wall_ns);
  return info;
}

void say(const Emit& emit, const std::string& note) {
  v1::AdminResponse response;
  response.set_note(note);
  emit(std::move(response));
}

}  // namespace

Status purge(AdminContext& context, const v1::Purge& call, const Emit& emit) {
  const std::vector<std::string> names =
      call.tenant().empty() ? context.tenants.names() : std::vector<std::string>{call.tenant()};
  std::optional<Error> first;
  std::size_t failed = 0;
  for (const std::string& name : names) {
    ReportSender sender(name, call.dry_run(), emit);
    const Result<PurgeReport> report = purge_one(context, name, call.dry_run());
    if (report) {
      sender.send(*report);
      continue;
    }
    Error error = Error(report.error()).with_context("purge tenant '" + printable(name) + "'");
    if (!call.tenant().empty()) return error;
    log::warning("tenant not purged", {{"tenant", name}, {"why", report.error().message}});
    sender.send(report.error());
    ++failed;
    if (!first) first = std::move(error);
  }
  if (!first) return {};
  if (failed > 1) first->message += " (and " + std::to_string(failed - 1) + " more tenants; the others are done)";
  return *std::move(first);
}

Result<FoundSnapshot> only_one(std::vector<FoundSnapshot> found, const std::string& spec) {
  if (found.empty()) return no_such(spec);
  if (found.size() == 1) return std::move(found.front());
  std::string list;
  for (std::size_t i = 0; i < std::min(found.size(), kMostListed); ++i)
    list += (i == 0 ? "" : ", ") + text_of(found[i]);
  if (found.size() > kMostListed) list += ", …";
  return Error{Errc::Usage, "'" + spec + "' may be any of " + std::to_string(found.size()) + " snapshots: " + list +
                                "; give more digits"};
}

Status lock_snapshot(AdminContext& context, const std::string& snapshot, const std::string& who, const Emit& emit) {
  HF_TRY(const Found found, find_snapshot(context, snapshot));
  HF_TRY(const SnapshotStory story, found.tenant->lock_snapshot(found.name.id, who).context("lock " + text_of(found)));
  log::info("snapshot locked", {{"tenant", found.tenant_name},
                                {"snapshot", found.name.id.hex()},
                                {"by", who},
                                {"deleted_not_before", rfc3339(from_ns(story.delete_not_before_ns))}});
  emit(answer_of(found.tenant_name, story));
  return {};
}

Status undelete_snapshot(AdminContext& context, const std::string& snapshot, const std::string& who, const Emit& emit) {
  HF_TRY(const Found found, find_snapshot(context, snapshot));
  HF_TRY(const SnapshotStory story,
         found.tenant->undelete_snapshot(found.name.id, who).context("undelete " + text_of(found)));
  log::info("snapshot undeleted", {{"tenant", found.tenant_name},
                                   {"snapshot", found.name.id.hex()},
                                   {"by", who},
                                   {"kept_until", rfc3339(from_ns(story.lock_not_before_ns))}});
  emit(answer_of(found.tenant_name, story));
  return {};
}

Status explain_snapshot(AdminContext& context, const std::string& snapshot, const Emit& emit) {
  HF_TRY(const Found found, find_snapshot(context, snapshot));
  HF_TRY(const SnapshotStory story, found.tenant->explain_snapshot(found.name.id).context("explain " + text_of(found)));
  emit(answer_of(found.tenant_name, story));
  return {};
}

Status list_sources(AdminContext& context, const v1::SourceList& call, const Emit& emit) {
  const std::string& subject = call.subject();
  const std::size_t slash = subject.find('/');
  const std::string client = slash == std::string::npos ? "" : subject.substr(slash + 1);
  const std::vector<std::string> names =
      subject.empty() ? context.tenants.names() : std::vector<std::string>{subject.substr(0, slash)};
  if (slash != std::string::npos) HF_TRY_DO(identity::parse_client_name(subject));
  for (const std::string& name : names) {
    HF_TRY(const TenantPointer tenant, context.tenants.find(name));
    HF_TRY(const std::vector<tenant::SourceStory> sources, tenant->sources(client));
    v1::AdminResponse response;
    for (const tenant::SourceStory& one : sources) *response.add_sources() = info_of(name, one);
    emit(std::move(response));
  }
  return {};
}

Status set_source(AdminContext& context, const v1::SourceSet& call, const std::string& who, const Emit& emit) {
  using State = journal::SourcePayload::State;
  HF_TRY(const Owner owner, find_owner(context, call.client()));
  SourceId source;
  if (!call.source().empty()) {
    HF_TRY(source, SourceId::from_bytes(as_bytes(call.source())).context("the source's id"));
  }
  const State state = call.retired() ? State::Retired : State::Registered;
  HF_TRY_DO(owner.tenant->set_source(owner.client, source, state, call.label()));
  const std::string name = source.is_zero() ? call.client() + " as a whole" : call.client() + " source " + source.hex();
  log::info(call.retired() ? "source retired" : "source registered",
            {{"client", call.client()}, {"source", source.hex()}, {"label", call.label()}, {"by", who}});
  say(emit, name + (call.retired() ? " is retired: its snapshots go by age, the newest one too"
                                   : " is registered: its newest good snapshot stays, whatever its age"));
  return {};
}

Status retire_client(AdminContext& context, const v1::ClientRetire& call, const std::string& who, const Emit& emit) {
  HF_TRY(const Owner owner, find_owner(context, call.client()));
  HF_TRY_DO(owner.tenant->retire_client(owner.client));
  log::info("client retired", {{"client", call.client()}, {"by", who}});
  say(emit, call.client() +
                " is retired with all its sources: its snapshots go by age, the newest one too; its certificate still "
                "works (`holdfastctl client revoke`)");
  return {};
}

}  // namespace holdfast::admin
