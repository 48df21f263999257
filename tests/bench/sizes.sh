#!/usr/bin/env bash
# Called by `./run bench sizes [stream] [trees] [pieces] [generations] [entries]` (all): what Holdfast needs at the sizes that it
# promises: a stream of 16 GB that stands nowhere (rows.cc), changed all over from run to run; one of noise whose pieces
# come in another order; trees of 1 and 8 GB; a 3 MB file in 1,000 generations; 5 million files without content on a tmpfs. Peak memory of client and
# server, and what a restore of the last one fetches, beside the limits. HF_BENCH_SCALE: lib.sh; HF_ENTRIES counts the
# files, when 5 million (about 10 GB of memory) are too many.
HF_ALONE=1
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
PARTS=${*:-stream trees pieces generations entries}
MEMORY_LIMIT=$((160 * 1024))  # KiB, of the client
SERVER_LIMIT=$((128 * 1024))
FETCH_LIMIT=2.2
part() { [[ " $PARTS " == *" $1 "* ]]; }
bench_start sizes "$(part trees && echo 24 || echo 12)"

# watched NAME MACHINE argument…: holdfast with its output where it is, its peak memory into $W/peak.NAME (KiB), and the
# server's meanwhile into $W/server.NAME. Looks ten times a second: what rises and falls between two looks counts still, only
# what rises in the last tenth does not.
watched() {
  local name=$1 config=$W/clients/$2/client.toml pid peak start code=0
  shift 2
  echo 5 >"/proc/$SERVER_PID/clear_refs"
  start=$(now)
  "$HF_BIN/holdfast" --config "$config" "$@" &
  pid=$!
  while peak=$(awk '/^VmHWM/ { print $2 }' "/proc/$pid/status" 2>/dev/null) && [[ -n $peak ]]; do
    echo "$peak" >"$W/peak.$name"
    sleep 0.1
  done
  wait "$pid" || code=$?
  awk '/^VmHWM/ { print $2 }' "/proc/$SERVER_PID/status" >"$W/server.$name"
  echo "$(now) $start" | awk '{ printf "%.1f\n", $1 - $2 }' >"$W/seconds.$name"
  return "$code"
}
backed_up() {  # NAME MACHINE argument…: sets STORED
  local before
  before=$(hf_stored)
  watched "$1" "$2" --json backup "${@:3}" >"$W/out" 2>"$W/err" || fail "backup $1: exit $?"
  STORED=$(($(hf_stored) - before))
  echo "$STORED" >"$W/bytes.$1"
}

row() {  # TITLE NAME [LIMIT]: one line; the client's memory against the limit, if there is one, and the server's against its own
  local word=
  if [[ -n ${3:-} ]]; then
    word=ok
    (($(cat "$W/peak.$2") <= $3 && $(cat "$W/server.$2") <= SERVER_LIMIT)) || { word=MISSED; MISSED=1; }
  fi
  printf '%-52s %9s %9s %7s %10s %s\n' "$1" "$(human $(($(cat "$W/peak.$2") * 1024)))" "$(human $(($(cat "$W/server.$2") * 1024)))" \
    "$(cat "$W/seconds.$2")" "$(human "$(cat "$W/bytes.$2")")" "$word"
}
fetched_row() {  # TITLE FETCHED STORED
  local word=ok
  awk -v a="$2" -v b="$3" -v l=$FETCH_LIMIT 'BEGIN { exit !(a <= l * b) }' || { word=MISSED; MISSED=1; }
  printf '%-52s %s fetched, %s stored by the first run: %s x %s\n' "$1" "$(human "$2")" "$(human "$3")" \
    "$(awk -v a="$2" -v b="$3" 'BEGIN { printf "%.2f", a / b }')" "$word"
}

# streamed CLIENT RUNS BYTES [ARGUMENT of rows]: run after run of a made-up stream, then the last one restored and compared.
streamed() {
  local client=$1 runs=$2 bytes=$3 kind=${4:-} run
  ROWS=$W/rows
  [[ -e $ROWS ]] || "${CXX:-c++}" -std=c++20 -O2 -o "$ROWS" "$BENCH/rows.cc"
  holdfast_new "$client"
  for ((run = 1; run <= runs; run++)); do
    step "$client: run $run"
    backed_up "$client$run" "$client" --command "'$ROWS' $bytes $run $kind" --name rows
    [[ $(field bytes) == "$bytes" ]] || fail "the stream of run $run is not $bytes bytes long"
  done
  step "$client: restore"
  rm -f "$W/pipe"
  mkfifo "$W/pipe"
  # shellcheck disable=SC2086 # no kind, no argument
  cmp "$W/pipe" <("$ROWS" "$bytes" "$runs" $kind) >"$W/cmp" 2>&1 &
  local compared=$!
  watched "${client}_back" "$client" --json restore latest --stream rows >"$W/pipe" 2>"$W/err" || fail "restore --stream: exit $?"
  wait "$compared" || fail "the restored stream differs: $(cat "$W/cmp")"
  tail -n 1 "$W/err" >"$W/back.$client"
  jq -r .wire_received_bytes "$W/back.$client" >"$W/bytes.${client}_back"
}
show_restored() {  # CLIENT
  row '  the last one restored, fetched' "$1_back" $MEMORY_LIMIT
  fetched_row '  the last one restored' "$(cat "$W/bytes.$1_back")" "$(cat "$W/bytes.${1}1")"
  jq -r '"  blobs fetched: \(.blobs_fetched), again: \(.blobs_fetched_again); most in the spool: \(.spool_bytes) bytes"' "$W/back.$1"
}

