#include "client/restore/archive.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <thread>

namespace holdfast::restore {

namespace {

/// What nobody of ours would have written is wrong data, also when it is wrong by its lengths.
template <class T>
Result<T> stored(Result<T> decoded) {
  if (decoded || decoded.error().code != Errc::Limit) return decoded;
  return Error{Errc::Corrupt, std::move(decoded).error().message};
}

/// R has been checked against its commitment, so a blob that does not open under it is not what was sealed.
Result<sealing::OpenedBlob> not_a_wrong_key(Result<sealing::OpenedBlob> opened) {
  if (opened || opened.error().code != Errc::WrongKey) return stored(std::move(opened));
  return Error{Errc::Corrupt, "it does not open under the key of its run: it is damaged or was exchanged"};
}

std::size_t footprint(const sealing::OpenedBlob& opened) {
  return opened.raw.size() + opened.children.size() * sizeof(blob::BlobRef);
}

}  // namespace

bool is_connection_error(Errc code) {
  return code == Errc::Unreachable || code == Errc::Timeout || code == Errc::Protocol || code == Errc::Canceled ||
         code == Errc::Denied;
}

Result<OpeningKey> own_key(const keyring::Keyring& keyring) {
  if (!keyring.read) {
    return Error{
        Errc::WrongKey,
        keyring.signing
            ? "this machine is write-only: it keeps no key that opens backups; give --key with the recovery file"
            : "an operator's keyring opens nothing; give --key with the recovery file of the tenant"};
  }
  const RecipientId mine = keyring.read->recipient();
  for (const keyring::Recipient& one : keyring.recipients) {
    if (crypto::recipient_of(one.key) != mine) continue;
    OpeningKey key;
    key.pair = &*keyring.read;
    const crypto::Key* secret = &one.wrap_secret;
    key.wrap_secret = [secret](const ClientId&) { return secret->clone(); };
    key.root = keyring.root;
    key.client = keyring.client;
    return key;
  }
  return Error{Errc::WrongKey, "the keyring has a read key but no wrap secret for it; enrol again, or give --key"};
}

OpeningKey recovery_key(const keyring::RecoveryKey& key) {
  OpeningKey opening;
  opening.pair = &key.recovery;
  const keyring::RecoveryKey* recovery = &key;
  opening.wrap_secret = [recovery](const ClientId& client) {
    return keyring::wrap_secret(recovery->tenant_secret, client, recovery->recovery.recipient());
  };
  opening.root = key.root;
  return opening;
}

bool SnapshotInfo::is_complete(std::string_view source) const {
  if (!part) return false;
  const auto named = std::find_if(part->sources.begin(), part->sources.end(),
                                  [&](const snapshot::SealedPart::Source& one) { return one.name == source; });
  if (named == part->sources.end()) return false;
  const auto note = std::find_if(core().sources.begin(), core().sources.end(),
                                 [&](const snapshot::SourceNote& one) { return one.id == named->id; });
  return note != core().sources.end() && note->result != snapshot::SourceResult::Failed;
}

Archive::Archive(remote::Remote& remote, remote::Subject subject, OpeningKey key)
    : remote_(remote), subject_(std::move(subject)), key_(std::move(key)) {}

Status Archive::walk(bool with_runs, const std::function<Result<bool>(SnapshotInfo)>& take) {
  std::optional<ClientId> client = key_.client;
  std::optional<std::uint64_t> last;
  return remote_.snapshot_pages(subject_, with_runs, [&](const std::vector<remote::SnapshotRow>& rows) -> Result<bool> {
    std::vector<SnapshotInfo> page;  // a page is right as a whole, or nothing is taken from it
    for (const remote::SnapshotRow& row : rows) {
      HF_TRY(SnapshotInfo info, read_core(row));
      // The root certifies all machines of a tenant: only the id tells them apart.
      if (client.value_or(info.core().client) != info.core().client) {
        return Error{Errc::Protocol, "list snapshots: the server shows snapshot " + info.verified.id.short_hex() +
                                         " of another machine among this one's: nothing it says is trusted"};
      }
      client = info.core().client;
      if (last.value_or(info.core().sequence + 1) <= info.core().sequence)
        return Error{Errc::Protocol, "list snapshots: the server's list is out of order"};
      last = info.core().sequence;
      // One that comes with its snapshot and does not open is asked for by its name: then its error is told.
      if (row.run) (void)keep_run_key(info.core().run, *row.run);
      page.push_back(std::move(info));
    }
    for (SnapshotInfo& info : page) {
      HF_TRY(const bool go_on, take(std::move(info)));
      if (!go_on) return false;
    }
    return true;
  });
}

Result<std::vector<SnapshotInfo>> Archive::snapshots() {
  std::vector<SnapshotInfo> found;
  HF_TRY_DO(walk(true, [&](SnapshotInfo info) -> Result<bool> {
    found.push_back(std::move(info));
    return true;
  }));
  std::ranges::reverse(found);
  for (SnapshotInfo& info : found) HF_TRY_DO(open_part(info));
  return found;
}

Result<SnapshotInfo> Archive::read_core(const remote::SnapshotRow& row) const {
  SnapshotInfo info;
  HF_TRY(info.verified, stored(snapshot::decode_core(row.core)));
  const std::string name = "snapshot " + info.verified.id.short_hex();
  if (info.verified.certificate.root != key_.root) {
    return Error{Errc::WrongKey, name +
                                     ": it was signed under another root key than the trusted one: wrong key file, or "
                                     "a server that shows foreign backups"};
  }
  info.received_ns = row.received_ns;
  info.lock_not_before_ns = row.lock_not_before_ns;
  info.state = row.state;
  for (const snapshot::SourceNote& source : info.core().sources) {
    if (source.result == snapshot::SourceResult::Failed) info.complete = false;
  }
  return info;
}

Status Archive::open_part(SnapshotInfo& info) {
  const Result<const crypto::Key*> key = run_key(info.core().run);
  if (!key) {
    if (key.error().code == Errc::Unreachable || key.error().code == Errc::Timeout) return key.error();
    info.why_closed = key.error();
    return {};
  }
  const Result<Bytes> plain = sealing::open_part(**key, snapshot::sealed_part_context(info.core()), info.core().sealed);
  if (!plain) {
    info.why_closed = plain.error();
    return {};
  }
  // Whoever held the client's keys may have sealed anything: it must not hide the snapshots before it.
  Result<snapshot::SealedPart> part =
      snapshot::decode_sealed_part(*plain).context("snapshot " + info.verified.id.short_hex());
  if (part)
    info.part = *std::move(part);
  else
    info.why_closed = std::move(part).error();
  return {};
}

/// A server that was put back, is damaged or lies must not pass an older snapshot off as the newest.
Error Archive::not_shown(const std::string& spec) const {
  return Error{Errc::Rollback,
               "find snapshot '" + printable(spec) + "': the server does not show snapshot " +
                   std::to_string(expected_->sequence) + " (" + expected_->snapshot.short_hex() +
                   "), which it has acknowledged: it is damaged, was restored from an old copy, or is lying; tell its "
                   "operator. `holdfast snapshots` lists what it shows: an older one is restored by its number"};
}

Result<SnapshotInfo> Archive::find_newest(const std::string& spec, bool must_show_expected,
                                          const std::function<Result<bool>(SnapshotInfo&)>& fits,
                                          std::string why_none) {
  std::optional<SnapshotInfo> found;
  std::optional<std::uint64_t> newer_locked;
  bool shown = !expected_ || !must_show_expected, any = false;
  HF_TRY_DO(walk(false, [&](SnapshotInfo info) -> Result<bool> {
    any = true;
    shown = shown || info.verified.id == expected_->snapshot;
    const bool may_come = !shown && info.core().sequence > expected_->sequence;
    if (!found) {
      HF_TRY(const bool hit, fits(info));
      if (hit && info.locked())
        newer_locked = newer_locked.value_or(info.core().sequence);
      else if (hit)
        found = std::move(info);
    }
    return !found || may_come;
  }));
  if (!shown) return not_shown(spec);
  if (!any) why_none = "there is no snapshot yet";
  if (newer_locked) why_none += " but number " + std::to_string(*newer_locked) + ", which the server's operator locked";
  if (!found)
    return Error{Errc::NotFound,
                 "find snapshot '" + printable(spec) + "': " + why_none + "; `holdfast snapshots` lists what there is"};
  if (!found->part && !found->why_closed) HF_TRY_DO(open_part(*found));
  found->newer_locked = newer_locked;
  return *std::move(found);
}

Status Archive::may_open(const SnapshotInfo& snapshot) const {
  if (!snapshot.locked() || !subject_.tenant.empty()) return {};
  return Error{Errc::Denied, "open snapshot " + std::to_string(snapshot.core().sequence) + " (" +
                                 snapshot.verified.id.short_hex() +
                                 "): the server's operator has locked it, and it will be deleted in time; ask them to "
                                 "undelete it"};
}

Result<SnapshotInfo> Archive::find_named(const std::string& spec) {
  std::uint64_t sequence = 0;
  const auto [end, code] = std::from_chars(spec.data(), spec.data() + spec.size(), sequence);
  const bool number = code == std::errc() && end == spec.data() + spec.size() && !spec.empty();
  std::optional<SnapshotInfo> numbered;
  std::vector<SnapshotInfo> hits;
  HF_TRY_DO(walk(false, [&](SnapshotInfo info) -> Result<bool> {
    if (number && info.core().sequence == sequence)
      numbered = std::move(info);
    else if (spec.size() >= 6 && info.verified.id.hex().starts_with(spec))
      hits.push_back(std::move(info));
    return !numbered;
  }));
  if (!numbered && hits.size() == 1) numbered = std::move(hits[0]);
  if (numbered) {
    HF_TRY_DO(may_open(*numbered));
    HF_TRY_DO(open_part(*numbered));
    return *std::move(numbered);
  }
  if (hits.size() > 1)
    return Error{Errc::Usage, "find snapshot '" + printable(spec) + "': " + std::to_string(hits.size()) +
                                  " ids begin so; give more digits"};
  return Error{Errc::NotFound, "find snapshot '" + printable(spec) +
                                   "': there is none; give latest, a sequence number, at least 6 hex digits of the id, "
                                   "or @time (`holdfast snapshots` lists them)"};
}

Result<SnapshotInfo> Archive::find(const std::string& spec, const std::string& source) {
  const auto has_source = [&](SnapshotInfo& one) -> Result<bool> {
    HF_TRY_DO(open_part(one));
    return one.is_complete(source);
  };
  if (spec == "latest") {
    return find_newest(
        spec, true, [&](SnapshotInfo& one) -> Result<bool> { return source.empty() ? one.complete : has_source(one); },
        source.empty() ? "there is no complete snapshot"
                       : "there is none in which source '" + printable(source) + "' is complete");
  }
  if (!spec.empty() && spec[0] == '@') {
    HF_TRY(const WallTime time, parse_rfc3339(std::string_view(spec).substr(1)));
    return find_newest(
        spec, expected_ && to_ns(time) >= expected_->server_ns,
        [&](SnapshotInfo& one) -> Result<bool> {
          if (one.received_ns > to_ns(time)) return false;
          return source.empty() ? true : has_source(one);
        },
        "none is that old");
  }
  return find_named(spec);
}

Result<const crypto::Key*> Archive::run_key(const RunId& run) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = run_keys_.find(run);
    if (found != run_keys_.end()) return &found->second;
  }
  HF_TRY(const remote::RunRow row, remote_.run(subject_, run).context("open the key slot of run " + run.short_hex()));
  return keep_run_key(run, row);
}

