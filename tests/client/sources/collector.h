#pragma once
// Why: tests look at a whole walk at once.

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "client/sources/files.h"

namespace holdfast::sources {

/// Keeps everything a walk reports. `on_found` runs first: races are planted there.
class Collector final : public Visitor {
 public:
  std::vector<Found> founds;
  std::vector<Problem> problems;
  std::vector<Skipped> skips;
  std::function<Status(const Found&)> on_found;
  bool keep = true;

  Status found(Found found) override {
    if (on_found) HF_TRY_DO(on_found(found));
    if (keep) founds.push_back(std::move(found));
    return {};
  }
  void problem(Problem problem) override { problems.push_back(std::move(problem)); }
  void skipped(Skipped skipped) override { skips.push_back(std::move(skipped)); }

  const Found* find(const std::string& path) const {
    const auto at = std::find_if(founds.begin(), founds.end(), [&](const Found& f) { return f.entry.path == path; });
    return at == founds.end() ? nullptr : &*at;
  }
  /// Paths at or below `root`, in the order they came.
  std::vector<std::string> below(const std::string& root) const {
    std::vector<std::string> paths;
    for (const Found& f : founds)
      if (f.entry.path == root || f.entry.path.starts_with(root + "/"))
        paths.push_back(f.entry.path.substr(root.size()));
    return paths;
  }
  const Problem* problem_at(const std::string& path) const {
    const auto at = std::find_if(problems.begin(), problems.end(), [&](const Problem& p) { return p.path == path; });
    return at == problems.end() ? nullptr : &*at;
  }
  const Skipped* skip_at(const std::string& path) const {
    const auto at = std::find_if(skips.begin(), skips.end(), [&](const Skipped& s) { return s.path == path; });
    return at == skips.end() ? nullptr : &*at;
  }
};

struct ReadBack {
  std::string bytes;                                   ///< holes as zeros
  std::vector<std::pair<bool, std::uint64_t>> pieces;  ///< (hole, bytes), neighbours of one kind joined
  bool changed = false;
};

inline ReadBack read_all(FileContent& content, std::size_t buffer_bytes = 64u << 10) {
  ReadBack result;
  Bytes buffer(buffer_bytes);
  for (;;) {
    const Result<FileContent::Piece> piece = content.read(buffer);
    HF_ASSERT(piece.has_value());
    if (piece->bytes == 0) break;
    if (!result.pieces.empty() && result.pieces.back().first == piece->hole)
      result.pieces.back().second += piece->bytes;
    else
      result.pieces.emplace_back(piece->hole, piece->bytes);
    if (piece->bytes > (64u << 20)) continue;
    if (piece->hole)
      result.bytes.append(piece->bytes, '\0');
    else
      result.bytes.append(as_text(ByteSpan(buffer).first(piece->bytes)));
  }
  const Result<bool> changed = content.changed();
  HF_ASSERT(changed.has_value());
  result.changed = *changed;
  return result;
}

}  // namespace holdfast::sources
