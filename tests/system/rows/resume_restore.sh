# 5, B6, B14 for restores: the client killed at several points, the server killed in mid-restore: the same command goes on,
# fetches nothing twice that was written, and leaves nothing behind. One directory costs what one directory holds.
source "$(dirname "${BASH_SOURCE[0]}")/../driver.sh"
scenario resume_restore
mkdir -p "$W/data/big" "$W/data/copies"
for i in $(seq 1 40); do head -c 2000000 /dev/urandom >"$W/data/big/$i"; done
for d in $(seq 1 60); do mkdir -p "$W/data/small/$d"; for i in $(seq 1 20); do head -c 3000 /dev/urandom >"$W/data/small/$d/$i"; done; done
cp "$W"/data/big/1? "$W/data/copies"; ln "$W/data/big/1" "$W/data/linked"; ln -s big/1 "$W/data/symbolic"
truncate -s 5M "$W/data/hole"; : >"$W/data/empty"
server_init; server_start; tenant acme; kit; client acme/shop --kit "$W/kit"
expect 0 hf shop backup "$W/data"
expect 0 hf shop --json restore latest --target "$W/whole"
blobs=$(field blobs_fetched) bytes=$(field wire_received_bytes)
same_trees "$W/data" "$W/whole$W/data"

PLAN=$W/back/.holdfast-restore
written() { od -An -v -tu1 "$PLAN/written" 2>/dev/null | tr -s ' ' '\n' | awk '{ while ($1 > 0) { n += $1 % 2; $1 = int($1 / 2) } } END { print n + 0 }'; }
# Starts the restore and returns once at least COUNT blobs are written, or it has ended.
start_until() {
  "$HF_BIN/holdfast" --config "$W/clients/shop/client.toml" --json restore latest --target "$W/back" >"$W/out" 2>"$W/err" & RESTORE=$!; PIDS+=($RESTORE)
  until (($(written) >= $1)) || ! kill -0 "$RESTORE" 2>/dev/null; do sleep 0.005; done
}
before=0 kills=0
for part in 1 15 35 55 75; do
  start_until $((blobs * part / 100 + 1))
  kill -9 "$RESTORE" 2>/dev/null || break
  wait "$RESTORE" 2>/dev/null || true
  now=$(written)
  ((now >= before)) || fail "after a kill $now blobs are written, before it were $before"
  before=$now kills=$((kills + 1))
done
((kills >= 2)) || fail "the restore was over before it could be killed"
expect 0 hf shop --json restore latest --target "$W/back"
[[ $(field resumed) == true ]] || fail "the restore began anew"
(($(field blobs_fetched) <= blobs - before)) || fail "$(field blobs_fetched) blobs were fetched, $before of $blobs were written before"
most=$((bytes - bytes * before / blobs + 6000000))
(($(field wire_received_bytes) <= most)) || fail "$(field wire_received_bytes) bytes came, at most $most should"
same_trees "$W/data" "$W/back$W/data"
[[ -z $(find "$W/back" -name '.holdfast*') ]] || fail "something was left behind: $(find "$W/back" -name '.holdfast*')"
echo "$kills kills; the last run fetched $(field blobs_fetched) of $blobs blobs, $(field wire_received_bytes) of $bytes bytes"

rm -rf "$W/back"
start_until $((blobs / 3))
server_kill; server_start
got=0; wait "$RESTORE" || got=$?
((got == 0 || got == 5)) || fail "exit $got when the server went away"
((got == 0)) || expect 0 hf shop --json restore latest --target "$W/back"
same_trees "$W/data" "$W/back$W/data"
[[ ! -e $PLAN ]] || fail "the plan was left behind"

expect 0 hf shop --json restore latest "$W/data/small/7" --target "$W/one"
(($(field blobs_fetched) <= 3 && $(field wire_received_bytes) < 5000000)) || fail "one directory: $(field blobs_fetched) blobs, $(field wire_received_bytes) bytes"
same_trees "$W/data/small/7" "$W/one$W/data/small/7"
epilogue shop "$W/data"
