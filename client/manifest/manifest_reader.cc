#include "client/manifest/extent_tree.h"
#include "client/manifest/manifest.h"
#include "client/manifest/read_ahead.h"
#include "client/manifest/segment_bounds.h"

namespace holdfast::manifest {
namespace {

using Visit = std::function<Status(Entry)>;
using VisitSpilled = std::function<Status(Entry, const std::optional<Spill>&)>;

/// The same as a batch, for who has no better.
BatchOpener one_by_one(const BlobOpener& open) {
  return
      [open](const std::vector<blob::BlobRef>& refs, blob::Type type, std::vector<Result<sealing::OpenedBlob>>* out) {
        for (const blob::BlobRef& ref : refs) out->push_back(open(ref, type));
        return Status{};
      };
}

}  // namespace

struct ManifestReader::Impl {
  Impl(const crypto::Key& key, blob::BlobRef root_ref, BatchOpener open)
      : root(root_ref), opener(key, std::move(open)) {}

  /// One walk: what is wanted and who takes it.
  struct Walk {
    std::string_view below;  ///< "/" wants everything
    const VisitSpilled& visit;
    bool stopped = false;  ///< `visit` has had enough
    Pace indexes{1, kIndexesAhead};
    Pace leaves{1, kLeavesAhead};
  };

  Status run(std::string_view below, const Visit& visit) const;
  Status run(std::string_view below, const VisitSpilled& visit) const;
  Status walk_root(Walk& walk) const;
  Status walk_index(const blob::BlobRef& ref, sealing::OpenedBlob opened, std::optional<unsigned> level,
                    const Bounds& bounds, Walk& walk) const;
  Status walk_leaf(const blob::BlobRef& ref, sealing::OpenedBlob opened, const Bounds& bounds, Walk& walk) const;
  Status read_extents(const Entry& entry, const Spill& spill, const std::function<Status(const Extent&)>& visit) const;

  bool may_pass_by(const Error& error) const;
  Status damaged(const Bounds& lost, const Error& error) const;

