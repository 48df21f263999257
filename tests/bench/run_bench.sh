#!/usr/bin/env bash
# Called by `./run bench [NAME [ARGUMENT…]]`: builds, then runs one benchmark, or without a name each of them.
# `programs` is programs.sh; `increments` and `peers` compare with other programs, `link` has a slow link,
# `profile` says where the time goes, `sizes` needs much disk and memory (only when named);
# any other NAME is NAME_bench.cc beside this file. RESULTS.md says how to read the figures.
set -euo pipefail
cd "$(dirname "$0")/../.."
case ${1:-} in increments | peers | link | profile | sizes) exec bash "tests/bench/$1.sh" "${@:2}" ;; esac  # on a disk of their own: lib.sh
BENCHES=(programs)
for source in tests/bench/*_bench.cc; do
  name=${source##*/}
  BENCHES+=("${name%_bench.cc}")
done
WANTED=("${BENCHES[@]}")
if (($#)); then
  WANTED=("$1")
  shift
  [[ " ${BENCHES[*]} " == *" ${WANTED[0]} "* ]] || { echo "bench: no '${WANTED[0]}'; there are: ${BENCHES[*]}" >&2; exit 2; }
fi
TARGETS=()
for name in "${WANTED[@]}"; do
  if [[ $name == programs ]]; then TARGETS+=(all); else TARGETS+=("${name}_bench"); fi
done
export CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER-$(command -v ccache || true)}
mkdir -p build
{ cmake --preset release -DHF_BENCH=ON && ninja -C build/release "${TARGETS[@]}"; } >build/bench-build.log 2>&1 || { tail -20 build/bench-build.log; exit 1; }
printf '%s,%s cores\n' "$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2-)" "$(nproc)"
for name in "${WANTED[@]}"; do
  printf '\n== %s\n' "$name"
  if [[ $name == programs ]]; then bash tests/bench/programs.sh "$@"; else "build/release/bench/${name}_bench" "$@"; fi
done
