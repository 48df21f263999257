#include "server/tenant/parts.h"

#include <algorithm>

#include "common/base/log.h"

namespace holdfast::tenant {

std::string slot_name(const RunId& run) { return "slots/" + run.hex() + ".slot"; }

std::optional<RunId> run_of_slot(std::string_view name) {
  constexpr std::string_view kBefore = "slots/", kAfter = ".slot";
  if (!name.starts_with(kBefore) || !name.ends_with(kAfter) || name.size() < kBefore.size() + kAfter.size())
    return std::nullopt;
  const Result<RunId> run =
      RunId::from_hex(std::string(name.substr(kBefore.size(), name.size() - kBefore.size() - kAfter.size())));
  return run ? std::optional(*run) : std::nullopt;
}

std::string snapshot_label(const State& state, const Snapshot& snapshot) {
  const Client* const client = state.client(snapshot.payload.client);
  return (client != nullptr ? client->payload.name : snapshot.payload.client.hex()) + "/" +
         std::to_string(snapshot.payload.sequence) + " " + snapshot.payload.snapshot.short_hex();
}

Status Parts::writable() const {
  if (std::optional<Error> reason = publisher->stopped()) return Publisher::read_only(*std::move(reason));
  return {};
}

Result<std::vector<Copy>> Parts::copies(const ClientId& client, const DomainId& domain, std::uint32_t epoch_number,
                                        const BlobId& blob) {
  // Between the look at the index and the one at the state a pack may be rewritten: then its copy is listed elsewhere.
  constexpr int kLooks = 3;
  std::vector<Copy> out;
  bool moved = true;
  for (int look = 0; look < kLooks && moved; ++look) {
    HF_TRY(std::vector<index::Location> found, index->find(domain, epoch_number, blob));
    out.clear();
    moved = false;
    state.read([&](const State& s) {
      for (index::Location& location : found) {
        const Pack* const pack = s.pack(location.pack);
        moved = moved || s.trashed(location.pack) != nullptr;
        if (pack == nullptr) continue;
        Copy copy{std::move(location), pack->note, pack->session, pack->order, s.visible(*pack, client), false};
        copy.damaged = damage.pack_is_damaged(copy.location.pack) || damage.slot_is_damaged(copy.location.entry.run);
        out.push_back(std::move(copy));
      }
    });
  }
  std::sort(out.begin(), out.end(), [](const Copy& a, const Copy& b) { return a.order < b.order; });
  return out;
}

void Parts::report_damage(const PackId& pack, const std::string& what) {
  if (!damage.mark_pack(pack, what)) return;
  log::error("pack is damaged", {{"pack", pack.hex()}, {"what", what}});
  const auto propose = [&](const State& s, const Stamp&) -> Result<std::vector<coordinator::NewRecord>> {
    if (s.pack(pack) == nullptr || s.damage(pack) != nullptr) return std::vector<coordinator::NewRecord>{};
    return std::vector{new_record(journal::Kind::Damage, journal::encode(journal::DamagePayload{pack, what}))};
  };
  const auto published = publisher->publish(Publisher::kAlone, propose);
  if (!published) log::warning("damage not journalled", {{"pack", pack.hex()}, {"why", published.error().message}});
}

void Parts::report_whole(const PackId& pack) {
  if (!damage.clear_pack(pack)) return;
  log::info("pack is whole again", {{"pack", pack.hex()}});
  const auto propose = [&](const State& s, const Stamp&) -> Result<std::vector<coordinator::NewRecord>> {
    if (s.damage(pack) == nullptr) return std::vector<coordinator::NewRecord>{};
    return std::vector{new_record(journal::Kind::Damage, journal::encode(journal::DamagePayload{pack, ""}))};
  };
  const auto published = publisher->publish(Publisher::kAlone, propose);
  if (!published) log::warning("recovery not journalled", {{"pack", pack.hex()}, {"why", published.error().message}});
}

Status Parts::check_enrolled(const State& s, const ClientId& client) const {
  const Client* const known = s.client(client);
  if (known == nullptr || known->payload.state != journal::ClientPayload::State::Enrolled || !known->certificate) {
    return Error{Errc::Denied, "this client is not enrolled"};
  }
  return {};
}

}  // namespace holdfast::tenant