Result<const crypto::Key*> Archive::keep_run_key(const RunId& run, const remote::RunRow& row) {
  const std::string name = "open the key slot of run " + run.short_hex();
  HF_TRY(const snapshot::ClientCertificate certificate,
         stored(snapshot::decode_client_certificate(row.certificate)).context(name));
  if (certificate.root != key_.root)
    return Error{Errc::WrongKey, name + ": its client is certified by another root key than the trusted one"};
  HF_TRY(const snapshot::RunRecord record,
         stored(snapshot::decode_run_record(row.run_record, certificate.signing_key)).context(name));
  const bool agrees = record.run == run && record.client == certificate.client && record.tenant == certificate.tenant;
  if (!agrees) return Error{Errc::Corrupt, name + ": the server sent the record of another run"};
  HF_TRY(const snapshot::KeySlot slot, stored(snapshot::decode_key_slot(row.slot)).context(name));
  Result<crypto::Key> key =
      snapshot::unwrap_run_key(slot, record, row.run_record, *key_.pair, key_.wrap_secret(record.client)).context(name);
  if (!key) {
    Error error = std::move(key).error();
    if (error.code == Errc::WrongKey)
      error.message += "; the recovery file opens it (--key FILE), whichever keys this machine had at the time";
    return error;
  }
  const std::lock_guard lock(mutex_);
  return &run_keys_.emplace(run, std::move(*key)).first->second;  // map nodes stay where they are
}

