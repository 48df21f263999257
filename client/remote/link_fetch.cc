// Fetching over one connection: a few messages under way, each for a few blobs, whose records come in any order.

#include <algorithm>

#include "client/remote/link.h"
#include "client/remote/link_parts.h"

namespace holdfast::remote {
namespace {

constexpr std::size_t kFetchRefs = 16;  ///< refs per Fetch message: bounds what may be under way to us
constexpr std::size_t kFetchesUnderWay = 2;

}  // namespace

std::optional<Status> Link::fetch(const Subject& subject, std::span<const WantedBlob> wanted,
                                  const std::function<Status(std::size_t, Result<Bytes>)>& got) {
  const std::lock_guard one_fetch(fetch_mutex_);
  std::deque<std::pair<std::size_t, std::shared_ptr<FetchPart>>> under_way;
  std::optional<Status> status = Status{};
  for (std::size_t next = 0; status && *status && (next < wanted.size() || !under_way.empty());) {
    while (next < wanted.size() && under_way.size() < kFetchesUnderWay) {
      const std::size_t count = std::min(kFetchRefs, wanted.size() - next);
      under_way.emplace_back(next, start_fetch(subject, wanted.subspan(next, count)));
      next += count;
    }
    const auto [first, part] = under_way.front();
    under_way.pop_front();
    status = finish_fetch(first, *part, got);
  }
  for (const auto& [first, part] : under_way) drain(*part);
  return status;
}

std::shared_ptr<Link::FetchPart> Link::start_fetch(const Subject& subject, std::span<const WantedBlob> wanted) {
  v1::Request request;
  v1::Fetch* message = request.mutable_fetch();
  set_subject(subject, message->mutable_subject());
  for (const WantedBlob& one : wanted) {
    v1::Ref* ref = message->add_refs();
    ref->set_blob(text_of(one.ref.blob));
    ref->set_run(text_of(one.ref.run));
    ref->set_domain(text_of(one.domain));
    ref->set_epoch(one.epoch);
  }
  const auto part = std::make_shared<FetchPart>();
  part->wanted = wanted.size();
  const std::lock_guard lock(mutex_);
  if (end_) return part;
  const std::uint64_t tag = next_tag_++;
  fetches_.emplace_back(tag, part);
  enqueue({control_frame(tag, request), nullptr});
  return part;
}

/// A record for the fetch at the head, on the link's thread.
Status Link::take_fetched(transport::Frame frame) {
  const std::lock_guard lock(mutex_);
  if (fetches_.empty()) return protocol_error("a blob that nobody asked for");
  FetchPart& part = *fetches_.front().second;
  if (++part.arrived > part.wanted) return protocol_error("more blobs than were asked for");
  part.records.push_back({frame.tag, std::move(frame.payload)});
  changed_.notify_all();
  return {};
}

/// True when it was the answer of the fetch at the head. mutex_ held.
Result<bool> Link::end_fetch(std::uint64_t tag, const v1::Response& response) {
  if (fetches_.empty() || fetches_.front().first != tag) return false;
  FetchPart& part = *fetches_.front().second;
  if (response.has_error())
    part.end.emplace(decode(response.error()));
  else if (response.has_fetch_end())
    part.end.emplace(response.fetch_end());
  else
    return protocol_error("a wrong answer to fetch");
  fetches_.pop_front();
  return true;
}

std::optional<Status> Link::finish_fetch(std::size_t first, FetchPart& part,
                                         const std::function<Status(std::size_t, Result<Bytes>)>& got) {
  std::vector<bool> seen(part.wanted, false);
  for (;;) {
    std::unique_lock lock(mutex_);
    const bool moved =
        changed_.wait_for(lock, kCallDeadline, [&] { return end_ || !part.records.empty() || part.end; });
    if (!part.records.empty()) {
      FetchPart::Fetched one = std::move(part.records.front());
      part.records.pop_front();
      lock.unlock();
      if (one.position >= seen.size() || seen[one.position]) return refuse("a blob that was not asked for");
      seen[one.position] = true;
      if (Status taken = got(first + one.position, std::move(one.record)); !taken) return taken;
      continue;
    }
    if (part.end) break;
    lock.unlock();
    if (!moved) give_up(timeout("wait for blobs"), true);
    return std::nullopt;
  }
  if (!*part.end) return Status{part.end->error()};
  for (const v1::Bad& bad : (*part.end)->bad()) {
    if (bad.position() >= seen.size() || seen[bad.position()]) return refuse("a wrong end of fetch");
    seen[bad.position()] = true;
    Status taken =
        got(first + bad.position(), Result<Bytes>(Error{checked_blob_code(bad.code()), printable(bad.message())}));
    if (!taken) return taken;
  }
  if (std::find(seen.begin(), seen.end(), false) != seen.end()) return refuse("an end of fetch that leaves a blob out");
  return Status{};
}

/// The caller has given up: takes what is still coming, so that the next fetch starts clean.
void Link::drain(FetchPart& part) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kCallDeadline, [&] { return end_ || part.end; });
}

/// Nothing more is believed from such a server.
Status Link::refuse(std::string_view what) {
  Error error = protocol_error(what);
  give_up(error, false);
  return error;
}

}  // namespace holdfast::remote