run_stream() { streamed stream 3 "$(scaled 16000000000)"; }
show_stream() {
  row "stream of $(human "$(scaled 16000000000)"): first run, stored" stream1 $MEMORY_LIMIT
  row '  one row in 997 changed' stream2 $MEMORY_LIMIT
  row '  another one in 997' stream3 $MEMORY_LIMIT
  show_restored stream
}

# The same rows in files: three quarters of the bytes in files of 4 MB, the rest in files of 64 KiB.
run_tree() {  # GIGABYTES
  local name=tree$1 top=$D/tree$1 bytes
  bytes=$(scaled $(($1 * 1000000000)))
  ROWS=$W/rows
  [[ -e $ROWS ]] || "${CXX:-c++}" -std=c++20 -O2 -o "$ROWS" "$BENCH/rows.cc"
  step "$name: made"
  mkdir -p "$top/large" "$top/small"
  "$ROWS" $((bytes * 3 / 4)) 1 | split -a 5 -b 4000000 - "$top/large/"
  "$ROWS" $((bytes / 4)) 2 | split -a 5 -b 65536 - "$top/small/"
  holdfast_new "$name"
  settle
  step "$name: first run"
  backed_up "${name}_first" "$name" "$top"
  step "$name: restore"
  watched "${name}_back" "$name" --json restore latest --target "$W/back" >"$W/out" 2>"$W/err" || fail "restore: exit $?"
  field wire_received_bytes >"$W/bytes.${name}_back"
  diff -r "$top" "$W/back$top" >"$W/cmp" || fail "the restored tree differs: $(head -3 "$W/cmp")"
  rm -rf "$W/back" "$top"
}
show_tree() {
  row "tree of $1 GB: first run, stored" "tree$1_first" $MEMORY_LIMIT
  row '  restored, fetched' "tree$1_back" $MEMORY_LIMIT
}

PIECES=$(($(scaled 4096) * 65536))
run_pieces() { streamed pieces 2 $PIECES pieces; }
show_pieces() {
  row "noise of $(human $PIECES): first run, stored" pieces1 $MEMORY_LIMIT
  row '  its pieces of 64 KiB in another order' pieces2 $MEMORY_LIMIT
  show_restored pieces
}

# One place of 3 MB gets 40 other bytes in each generation.
run_generations() {
  local file=$D/generations/file number
  GENERATIONS=$(scaled 1000)
  mkdir -p "$D/generations"
  head -c 3000000 /dev/urandom >"$file"
  holdfast_new generations
  backed_up generation1 generations "$D/generations"
  GENERATION_STORED=$STORED
  for ((number = 2; number <= GENERATIONS; number++)); do
    ((number % 100)) || step "generations: $number"
    head -c 40 /dev/urandom | dd of="$file" bs=1 seek=$((number * 7919 * 379 % 2999960)) conv=notrunc status=none
    if ((number == GENERATIONS)); then backed_up generations generations "$D/generations"; else expect 0 hf generations backup "$D/generations"; fi
  done
  watched generations_back generations --json restore latest --target "$W/back-g" >"$W/out" 2>"$W/err" || fail "restore: exit $?"
  cmp "$file" "$W/back-g$file" || fail 'the restored generation differs'
  field wire_received_bytes >"$W/bytes.generations_back"
}
show_generations() {
  row "file of 3 MB, generation $GENERATIONS, stored" generations $MEMORY_LIMIT
  row '  restored, fetched' generations_back $MEMORY_LIMIT
  fetched_row '  restored' "$(cat "$W/bytes.generations_back")" "$GENERATION_STORED"
}

run_entries() {
  local made=$W/entries
  ENTRIES=${HF_ENTRIES:-$(scaled 5000000)}
  mkdir "$made"
  ((EUID != 0)) || mount -t tmpfs -o size=12G,nr_inodes=0 tmpfs "$made"
  step "entries: $ENTRIES files are made"
  mkdir "$made/data"
  perl -e 'my ($top, $n) = @ARGV;
    for my $i (0 .. $n - 1) { mkdir sprintf("%s/%05d", $top, $i / 1000) if $i % 1000 == 0;
      open my $f, ">", sprintf("%s/%05d/entry-%d", $top, $i / 1000, $i) or die "$!"; }' "$made/data" "$ENTRIES"
  settle
  holdfast_new entries
  step 'entries: first run'
  backed_up entries1 entries "$made/data"
  step 'entries: nothing changed'
  backed_up entries2 entries "$made/data"
  step 'entries: restore'
  watched entries_back entries --json restore latest --target "$made/back" >"$W/out" 2>"$W/err" || fail "restore: exit $?"
  (($(field files) == ENTRIES)) || fail "$(field files) files of $ENTRIES came back"
  (($(find "$made/back" -type f | wc -l) == ENTRIES)) || fail 'files are missing'
  field wire_received_bytes >"$W/bytes.entries_back"
}
show_entries() {
  row "$ENTRIES files: first run, stored" entries1 $MEMORY_LIMIT
  row '  nothing changed' entries2 $MEMORY_LIMIT
  row '  restored, fetched' entries_back $MEMORY_LIMIT
}

if part stream; then run_stream; fi
if part trees; then run_tree 1; run_tree 8; fi
if part pieces; then run_pieces; fi
if part generations; then run_generations; fi
if part entries; then run_entries; fi
printf '\n%-52s %9s %9s %7s %10s %s\n' "peak memory (limits: $((MEMORY_LIMIT / 1024)), $((SERVER_LIMIT / 1024)) MiB)" client server seconds bytes ''
if part stream; then show_stream; fi
if part trees; then show_tree 1; show_tree 8; fi
if part pieces; then show_pieces; fi
if part generations; then show_generations; fi
if part entries; then show_entries; fi
printf '%s s in all\n' "$SECONDS"
exit "$MISSED"
