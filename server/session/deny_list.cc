#include "server/session/deny_list.h"

#include "common/base/log.h"
#include "server/session/small_file.h"

namespace holdfast::session {
namespace {

constexpr std::string_view kMagic = "HFDL";
constexpr std::size_t kItemBytes = Digest::kBytes + 8;

}  // namespace

DenyList::DenyList(fs::FileSystem& fs, const Clock& clock, std::string path)
    : fs_(fs), clock_(clock), path_(std::move(path)) {
  Result<std::map<Digest, std::int64_t>> found = read();
  if (found)
    until_ = *std::move(found);
  else
    log::error("deny list unreadable", {{"file", path_}, {"why", found.error().message}});
}

Result<std::map<Digest, std::int64_t>> DenyList::read() const {
  std::map<Digest, std::int64_t> found;
  const Result<Bytes> body = read_small_file(fs_, path_, kMagic);
  if (!body && body.error().code == Errc::NotFound) return found;
  if (!body) return body.error();
  ByteReader in(*body);
  for (std::size_t left = in.count(kItemBytes); left > 0; --left) {
    const Digest fingerprint = in.id<Digest>();
    found[fingerprint] = in.i64();
  }
  HF_TRY_DO(in.finish("deny list"));
  return found;
}

bool DenyList::contains(const Digest& fingerprint) const {
  const std::lock_guard lock(mutex_);
  return until_.contains(fingerprint);
}

Status DenyList::add(const Digest& fingerprint, WallTime not_after) {
  const std::lock_guard lock(mutex_);
  const std::int64_t now = to_ns(clock_.wall());
  // An ended certificate is kept a day longer: clocks go wrong.
  constexpr std::int64_t kDay = 86'400'000'000'000;
  std::erase_if(until_, [&](const auto& item) { return item.second < now - kDay; });
  until_[fingerprint] = to_ns(not_after);
  ByteWriter body;
  body.u32(static_cast<std::uint32_t>(until_.size()));
  for (const auto& [denied, until] : until_) body.id(denied).i64(until);
  return write_small_file(fs_, path_, kMagic, body.span());
}

Status DenyList::health() const {
  const std::lock_guard lock(mutex_);
  const auto found = read();
  if (!found) return found.error();
  if (*found != until_) return Error{Errc::Corrupt, "'" + printable(path_) + "' is not what this server wrote"};
  return {};
}

}  // namespace holdfast::session
