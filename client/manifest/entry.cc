#include "client/manifest/entry.h"

#include <algorithm>

namespace holdfast::manifest {
namespace {

Error broken(const std::string& rule) { return Error{Errc::Corrupt, rule}; }

/// Where a byte sorts in a path: '/' first, so that what is beneath a directory follows it directly.
int rank(char c) { return c == '/' ? -1 : static_cast<int>(static_cast<unsigned char>(c)); }

bool has_nul(std::string_view text) { return text.find('\0') != std::string_view::npos; }

bool is_known(EntryKind kind) { return kind >= EntryKind::File && kind <= EntryKind::Stream; }

Status check_names(const Entry& e) {
  if (e.source.empty() || e.source.size() > kMaxSourceBytes || has_nul(e.source))
    return broken("a source name of 1 to 128 bytes without NUL is needed");
  if (e.owner.size() > kMaxNameBytes || e.group.size() > kMaxNameBytes)
    return Error{Errc::Limit, "owner or group name over 255 bytes"};
  if (e.mode > 07777) return broken("mode has more than permission bits");
  return {};
}

Status check_link(const Entry& e) {
  if (e.kind == EntryKind::Hardlink) return check_path(e.link_target).context("hard link's target");
  if (e.kind != EntryKind::Symlink) return {};
  if (e.link_target.empty() || has_nul(e.link_target)) return broken("a symbolic link's target is empty or has a NUL");
  if (e.link_target.size() > kMaxPathBytes) return Error{Errc::Limit, "a symbolic link's target is over 65535 bytes"};
  return {};
}

Status check_xattrs(const Entry& e) {
  std::size_t total = 0;
  for (std::size_t i = 0; i < e.xattrs.size(); ++i) {
    const Xattr& x = e.xattrs[i];
    if (x.name.empty() || x.name.size() > kMaxNameBytes || has_nul(x.name))
      return broken("an extended attribute's name is empty, too long or has a NUL");
    if (i > 0 && e.xattrs[i - 1].name >= x.name) return broken("extended attributes out of order");
    total += x.name.size() + std::min(x.value.size(), kMaxXattrBytes + 1);
    if (total > kMaxXattrBytes) return Error{Errc::Limit, "extended attributes over 1 MiB"};
  }
  return {};
}

Status check_extents(const Entry& e, bool elsewhere) {
  if (!has_content(e.kind)) {
    if (!e.extents.empty()) return broken("an entry without content has extents");
    return {};
  }
  if (!chunking::is_known(e.chunk_class)) return Error{Errc::TooNew, "a chunk class that this program does not know"};
  if (e.extents.size() > kMaxEntryExtents)
    return Error{Errc::Limit, "more than " + std::to_string(kMaxEntryExtents) + " extents"};
  if (elsewhere) return e.extents.empty() ? Status{} : broken("extents in two places");
  std::uint64_t missing = e.size;
  for (const Extent& x : e.extents) {
    HF_TRY_DO(check_extent(x));
    if (x.length > missing) return broken("extents are longer than the entry");
    missing -= x.length;
  }
  if (missing != 0) return broken("extents are shorter than the entry");
  return {};
}

Status check_all(const Entry& e, bool extents_elsewhere) {
  HF_TRY_DO(check_path(e.path));
  if (!is_known(e.kind)) return Error{Errc::TooNew, "a kind of entry that this program does not know"};
  HF_TRY_DO(check_names(e));
  HF_TRY_DO(check_link(e));
  HF_TRY_DO(check_xattrs(e));
  return check_extents(e, extents_elsewhere);
}

}  // namespace

std::strong_ordering compare_paths(std::string_view a, std::string_view b) {
  const auto [at_a, at_b] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  if (at_a == a.end()) return at_b == b.end() ? std::strong_ordering::equal : std::strong_ordering::less;
  if (at_b == b.end()) return std::strong_ordering::greater;
  return rank(*at_a) <=> rank(*at_b);
}

std::strong_ordering compare_keys(const Entry& a, const Entry& b) {
  if (const int c = a.source.compare(b.source); c != 0) return c <=> 0;
  return compare_paths(a.path, b.path);
}

bool is_at_or_below(std::string_view candidate, std::string_view path) {
  if (path == "/") return true;
  if (!candidate.starts_with(path)) return false;
  return candidate.size() == path.size() || candidate[path.size()] == '/';
}

bool has_content(EntryKind kind) { return kind == EntryKind::File || kind == EntryKind::Stream; }

Status check_path(std::string_view path) {
  if (path.empty() || path[0] != '/') return broken("the path is not absolute");
  if (path.size() > kMaxPathBytes) return Error{Errc::Limit, "the path is over 65535 bytes"};
  if (has_nul(path)) return broken("the path has a NUL");
  if (path == "/") return {};
  for (std::size_t start = 1; start <= path.size();) {
    const std::size_t end = std::min(path.find('/', start), path.size());
    const std::string_view component = path.substr(start, end - start);
    if (component.empty() || component == "." || component == "..") return broken("the path is not normalised");
    start = end + 1;
  }
  return {};
}

Status check_extent(const Extent& x) {
  if (x.length == 0) return broken("an empty extent");
  if (x.is_hole()) {
    if (x.offset != 0 || !x.blob.run.is_zero()) return broken("a hole that names a place in a blob");
    return {};
  }
  if (x.offset >= blob::kMaxRawBytes || x.length > blob::kMaxRawBytes - x.offset)
    return broken("an extent reaches beyond any blob");
  return {};
}

Status check_entry(const Entry& entry, bool extents_elsewhere) {
  const Status checked = check_all(entry, extents_elsewhere);
  if (checked) return {};
  return Error(checked.error()).with_context("entry '" + printable(std::string_view(entry.path).substr(0, 512)) + "'");
}

}  // namespace holdfast::manifest