std::optional<sealing::OpenedBlob> Archive::kept_segment(const blob::BlobRef& ref) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const auto& one) { return one.first == ref; });
  if (found == kept_.end()) return std::nullopt;
  kept_.splice(kept_.begin(), kept_, found);
  return found->second;
}

void Archive::keep_segment(const blob::BlobRef& ref, const sealing::OpenedBlob& opened) {
  const std::lock_guard lock(mutex_);
  kept_.emplace_front(ref, opened);
  kept_bytes_ += footprint(opened);
  while (kept_.size() > kMaxKept || (kept_bytes_ > kMaxKeptBytes && kept_.size() > 1)) {
    kept_bytes_ -= footprint(kept_.back().second);
    kept_.pop_back();
  }
}

Result<sealing::OpenedBlob> Archive::open_segment(const snapshot::Core& core, const blob::BlobRef& ref, blob::Type type,
                                                  Result<Bytes> record) {
  const std::string name = "read segment " + ref.blob.short_hex();
  if (!record) return std::move(record).error().with_context(name);
  HF_TRY(const crypto::Key* key, run_key(ref.run));
  const bool is_root = ref.blob == core.root.blob && ref.run == core.root.run;
  HF_TRY(sealing::OpenedBlob opened, not_a_wrong_key(sealing::open(space_of(core), ref, type, *key, *record,
                                                                   is_root ? &core.root.record_digest : nullptr))
                                         .context(name));
  keep_segment(ref, opened);
  return opened;
}

