#!/usr/bin/env bash
# Called by `./run lint`: clang-format, clang 19's warnings as errors over everything, a short list of clang-tidy checks
# (.clang-tidy gives the reason of each), shell syntax, and words that have no place here.
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0
step() { printf '%-28s' "$1"; shift; if "$@" >build/lint.log 2>&1; then echo ok; else echo FAILED; tail -40 build/lint.log; failed=1; fi; }
mkdir -p build
sources() { git ls-files -- '*.cc' '*.h'; }
format() { sources | xargs clang-format-19 --dry-run -Werror; }
compile() { CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER-$(command -v ccache || true)} cmake --preset lint && ninja -C build/lint; }
tidy() {
  local -a units
  mapfile -t units < <(git ls-files -- 'client/*.cc' 'server/*.cc' 'common/*.cc')
  printf '%s\n' "${units[@]}" | xargs -P "$(nproc)" -n 4 clang-tidy-19 -p build/lint --quiet --warnings-as-errors='*'
}
shell() { local f; for f in run .ci/run $(git ls-files -- '*.sh'); do bash -n "$f" || return 1; done; }
unfinished() { ! git grep -nIE '\b(TODO|FIXME|XXX|HACK)\b|DISABLED_|GTEST_SKIP' -- '*.cc' '*.h' '*.proto' '*.sh' run ':!tests/lint.sh' ':!tests/support/reference.h'; }
step 'shell syntax' shell
step 'nothing unfinished' unfinished
step 'clang-format' format
step 'clang 19, warnings = errors' compile
step 'clang-tidy' tidy
exit "$failed"
