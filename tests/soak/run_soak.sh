#!/usr/bin/env bash
# Called by `./run soak [ROW [MINUTES]]`: ACCEPTANCE rows 1 (crash states), 8 (random histories beside the model) and 47
# (simulation), from seeds that no run had before; without a ROW all three, one after the other. What was run is added to
# tests/soak/RESULTS.md: the counts of all lines that say ok add up.
set -euo pipefail
cd "$(dirname "$0")/../.."
declare -A TESTS=([1]='Crash.*' [8]='History.*' [47]='Simulation.KeepsEveryPromise*')
rows=(8 1 47)
minutes=${2:-20}
if (($# > 0)); then
  [[ -n ${TESTS[$1]:-} ]] || { echo "soak: no row '$1'; there are 1, 8 and 47" >&2; exit 2; }
  rows=("$1")
fi
[[ $minutes =~ ^[1-9][0-9]*$ && $minutes -le 90 ]] || { echo "soak: MINUTES is a number from 1 to 90, not '$minutes'" >&2; exit 2; }
export CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER-$(command -v ccache || true)}
mkdir -p build
{ cmake --preset release -B build/soak -DHF_TESTS=ON && ninja -C build/soak collect_test; } >build/soak-build.log 2>&1 || { tail -40 build/soak-build.log >&2; exit 1; }
commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
[[ -z $(git status --porcelain -uno -- ':!tests/soak/RESULTS.md' 2>/dev/null) ]] || commit+=', changed'
code=0
for row in "${rows[@]}"; do
  log=build/soak-row-$row.log
  seed=${HF_SOAK_SEED:-$(date +%s)000000}
  HF_SOAK_SECONDS=$((minutes * 60)) HF_SOAK_SEED=$seed HF_SHARD=$((seed / 1000000 % 4)) nice build/soak/tests/collect_test --gtest_filter="${TESTS[$row]}" >"$log" 2>"$log.err" || true
  counted=$(grep -hE '^(histories|crash states|from seed [0-9]+; simulation)' "$log" | tail -1 || true)
  outcome=DIVERGED
  if grep -q '  PASSED  ' "$log" && ! grep -q '  FAILED  ' "$log" && [[ -n $counted ]]; then outcome=ok; fi
  printf '| %s | %s | %s | %s | %s | %s |\n' "$(date -u +%F)" "$commit" "$row" "$minutes" "${counted:-stopped by an assertion, from seed $seed}" "$outcome" | tee -a tests/soak/RESULTS.md
  if [[ $outcome != ok ]]; then
    code=1
    tail -60 "$log" >&2
  fi
done
exit $code
