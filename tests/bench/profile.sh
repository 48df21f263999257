#!/usr/bin/env bash
# Called by `./run bench profile [STEP…]`: where the time goes. For a first run, a run without changes, an increment and a restore of
# the data of `peers`: seconds by the clock, processor seconds of client and server, and their shares by part of the program,
# from samples of the processor's clock (linux-perf), the kernel's included. Waiting is what the clock has more than the
# processors. HF_BENCH_SCALE: lib.sh.
HF_ALONE=1
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
STEPS=" ${*:-first unchanged increment restore} "
bench_start profile 12

# Reads "share% object symbol" and sums by part.
parts() {
  awk '
    { share = $1 + 0; object = $2; symbol = $0; sub(/^[^ ]+ +[^ ]+ +/, "", symbol) }
    object ~ /kernel/ {
      if (symbol ~ /csum|tcp|inet|sock|skb|ip_|net_|loopback|__local_bh|nf_/) part = "kernel: network"
      else if (symbol ~ /ext4|xfs|jbd2|filemap|folio|page|iomap|block|bio|copy_.*user|_copy_|clear_|xas_|writeback/) part = "kernel: pages and disk"
      else if (symbol ~ /path|lookup|dentry|d_|stat|getname|open|namei|inode|xattr|acl|getdents/) part = "kernel: names and attributes"
      else part = "kernel: other" }
    object !~ /kernel/ {
      if (object ~ /zstd/) part = "compression"
      else if (object ~ /sodium/) part = "sealing, digests (libsodium)"
      else if (object ~ /crypto|libssl/) part = "TLS, AES (OpenSSL)"
      else if (object ~ /rocksdb/) part = "RocksDB"
      else if (object ~ /protobuf/) part = "protobuf"
      else if (object ~ /libc|libstdc|ld-linux|vdso/) part = "libc: memory, copies"
      else if (match(symbol, /holdfast::[a-z]+::/)) part = substr(symbol, RSTART, RLENGTH - 2)
      else part = "other" }
    { sum[part] += share }
    END { for (one in sum) if (sum[one] >= 0.5) printf "    %5.1f %%  %s\n", sum[one], one }' | sort -rn
}
report() {  # FILE TITLE
  perf report -i "$1" --no-children --percentage relative --sort dso,symbol --stdio 2>/dev/null |
    awk '/^ *[0-9.]+%/' | sed -E 's/\[[.k]\] //' >"$1.lines"
  printf '  %s\n' "$2"
  parts <"$1.lines"
  printf '    most in: %s\n' "$(head -5 "$1.lines" | sed -E 's/^ *([0-9.]+%) +[^ ]+ +/\1 /' | sed -E 's/[ -]+$//' | cut -c1-70 | paste -sd';' | sed 's/;/; /g')"
}
ticks() { awk -v hz="$(getconf CLK_TCK)" '{ printf "%.2f\n", ($14 + $15) / hz }' "/proc/$SERVER_PID/stat"; }

take() {  # STEP arguments of holdfast…
  local step=$1 before server
  shift
  if [[ $STEPS != *" $step "* ]]; then expect 0 hf profile "$@"; return; fi
  sync
  perf record -q -e cpu-clock -F 997 -p "$SERVER_PID" -o "$W/server.$step" >/dev/null 2>"$W/perf.err" &
  local recorder=$!
  sleep 0.3
  before=$(ticks)
  expect 0 perf record -q -e cpu-clock -F 997 -o "$W/client.$step" -- \
    /usr/bin/time -o "$W/time" -f '%U %S %M %e' "$HF_BIN/holdfast" --config "$W/clients/profile/client.toml" "$@"
  server=$(echo "$(ticks) $before" | awk '{ printf "%.2f", $1 - $2 }')
  kill -INT "$recorder" 2>/dev/null || true
  wait "$recorder" 2>/dev/null || true
  printf '\n%s: %s s by the clock; client %s s of processor, at most %s MiB; server %s s\n' "$step" "$(cut -d' ' -f4 "$W/time")" \
    "$(awk '{ printf "%.2f", $1 + $2 }' "$W/time")" "$(awk '{ printf "%.0f", $3 / 1024 }' "$W/time")" "$server"
  report "$W/client.$step" client
  report "$W/server.$step" server
}

make_tree "$D/tree"
noise "$(scaled 128000000)" 77 >"$D/noise"
perl "$BENCH/make_data.pl" orders "$(scaled 600000)" 1000 >"$D/dump.sql"
holdfast_new profile
settle
take first backup "$D"
take unchanged backup "$D"
find "$D/tree/files" -type f | sort | awk 'NR % 100 == 0' | while read -r file; do echo changed >>"$file"; done
perl -i -pe 's/\t[0-9.]+\t/\t77.77\t/ if $. % 50 == 0' "$D/dump.sql"
settle
take increment backup "$D"
mkdir "$W/back"
take restore restore latest --target "$W/back"
printf '\n%s files, %s; %s s in all\n' "$(find "$D" -type f | wc -l)" "$(human "$(size_of "$D")")" "$SECONDS"
