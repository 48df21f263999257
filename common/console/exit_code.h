#pragma once
// Why: scripts branch on exit codes; one place maps what went wrong to a code, for all three programs.
// The numbers are a contract with users: they are only ever added.

#include "common/base/result.h"

namespace holdfast::console {

inline constexpr int kDone = 0;         ///< done, everything durable
inline constexpr int kFailed = 1;       ///< a source failed, disk full, unknown snapshot or path
inline constexpr int kUsage = 2;        ///< usage, bad configuration
inline constexpr int kWarnings = 3;     ///< done, with warnings
inline constexpr int kRefused = 4;      ///< rights, quota, wrong key, token, certificate, version
inline constexpr int kUnreachable = 5;  ///< name, route, refused port, timeout
inline constexpr int kDamaged = 6;      ///< damaged or wrong data, a server that breaks the protocol or was rolled back
inline constexpr int kLocked = 7;       ///< another run holds the lock
inline constexpr int kInterrupted = 130;  ///< SIGINT, after a clean stop
inline constexpr int kTerminated = 143;   ///< SIGTERM, after a clean stop

/// The exit code that this error ends a program with. Canceled gives kInterrupted: whoever knows which signal it was
/// returns 128 + its number instead.
int exit_code(Errc code);

/// The graver of two exit codes: 6 > 4 > 5 > 1 > 3 > 0. The others (2, 7, 130, 143, anything unknown) end a run by
/// themselves and outrank those; between two of them the first stays.
int graver(int a, int b);

}  // namespace holdfast::console
