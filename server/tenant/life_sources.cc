// Which sources are registered: the operators' list, which decides what a pause holds.

#include <algorithm>

#include "server/tenant/life.h"

namespace holdfast::tenant {
namespace {

using Records = std::vector<coordinator::NewRecord>;
using SourceState = journal::SourcePayload::State;

Result<const Client*> known_client(const State& s, const std::string& name) {
  const Client* const client = s.client(name);
  if (client == nullptr) return Error{Errc::NotFound, "no client '" + printable(name) + "'"};
  return client;
}

/// Nothing, where the list says so already.
void add_record(const State& s, const journal::SourcePayload& wanted, Records& records) {
  const auto said = s.sources().find(std::pair(wanted.client, wanted.source));
  if (said != s.sources().end() && said->second.state == wanted.state && said->second.label == wanted.label) return;
  records.push_back(new_record(journal::Kind::Source, journal::encode(wanted)));
}

/// The newest good snapshot of each of these, in one walk. A live one goes before every locked one, as in planning.
using NewestGood = std::map<SourceId, const Snapshot*>;
void find_newest_good(const State& s, const Client& client, NewestGood& sources) {
  const auto take = [](const Snapshot*& newest, const Snapshot& one) {
    if (newest == nullptr || newest->life == Life::Locked || one.life == Life::Live) newest = &one;
  };
  for (const SnapshotId& id : client.snapshots) {
    const Snapshot& one = *s.snapshot(id);
    if (one.life > Life::Locked) continue;
    for (auto& [source, newest] : sources) {
      if (is_good(one, source)) take(newest, one);
    }
  }
}

SourceStory story_of(const State& s, const Client& client, const SourceId& source, const Snapshot* newest) {
  SourceStory out;
  out.client = client.payload.name;
  out.source = source;
  out.registered = is_registered(s, client.payload.id, source);
  const auto said = s.sources().find(std::pair(client.payload.id, source));
  out.listed = said != s.sources().end();
  if (out.listed) out.label = said->second.label;
  if (newest == nullptr) return out;
  out.newest_good = SnapshotName{client.payload.name, newest->payload.sequence, newest->payload.snapshot};
  out.newest_good_wall_ns = newest->wall_ns;
  return out;
}

/// What is listed, and what the newest snapshot has. Clients send as many ids as they like, fresh ones in every run: some
/// of them are enough.
NewestGood sources_of(const State& s, const Client& client) {
  constexpr std::size_t kMostShown = 64;
  NewestGood out{{SourceId{}, nullptr}};
  if (const Snapshot* const newest = s.snapshot(client.newest)) {
    for (const SourceId& source : newest->good_sources) {
      if (out.size() < kMostShown) out.emplace(source, nullptr);
    }
  }
  for (const auto& [key, payload] : s.sources()) {
    if (key.first == client.payload.id) out.emplace(key.second, nullptr);
  }
  return out;
}

}  // namespace

Status SnapshotLife::set_source(const std::string& client, const SourceId& source, SourceState state,
                                const std::string& label) {
  if (label.size() > journal::kMaxLabelBytes)
    return Error{Errc::Usage, "a label has at most " + std::to_string(journal::kMaxLabelBytes) + " bytes"};
  const auto propose = [&](const State& s, const Stamp&) -> Result<Records> {
    HF_TRY(const Client* const owner, known_client(s, client));
    Records records;
    journal::SourcePayload wanted{owner->payload.id, source, state, label};
    // A label stays until another one is given.
    const auto said = s.sources().find(std::pair(wanted.client, wanted.source));
    if (label.empty() && said != s.sources().end()) wanted.label = said->second.label;
    add_record(s, wanted, records);
    return records;
  };
  HF_TRY_DO(parts_.publisher->publish(kLifeSubject, propose));
  return {};
}

Status SnapshotLife::retire_client(const std::string& client) {
  const auto propose = [&](const State& s, const Stamp&) -> Result<Records> {
    HF_TRY(const Client* const owner, known_client(s, client));
    const ClientId& id = owner->payload.id;
    Records records;
    if (!s.sources().contains(std::pair(id, SourceId{}))) add_record(s, {id, {}, SourceState::Retired, ""}, records);
    for (const auto& [key, payload] : s.sources()) {
      if (key.first == id) add_record(s, {id, key.second, SourceState::Retired, payload.label}, records);
    }
    return records;
  };
  HF_TRY_DO(parts_.publisher->publish(kLifeSubject, propose));
  return {};
}

Result<std::vector<SourceStory>> SnapshotLife::sources(const std::string& client) const {
  return parts_.state.read([&](const State& s) -> Result<std::vector<SourceStory>> {
    std::vector<const Client*> clients;
    if (client.empty()) {
      for (const auto& [name, id] : s.clients_by_name()) clients.push_back(s.client(id));
    } else {
      HF_TRY(const Client* const one, known_client(s, client));
      clients.push_back(one);
    }
    std::vector<SourceStory> out;
    for (const Client* const owner : clients) {
      NewestGood sources = sources_of(s, *owner);
      find_newest_good(s, *owner, sources);
      for (const auto& [source, newest] : sources) out.push_back(story_of(s, *owner, source, newest));
    }
    return out;
  });
}

}  // namespace holdfast::tenant
