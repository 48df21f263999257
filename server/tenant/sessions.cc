#include "server/tenant/sessions.h"

#include <algorithm>

#include "common/base/log.h"

namespace holdfast::tenant {
namespace {

Error session_ended() { return {Errc::Conflict, "this session has ended"}; }

/// What a record says of itself must agree with the session that sends it.
Status check_header(const blob::Header& header, const SessionFacts& session) {
  if (header.domain != session.domain || header.epoch != session.epoch) {
    return Error{Errc::Denied,
                 "blob " + header.blob.short_hex() + " names another domain or epoch than the session's run"};
  }
  if (header.run != session.run)
    return Error{Errc::Denied, "blob " + header.blob.short_hex() + " was sealed for another run"};
  if (header.profile != blob::kProfile1)
    return Error{Errc::TooNew, "blob " + header.blob.short_hex() + " has an unknown profile"};
  return {};
}

}  // namespace

Result<SessionFacts> Sessions::facts(const ClientId& client, const SessionId& session) const {
  return parts_.state.read([&](const State& s) -> Result<SessionFacts> {
    HF_TRY_DO(parts_.check_enrolled(s, client));
    const Session* const known = s.session(session);
    // Somebody else's session and no session look the same.
    if (known == nullptr || known->payload.client != client) return Error{Errc::NotFound, "no such session"};
    return SessionFacts{session,      known->payload.run, known->domain, known->epoch, known->payload.base,
                        known->phase, known->snapshot};
  });
}

Result<SessionFacts> Sessions::open_facts(const ClientId& client, const SessionId& session) const {
  HF_TRY_DO(parts_.writable());
  HF_TRY(SessionFacts known, facts(client, session));
  if (known.phase != Session::Phase::Open) return session_ended();
  return known;
}

Result<std::vector<HaveAnswer>> Sessions::have(const ClientId& client, const SessionId& session, std::uint32_t epoch,
                                               const std::vector<BlobId>& blobs) {
  if (blobs.size() > kMaxHaveBlobs)
    return Error{Errc::Limit, "at most " + std::to_string(kMaxHaveBlobs) + " blobs may be asked for at once"};
  HF_TRY(const SessionFacts known, open_facts(client, session));
  std::vector<HaveAnswer> answers;
  if (epoch != known.epoch) return answers;  // a new epoch refers to nothing older
  const std::shared_ptr<Active> active = activate(session);
  active->used_ns = parts_.env.clock.monotonic().time_since_epoch().count();
  for (std::size_t i = 0; i < blobs.size(); ++i) {
    HF_TRY(const std::vector<Copy> copies, parts_.copies(client, known.domain, epoch, blobs[i]));
    const auto usable =
        std::find_if(copies.begin(), copies.end(), [](const Copy& c) { return c.visible && !c.damaged; });
    if (usable == copies.end()) continue;
    // Pinned first, then looked at again: collection may have condemned the pack in between.
    parts_.pins.add(session, usable->location.pack);
    const bool live = parts_.state.read([&](const State& s) { return s.pack(usable->location.pack) != nullptr; });
    if (live) answers.push_back({i, usable->location.entry.run, usable->location.entry.record_digest});
  }
  // Ended meanwhile by another connection: what was pinned since must not stay.
  const bool open =
      parts_.state.read([&](const State& s) { return s.session(session)->phase == Session::Phase::Open; });
  if (!open) {
    parts_.pins.drop(session);
    return session_ended();
  }
  return answers;
}

Result<Sessions::Tags> Sessions::put(const ClientId& client, const SessionId& session, std::uint64_t tag,
                                     ByteSpan record) {
  HF_TRY(const SessionFacts known, open_facts(client, session));
  const std::shared_ptr<Active> active = activate(session);
  const std::lock_guard lock(active->mutex);
  if (active->failed) return *active->failed;
  active->used_ns = parts_.env.clock.monotonic().time_since_epoch().count();
  HF_TRY_DO(put_locked(*active, client, known, tag, record));
  return std::exchange(active->ready, {});
}

Status Sessions::put_locked(Active& active, const ClientId& client, const SessionFacts& known, std::uint64_t tag,
                            ByteSpan record) {
  if (record.size() > blob::kMaxRecordBytes)
    return Error{Errc::Limit, "a blob record of " + std::to_string(record.size()) + " bytes is too long"};
  HF_TRY(const blob::RecordView view, blob::decode_record(record));
  HF_TRY_DO(check_header(view.header, known));
  if (active.upload && active.upload->take_duplicate(view.header.blob, tag)) return {};
  if (is_stored(client, known, view.header.blob)) {
    active.ready.push_back(tag);
    return {};
  }
  const Digest digest = blob::record_digest(record);
  HF_TRY_DO(reserve(active, record.size()));
  if (!active.upload) active.upload = new_upload(active);
  Result<std::vector<ClosedPack>> closed = active.upload->add(record, view, digest, tag);
  if (!closed) return fail(active, std::move(closed).error());
  return publish_packs(active, known.id, std::move(*closed));
}

Result<Sessions::Tags> Sessions::flush(const ClientId& client, const SessionId& session) {
  HF_TRY_DO(open_facts(client, session));
  const std::shared_ptr<Active> active = activate(session);
  const std::lock_guard lock(active->mutex);
  if (active->failed) return *active->failed;
  HF_TRY_DO(flush_locked(*active, session));
  return std::exchange(active->ready, {});
}

Status Sessions::flush_locked(Active& active, const SessionId& session) {
  if (!active.upload || active.upload->empty()) return {};
  Result<std::vector<ClosedPack>> closed = active.upload->close_all();
  if (!closed) return fail(active, std::move(closed).error());
  return publish_packs(active, session, std::move(*closed));
}

Status Sessions::settled(const ClientId& client, const SessionId& session, const std::function<Status()>& work) {
  HF_TRY_DO(open_facts(client, session));
  const std::shared_ptr<Active> active = activate(session);
  const std::lock_guard lock(active->mutex);
  if (active->failed) return *active->failed;
  HF_TRY_DO(flush_locked(*active, session));
  return work();
}

Status Sessions::abandon(const ClientId& client, const SessionId& session) {
  HF_TRY(const SessionFacts known, facts(client, session));
  if (known.phase == Session::Phase::Committed) return session_ended();
  const auto propose = [&](const State& s, const Stamp&) -> Result<std::vector<coordinator::NewRecord>> {
    const Session::Phase phase = s.session(session)->phase;
    if (phase == Session::Phase::Committed) return session_ended();
    std::vector<coordinator::NewRecord> records;
    if (phase == Session::Phase::Open) {
      records.push_back(
          new_record(journal::Kind::ExpireSession, journal::encode(journal::ExpireSessionPayload{session})));
    }
    return records;
  };
  HF_TRY_DO(parts_.publisher->publish("client:" + client.hex(), propose));
  forget(session);
  return {};
}

void Sessions::forget(const SessionId& session) {
  parts_.pins.drop(session);
  std::shared_ptr<Active> active;
  {
    const std::lock_guard lock(mutex_);
    const auto found = active_.find(session);
    if (found == active_.end()) return;
    active = std::move(found->second);
    active_.erase(found);
  }
  // Whoever still works on it finds it failed; nothing of it can be acknowledged any more.
  const std::lock_guard lock(active->mutex);
  drop(*active);
  active->failed = session_ended();
}

/// Somebody asked or sent something lately, though nothing of it is journalled yet.
bool Sessions::in_use(const SessionId& session) {
  const std::lock_guard lock(mutex_);
  const auto found = active_.find(session);
  if (found == active_.end()) return false;
  const std::int64_t now_ns = parts_.env.clock.monotonic().time_since_epoch().count();
  return now_ns - found->second->used_ns < std::chrono::nanoseconds(kSessionIdle).count();
}

std::shared_ptr<Sessions::Active> Sessions::activate(const SessionId& session) {
  {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Active>& active = active_[session];
    if (active) return active;
    active = std::make_shared<Active>();
    if (active_.size() <= kMaxWritingUploads) return active;
  }
  relieve();
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Active>& active = active_[session];
  if (!active) active = std::make_shared<Active>();
  return active;
}

/// Closes and publishes the upload that has been quiet longest. Its session keeps its tags until it asks.
void Sessions::relieve() {
  std::vector<std::pair<SessionId, std::shared_ptr<Active>>> all;
  {
    const std::lock_guard lock(mutex_);
    all.assign(active_.begin(), active_.end());
  }
  std::pair<SessionId, std::shared_ptr<Active>> quietest;
  std::size_t writing = 0;
  std::int64_t since = 0;
  for (const auto& item : all) {
    const bool ended =
        parts_.state.read([&](const State& s) { return s.session(item.first)->phase != Session::Phase::Open; });
    if (ended) {
      forget(item.first);
      continue;
    }
    const std::unique_lock lock(item.second->mutex, std::try_to_lock);
    if (!lock.owns_lock()) ++writing;  // at work: not quiet
    if (!lock.owns_lock() || !item.second->upload || item.second->upload->empty()) continue;
    ++writing;
    if (quietest.second && item.second->used_ns >= since) continue;
    quietest = item;
    since = item.second->used_ns;
  }
  if (writing < kMaxWritingUploads || !quietest.second) return;
  const std::unique_lock lock(quietest.second->mutex, std::try_to_lock);
  if (lock.owns_lock() && !quietest.second->failed) (void)flush_locked(*quietest.second, quietest.first);
}

/// A durable, whole copy that this session itself has sent. Others' copies are what "have?" is for.
bool Sessions::is_stored(const ClientId& client, const SessionFacts& known, const BlobId& blob) {
  const Result<std::vector<Copy>> copies = parts_.copies(client, known.domain, known.epoch, blob);
  if (!copies) return false;  // storing it twice is no harm
  return std::any_of(copies->begin(), copies->end(), [&](const Copy& c) {
    return c.session == known.id && c.location.entry.run == known.run && !c.damaged;
  });
}

Status Sessions::reserve(Active& active, std::uint64_t bytes) {
  const auto [quota, used] =
      parts_.state.read([](const State& s) { return std::pair(s.tenant().quota_bytes, s.used_bytes()); });
  const std::uint64_t reserved = reserved_bytes_.fetch_add(bytes) + bytes;
  if (quota != 0 && used + reserved > quota) {
    reserved_bytes_.fetch_sub(bytes);
    return Error{Errc::Quota, "the tenant's quota is used up: " + std::to_string(used) + " of " +
                                  std::to_string(quota) + " bytes are stored, this blob needs " +
                                  std::to_string(bytes)};
  }
  active.reserved_bytes += bytes;
  return {};
}

void Sessions::release(Active& active, std::uint64_t bytes) {
  bytes = std::min(bytes, active.reserved_bytes);
  active.reserved_bytes -= bytes;
  reserved_bytes_.fetch_sub(bytes);
}

std::unique_ptr<Upload> Sessions::new_upload(Active& active) {
  return std::make_unique<Upload>(
      [this, &active](pack::Kind kind) { return new_pack(active, kind); });  // `active` owns it
}

Result<std::unique_ptr<OpenPack>> Sessions::new_pack(Active& active, pack::Kind kind) {
  HF_TRY(const std::uint64_t available, parts_.store->available_bytes());
  if (available < parts_.env.floor_bytes / 4) {
    return Error{Errc::DiskFull, "the server's disk is full (" + std::to_string(available) + " bytes are free)"};
  }
  const PackId id = parts_.env.random.id<PackId>();
  HF_TRY(std::unique_ptr<store::ObjectWriter> object,
         parts_.store->create(pack::object_name(id, parts_.epoch.counter)));
  parts_.in_flight.add(id);
  active.writing.push_back(id);
  return std::make_unique<OpenPack>(id, parts_.epoch.counter, kind, std::move(object));
}

Status Sessions::publish_packs(Active& active, const SessionId& session, std::vector<ClosedPack> closed) {
  if (closed.empty()) return {};
  journal::PacksPayload payload{session, {}};
  std::vector<pack::Footer> footers;
  for (ClosedPack& pack : closed) {
    payload.packs.push_back(pack.note);
    footers.push_back(std::move(pack.footer));
  }
  const auto propose = [&](const State& s, const Stamp&) -> Result<std::vector<coordinator::NewRecord>> {
    if (s.session(session)->phase != Session::Phase::Open) return session_ended();
    return std::vector{new_record(journal::Kind::Packs, journal::encode(payload))};
  };
  // By client, as the end of a session is: the packs of a session that has just ended must not follow in one batch.
  const ClientId owner = parts_.state.read([&](const State& s) { return s.session(session)->payload.client; });
  const auto published = parts_.publisher->publish("client:" + owner.hex(), propose, std::move(footers));
  if (!published) {
    // Nobody will ever name these packs; while nothing is in doubt their space is given back at once.
    if (!parts_.publisher->stopped()) {
      for (const ClosedPack& pack : closed)
        (void)parts_.store->remove(pack::object_name(pack.note.id, pack.note.store_epoch));
    }
    return fail(active, published.error());
  }
  for (const ClosedPack& pack : closed) {
    active.ready.insert(active.ready.end(), pack.tags.begin(), pack.tags.end());
    release(active, pack.record_bytes);
    parts_.in_flight.remove(pack.note.id);
    std::erase(active.writing, pack.note.id);
  }
  return {};
}

/// The upload is lost as far as it was not acknowledged; the client may open the session again. A disk that failed for
/// another reason than being full is not trusted with anything more.
Error Sessions::fail(Active& active, Error error) {
  drop(active);
  if (error.code == Errc::Io || error.code == Errc::Unknown) {
    parts_.publisher->stop(Error{Errc::Io, "a write failed: " + error.message});
  }
  error = std::move(error).with_context("store what the client sent");
  active.failed = error;
  return error;
}

void Sessions::drop(Active& active) {
  active.upload.reset();
  release(active, active.reserved_bytes);
  for (const PackId& id : active.writing) parts_.in_flight.remove(id);
  active.writing.clear();
}

}  // namespace holdfast::tenant
