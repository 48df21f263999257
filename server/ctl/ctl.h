#pragma once
// Why: holdfastctl's commands (CLI11) and what each asks of the daemon.

namespace holdfast::ctl {

/// The whole program. Returns its exit code.
int run(int argc, char** argv);

}  // namespace holdfast::ctl
