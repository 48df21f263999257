#!/usr/bin/env bash
# Called by `./run bench programs [ROUNDS]`: the release programs on loopback with fsync, one data set, interleaved rounds,
# medians. rsync -a of the same tree stands beside every figure: machines differ and are noisy, ratios are what to compare.
set -euo pipefail
cd "$(dirname "$0")/../.."
ROOT=$PWD
ROUNDS=${1:-3}
HF_BIN=$ROOT/build/release/bin
source tests/system/driver.sh
scenario bench

now() { date +%s.%N; }
timed() {  # NAME command…: appends seconds to $W/t.NAME
  local name=$1 start
  shift
  start=$(now)
  "$@" >"$W/out" 2>"$W/err" || fail "$name: exit $?"
  echo "$(now) $start" | awk '{printf "%.3f\n", $1 - $2}' >>"$W/t.$name"
}
median() { sort -n "$W/t.$1" | awk '{a[NR] = $1} END {print a[int((NR + 1) / 2)]}'; }

mkdir -p "$W/data/tree"
find /usr/share /usr/lib -xdev -type f -size -1M 2>/dev/null | sort | sed -n 1,20000p | sed 's|^/||' >"$W/list"
rsync -a --files-from="$W/list" / "$W/data/tree/" 2>/dev/null || true
head -c 134217728 /dev/urandom >"$W/data/random"
BYTES=$(du -sb "$W/data" | cut -f1)
FILES=$(find "$W/data" -type f | wc -l)
server_init
server_start
tenant bench
kit
sleep 2.1
for ((round = 1; round <= ROUNDS; round++)); do
  client "bench/m$round" --kit "$W/kit"
  rm -rf "$W/copy" "$W/back"
  timed rsync rsync -a "$W/data/" "$W/copy/"
  timed first hf "m$round" --json backup "$W/data"
  STORED=$(field stored_bytes)
  timed unchanged hf "m$round" --json backup "$W/data"
  WIRE=$(field wire_sent_bytes)
  timed restore hf "m$round" restore latest --target "$W/back"
  timed verify hf "m$round" verify latest --read-data
  timed check ctl check --read-data
  timed rebuild ctl --json rebuild-index
done
PEAK=$(grep VmHWM "/proc/$SERVER_PID/status" | awk '{print $2}')
"$HF_BIN/holdfast" --version | head -n 1
printf '%s files, %s bytes, %s rounds, medians in seconds\n' "$FILES" "$BYTES" "$ROUNDS"
for name in rsync first unchanged restore verify check rebuild; do
  printf '%-10s %8.2f s   %5.2f x rsync -a   %7.1f MB/s\n' "$name" "$(median $name)" "$(echo "$(median $name) $(median rsync)" | awk '{print $1 / $2}')" \
    "$(echo "$BYTES $(median $name)" | awk '{print $1 / $2 / 1e6}')"
done
printf 'stored %s bytes (%.2f of the data); a no-change run sends %s bytes; peak memory of the server %s KiB\n' "$STORED" \
  "$(echo "$STORED $BYTES" | awk '{print $1 / $2}')" "$WIRE" "$PEAK"
