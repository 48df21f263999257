#include "server/tenant/tree_damage.h"

namespace holdfast::tenant {
namespace {

// A hostile client may have linked segments into a long chain: what lies deeper is left out, memory stays bounded.
constexpr std::size_t kMaxStack = 1024;

}  // namespace

Result<std::set<Findings::FileId>> TreeDamage::below(const blob::BlobRef& root) {
  Blame total;
  HF_TRY(const bool has_tree, enter(root, total));
  if (!has_tree) return total;
  while (!stack_.empty()) {
    Frame& frame = stack_.back();
    if (frame.next == frame.children.size()) {
      Blame from_child = frame.blame;
      leave();
      (stack_.empty() ? total : stack_.back().blame).merge(from_child);
      continue;
    }
    const blob::BlobRef child = frame.children[frame.next++];
    Blame from_child;
    HF_TRY(const bool pushed, enter(child, from_child));  // may move the frames
    if (!pushed) stack_.back().blame.merge(from_child);   // else it comes when the child's frame leaves
  }
  return total;
}

/// Adds what is known at once to `blame`; pushes a frame when there is more below.
Result<bool> TreeDamage::enter(const blob::BlobRef& ref, Blame& blame) {
  if (clean_.contains(ref) || on_stack_.contains(ref)) return false;
  if (const auto known = damaged_.find(ref); known != damaged_.end()) {
    blame = known->second;
    return false;
  }
  HF_TRY(Resolved resolved, resolve_(ref));
  blame.insert(resolved.blame.begin(), resolved.blame.end());
  if (!resolved.entry || resolved.entry->type == blob::Type::Data || stack_.size() >= kMaxStack) return false;
  Frame frame;
  frame.ref = ref;
  frame.children = std::move(resolved.entry->children);
  frame.blame = blame;
  on_stack_.insert(ref);
  stack_.push_back(std::move(frame));
  return true;
}

void TreeDamage::leave() {
  Frame& frame = stack_.back();
  on_stack_.erase(frame.ref);
  if (frame.blame.empty())
    clean_.insert(frame.ref);
  else
    damaged_.emplace(frame.ref, std::move(frame.blame));
  stack_.pop_back();
}

}  // namespace holdfast::tenant
