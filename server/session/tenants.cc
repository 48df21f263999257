#include "server/session/tenants.h"

#include "common/base/log.h"
#include "common/identity/identity.h"
#include "server/session/small_file.h"

namespace holdfast::session {
namespace {

constexpr std::string_view kMagic = "HFTN";
constexpr std::string_view kUnfinished =
    "new-";  // a directory whose creation was interrupted: holds nothing of anybody's

}  // namespace

Tenants::Tenants(const tenant::Environment& env, const std::string& data_dir, std::size_t max_open)
    : env_(env), directory_(fs::join(data_dir, "tenants")), names_(fs::join(data_dir, "names")), max_open_(max_open) {}

Result<std::unique_ptr<Tenants>> Tenants::open(const tenant::Environment& env, const std::string& data_dir,
                                               std::size_t max_open) {
  std::unique_ptr<Tenants> tenants(new Tenants(env, data_dir, max_open));
  HF_TRY_DO(fs::make_directories(env.fs, tenants->directory_, 0700));
  HF_TRY_DO(fs::make_directories(env.fs, tenants->names_, 0700));
  HF_TRY_DO(tenants->scan());
  return tenants;
}

Status Tenants::scan() {
  HF_TRY(const std::vector<fs::DirectoryEntry> entries, env_.fs.list(directory_));
  for (const fs::DirectoryEntry& entry : entries) {
    if (entry.kind != fs::FileKind::Directory) continue;
    if (!TenantId::from_hex(entry.name)) {
      log::warning("not a tenant's directory",
                   {{"directory", entry.name}, {"unfinished", entry.name.starts_with(kUnfinished) ? "yes" : "no"}});
      continue;
    }
    const Result<std::string> name = name_of(entry.name);
    const Status adopted = name ? adopt(entry.name, *name) : Status(name.error());
    if (!adopted) log::error("tenant unreadable", {{"directory", entry.name}, {"why", adopted.error().message}});
  }
  return {};
}

Result<std::string> Tenants::name_of(const std::string& id_hex) {
  const std::string path = fs::join(names_, id_hex);
  const Result<Bytes> body = read_small_file(env_.fs, path, kMagic);
  if (body && identity::valid_name(as_text(*body))) return std::string(as_text(*body));
  // The journal knows. The tenant is closed again: most of them will not be asked for soon.
  log::warning("tenant's name file made anew",
               {{"directory", id_hex}, {"why", body ? "no valid name" : body.error().message}});
  HF_TRY(const std::unique_ptr<tenant::Tenant> opened, tenant::Tenant::open(env_, fs::join(directory_, id_hex)));
  const std::string name = opened->account().name;
  HF_TRY_DO(write_small_file(env_.fs, path, kMagic, as_bytes(name)));
  return name;
}

Status Tenants::adopt(const std::string& id_hex, const std::string& name) {
  const auto slot = std::make_shared<Slot>();
  slot->directory = fs::join(directory_, id_hex);
  const std::lock_guard lock(mutex_);
  const auto [at, fresh] = slots_.try_emplace(name, slot);
  if (!fresh)
    return Error{Errc::Exists, "two directories say that they are tenant '" + printable(name) + "': the other is " +
                                   printable(at->second->directory)};
  return {};
}

Result<TenantId> Tenants::create(const std::string& name, const std::string& plan, std::uint64_t quota_bytes) {
  if (!identity::valid_name(name) || name == "server" || name == "operator") {
    return Error{Errc::Usage,
                 "not a tenant's name: '" + printable(name) +
                     "' (lower-case letters, digits, '.', '_', '-'; at most 63; not 'server' or 'operator')"};
  }
  const std::lock_guard one_at_a_time(creating_);
  if (knows(name)) return Error{Errc::Exists, "there is a tenant '" + name + "' already"};
  // The id is known once the tenant stands; the final name appears only when everything is in it.
  const std::string unfinished = fs::join(directory_, std::string(kUnfinished) + env_.random.id<TenantId>().hex());
  HF_TRY(const TenantId id, tenant::Tenant::create(env_, unfinished, name, plan, quota_bytes));
  HF_TRY_DO(write_small_file(env_.fs, fs::join(names_, id.hex()), kMagic, as_bytes(name)));
  HF_TRY_DO(env_.fs.rename(unfinished, fs::join(directory_, id.hex())));
  HF_TRY_DO(env_.fs.sync_directory(directory_));
  HF_TRY_DO(adopt(id.hex(), name));
  return id;
}

std::shared_ptr<Tenants::Slot> Tenants::slot_of(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = slots_.find(name);
  return found == slots_.end() ? nullptr : found->second;
}

Result<std::shared_ptr<tenant::Tenant>> Tenants::find(const std::string& name) {
  const std::shared_ptr<Slot> slot = slot_of(name);
  if (!slot) return Error{Errc::NotFound, "no tenant '" + printable(name) + "'"};
  const std::lock_guard opening(slot->opening);
  std::shared_ptr<tenant::Tenant> tenant;
  {
    const std::lock_guard lock(mutex_);
    slot->used = ++clock_;
    tenant = slot->tenant;
  }
  if (tenant) return tenant;
  close_idle();
  HF_TRY(std::unique_ptr<tenant::Tenant> opened,
         tenant::Tenant::open(env_, slot->directory).context("open tenant '" + printable(name) + "'"));
  if (opened->account().name != name) {
    return Error{Errc::Corrupt, "open tenant '" + printable(name) + "': its journal says '" +
                                    printable(opened->account().name) +
                                    "'; the name file is wrong, remove it and start again"};
  }
  tenant = std::move(opened);
  const std::lock_guard lock(mutex_);
  slot->tenant = tenant;
  return tenant;
}

/// Closes tenants over the limit that nobody but us holds, least recently used first.
void Tenants::close_idle() {
  std::multimap<std::uint64_t, std::shared_ptr<Slot>> idle;
  std::size_t open = 0;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, slot] : slots_) {
      if (!slot->tenant) continue;
      ++open;
      if (slot->tenant.use_count() == 1) idle.emplace(slot->used, slot);
    }
  }
  for (auto& [used, slot] : idle) {
    if (open < max_open_) return;
    const std::unique_lock closing(slot->opening, std::try_to_lock);
    if (!closing.owns_lock()) continue;  // somebody is just taking it
    std::shared_ptr<tenant::Tenant> last;
    {
      // Copies are made under mutex_ only, so a count of one stays one until we have moved it out.
      const std::lock_guard lock(mutex_);
      if (slot->tenant && slot->tenant.use_count() == 1) last = std::move(slot->tenant);
    }
    if (last) --open;
  }
}

