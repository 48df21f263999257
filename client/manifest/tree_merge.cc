#include "client/manifest/tree_merge.h"

#include <algorithm>
#include <map>
#include <set>

#include "client/manifest/read_ahead.h"
#include "client/manifest/segment_bounds.h"

namespace holdfast::manifest {
namespace {

using Trees = std::vector<std::size_t>;

/// An opened segment, and how far its tree has come in it.
struct Frame {
  IndexSegment index;                 ///< no items: a leaf
  std::vector<DecodedEntry> entries;  ///< of a leaf
  Bounds bounds;
  std::size_t at = 0;
  /// Trees that have the same segment here: they stand behind it already, and this one reads it for them.
  Trees followers;
  /// Children that were fetched ahead, until one of the trees comes to them.
  std::map<BlobId, Result<sealing::OpenedBlob>> ahead;

  bool is_leaf() const { return index.items.empty(); }
  bool done() const { return at == (is_leaf() ? entries.size() : index.items.size()); }
  KeyView key() const { return key(at); }
  KeyView key(std::size_t i) const { return is_leaf() ? key_of(entries[i].entry) : index.items[i].first.view(); }
  unsigned level() const { return is_leaf() ? 0 : index.level; }  ///< 0: the next thing is an entry
};

struct Cursor {
  Cursor(TreeToRead one, std::size_t its_number)
      : tree(std::move(one)), opener(*tree.blob_key, tree.open), number(its_number) {}
  TreeToRead tree;
  SegmentOpener opener;
  std::size_t number;
  std::vector<Frame> frames;  ///< from the root down; the lowest is never done

  bool done() const { return frames.empty(); }
  Frame& top() { return frames.back(); }
  const Frame& top() const { return frames.back(); }
  bool has_key_of(const Cursor& other) const { return tree.blob_key->equals(*other.tree.blob_key); }
  void advance() {
    ++top().at;
    while (!frames.empty() && top().done()) frames.pop_back();
  }
  /// Itself and all whose place it takes.
  Trees trees() const {
    Trees out{number};
    for (const Frame& frame : frames) out.insert(out.end(), frame.followers.begin(), frame.followers.end());
    return out;
  }
};

bool is_before(const std::optional<EntryKey>& a, const std::optional<EntryKey>& b) {
  if (!a || !b) return a.has_value();
  return compare(a->view(), b->view()) == std::strong_ordering::less;
}

/// A segment that several cursors have next.
struct Shared {
  Cursor* leader;  ///< the one that will read it
  IndexItem item;
  unsigned level;               ///< of the index that names it
  Bounds bounds;                ///< what all of them allow
  Trees followers;              ///< without those that follow the leader anyway
  std::vector<Cursor*> others;  ///< that have it next, besides the leader
};

}  // namespace

struct TreeMerge::Impl {
  std::vector<Cursor> cursors;
  Options options;
  std::optional<std::string> left;
  bool started = false;
  Pace indexes{1, kIndexesAhead};
  Pace leaves{1, kLeavesAhead};

