#!/usr/bin/env bash
# Called by `./run bench link`: a slow and long link, 50 Mbit/s and 100 ms each way, made by slow_link.pl on loopback. How much
# of it a first run of data that does not compress and its restore fill, and how many round trips a run without changes
# takes: by the clock, over a link that only delays, less the same run without the delay. HF_BENCH_SCALE, ROUNDS: lib.sh.
HF_ALONE=1
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
bench_start link 4
DELAY_MS=100
MBIT=50

# link_begin DELAY_MS MBIT: from now on client `link` reaches the server over such a link.
link_begin() {
  rm -f "$W/link.in" "$W/link.out" "$W/link.counts"
  mkfifo "$W/link.in"
  perl "$BENCH/slow_link.pl" "${SERVICE%:*}" "${SERVICE##*:}" "$1" "$2" "$W/link.counts" <"$W/link.in" >"$W/link.out" 2>"$W/link.err" &
  PIDS+=($!)
  exec 8>"$W/link.in"
  wait_for "$W/link.out" '^[0-9]+$' 10 || fail "slow_link.pl: $(cat "$W/link.err")"
  dial "127.0.0.1:$(cat "$W/link.out")"
}
link_end() { exec 8>&-; wait "${PIDS[-1]}" 2>/dev/null || true; dial "$SERVICE"; }
dial() { sed -i -E "s|^server = .*|server = \"$1\"|" "$W/clients/link/client.toml"; }

timed() {  # FILE command…: seconds into FILE
  local file=$1 start
  shift
  start=$(now)
  expect 0 "$@"
  echo "$(now) $start" | awk '{ printf "%.3f\n", $1 - $2 }' >>"$file"
}
fill_of() {  # BYTES SECONDS: share of the link
  awk -v b="$1" -v s="$2" -v m="$MBIT" 'BEGIN { printf "%.3f\n", b * 8 / s / m / 1e6 }'
}
at_least() {  # TITLE SHARE LIMIT
  local word=ok
  awk -v a="$2" -v b="$3" 'BEGIN { exit !(a >= b) }' || { word=MISSED; MISSED=1; }
  printf '%-64s %8s %8s %s\n' "$1" "$3" "$2" "$word"
}

holdfast_new link
BYTES=$(scaled 200000000)
for ((round = 1; round <= ROUNDS; round++)); do
  step "round $round"
  rm -rf "$D/data" "$W/back"
  mkdir -p "$D/data" "$W/back"
  noise "$BYTES" "$round" >"$D/data/noise"
  settle
  link_begin "$DELAY_MS" "$MBIT"
  timed "$W/t.first" hf link --json backup "$D/data"
  fill_of "$(field wire_sent_bytes)" "$(tail -n 1 "$W/t.first")" >>"$W/fill.first"
  timed "$W/t.restore" hf link --json restore latest --target "$W/back"
  fill_of "$(field wire_received_bytes)" "$(tail -n 1 "$W/t.restore")" >>"$W/fill.restore"
  cmp "$D/data/noise" "$W/back$D/data/noise" || fail "the restored file differs"
  rm -rf "$W/back"
  link_end
  link_begin "$DELAY_MS" 0
  timed "$W/t.far" hf link --json backup "$D/data"
  link_end
  timed "$W/t.near" hf link --json backup "$D/data"
done

printf '\n%-64s %8s %8s\n' "$MBIT Mbit/s, $DELAY_MS ms each way, $(human "$BYTES"), medians of $ROUNDS rounds" limit figure
at_least 'first run of data that does not compress: share of the link' "$(median <"$W/fill.first")" 0.90
at_least 'its restore: share of the link' "$(median <"$W/fill.restore")" 0.90
trips=$(awk -v far="$(median <"$W/t.far")" -v near="$(median <"$W/t.near")" -v d="$DELAY_MS" 'BEGIN { printf "%.1f", (far - near) * 1000 / (2 * d) }')
verdict=$(verdict "$trips" 8)
[[ $verdict == ok ]] || MISSED=1
printf '%-64s %8s %8s %s\n' 'nothing changed: round trips, handshakes included' 8 "$trips" "$verdict"
printf '%s s in all\n' "$SECONDS"
exit "$MISSED"
