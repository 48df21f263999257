#include "server/session/operators.h"

#include "common/base/log.h"
#include "common/identity/identity.h"
#include "server/session/small_file.h"
#include "server/session/tokens.h"

namespace holdfast::session {
namespace {

constexpr std::string_view kMagic = "HFOP";
constexpr std::string_view kSuffix = ".operator";

Error bad_token() {
  return {Errc::Denied, "this token is wrong, used or expired: ask for a new one (`holdfastctl operator add`)"};
}

}  // namespace

Operators::Operators(fs::FileSystem& fs, const Clock& clock, Random& random, std::string directory)
    : fs_(fs), clock_(clock), random_(random), directory_(std::move(directory)) {
  const auto entries = fs_.list(directory_);
  if (!entries) {
    if (entries.error().code != Errc::NotFound) log::error("operators unreadable", {{"why", entries.error().message}});
    return;
  }
  for (const fs::DirectoryEntry& entry : *entries) {
    if (!entry.name.ends_with(kSuffix)) continue;
    const std::string name = entry.name.substr(0, entry.name.size() - kSuffix.size());
    Result<journal::ClientPayload> found = read(name);
    if (found)
      known_[name] = *std::move(found);
    else
      log::error("operator unreadable", {{"file", entry.name}, {"why", found.error().message}});
  }
}

std::string Operators::path_of(const std::string& name) const {
  return fs::join(directory_, name + std::string(kSuffix));
}

Result<journal::ClientPayload> Operators::read(const std::string& name) const {
  HF_TRY(const Bytes body, read_small_file(fs_, path_of(name), kMagic));
  HF_TRY(journal::ClientPayload payload,
         journal::decode_client(body).context("read operator '" + printable(name) + "'"));
  if (payload.name != name)
    return Error{Errc::Corrupt, "'" + printable(path_of(name)) + "' is the file of '" + printable(payload.name) + "'"};
  return payload;
}

Status Operators::store(const journal::ClientPayload& payload) {
  HF_TRY_DO(fs::make_directories(fs_, directory_, 0700));
  HF_TRY_DO(write_small_file(fs_, path_of(payload.name), kMagic, journal::encode(payload)));
  known_[payload.name] = payload;
  return {};
}

Status Operators::invite(const std::string& name, const Digest& token_digest, std::int64_t expires_ns) {
  if (!identity::valid_name(name))
    return Error{Errc::Usage,
                 "not an operator's name: '" + printable(name) + "' (lower-case letters, digits, '.', '_', '-')"};
  const std::lock_guard lock(mutex_);
  journal::ClientPayload payload;
  if (const auto found = known_.find(name); found != known_.end())
    payload = found->second;
  else
    payload.id = random_.id<ClientId>();
  payload.name = name;
  if (payload.state == journal::ClientPayload::State::Revoked) {
    payload.state = journal::ClientPayload::State::Invited;
    payload.certificate_pem.clear();
  }
  payload.token_digest = token_digest;
  payload.token_expires_ns = expires_ns;
  payload.request_digest = {};
  return store(payload);
}

Result<journal::ClientPayload> Operators::find(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(name);
  if (found == known_.end()) return Error{Errc::NotFound, "no operator '" + printable(name) + "'"};
  return found->second;
}

Result<journal::ClientPayload> Operators::enrol(const std::string& name, const Digest& token_digest,
                                                const Digest& request_digest,
                                                const std::function<Result<std::string>()>& issue_certificate) {
  using State = journal::ClientPayload::State;
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(name);
  if (found == known_.end() || !same_token(found->second.token_digest, token_digest)) return bad_token();
  journal::ClientPayload payload = found->second;
  if (payload.state == State::Revoked) return bad_token();
  if (!payload.request_digest.is_zero()) {
    if (payload.request_digest == request_digest && payload.state == State::Enrolled) return payload;
    return bad_token();
  }
  if (payload.token_expires_ns < to_ns(clock_.wall())) return bad_token();
  HF_TRY(const std::string certificate, issue_certificate());
  payload.state = State::Enrolled;
  payload.request_digest = request_digest;
  payload.certificate_pem = to_bytes(as_bytes(certificate));
  HF_TRY_DO(store(payload));
  return payload;
}

Result<journal::ClientPayload> Operators::revoke(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(name);
  if (found == known_.end()) return Error{Errc::NotFound, "no operator '" + printable(name) + "'"};
  journal::ClientPayload payload = found->second;
  payload.state = journal::ClientPayload::State::Revoked;
  payload.token_digest = {};
  HF_TRY_DO(store(payload));
  return payload;
}

std::vector<Operators::Damage> Operators::health() const {
  std::vector<Damage> found;
  const std::lock_guard lock(mutex_);
  const auto entries = fs_.list(directory_);
  if (!entries) {
    if (entries.error().code != Errc::NotFound) found.push_back({"operators", entries.error().message});
    return found;
  }
  std::size_t seen = 0;
  for (const fs::DirectoryEntry& entry : *entries) {
    if (!entry.name.ends_with(kSuffix)) continue;
    const std::string name = entry.name.substr(0, entry.name.size() - kSuffix.size());
    const Result<journal::ClientPayload> stored = read(name);
    if (!stored) found.push_back({"operators/" + entry.name, stored.error().message});
    seen += known_.contains(name);
  }
  if (seen < known_.size())
    found.push_back({"operators", std::to_string(known_.size() - seen) + " operator files are gone"});
  return found;
}

}  // namespace holdfast::session
