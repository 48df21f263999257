#include "server/tenant/commits.h"

#include <algorithm>

#include "common/snapshot/stored_core.h"
#include "server/retention/plan.h"
#include "server/tenant/commit_check.h"

namespace holdfast::tenant {
namespace {

constexpr int kMaxAttempts = 4;

/// Facts that may change until the record is published: looked at early for a friendly answer, and again under the
/// publish lock for a sure one.
Status check_position(const State& s, const ClientId& client, const snapshot::Core& core) {
  const Client& known = *s.client(client);
  if (core.sequence != known.last_sequence + 1 || core.previous != known.newest) {
    return Error{Errc::Conflict, "the snapshot does not follow this client's newest: it is number " +
                                     std::to_string(core.sequence) + ", the newest is number " +
                                     std::to_string(known.last_sequence) + "; another run has committed meanwhile"};
  }
  return {};
}

}  // namespace

Result<Bytes> Commits::commit(const ClientId& client, const SessionId& session, ByteSpan core, Refused* refused) {
  HF_TRY(const SessionFacts early, sessions_.facts(client, session));
  if (early.phase == Session::Phase::Committed) return receipt(early.snapshot);

  const Status done = sessions_.settled(client, session, [&]() -> Status {
    HF_TRY(const SessionFacts known, sessions_.facts(client, session));
    HF_TRY(const snapshot::VerifiedCore verified, check_core(client, known, core));
    for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
      std::shared_lock<std::shared_mutex> patience(parts_.committing, std::defer_lock);
      if (attempt + 1 == kMaxAttempts) patience.lock();
      const Checked version = checked_now();
      HF_TRY_DO(check_reachable(client, known, verified.core, refused));
      HF_TRY(const bool published, publish(client, session, verified, core, version));
      if (published) return {};
    }
    return Error{Errc::Conflict, "the store changed under the commit check each time; try again"};
  });
  // A repeated commit may have waited behind the first one.
  HF_TRY(const SessionFacts late, sessions_.facts(client, session));
  if (late.phase != Session::Phase::Committed) {
    return done ? Error{Errc::Conflict, "this session has ended"} : done.error();
  }
  sessions_.forget(session);
  return receipt(late.snapshot);
}

Result<snapshot::VerifiedCore> Commits::check_core(const ClientId& client, const SessionFacts& session,
                                                   ByteSpan bytes) const {
  if (bytes.size() > snapshot::kMaxCoreBytes) return Error{Errc::Limit, "the core is too long"};
  HF_TRY(snapshot::VerifiedCore verified, snapshot::decode_core(bytes));
  const snapshot::Core& core = verified.core;
  return parts_.state.read([&](const State& s) -> Result<snapshot::VerifiedCore> {
    HF_TRY_DO(parts_.check_enrolled(s, client));
    if (core.certificate != *s.client(client)->certificate_bytes) {
      return Error{Errc::Denied, "the core carries another certificate than the enrolled client's"};
    }
    const bool same = core.tenant == s.tenant().id && core.client == client && core.domain == session.domain &&
                      core.epoch == session.epoch && core.run == session.run && core.profile == blob::kProfile1;
    if (!same)
      return Error{Errc::Denied, "the core names another tenant, client, domain, epoch or run than its session"};
    HF_TRY_DO(check_position(s, client, core));
    return std::move(verified);
  });
}

Status Commits::check_reachable(const ClientId& client, const SessionFacts& session, const snapshot::Core& core,
                                Refused* refused) {
  HF_TRY(const std::optional<blob::BlobRef> base, proven_base(client, session, core));
  const EntryLookup lookup = [&](const blob::BlobRef& ref) -> Result<std::optional<pack::Entry>> {
    HF_TRY(std::vector<Copy> copies, parts_.copies(client, core.domain, core.epoch, ref.blob));
    for (Copy& copy : copies) {
      if (copy.visible && !copy.damaged && copy.location.entry.run == ref.run)
        return std::optional(std::move(copy.location.entry));
    }
    return std::optional<pack::Entry>();
  };
  HF_TRY(const std::vector<BlobId> missing, find_missing(core.root, base, lookup));
  if (missing.empty()) return {};
  const std::string text = std::to_string(missing.size()) + (missing.size() >= kMaxMissing ? " or more" : "") +
                           " blob(s) of the snapshot are not in the store, first " + missing.front().hex() +
                           "; send them and commit again";
  if (refused != nullptr) refused->missing = missing;
  return Error{Errc::Missing, text};
}

