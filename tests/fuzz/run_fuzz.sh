#!/usr/bin/env bash
# run_fuzz.sh [SECONDS [TARGET…]]: builds the fuzz preset, runs every target from its corpus, two at a time.
set -euo pipefail
cd "$(dirname "$0")/../.."
seconds=${1:-10}
shift || true
mkdir -p build/fuzz-logs
export CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER-$(command -v ccache || true)}
names=("$@")
if ((${#names[@]} == 0)); then for f in tests/fuzz/*_fuzz.cc; do n=${f##*/}; names+=("${n%_fuzz.cc}"); done; fi
cmake --preset fuzz >build/fuzz-logs/configure.log 2>&1 || { tail -20 build/fuzz-logs/configure.log; exit 1; }
ninja -C build/fuzz "${names[@]/%/_fuzz}" >build/fuzz-logs/build.log 2>&1 || { grep -A6 -E 'error|FAILED' build/fuzz-logs/build.log | head -40; exit 1; }
one() {
  local name=$1 scratch
  scratch=$(mktemp -d)
  mkdir -p "tests/fuzz/corpus/$name"
  if ! "build/fuzz/fuzz/${name}_fuzz" -max_total_time="$seconds" -max_len=65536 -rss_limit_mb=2048 -timeout=10 \
      -artifact_prefix="build/fuzz-logs/$name-" "$scratch" "tests/fuzz/corpus/$name" >"build/fuzz-logs/$name.log" 2>&1; then
    echo "FAILED $name: $(grep -m1 -E 'ERROR|SUMMARY|runtime error' "build/fuzz-logs/$name.log")"
    rm -rf "$scratch"
    return 1
  fi
  rm -rf "$scratch"
  echo "ok $name: $(grep -oE 'Done [0-9]+ runs in [0-9]+ second' "build/fuzz-logs/$name.log")"
}
failed=0 running=0
for name in "${names[@]}"; do
  one "$name" &
  if ((++running >= 2)); then wait -n || failed=1; running=$((running - 1)); fi
done
while ((running-- > 0)); do wait -n || failed=1; done
exit "$failed"
