#include "server/tenant/check.h"

#include <algorithm>

#include "server/coordinator/recovery.h"
#include "server/tenant/reading.h"

namespace holdfast::tenant {
namespace {

constexpr std::size_t kMaxDirectoryDepth = 8;
constexpr char kIndexName[] = "index";

/// The file that the coordinator's message names.
std::string journal_file(const std::string& message) {
  constexpr std::size_t kNameBytes = sizeof("journal/0000000000000001.seg") - 1;
  const std::size_t at = message.find("journal/");
  if (at != std::string::npos && message.size() - at >= kNameBytes && message.substr(at, kNameBytes).ends_with(".seg"))
    return message.substr(at, kNameBytes);
  return message.find("head:") != std::string::npos ? coordinator::kHeadName : coordinator::kJournalName;
}

}  // namespace

Result<CheckSummary> Check::run(const std::function<void(const Finding&)>& found) {
  const std::shared_lock steady(parts_.condemning);
  remember_state();
  check_journal();
  check_directory();
  verify_index();  // before anything is looked up in it: a lookup that meets damage heals it
  check_packs();
  check_slots();
  compare_index();
  check_trees();
  summary_.snapshots = snapshots_.size();
  summary_.packs = packs_.size();
  summary_.damaged_files = findings_.damaged_files();
  summary_.damaged_snapshots = findings_.damaged_snapshots().size();
  const auto label = [&](const SnapshotId& id) {
    return parts_.state.read([&](const State& s) {
      const Snapshot* const known = s.snapshot(id);
      return known == nullptr ? id.short_hex() : snapshot_label(s, *known);
    });
  };
  findings_.tell(label, found);
  return summary_;
}

/// What the pass is about. Looked at before any file, so that whatever is in here must be on the disk.
void Check::remember_state() {
  parts_.state.read([&](const State& s) {
    for (const auto& [id, pack] : s.packs()) {
      packs_.push_back(pack);
      pack_files_[pack::object_name(id, pack.note.store_epoch)] = pack.note.bytes;
    }
    for (const auto& [id, pack] : s.trash()) trash_files_.insert(pack::object_name(id, pack.store_epoch));
    for (const auto& [id, session] : s.sessions()) {
      if (session.slot == Session::Slot::Removed) continue;
      slot_files_.insert(slot_name(session.payload.run));
      if (session.slot == Session::Slot::Kept) sessions_.push_back({session.payload.run, session.payload.slot_digest});
    }
    for (const auto& [id, snapshot] : s.snapshots()) {
      if (snapshot.life <= Life::Locked) snapshots_.push_back({id, snapshot.number});
    }
  });
  std::sort(packs_.begin(), packs_.end(), [](const Pack& a, const Pack& b) { return a.order < b.order; });
}

void Check::check_journal() {
  std::uint64_t last = 0;
  const Status read = parts_.coordinator->read(1, [&](const journal::Record& record) -> Status {
    last = record.number;
    summary_.records += 1;
    return {};
  });
  for (const std::string& repair : parts_.coordinator->repairs())
    findings_.note(journal_file(repair), "put right at the start: " + repair);
  if (read) return check_writable();
  const std::string file = journal_file(read.error().message);
  const Findings::FileId id = findings_.damage(file, read.error().message);
  parts_.publisher->stop(Error{Errc::Corrupt, read.error().message});
  if (file == coordinator::kHeadName) return;  // every record is still there
  for (const KnownSnapshot& snapshot : snapshots_) {
    if (snapshot.number > last) findings_.affects(id, snapshot.id);
  }
}

/// Whatever stopped the tenant may be well again; what it has not read, or could not write, it still does not know.
void Check::check_writable() {
  const std::optional<Error> reason = parts_.publisher->stopped();
  if (!reason) return;
  const bool was_damaged = parts_.journal_damage.has_value();
  findings_.damage(was_damaged ? journal_file(reason->message) : ".",
                   "the tenant has been read-only since \"" + reason->message + "\"; " +
                       (was_damaged ? "the journal reads well now: " : "when its cause is mended, ") +
                       "start holdfastd anew, and check again");
}

/// Both ways: every file that the journal names is there, and every file that is there has a name that we give.
void Check::check_directory() {
  std::map<std::string, std::uint64_t> files;
  walk_directory("", files);
  for (const Pack& pack : packs_) {
    const std::string name = pack::object_name(pack.note.id, pack.note.store_epoch);
    const auto found = files.find(name);
    if (found == files.end())
      damaged_pack(pack, "the pack is missing");
    else if (found->second != pack.note.bytes) {
      damaged_pack(
          pack, "has " + std::to_string(found->second) + " bytes, the journal says " + std::to_string(pack.note.bytes));
    }
  }
  for (const auto& [name, bytes] : files) {
    if (is_expected(name)) continue;
    const auto pack = pack::parse_object_name(name);
    if (name.starts_with("slots/") && name.ends_with(".slot"))
      findings_.note(
          name,
          "orphan: a key slot that no record names, or that was removed; it is never used, and collect removes it");
    else if (!pack)
      findings_.note(name, "nobody asked for this file: Holdfast does not make files of this name here");
    else if (parts_.journal_damage)
      check_unnamed(name, bytes);
    else if (!parts_.in_flight.contains(pack->first))
      findings_.note(name, "orphan: a pack that no record names; it is never used, and collect removes it");
  }
}

/// Of a tenant that may not know its whole journal: such a pack may be needed as soon as the rest can be read.
void Check::check_unnamed(const std::string& name, std::uint64_t bytes) {
  const pack::RangeReader read = [&](std::uint64_t offset, std::uint64_t length) {
    return parts_.store->get(name, offset, length);
  };
  const Result<pack::ReadFooter> found = pack::read_footer(bytes, read);
  if (!found) {
    findings_.damage(name, found.error().message);
    return;
  }
  if (name != pack::object_name(found->footer.id, found->footer.store_epoch)) {
    findings_.damage(name, "is another pack than its name says");
    return;
  }
  findings_.note(name, "no record that can be read names this pack; it stays while the tenant is read-only");
  if (!read_data_) return;
  for (const pack::Entry& entry : found->footer.entries) {
    const Result<Bytes> record = pack::read_record(entry, read);
    if (!record) findings_.damage(name, "at offset " + std::to_string(entry.offset) + ": " + record.error().message);
  }
}

bool Check::is_expected(const std::string& file) const {
  if (file == coordinator::kHeadName || file == coordinator::kLockName || pack_files_.contains(file) ||
      trash_files_.contains(file) || slot_files_.contains(file))
    return true;
  if (file.starts_with("tmp/") || file.starts_with(std::string(kIndexName) + "/"))
    return true;  // emptied at the start; RocksDB's own
  if (file.starts_with("journal/")) {
    const std::string name = file.substr(std::string_view("journal/").size());
    return coordinator::parse_segment_name(name).has_value() || name.starts_with("set-aside-");
  }
  // Published or opened since the pass began.
  return parts_.state.read([&](const State& s) {
    if (const auto pack = pack::parse_object_name(file)) {
      const Pack* const known = s.pack(pack->first);
      const Trashed* const trashed = s.trashed(pack->first);
      return (known != nullptr && known->note.store_epoch == pack->second) ||
             (trashed != nullptr && trashed->store_epoch == pack->second);
    }
    const std::optional<RunId> run = run_of_slot(file);
    const Session* const session = run ? s.session_of_run(*run) : nullptr;
    return session != nullptr && session->slot != Session::Slot::Removed;
  });
}

void Check::walk_directory(const std::string& relative, std::map<std::string, std::uint64_t>& files) {
  const std::string path = relative.empty() ? parts_.directory : fs::join(parts_.directory, relative);
  const Result<std::vector<fs::DirectoryEntry>> entries = parts_.env.fs.list(path);
  if (!entries) {
    if (entries.error().code != Errc::NotFound)
      findings_.damage(relative.empty() ? "." : relative, entries.error().message);
    return;
  }
  for (const fs::DirectoryEntry& entry : *entries) {
    const std::string name = relative.empty() ? entry.name : relative + "/" + entry.name;
    const bool deep = static_cast<std::size_t>(std::count(name.begin(), name.end(), '/')) + 1 >= kMaxDirectoryDepth;
    if (entry.kind == fs::FileKind::Directory && name != kIndexName && !deep)
      walk_directory(name, files);
    else if (entry.kind != fs::FileKind::Directory)
      files[name] = entry.size;
    else if (deep)
      findings_.note(name, "nobody asked for this directory");
  }
}

void Check::damaged_pack(const Pack& pack, const std::string& what) {
  const std::string file = pack::object_name(pack.note.id, pack.note.store_epoch);
  bad_packs_[pack.note.id] = findings_.damage(file, what);
  parts_.report_damage(pack.note.id, file + ": " + what);
}

void Check::check_packs() {
  for (const Pack& pack : packs_) {
    if (!bad_packs_.contains(pack.note.id)) check_pack(pack);
  }
}

void Check::check_pack(const Pack& pack) {
  const Result<pack::Footer> footer = read_pack_footer(*parts_.store, pack.note);
  if (!footer) return damaged_pack(pack, footer.error().message);
  summary_.blobs += footer->entries.size();
  footer_entries_[pack.note.id] = footer->entries.size();
  for (const pack::Entry& entry : footer->entries) check_index_entry(pack, entry);
  if (!read_data_) return;
  Findings::FileId file = 0;
  check_data(pack, *footer, &file);
}

void Check::check_data(const Pack& pack, const pack::Footer& footer, Findings::FileId* file) {
  const std::string name = pack::object_name(pack.note.id, pack.note.store_epoch);
  const pack::RangeReader read = pack_ranges(*parts_.store, pack.note);
  bool whole = true;
  for (const pack::Entry& entry : footer.entries) {
    const Result<Bytes> record = pack::read_record(entry, read);
    if (record) {
      summary_.bytes_read += record->size();
      continue;
    }
    whole = false;
    const std::string what = "at offset " + std::to_string(entry.offset) + ": " + record.error().message;
    *file = findings_.damage(name, what);
    bad_copies_[{pack.note.id, entry.offset}] = *file;
    parts_.report_damage(pack.note.id, name + " " + what);
  }
  if (whole) parts_.report_whole(pack.note.id);
}

/// Footers → index. The other direction is counted in compare_index.
void Check::check_index_entry(const Pack& pack, const pack::Entry& entry) {
  const Result<std::vector<index::Location>> found = parts_.index->find(entry.domain, entry.epoch, entry.blob);
  const bool listed = found && std::any_of(found->begin(), found->end(), [&](const index::Location& l) {
                        return l.pack == pack.note.id && l.store_epoch == pack.note.store_epoch && l.entry == entry;
                      });
  if (!listed)
    damaged_index("blob " + entry.blob.hex() + " of " + pack::object_name(pack.note.id, pack.note.store_epoch) +
                  " is not listed as its footer says");
}

void Check::verify_index() {
  // It may only have fallen behind, on a disk that was full.
  if (const Status up = parts_.index->bring_up(); !up) {
    findings_.damage(kIndexName, up.error().message + "; it will be opened again when somebody needs it");
    return;
  }
  const Status verified = parts_.index->verify();
  if (!verified) damaged_index(verified.error().message);
}

void Check::damaged_index(const std::string& what) {
  findings_.damage(kIndexName, what + "; rebuild the index (holdfastctl rebuild-index)");
}

/// Index → footers: no entry that a footer does not have.
void Check::compare_index() {
  std::unordered_map<PackId, std::uint64_t> listed;
  const Status read = parts_.index->for_each([&](const index::Location& location) -> Status {
    listed[location.pack] += 1;
    return {};
  });
  if (!read) return damaged_index(read.error().message);
  for (const auto& [pack, count] : listed) {
    const auto footer = footer_entries_.find(pack);
    const bool named = parts_.state.read([&](const State& s) { return s.pack(pack) != nullptr; });
    if (!named && !parts_.journal_damage)
      damaged_index("lists blobs of pack " + pack.hex() + ", which the journal does not name");
    else if (footer != footer_entries_.end() && footer->second != count)
      damaged_index("lists blobs of pack " + pack.hex() + " that its footer does not have");
  }
}

void Check::check_slots() {
  for (const KnownSession& session : sessions_) {
    const Result<Bytes> slot = read_slot(*parts_.store, session.run, session.slot_digest, parts_.damage);
    if (!slot) bad_slots_[session.run] = findings_.damage(slot_name(session.run), slot.error().message);
  }
}

void Check::check_trees() {
  for (const KnownSnapshot& snapshot : snapshots_) {
    // Without an index no tree can be walked; what the files have told so far is still worth telling.
    if (const Status walked = check_tree(snapshot); !walked) return damaged_index(walked.error().message);
  }
}

Status Check::check_tree(const KnownSnapshot& snapshot) {
  const Result<snapshot::VerifiedCore> verified =
      parts_.state.read([&](const State& s) { return snapshot::decode_core(s.snapshot(snapshot.id)->payload.core); });
  if (!verified) {
    findings_.affects(findings_.damage(coordinator::kJournalName,
                                       "core of snapshot " + snapshot.id.hex() + ": " + verified.error().message),
                      snapshot.id);
    return {};
  }
  const snapshot::Core& core = verified->core;
  const std::pair space(core.domain, core.epoch);
  auto tree = trees_.find(space);
  if (tree == trees_.end()) {
    const auto look = [this, space](const blob::BlobRef& ref) { return resolve(space.first, space.second, ref); };
    tree = trees_.emplace(space, TreeDamage(look)).first;
  }
  HF_TRY(const std::set<Findings::FileId> blame, tree->second.below({core.root.blob, core.root.run}));
  for (const Findings::FileId file : blame) findings_.affects(file, snapshot.id);
  if (const auto slot = bad_slots_.find(core.run); slot != bad_slots_.end())
    findings_.affects(slot->second, snapshot.id);  // its sealed part
  return {};
}

Result<Resolved> Check::resolve(const DomainId& domain, std::uint32_t epoch, const blob::BlobRef& ref) {
  HF_TRY(std::vector<index::Location> found, parts_.index->find(domain, epoch, ref.blob));
  Resolved out;
  bool good = false;
  for (index::Location& location : found) {
    const bool named = parts_.state.read([&](const State& s) { return s.pack(location.pack) != nullptr; });
    if (!named || location.entry.run != ref.run || good) continue;
    const auto pack = bad_packs_.find(location.pack);
    const auto copy = bad_copies_.find({location.pack, location.entry.offset});
    good = pack == bad_packs_.end() && copy == bad_copies_.end();
    if (pack != bad_packs_.end()) out.blame.push_back(pack->second);
    if (copy != bad_copies_.end()) out.blame.push_back(copy->second);
    if (good || !out.entry) out.entry = std::move(location.entry);
  }
  if (good) out.blame.clear();
  if (!out.entry) {
    // Not listed: its pack could not be read when the index was made. It was in one of its run's packs.
    const std::vector<PackId> candidates = parts_.state.read([&](const State& s) {
      const Session* const session = s.session_of_run(ref.run);
      return session == nullptr ? std::vector<PackId>{} : session->packs;
    });
    for (const PackId& id : candidates) {
      if (const auto pack = bad_packs_.find(id); pack != bad_packs_.end()) out.blame.push_back(pack->second);
    }
    if (out.blame.empty())
      out.blame.push_back(
          findings_.damage("packs", "blob " + ref.blob.hex() + " of run " + ref.run.hex() + " is in no pack"));
  }
  if (const auto slot = bad_slots_.find(ref.run); slot != bad_slots_.end()) out.blame.push_back(slot->second);
  return out;
}

}  // namespace holdfast::tenant