Status Archive::segments(const snapshot::Core& core, const std::vector<blob::BlobRef>& refs, blob::Type type,
                         std::vector<Result<sealing::OpenedBlob>>* out) {
  std::vector<std::size_t> missing;
  std::vector<remote::WantedBlob> wanted;
  out->clear();
  for (std::size_t i = 0; i < refs.size(); ++i) {
    std::optional<sealing::OpenedBlob> kept = kept_segment(refs[i]);
    if (kept) {
      out->emplace_back(*std::move(kept));
      continue;
    }
    out->emplace_back(Error{Errc::Io, "not fetched"});
    missing.push_back(i);
    wanted.push_back({refs[i], core.domain, core.epoch});
  }
  if (wanted.empty()) return {};
  std::vector<std::optional<Result<Bytes>>> records(wanted.size());
  HF_TRY_DO(remote_.fetch(subject_, wanted, [&](std::size_t index, Result<Bytes> record) -> Status {
    records[index].emplace(std::move(record));
    return {};
  }));
  for (std::size_t i = 0; i < missing.size(); ++i)
    (*out)[missing[i]] = open_segment(core, refs[missing[i]], type, *std::move(records[i]));
  return {};
}

Status Archive::fetch_many(const snapshot::Core& core, const std::vector<blob::BlobRef>& refs,
                           const std::atomic<bool>* stop, std::vector<Result<Bytes>>* out) {
  std::vector<remote::WantedBlob> wanted;
  out->clear();
  for (const blob::BlobRef& ref : refs) {
    wanted.push_back({ref, core.domain, core.epoch});
    out->emplace_back(Error{Errc::Io, "not fetched"});
  }
  return remote_.fetch(subject_, wanted, [&](std::size_t index, Result<Bytes> record) -> Status {
    if (stop != nullptr && *stop) return Error{Errc::Canceled, "nobody waits for these blobs any more"};
    (*out)[index] = std::move(record);
    return {};
  });
}