/// The base proves what it shares if this session has pinned it since it was opened, and only while nothing is known to
/// be damaged: then its own commit check still holds.
Result<std::optional<blob::BlobRef>> Commits::proven_base(const ClientId& client, const SessionFacts& session,
                                                          const snapshot::Core& core) const {
  if (core.base.is_zero()) return std::optional<blob::BlobRef>();
  return parts_.state.read([&](const State& s) -> Result<std::optional<blob::BlobRef>> {
    const Snapshot* const base = s.snapshot(core.base);
    if (base == nullptr || base->payload.client != client) {
      return Error{Errc::Conflict, "the base snapshot " + core.base.short_hex() +
                                       " is not one of this client's; run a backup without it"};
    }
    if (session.base != core.base || !parts_.damage.none()) return std::optional<blob::BlobRef>();
    HF_TRY(const snapshot::Core known, snapshot::decode_stored_core(base->payload.core));
    if (known.domain != core.domain || known.epoch != core.epoch) return std::optional<blob::BlobRef>();
    return std::optional(blob::BlobRef{known.root.blob, known.root.run});
  });
}

Commits::Checked Commits::checked_now() const {
  return {parts_.damage.version(), parts_.state.read([](const State& s) { return s.condemnations(); })};
}

Result<bool> Commits::publish(const ClientId& client, const SessionId& session, const snapshot::VerifiedCore& verified,
                              ByteSpan core, const Checked& version) {
  bool checked_enough = true;
  const auto propose = [&](const State& s, const Stamp& stamp) -> Result<std::vector<coordinator::NewRecord>> {
    HF_TRY_DO(parts_.check_enrolled(s, client));
    if (s.session(session)->phase != Session::Phase::Open) return Error{Errc::Conflict, "this session has ended"};
    HF_TRY_DO(check_position(s, client, verified.core));
    checked_enough = version == Checked{parts_.damage.version(), s.condemnations()};
    if (!checked_enough) return std::vector<coordinator::NewRecord>{};
    HF_TRY(const retention::Plan plan, retention::builtin_plan(s.tenant().plan));
    journal::CommitPayload payload;
    payload.session = session;
    payload.client = client;
    payload.sequence = verified.core.sequence;
    payload.snapshot = verified.id;
    payload.lock_not_before_ns = retention::lock_date(plan, stamp.vault_ns);
    payload.plan = plan.name;
    payload.core = to_bytes(core);
    return std::vector{new_record(journal::Kind::Commit, journal::encode(payload))};
  };
  HF_TRY_DO(parts_.publisher->publish("client:" + client.hex(), propose));
  return checked_enough;
}

/// From the record alone, so that whoever asks again gets the same bytes (Ed25519 signatures are deterministic, RFC 8032).
Result<Bytes> Commits::receipt(const SnapshotId& id) const {
  return parts_.state.read([&](const State& s) -> Result<Bytes> {
    const Snapshot* const known = s.snapshot(id);
    HF_ASSERT(known != nullptr);
    snapshot::Receipt receipt;
    receipt.tenant = s.tenant().id;
    receipt.client = known->payload.client;
    receipt.snapshot = id;
    receipt.sequence = known->payload.sequence;
    receipt.server_ns = known->vault_ns;
    receipt.lock_not_before_ns = known->promised_lock_ns;
    receipt.plan = known->payload.plan;
    receipt.journal_number = known->number;
    receipt.journal_digest = known->digest;
    return snapshot::encode_signed(receipt, parts_.env.receipt_key);
  });
}

}  // namespace holdfast::tenant
