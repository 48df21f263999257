#pragma once
// Why: what each call of service.proto does, as plain blocking functions: bytes checked, rights checked, the tenant asked,
// the answer filled. Knows no network and no coroutine; session.h carries frames to it.
// Everything in a request is hostile: ids have exactly their length, counts have bounds, before anything is looked up.

#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "server/session/access.h"
#include "server/session/authorisation.h"
#include "server/session/upload.h"

namespace holdfast::session {

inline constexpr std::uint32_t kProtocol = 1;
/// A core and its envelope; every other request is far smaller. Smaller than what a frame may carry, because a parsed
/// message of tiny fields takes twenty times its bytes in memory.
inline constexpr std::size_t kMaxRequestBytes = snapshot::kMaxCoreBytes + (64u << 10);
inline constexpr int kMaxHaveIds = 4096;
inline constexpr int kMaxFetchRefs = 1024;
inline constexpr std::size_t kMaxSnapshotRows = 1000;
inline constexpr std::size_t kMaxListBytes = 2u << 20;    ///< one page of snapshots, without its last core
inline constexpr std::size_t kReadAheadBytes = 4u << 20;  ///< records read in one go while the network is busy

/// What requests need of the server. References outlive every connection.
struct RequestContext {
  Tenants& tenants;
  const Access& access;
  const Clock& clock;
  std::string program;  ///< "holdfastd 0.1.0": for Welcome
};

/// Parses a control frame. Errors: Protocol, Limit.
Result<v1::Request> parse_request(ByteSpan payload);

/// One Fetch on its way.
struct Fetching {
  Target target;
  std::vector<std::pair<std::pair<DomainId, std::uint32_t>, blob::BlobRef>> refs;
  std::vector<std::size_t> order;  ///< positions in reading order
  std::size_t next = 0;            ///< index into `order`
  bool done() const { return next >= order.size(); }
};
struct ReadRecord {
  std::size_t position;
  Result<Bytes> record;
};

/// The requests of one connection. Blocking; one thread at a time.
class Requests {
 public:
  Requests(const RequestContext& context, Caller caller);

  const Caller& caller() const { return caller_; }
  /// Everything but Fetch. Rights first. Errors: Protocol and Limit (the connection should end), Denied, NotFound, and
  /// what the tenant says; a Commit that lacks blobs leaves their ids in `missing`.
  Result<v1::Response> answer(const v1::Request& request);
  Result<Fetching> start_fetch(const v1::Request& request);
  /// The next records, at most kReadAheadBytes and one more.
  Result<std::vector<ReadRecord>> read_on(Fetching& fetching);

  /// A blob frame. Returns the numbers to acknowledge. Errors: Protocol without an open session; the tenant's.
  Result<std::vector<std::uint64_t>> put(std::uint64_t number, const Bytes& record);
  /// Makes everything durable that is not.
  Result<std::vector<std::uint64_t>> flush();
  bool pending() const { return upload_ && upload_->pending(); }
  std::optional<SessionId> uploading() const { return upload_ ? std::optional(upload_->session()) : std::nullopt; }

  /// Numbers that the last answer made durable: to be sent before it.
  std::vector<std::uint64_t> take_acks() { return std::exchange(acks_, {}); }
  std::vector<BlobId> take_missing() { return std::exchange(missing_, {}); }

 private:
  Result<v1::Response> hello(const v1::Hello& call);
  Result<v1::Response> open_session(const v1::OpenSession& call);
  Result<v1::Response> have(const v1::Have& call);
  Result<v1::Response> flush(const v1::Flush& call);
  Result<v1::Response> commit(const v1::Commit& call);
  Result<v1::Response> abandon(const v1::AbandonSession& call);
  Result<v1::Response> list_snapshots(const v1::ListSnapshots& call, const Target& target);
  Result<v1::Response> get_snapshot(const v1::GetSnapshot& call, const Target& target);
  Result<v1::Response> get_run(const v1::GetRun& call, const Target& target);
  Result<v1::Response> account_status(const Target& target);
  Status finish_upload();

  const RequestContext& context_;
  Caller caller_;
  std::optional<Upload> upload_;
  std::vector<std::uint64_t> acks_;
  std::vector<BlobId> missing_;
};

}  // namespace holdfast::session