std::vector<Result<sealing::OpenedBlob>> Archive::open_fetched(const snapshot::Core& core,
                                                               const std::vector<blob::BlobRef>& refs,
                                                               std::vector<Result<Bytes>> records,
                                                               std::size_t threads) {
  std::vector<Result<const crypto::Key*>> keys;
  std::vector<Result<sealing::OpenedBlob>> out;
  for (const blob::BlobRef& ref : refs) {
    keys.push_back(run_key(ref.run));
    out.emplace_back(Error{Errc::Io, "not opened"});
  }
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < refs.size(); i = next++) {
      out[i] = open_data(core, refs[i], keys[i], std::move(records[i]));
      records[i] = Bytes();  // what is opened need not be held twice
    }
  };
  std::vector<std::thread> helpers;
  for (std::size_t i = 1; i < std::min(threads, refs.size()); ++i) helpers.emplace_back(work);
  work();
  for (std::thread& one : helpers) one.join();
  return out;
}

Result<sealing::OpenedBlob> Archive::open_data(const snapshot::Core& core, const blob::BlobRef& ref,
                                               const Result<const crypto::Key*>& key, Result<Bytes> record) const {
  const std::string name = "read blob " + ref.blob.short_hex();
  if (!record) return std::move(record).error().with_context(name);
  if (!key) return key.error();
  return not_a_wrong_key(sealing::open(space_of(core), ref, blob::Type::Data, **key, *record)).context(name);
}

Status Archive::open_many(const snapshot::Core& core, const std::vector<blob::BlobRef>& refs, std::size_t threads,
                          std::vector<Result<sealing::OpenedBlob>>* out) {
  std::vector<Result<Bytes>> records;
  HF_TRY_DO(fetch_many(core, refs, nullptr, &records));
  *out = open_fetched(core, refs, std::move(records), threads);
  return {};
}

Result<keyring::DomainKeys> Archive::domain_keys(const SnapshotInfo& snapshot) {
  const std::string name = "open snapshot " + snapshot.verified.id.short_hex();
  if (!snapshot.part) return Error(*snapshot.why_closed).with_context(name);
  for (const snapshot::SealedPart::DomainKey& one : snapshot.part->domain_keys) {
    if (one.domain == snapshot.core().domain && one.epoch == snapshot.core().epoch)
      return keyring::DomainKeys(crypto::Key(one.key));
  }
  return Error{Errc::Corrupt, name + ": it does not carry the key of its own domain epoch"};
}

manifest::ManifestReader open_manifest(Archive& archive, const SnapshotInfo& snapshot,
                                       const keyring::DomainKeys& keys) {
  const snapshot::Core& core = snapshot.core();
  return manifest::ManifestReader(
      keys.blob, {core.root.blob, core.root.run},
      manifest::BatchOpener([&archive, &core](const std::vector<blob::BlobRef>& refs, blob::Type type,
                                              std::vector<Result<sealing::OpenedBlob>>* out) {
        return archive.segments(core, refs, type, out);
      }));
}

}  // namespace holdfast::restore