std::shared_ptr<tenant::Tenant> Tenants::open_now(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = slots_.find(name);
  return found == slots_.end() ? nullptr : found->second->tenant;
}

bool Tenants::knows(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return slots_.contains(name);
}

std::vector<std::string> Tenants::names() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  names.reserve(slots_.size());
  for (const auto& [name, slot] : slots_) names.push_back(name);
  return names;
}

std::vector<Tenants::Damage> Tenants::health() const {
  std::vector<Damage> found;
  const auto entries = env_.fs.list(directory_);
  if (!entries) return {{"tenants", entries.error().message}};
  std::map<std::string, std::string> known;  // directory → name
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [name, slot] : slots_) known[slot->directory.substr(directory_.size() + 1)] = name;
  }
  std::size_t seen = 0;
  for (const fs::DirectoryEntry& entry : *entries) {
    if (known.contains(entry.name))
      ++seen;
    else if (entry.kind == fs::FileKind::Directory && !entry.name.starts_with(kUnfinished)) {
      found.push_back({"tenants/" + entry.name, "nobody's: it did not open when the server started"});
    }
  }
  if (seen < known.size())
    found.push_back({"tenants", std::to_string(known.size() - seen) + " tenants' directories are gone"});
  for (const auto& [id, name] : known) {
    const Result<Bytes> body = read_small_file(env_.fs, fs::join(names_, id), kMagic);
    if (!body)
      found.push_back({"names/" + id, body.error().message + "; it is made anew at the next start"});
    else if (as_text(*body) != name)
      found.push_back({"names/" + id, "says '" + printable(as_text(*body)) + "', the journal '" + name + "'"});
  }
  return found;
}

}  // namespace holdfast::session
