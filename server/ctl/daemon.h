#pragma once
// Why: holdfastctl never opens a tenant's files; it asks the running daemon, whose socket stands in the data directory.

#include <functional>
#include <string>

#include "common/base/result.h"
#include "proto/holdfast/v1/admin.pb.h"

namespace holdfast::ctl {

namespace v1 = ::holdfast::v1;

/// Where the daemon listens, from server.toml: only `data_dir` is read here; the daemon checks the rest.
/// Errors: Config, NotFound.
Result<std::string> socket_path(const std::string& config_file);

/// One request; `answer` gets what comes, the last one included. Blocks until the daemon is done.
/// Errors: the daemon's (with its request id); Unreachable when it does not run; Denied when we may not ask.
Status ask(const std::string& socket, const v1::AdminRequest& request,
           const std::function<void(const v1::AdminResponse&)>& answer);

}  // namespace holdfast::ctl
