#include "client/dedup/matcher.h"

#include <algorithm>

namespace holdfast::dedup {
namespace {

std::size_t hash_of(const BlockAddress& address) {
  return static_cast<std::size_t>((address.block * 0x9E3779B97F4A7C15u) ^ address.file);
}

}  // namespace

Matcher::Matcher(KnownBlocks& known, Usable usable)
    : known_(known), usable_(std::move(usable)), loaded_(2 * kWindowBlocks, &hash_of) {}

void Matcher::begin(chunking::Class chunk_class, const std::optional<ListRef>& previous) {
  class_ = chunk_class;
  previous_ = previous && previous->count > 0 ? previous : std::nullopt;
  seen_ = 0;
  in_step_ = 0;
  shift_ = 0;
  slid_to_.reset();
  ahead_ = kBlocksAhead;
  cursor_.reset();
  if (previous_) cursor_ = Position{previous_->file, previous_->first};
}

std::optional<Location> Matcher::find(const Image& image, std::uint32_t bytes) {
  slide();
  ++seen_;
  // In step with what came before first: equal chunks stand in many places, and neighbours are cheapest to restore.
  if (const std::optional<Place> place = at_cursor()) {
    if (const std::optional<Location> found = answer(*place, image, bytes)) return found;
  }
  if (const std::optional<Place> place = in_window(image)) return answer(*place, image, bytes);
  if (!is_sampled(number_of(image), sample_bits(class_))) return std::nullopt;
  const std::optional<BlockAddress> block = known_.find_sampled(image);
  if (!block || loaded_.contains(*block) || !load(*block)) return std::nullopt;
  if (const std::optional<Place> place = in_window(image)) return answer(*place, image, bytes);
  return std::nullopt;
}

std::optional<Location> Matcher::answer(const Place& place, const Image& image, std::uint32_t bytes) {
  Slot& slot = slots_[place.slot];
  const KnownChunk& chunk = slot.block.chunks[place.index];
  if (chunk.image != image || chunk.bytes != bytes) return std::nullopt;
  const blob::BlobRef& ref = slot.block.refs[chunk.ref];
  if (!usable_(ref)) return std::nullopt;
  slot.used = ++tick_;
  const std::uint64_t position = slot.address.block * kBlockChunks + place.index;
  cursor_ = Position{slot.address.file, position + 1};
  if (previous_ && slot.address.file == previous_->file && position >= previous_->first &&
      position - previous_->first < previous_->count) {
    shift_ = static_cast<std::int64_t>(position - previous_->first) - static_cast<std::int64_t>(seen_ - 1);
    if (shift_ == 0 && in_step_ == seen_ - 1) in_step_ = seen_;
  }
  return Location{ref, chunk.offset};
}

std::optional<Matcher::Place> Matcher::at_cursor() {
  if (!cursor_) return std::nullopt;
  const std::optional<std::uint32_t> slot = slot_of({cursor_->file, cursor_->chunk / kBlockChunks});
  const std::uint32_t index = static_cast<std::uint32_t>(cursor_->chunk % kBlockChunks);
  if (!slot || index >= slots_[*slot].block.chunks.size()) {
    cursor_.reset();  // the end of what is known here
    return std::nullopt;
  }
  return Place{*slot, index};
}

std::optional<Matcher::Place> Matcher::in_window(const Image& image) const {
  const auto found = places_.find(number_of(image));
  if (found == places_.end()) return std::nullopt;
  return found->second;
}

/// Keeps the previous version loaded around the place where the new bytes are expected in it. Behind a jump the window is
/// narrow, and widens while things go on in order: pieces that come in any order load what they need, not what surrounds it.
void Matcher::slide() {
  if (!previous_) return;
  const std::int64_t expected = std::clamp<std::int64_t>(static_cast<std::int64_t>(seen_) + shift_, 0,
                                                         static_cast<std::int64_t>(previous_->count - 1));
  const std::uint64_t block = (previous_->first + static_cast<std::uint64_t>(expected)) / kBlockChunks;
  if (slid_to_ == block) return;
  if (slid_to_) {
    const bool jumped = block > *slid_to_ + ahead_ || block + std::min(ahead_, kBlocksBehind) < *slid_to_;
    ahead_ = jumped ? 1 : std::min(2 * ahead_, kBlocksAhead);
  }
  slid_to_ = block;
  const std::uint64_t first = previous_->first / kBlockChunks;
  const std::uint64_t last = (previous_->first + previous_->count - 1) / kBlockChunks;
  const std::uint64_t from = std::max(first, block - std::min<std::uint64_t>({block, ahead_, kBlocksBehind}));
  const std::uint64_t to = std::min(last, block + ahead_);
  for (std::uint64_t one = from; one <= to; ++one) (void)slot_of({previous_->file, one});
}

/// The slot that holds the block, loaded if need be.
std::optional<std::uint32_t> Matcher::slot_of(const BlockAddress& address) {
  const auto found = loaded_.find(address);
  if (found == loaded_.end()) return load(address);
  slots_[found->second].used = ++tick_;
  return found->second;
}

std::optional<std::uint32_t> Matcher::load(const BlockAddress& address) {
  std::optional<KnownBlock> block = known_.load(address);
  if (!block) return std::nullopt;
  const std::uint32_t number = free_slot();
  Slot& slot = slots_[number];
  slot.address = address;
  slot.block = *std::move(block);
  slot.used = ++tick_;
  loaded_[address] = number;
  for (std::uint32_t i = 0; i < slot.block.chunks.size(); ++i)
    places_[number_of(slot.block.chunks[i].image)] = {number, i};
  return number;
}

std::uint32_t Matcher::free_slot() {
  if (slots_.size() < kWindowBlocks) {
    slots_.emplace_back();
    return static_cast<std::uint32_t>(slots_.size() - 1);
  }
  const auto oldest =
      std::min_element(slots_.begin(), slots_.end(), [](const Slot& a, const Slot& b) { return a.used < b.used; });
  const std::uint32_t number = static_cast<std::uint32_t>(oldest - slots_.begin());
  forget(number);
  return number;
}

void Matcher::forget(std::uint32_t number) {
  Slot& slot = slots_[number];
  for (const KnownChunk& chunk : slot.block.chunks) {
    const auto found = places_.find(number_of(chunk.image));
    if (found != places_.end() && found->second.slot == number) places_.erase(found);
  }
  loaded_.erase(slot.address);
  slot.block = {};
}

}  // namespace holdfast::dedup