  Status start();
  static Status open_root(Cursor& cursor, Trees followers);
  Status descend(const Shared& shared);
  Result<sealing::OpenedBlob> open(const Shared& shared);
  std::vector<blob::BlobRef> worth_fetching(const Cursor& cursor, std::size_t most) const;
  bool is_awaited(const BlobId& id, unsigned level) const;
  static Status push(Cursor& cursor, Frame frame);
  bool is_wanted(const Frame& frame, std::size_t at) const;
  std::vector<Cursor*> cursors_at_next_key();
  Status open_shared(const std::vector<Cursor*>& here, unsigned level);
};

/// Trees with one root are one tree.
Status TreeMerge::Impl::start() {
  started = true;
  std::vector<bool> seen(cursors.size(), false);
  for (std::size_t i = 0; i < cursors.size(); ++i) {
    if (seen[i]) continue;
    Trees followers;
    for (std::size_t j = i + 1; j < cursors.size(); ++j) {
      const bool same = cursors[i].tree.root.blob == cursors[j].tree.root.blob && cursors[i].has_key_of(cursors[j]);
      if (seen[j] || !same) continue;
      seen[j] = true;
      followers.push_back(j);
    }
    if (options.skip_common && followers.size() + 1 == cursors.size()) return {};
    HF_TRY_DO(open_root(cursors[i], std::move(followers)));
  }
  return {};
}

/// The core names the root without its type. Most roots are indexes; only a refusal of the content, which is what an
/// opener says of another type, leads to the second try.
Status TreeMerge::Impl::open_root(Cursor& cursor, Trees followers) {
  const TreeToRead& tree = cursor.tree;
  Frame frame;
  frame.followers = std::move(followers);
  Result<sealing::OpenedBlob> as_index = cursor.opener.open(tree.root, blob::Type::Index);
  if (as_index) {
    HF_TRY(frame.index, read_index(tree.root, *std::move(as_index), std::nullopt, {}));
    return push(cursor, std::move(frame));
  }
  const Errc code = as_index.error().code;
  if (code != Errc::Corrupt && code != Errc::WrongKey) return std::move(as_index).error();
  Result<sealing::OpenedBlob> as_leaf = cursor.opener.open(tree.root, blob::Type::Leaf);
  if (!as_leaf) return Error{code, as_index.error().message + "; read as a leaf: " + as_leaf.error().message};
  HF_TRY(frame.entries, read_leaf(tree.root, *std::move(as_leaf), {}));
  return push(cursor, std::move(frame));
}

Status TreeMerge::Impl::push(Cursor& cursor, Frame frame) {
  for (const DecodedEntry& one : frame.entries) HF_TRY_DO(check_entry(one.entry, one.spill.has_value()));
  if (!frame.done()) cursor.frames.push_back(std::move(frame));
  return {};
}

Status TreeMerge::Impl::descend(const Shared& shared) {
  const blob::BlobRef& ref = shared.item.child;
  Frame frame;
  frame.bounds = shared.bounds;
  HF_TRY(sealing::OpenedBlob opened, open(shared));
  if (shared.level == 1) {
    HF_TRY(frame.entries, read_leaf(ref, std::move(opened), shared.bounds));
  } else {
    HF_TRY(frame.index, read_index(ref, std::move(opened), shared.level - 1, shared.bounds));
  }
  frame.followers = shared.followers;
  ++shared.leader->top().at;  // it stays below the new one even if this was its last line: its followers count
  return push(*shared.leader, std::move(frame));
}

/// What one of the trees fetched ahead, or a fetch of this one and the next few.
Result<sealing::OpenedBlob> TreeMerge::Impl::open(const Shared& shared) {
  const BlobId& id = shared.item.child.blob;
  for (Cursor& cursor : cursors) {
    for (Frame& frame : cursor.frames) {
      const auto found = frame.level() == shared.level ? frame.ahead.find(id) : frame.ahead.end();
      if (found == frame.ahead.end() || !cursor.has_key_of(*shared.leader)) continue;
      return std::move(frame.ahead.extract(found).mapped());
    }
  }
  Pace& pace = shared.level == 1 ? leaves : indexes;
  const std::vector<blob::BlobRef> refs = worth_fetching(*shared.leader, pace.take());
  std::vector<Result<sealing::OpenedBlob>> opened;
  HF_TRY_DO(shared.leader->opener.open_many(refs, shared.level == 1 ? blob::Type::Leaf : blob::Type::Index, &opened));
  for (std::size_t i = 1; i < refs.size(); ++i) shared.leader->top().ahead.emplace(refs[i].blob, std::move(opened[i]));
  return std::move(opened.front());
}

/// The segment that is next in the lowest frame, and those after it that will be opened for certain.
std::vector<blob::BlobRef> TreeMerge::Impl::worth_fetching(const Cursor& cursor, std::size_t most) const {
  const Frame& top = cursor.top();
  std::set<BlobId> elsewhere;       // with skip_common: what another tree has may be common
  std::optional<EntryKey> unknown;  // from here on nobody knows yet what another tree has
  for (const Cursor& other : cursors) {
    if (!options.skip_common || &other == &cursor || other.done()) continue;
    std::optional<EntryKey> end = EntryKey{std::string(other.top().key().source), std::string(other.top().key().path)};
    for (const Frame& frame : other.frames) {
      if (frame.level() != top.level()) continue;
      end = frame.bounds.end;
      for (const IndexItem& item : frame.index.items) elsewhere.insert(item.child.blob);
    }
    if (is_before(end, unknown)) unknown = std::move(end);
  }
  std::vector<blob::BlobRef> out{top.index.items[top.at].child};
  for (std::size_t i = top.at + 1; i < top.index.items.size() && out.size() < most; ++i) {
    const IndexItem& item = top.index.items[i];
    if (unknown && compare(item.first.view(), unknown->view()) != std::strong_ordering::less) break;
    if (!is_wanted(top, i) || elsewhere.contains(item.child.blob) || is_awaited(item.child.blob, top.level())) continue;
    if (std::find(out.begin(), out.end(), item.child) == out.end()) out.push_back(item.child);
  }
  return out;
}

bool TreeMerge::Impl::is_awaited(const BlobId& id, unsigned level) const {
  return std::any_of(cursors.begin(), cursors.end(), [&](const Cursor& cursor) {
    return std::any_of(cursor.frames.begin(), cursor.frames.end(),
                       [&](const Frame& frame) { return frame.level() == level && frame.ahead.contains(id); });
  });
}

bool TreeMerge::Impl::is_wanted(const Frame& frame, std::size_t at) const {
  const std::string_view path = frame.key(at).path;
  if (frame.is_leaf()) {
    if (left && path != *left && is_at_or_below(path, *left)) return false;
    return options.below.empty() || std::any_of(options.below.begin(), options.below.end(),
                                                [&](const auto& one) { return is_at_or_below(path, one); });
  }
  if (!left && options.below.empty()) return true;
  const Bounds bounds = bounds_of(frame.index, at, frame.bounds);
  if (left && path != *left && lies_below(bounds, *left)) return false;
  return options.below.empty() || std::any_of(options.below.begin(), options.below.end(),
                                              [&](const auto& one) { return may_hold(bounds, one); });
}

std::vector<Cursor*> TreeMerge::Impl::cursors_at_next_key() {
  std::vector<Cursor*> here;
  for (Cursor& cursor : cursors) {
    while (!cursor.done() && !is_wanted(cursor.top(), cursor.top().at)) cursor.advance();
    if (cursor.done()) continue;
    const std::strong_ordering order =
        here.empty() ? std::strong_ordering::less : compare(cursor.top().key(), here.front()->top().key());
    if (order == std::strong_ordering::greater) continue;
    if (order == std::strong_ordering::less) here.clear();
    here.push_back(&cursor);
  }
  return here;
}

/// Opens what begins at this key on the highest level, each segment once. The level is a property of the segment, so no
/// tree is ever inside of one that another has still before it.
Status TreeMerge::Impl::open_shared(const std::vector<Cursor*>& here, unsigned level) {
  std::vector<Shared> segments;
  for (Cursor* const cursor : here) {
    const Frame& top = cursor->top();
    if (top.level() != level) continue;
    const IndexItem& item = top.index.items[top.at];
    Bounds bounds = bounds_of(top.index, top.at, top.bounds);
    const auto same = std::find_if(segments.begin(), segments.end(), [&](const Shared& one) {
      return one.item.child.blob == item.child.blob && one.item.entries == item.entries &&
             one.leader->has_key_of(*cursor);
    });
    if (same == segments.end()) {
      segments.push_back({cursor, item, level, std::move(bounds), {}, {}});
      continue;
    }
    const Trees trees = cursor->trees();
    same->followers.insert(same->followers.end(), trees.begin(), trees.end());
    same->others.push_back(cursor);
    if (is_before(bounds.end, same->bounds.end)) same->bounds.end = std::move(bounds.end);
  }
  for (const Shared& one : segments) {
    const bool is_common = one.leader->trees().size() + one.followers.size() == cursors.size();
    if (options.skip_common && is_common)
      one.leader->advance();
    else
      HF_TRY_DO(descend(one));
  }
  // Only now: a frame that this ends may hold what was fetched ahead for one of them.
  for (const Shared& one : segments) {
    for (Cursor* const other : one.others) other->advance();
  }
  return {};
}

TreeMerge::TreeMerge(std::vector<TreeToRead> trees, Options options) : impl_(std::make_unique<Impl>()) {
  for (TreeToRead& tree : trees) impl_->cursors.emplace_back(std::move(tree), impl_->cursors.size());
  impl_->options = std::move(options);
}
TreeMerge::~TreeMerge() = default;
TreeMerge::TreeMerge(TreeMerge&&) noexcept = default;

void TreeMerge::leave(std::string path) { impl_->left = std::move(path); }

Result<std::optional<std::vector<Version>>> TreeMerge::next() {
  const std::string doing = "read the manifest";
  if (!impl_->started) HF_TRY_DO(impl_->start().context(doing));
  for (;;) {
    const std::vector<Cursor*> here = impl_->cursors_at_next_key();
    if (here.empty()) return std::optional<std::vector<Version>>();
    unsigned level = 0;
    for (const Cursor* const cursor : here) level = std::max(level, cursor->top().level());
    if (level > 0) {
      HF_TRY_DO(impl_->open_shared(here, level).context(doing));
      continue;
    }
    std::vector<Version> versions;
    for (Cursor* const cursor : here) {
      DecodedEntry& decoded = cursor->top().entries[cursor->top().at];
      versions.push_back({std::move(decoded.entry), decoded.spill, cursor->trees()});
      std::sort(versions.back().trees.begin(), versions.back().trees.end());
      cursor->advance();
    }
    std::sort(versions.begin(), versions.end(), [](const Version& a, const Version& b) { return a.trees < b.trees; });
    return std::optional<std::vector<Version>>(std::move(versions));
  }
}

}  // namespace holdfast::manifest