  const blob::BlobRef root;
  const SegmentOpener opener;
  OnDamage on_damage;
};

/// The core names the root without its type. Most roots are indexes; only a refusal of the content, which is what an
/// opener says of another type, leads to the second try.
Status ManifestReader::Impl::walk_root(Walk& walk) const {
  Result<sealing::OpenedBlob> as_index = opener.open(root, blob::Type::Index);
  if (as_index) return walk_index(root, *std::move(as_index), std::nullopt, {}, walk);
  const Errc code = as_index.error().code;
  if (code != Errc::Corrupt && code != Errc::WrongKey) return std::move(as_index).error();
  Result<sealing::OpenedBlob> as_leaf = opener.open(root, blob::Type::Leaf);
  if (as_leaf) return walk_leaf(root, *std::move(as_leaf), {}, walk);
  return Error{code, as_index.error().message + "; read as a leaf: " + as_leaf.error().message};
}

Status ManifestReader::Impl::walk_index(const blob::BlobRef& ref, sealing::OpenedBlob opened,
                                        std::optional<unsigned> level, const Bounds& bounds, Walk& walk) const {
  HF_TRY(const IndexSegment index, read_index(ref, std::move(opened), level, bounds));
  std::vector<std::size_t> wanted;
  std::vector<blob::BlobRef> children;
  for (std::size_t i = 0; i < index.items.size(); ++i) {
    if (!may_hold(bounds_of(index, i, bounds), walk.below)) continue;
    wanted.push_back(i);
    children.push_back(index.items[i].child);
  }
  const bool above_leaves = index.level == 1;
  ReadAhead ahead(opener, above_leaves ? blob::Type::Leaf : blob::Type::Index, std::move(children),
                  above_leaves ? walk.leaves : walk.indexes);
  for (const std::size_t i : wanted) {
    const blob::BlobRef& child = index.items[i].child;
    const Bounds below = bounds_of(index, i, bounds);
    HF_TRY_DO(ahead.fetch());
    Result<sealing::OpenedBlob> next = ahead.next();
    if (!next && may_pass_by(next.error())) {
      HF_TRY_DO(damaged(below, next.error()));
      continue;
    }
    if (!next) return std::move(next).error();
    HF_TRY_DO(above_leaves ? walk_leaf(child, *std::move(next), below, walk)
                           : walk_index(child, *std::move(next), index.level - 1, below, walk));
  }
  return {};
}

/// Not what was stored, or gone. Anything else concerns more than one segment.
bool ManifestReader::Impl::may_pass_by(const Error& error) const {
  return on_damage && (error.code == Errc::Corrupt || error.code == Errc::Missing);
}

Status ManifestReader::Impl::damaged(const Bounds& lost, const Error& error) const {
  Damage damage;
  damage.first = lost.first->path;
  if (lost.end && lost.end->source == lost.first->source) damage.end = lost.end->path;
  damage.entries = lost.entries.value_or(1);
  damage.error = error;
  return on_damage(damage);
}

Status ManifestReader::Impl::walk_leaf(const blob::BlobRef& ref, sealing::OpenedBlob opened, const Bounds& bounds,
                                       Walk& walk) const {
  HF_TRY(std::vector<DecodedEntry> entries, read_leaf(ref, std::move(opened), bounds));
  for (DecodedEntry& decoded : entries) {
    if (!is_at_or_below(decoded.entry.path, walk.below)) continue;
    HF_TRY_DO(check_entry(decoded.entry, decoded.spill.has_value()));
    Status visited = walk.visit(std::move(decoded.entry), decoded.spill);
    if (!visited && visited.error().code == Errc::Canceled) walk.stopped = true;
    HF_TRY_DO(visited);
  }
  return {};
}

Status ManifestReader::Impl::read_extents(const Entry& entry, const Spill& spill,
                                          const std::function<Status(const Extent&)>& visit) const {
  return visit_extent_tree(spill, entry.size, opener, visit).context("extents of '" + printable(entry.path) + "'");
}

Status ManifestReader::Impl::run(std::string_view below, const VisitSpilled& visit) const {
  Walk walk{below, visit};
  Status walked = walk_root(walk);
  if (walk.stopped) return {};
  return walked;
}

/// With all extents in memory. What goes wrong while they are read must not look like the visitor's wish to stop.
Status ManifestReader::Impl::run(std::string_view below, const Visit& visit) const {
  Status unread;
  const Status walked = run(below, [&](Entry entry, const std::optional<Spill>& spill) -> Status {
    std::vector<Extent> extents;
    if (spill) {
      unread = read_extents(entry, *spill, [&](const Extent& one) -> Status {
        extents.push_back(one);
        return {};
      });
      if (!unread && may_pass_by(unread.error())) {
        Status told = on_damage({entry.path, std::nullopt, 1, std::move(unread).error()});
        unread = {};
        return told;
      }
      HF_TRY_DO(unread);
      entry.extents = std::move(extents);
      unread = check_entry(entry);
      HF_TRY_DO(unread);
    }
    return visit(std::move(entry));
  });
  HF_TRY_DO(unread);
  return walked;
}

ManifestReader::ManifestReader(const crypto::Key& blob_key, blob::BlobRef root, BatchOpener open)
    : impl_(std::make_unique<Impl>(blob_key, root, std::move(open))) {}
ManifestReader::ManifestReader(const crypto::Key& blob_key, blob::BlobRef root, const BlobOpener& open)
    : ManifestReader(blob_key, root, one_by_one(open)) {}
ManifestReader::~ManifestReader() = default;

void ManifestReader::pass_by(OnDamage on_damage) { impl_->on_damage = std::move(on_damage); }

Status ManifestReader::visit_all(const Visit& visit) { return impl_->run("/", visit).context("read the manifest"); }

Status ManifestReader::visit_below(std::string_view path, const Visit& visit) {
  const Status valid = check_path(path);
  if (!valid) return Error{Errc::Usage, "'" + printable(path) + "': " + valid.error().message};
  return impl_->run(path, visit).context("read the manifest");
}

Status ManifestReader::visit_entries(std::string_view path, const VisitSpilled& visit) {
  const Status valid = check_path(path);
  if (!valid) return Error{Errc::Usage, "'" + printable(path) + "': " + valid.error().message};
  return impl_->run(path, visit).context("read the manifest");
}

Status ManifestReader::visit_extents(const Entry& entry, const Spill& spill,
                                     const std::function<Status(const Extent&)>& visit) {
  return impl_->read_extents(entry, spill, visit).context("read the manifest");
}

}  // namespace holdfast::manifest
