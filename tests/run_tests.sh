#!/usr/bin/env bash
# Called by `./run test [--quick] [ROW…]` after the packages are there: builds, then runs unit tests, rows, fuzz slices.
# Prints what each part cost against its budget; the last line counts.
set -euo pipefail
cd "$(dirname "$0")/.."
ROOT=$PWD
# Tests make and remove some 200,000 files: on a tmpfs of their own, where that is allowed and keeps extended attributes.
if ((EUID == 0)) && [[ -z ${HF_OWN_MOUNTS:-} ]] && unshare -m true 2>/dev/null; then
  HF_OWN_MOUNTS=1 exec unshare -m bash "${BASH_SOURCE[0]}" "$@"
fi
if [[ -n ${HF_OWN_MOUNTS:-} ]]; then
  scratch=$(mktemp -d)
  trap 'umount -l "$scratch" 2>/dev/null; rmdir "$scratch" 2>/dev/null' EXIT
  if mount -t tmpfs -o size=12g,mode=1777 tmpfs "$scratch" && touch "$scratch/x" && setfattr -n user.x -v 1 "$scratch/x" 2>/dev/null; then
    export TMPDIR=$scratch
  else
    umount "$scratch" 2>/dev/null || true
  fi
fi
QUICK=0
ROWS=()
for argument in "$@"; do
  case $argument in
    --quick) QUICK=1 ;;
    *) ROWS+=("$argument") ;;
  esac
done
PASSED=0 FAILED=0
TABLE=()
record() {  # name, exit code, seconds, budget
  if (($2 == 0)); then PASSED=$((PASSED + 1)); else FAILED=$((FAILED + 1)); fi
  TABLE+=("$(printf '%-34s %-6s %6s / %-6s' "$1" "$( (($2 == 0)) && echo ok || echo FAILED)" "$3" "$4")")
}
export CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER-$(command -v ccache || true)}
mkdir -p build/test-logs
# A quarter of the histories, crash states and simulations each time: which, the commit decides.
if [[ -z ${HF_SHARD:-} ]]; then
  commit=$(git rev-parse --short=7 HEAD 2>/dev/null || echo 0)
  export HF_SHARD=$((16#$commit % 4))
fi

build() {  # preset, targets…
  local preset=$1 started=$SECONDS code=0
  shift
  { cmake --preset "$preset" && ninja -C "build/$preset" -j "$(nproc)" "$@"; } >"build/test-logs/build-$preset.log" 2>&1 || code=$?
  record "build $preset" "$code" $((SECONDS - started)) "$BUILD_BUDGET"
  echo "build $preset: $((SECONDS - started)) s"
  if ((code)); then grep -E -A6 'error|FAILED' "build/test-logs/build-$preset.log" | head -60; summary; fi
}

summary() {
  printf '\n%-34s %-6s %6s / %-6s\n' part result "s" budget
  printf '%s\n' "${TABLE[@]}"
  printf '\n%d passed, %d failed\n' "$PASSED" "$FAILED"
  exit $((FAILED > 0))
}

unit_tests() {
  local started=$SECONDS
  ctest --test-dir build/asan -j "$(nproc)" --output-on-failure --no-tests=error >build/test-logs/unit.log 2>&1 || { grep -vE '^ *[0-9]+/[0-9]+ Test.*Passed' build/test-logs/unit.log | tail -120; }
  local line name result seconds
  while read -r line; do
    name=$(sed -E 's/^.*Test +#[0-9]+: ([^ ]+) .*$/\1/' <<<"$line")
    seconds=$(grep -oE '[0-9.]+ sec' <<<"$line" | cut -d. -f1 | tr -dc 0-9)
    result=0
    grep -q ' Passed ' <<<"$line" || result=1
    record "unit $name" "$result" "${seconds:-0}" 120
  done < <(grep -E '^ *[0-9]+/[0-9]+ Test' build/test-logs/unit.log)
  grep -qE '^ *[0-9]+/[0-9]+ Test' build/test-logs/unit.log || record "unit tests" 1 $((SECONDS - started)) 600
  echo "unit tests: $((SECONDS - started)) s"
}

run_row() {  # name budget: one row, its output kept
  local name=$1 budget=$2 started=$SECONDS code=0
  HF_BIN=$ROOT/build/asan/bin timeout -k 10 $((budget * 5)) bash "tests/system/rows/$name.sh" >"build/test-logs/row-$name.log" 2>&1 </dev/null || code=$?
  echo "$code $((SECONDS - started))" >"build/test-logs/row-$name.result"
}

rows() {
  local name budget running=0
  local -a names=()
  while IFS=$'\t' read -r name budget _; do
    [[ $name == \#* || -z $name ]] && continue
    ((${#ROWS[@]})) && [[ " ${ROWS[*]} " != *" $name "* ]] && continue
    names+=("$name $budget")
    rm -f "build/test-logs/row-$name.result"
    run_row "$name" "$budget" &
    if ((++running >= 2)); then wait -n; running=$((running - 1)); fi
  done <tests/system/budgets.tsv
  wait
  for line in "${names[@]}"; do
    read -r name budget <<<"$line"
    local code=1 seconds=0
    read -r code seconds <"build/test-logs/row-$name.result" || true
    ((code == 0)) || { echo "---- row $name (exit $code)"; tail -60 "build/test-logs/row-$name.log"; }
    record "row $name" "$code" "$seconds" "$budget"
  done
}

fuzz() {
  local started=$SECONDS code=0
  bash tests/fuzz/run_fuzz.sh "${HF_FUZZ_SECONDS:-10}" >build/test-logs/fuzz.log 2>&1 || { code=$?; tail -60 build/test-logs/fuzz.log; }
  record "fuzz, every target" "$code" $((SECONDS - started)) 300
  echo "fuzz: $((SECONDS - started)) s"
}

tsan() {
  [[ -s tests/tsan_targets ]] || return 0
  local started=$SECONDS code=0
  local -a targets
  mapfile -t targets < <(grep -v '^#' tests/tsan_targets)
  BUILD_BUDGET=300 build tsan "${targets[@]}"
  local one
  for one in "${targets[@]}"; do
    TSAN_OPTIONS="halt_on_error=1 second_deadlock_stack=1" timeout 900 "build/tsan/tests/$one" >"build/test-logs/tsan-$one.log" 2>&1 || { code=1; tail -60 "build/test-logs/tsan-$one.log"; }
  done
  record "tsan: ${#targets[@]} programs" "$code" $((SECONDS - started)) 300
}

if ((${#ROWS[@]})); then
  BUILD_BUDGET=900 build asan holdfast holdfastd holdfastctl
  rows
  summary
fi
BUILD_BUDGET=900 build asan
unit_tests
((QUICK)) && summary
rows
tsan
fuzz
summary
