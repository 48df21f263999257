// Chunk lists across all the files that a state names.
#include <algorithm>

#include "client/state/list_file.h"

namespace holdfast::state {
namespace {

constexpr std::size_t kMaxSamplesHeld = 1u << 20;  // of all files together: 24 MiB

struct Sample {
  std::uint64_t number = 0;
  std::uint32_t file = 0, block = 0;
};

}  // namespace

struct ListReader::Impl {
  const ListFileReader* file(std::uint32_t number);
  void read_samples();

  fs::FileSystem& fs;
  std::string state_path;
  crypto::Key state_key;
  Binding binding;
  std::vector<ListFile> files;
  std::vector<std::optional<Result<ListFileReader>>> open;
  std::optional<std::vector<Sample>> samples;  ///< by number; read when first asked for
};

const ListFileReader* ListReader::Impl::file(std::uint32_t number) {
  if (number >= files.size() || files[number].nonce.is_zero()) return nullptr;
  if (!open[number])
    open[number].emplace(ListFileReader::open(fs, state_path, state_key, binding, files[number].nonce));
  return *open[number] ? &**open[number] : nullptr;
}

void ListReader::Impl::read_samples() {
  samples.emplace();
  unsigned bits = 0;
  for (std::uint32_t number = 0; number < files.size(); ++number) {
    const ListFileReader* const one = file(number);
    if (one == nullptr) continue;
    const Result<std::vector<std::pair<std::uint64_t, std::uint32_t>>> read = one->samples();
    if (!read) continue;
    for (const auto& [sample, block] : *read) {
      if (dedup::is_sampled(sample, bits)) samples->push_back({sample, number, block});
    }
    while (samples->size() > kMaxSamplesHeld) {
      ++bits;
      std::erase_if(*samples, [&](const Sample& s) { return !dedup::is_sampled(s.number, bits); });
    }
  }
  std::sort(samples->begin(), samples->end(), [](const Sample& a, const Sample& b) { return a.number < b.number; });
}

ListReader::ListReader(fs::FileSystem& fs, const std::string& state_path, const crypto::Key& state_key,
                       const Binding& binding, std::vector<ListFile> files)
    : impl_(std::make_unique<Impl>(Impl{fs, state_path, state_key.clone(), binding, std::move(files), {}, {}})) {
  impl_->open.resize(impl_->files.size());
}
ListReader::~ListReader() = default;

std::optional<dedup::KnownBlock> ListReader::load(const dedup::BlockAddress& address) {
  const ListFileReader* const file = impl_->file(address.file);
  if (file == nullptr || address.block >= file->blocks()) return std::nullopt;
  Result<dedup::KnownBlock> block = file->load(address.block);
  if (!block) return std::nullopt;
  return *std::move(block);
}

std::optional<dedup::BlockAddress> ListReader::find_sampled(const dedup::Image& image) {
  if (!impl_->samples) impl_->read_samples();
  const std::uint64_t number = dedup::number_of(image);
  const auto at = std::lower_bound(impl_->samples->begin(), impl_->samples->end(), number,
                                   [](const Sample& s, std::uint64_t n) { return s.number < n; });
  if (at == impl_->samples->end() || at->number != number) return std::nullopt;
  return dedup::BlockAddress{at->file, at->block};
}

}  // namespace holdfast::state
