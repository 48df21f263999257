#pragma once
// Why: what holdfastctl asks of the running daemon, over a Unix socket in the data directory that only root and the
// daemon's own user may use. The daemon alone opens tenants; the tool never touches their files.

#include <functional>
#include <memory>
#include <string>

#include "common/transport/transport.h"
#include "proto/holdfast/v1/admin.pb.h"
#include "server/collect/collect.h"
#include "server/config/data_dir.h"
#include "server/session/deny_list.h"
#include "server/session/operators.h"
#include "server/session/sessions.h"
#include "server/session/tenants.h"

namespace holdfast::admin {

namespace v1 = ::holdfast::v1;

inline constexpr std::string_view kDefaultPlan = "30d";

/// What administration works on. References outlive every connection.
struct AdminContext {
  runtime::Loop& loop;
  runtime::Pool& pool;          ///< short requests
  runtime::Pool& care;          ///< check, rebuild-index, collect: hours of them must hold up nothing else
  session::Sessions& sessions;  ///< the loop's thread only
  session::Tenants& tenants;
  session::Operators& operators;
  session::DenyList& denied;
  fs::FileSystem& fs;
  const Clock& clock;
  Random& random;
  std::string data_dir;
  std::string version;  ///< "0.1.0 (commit …)"
  WallTime started;
  config::Dialled dialled;  ///< goes into tokens
  Digest ca_fingerprint;
  PublicKey receipt_key;
  collect::CollectOptions collecting{};
};

/// Hands out one answer; false: nobody listens any more, stop.
using Emit = std::function<bool(v1::AdminResponse)>;

/// Around a request.
struct Asked {
  std::string by = "operator";  ///< the peer's user name: goes into journal and log
  std::size_t connections = 0;  ///< at this moment
};

/// Carries out one request; blocking. Answers go to `emit`, the last one without `done`, which the caller adds.
/// Errors: those of the request.
Status carry_out(AdminContext& context, const v1::AdminRequest& request, const Asked& asked, const Emit& emit);

/// Serves one connection of the socket. Runs on the loop's thread.
runtime::Task<void> serve_admin(AdminContext& context, std::unique_ptr<transport::FrameStream> stream);

}  // namespace holdfast::admin
