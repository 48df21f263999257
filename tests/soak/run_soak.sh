#!/usr/bin/env bash
# Called by `./run soak [HOURS]`: random histories beside the model (row 8), then crash states (row 1), for half of the time
# each, from seeds that no run had before. What was run is added to tests/soak/RESULTS.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
hours=${1:-1}
seconds=$(awk -v h="$hours" 'BEGIN { s = int(h * 3600 / 2); print s }')
((seconds > 0)) || { echo "soak: HOURS must be a positive number, like 1, 8 or 0.1" >&2; exit 2; }
seed=${HF_SOAK_SEED:-$(date +%s)000000}
export CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER-$(command -v ccache || true)}
mkdir -p build
{ cmake --preset asan && ninja -C build/asan collect_test; } >build/soak-build.log 2>&1 || { tail -40 build/soak-build.log >&2; exit 1; }
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
code=0
for part in History Crash; do
  log=build/soak-$part.log
  HF_SOAK_SECONDS=$seconds HF_SOAK_SEED=$seed nice build/asan/tests/collect_test --gtest_filter="$part.*" >"$log" 2>build/soak-$part.err || code=1
  counted=$(grep -E '^(histories|crash states): ' "$log" | tail -1)
  if grep -q '  FAILED  ' "$log"; then outcome=DIVERGED; else outcome=ok; fi
  printf '| %s | %s | %s | %s | %s |\n' "$(date -u +%F)" "$commit" "$seconds" "${counted:-stopped by an assertion}" "$outcome" | tee -a tests/soak/RESULTS.md
  if [[ $outcome != ok || -z $counted ]]; then
    code=1
    tail -60 "$log" >&2
  fi
done
exit $code
