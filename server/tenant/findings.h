#pragma once
// Why: `check` meets a damaged file in several places (its length, its footer, each blob), and the snapshots that suffer
// only at the end. Findings are collected by file and told once.

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "server/tenant/tenant.h"

namespace holdfast::tenant {

/// One thread at a time.
class Findings {
 public:
  using FileId = std::size_t;

  FileId damage(const std::string& file, const std::string& what) {
    const FileId id = id_of(file);
    File& f = files_[id];
    f.damage = true;
    add(f.damages, f.damage_count, what);
    return id;
  }
  void note(const std::string& file, const std::string& what) {
    File& f = files_[id_of(file)];
    add(f.notes, f.note_count, what);
  }
  void affects(FileId file, const SnapshotId& snapshot) { files_[file].snapshots.insert(snapshot); }

  std::uint64_t damaged_files() const {
    std::uint64_t n = 0;
    for (const File& f : files_) n += f.damage ? 1 : 0;
    return n;
  }
  std::set<SnapshotId> damaged_snapshots() const {
    std::set<SnapshotId> out;
    for (const File& f : files_) out.insert(f.snapshots.begin(), f.snapshots.end());
    return out;
  }
  /// In order of file names.
  void tell(const std::function<std::string(const SnapshotId&)>& label,
            const std::function<void(const Finding&)>& found) const {
    for (const auto& [name, id] : names_) {
      const File& f = files_[id];
      Finding finding;
      finding.file = name;
      finding.damage = f.damage;
      finding.what = f.damage ? sentence(f.damages, f.damage_count) : sentence(f.notes, f.note_count);
      for (const SnapshotId& snapshot : f.snapshots) finding.snapshots.push_back(label(snapshot));
      found(finding);
    }
  }

 private:
  static constexpr std::size_t kTold = 3;  // faults of one file that are told in full; the others are counted
  struct File {
    std::vector<std::string> damages, notes;
    std::uint64_t damage_count = 0, note_count = 0;
    std::set<SnapshotId> snapshots;
    bool damage = false;
  };

  static void add(std::vector<std::string>& texts, std::uint64_t& count, const std::string& what) {
    if (texts.size() < kTold) texts.push_back(what);
    ++count;
  }
  static std::string sentence(const std::vector<std::string>& texts, std::uint64_t count) {
    std::string out;
    for (const std::string& text : texts) out += (out.empty() ? "" : "; ") + text;
    if (count > texts.size()) out += "; and " + std::to_string(count - texts.size()) + " more";
    return out;
  }
  FileId id_of(const std::string& file) {
    const auto [at, fresh] = names_.try_emplace(file, files_.size());
    if (fresh) files_.emplace_back();
    return at->second;
  }

  std::map<std::string, FileId> names_;
  std::vector<File> files_;
};

}  // namespace holdfast::tenant
