#include "client/restore/reuse.h"

#include <sys/stat.h>

#include <cerrno>

namespace holdfast::restore {
namespace {

constexpr std::size_t kNoteBytes = 1 + 4 * 8;

Bytes encode_note(Fit fit, const struct stat& facts) {
  ByteWriter out;
  out.u8(static_cast<std::uint8_t>(fit)).u64(facts.st_dev).u64(facts.st_ino);
  out.i64(facts.st_ctim.tv_sec).i64(facts.st_ctim.tv_nsec);
  return out.take();
}

}  // namespace

Result<std::optional<Fit>> Reuse::look(const PlannedEntry& planned) {
  const Result<std::optional<Standing>> standing = tree_.standing(planned.entry);
  if (!standing || !*standing) return std::optional<Fit>{};  // what is in its way is named when it is begun
  const Result<std::optional<Digest>> digest = digest_of_file((*standing)->file.get(), planned, plan_, keys_);
  if (!digest || *digest != planned.entry.content_digest) return std::optional<Fit>{};
  HF_TRY(const std::optional<Fit> fit, judge(planned, **standing));
  if (!fit) return fit;
  HF_TRY(const std::uint64_t bytes, plan_.data_bytes(planned));
  ++sums_.files;
  sums_.bytes += bytes;
  if (*fit != Fit::Whole) HF_TRY_DO(note(planned.number, *fit, (*standing)->facts));
  return fit;
}

/// Two files of the snapshot must not become one because they are one in the target.
Result<std::optional<Fit>> Reuse::judge(const PlannedEntry& planned, const Standing& standing) {
  const Result<std::optional<Fit>> fit = tree_.fit(planned.entry, standing);
  if (!fit || !*fit || **fit == Fit::Bytes || standing.facts.st_nlink == 1) return fit ? *fit : std::optional<Fit>{};
  const bool is_free =
      claimed_.size() < kMaxClaimed && claimed_.insert({standing.facts.st_dev, standing.facts.st_ino}).second;
  return is_free ? *fit : std::optional<Fit>(Fit::Bytes);
}

Result<std::optional<Reuse::Found>> Reuse::find_again(const PlannedEntry& planned) {
  Bytes noted(kNoteBytes);
  HF_TRY_DO(read_at(notes_.get(), noted, planned.number * kNoteBytes));
  if (noted.front() == 0) return std::optional<Found>{};
  Result<std::optional<Standing>> standing = tree_.standing(planned.entry);
  if (!standing || !*standing) return std::optional<Found>{};
  const Fit fit = static_cast<Fit>(noted.front());
  if (encode_note(fit, (*standing)->facts) != noted) return std::optional<Found>{};
  return std::optional<Found>(Found{fit, std::move(**standing)});
}

Status Reuse::note(std::uint64_t number, Fit fit, const struct stat& facts) {
  if (!notes_) {
    HF_TRY(Descriptor made, directory_.make_nameless());
    if (::ftruncate(made.get(), static_cast<off_t>(plan_.facts().entries * kNoteBytes)) != 0)
      return errno_error(errno, "make a file of the restore's own");
    notes_ = std::move(made);
  }
  return write_at(notes_.get(), encode_note(fit, facts), number * kNoteBytes);
}

Result<bool> Reuse::needs_bytes(std::uint64_t number) const {
  if (!notes_) return true;
  std::uint8_t fit = 0;
  HF_TRY_DO(read_at(notes_.get(), {&fit, 1}, number * kNoteBytes));
  return fit != static_cast<std::uint8_t>(Fit::Attributes);
}

}  // namespace holdfast::restore
