# B16, 14: collection with the real programs. The daemon is started anew in time namespaces whose boot clock is ahead. While it
# collects, another client backs up: nothing that a snapshot needs goes; what nobody needs comes back, in two steps.
source "$(dirname "${BASH_SOURCE[0]}")/../driver.sh"
scenario collect
DAY=86400
later() { server_stop; SERVER_WRAP=(unshare --time --boottime $(($1 * DAY))); server_start; }
used() { du -s --block-size=1 "$W"/server/tenants/*/packs | awk '{s += $1} END {print s}'; }
report() { jq -er "select(.type == \"collect\") | .$1" "$W/out"; }
mkdir "$W/shop" "$W/till"
server_init; server_start; tenant acme; tenant bolt; kit; client acme/shop --kit "$W/kit"; client acme/till --kit "$W/kit"
# The first snapshot shares no pack with what lives on: it can be erased whatever the others leave in half-full packs.
for i in 1 2 3; do
  head -c 20000000 /dev/urandom >"$W/shop/dump"; expect 0 hf shop backup "$W/shop"
  [[ $i == 1 ]] && for j in $(seq 200); do head -c $((RANDOM * 2 + 1)) /dev/urandom >"$W/shop/kept-$j"; done
done
FULL=$(used)
expect 0 ctl collect; [[ ! -s $W/err ]] || fail "a first collection warns"
says "tenant acme: 3 snapshots refer to" "$W/out"; says "tenant bolt: 0 snapshots" "$W/out"
expect 1 ctl collect nobody
expect 0 ctl collect acme --dry-run

later 32; expect 0 ctl purge; expect 0 ctl --json collect acme; (($(report condemned_packs) == 0)) || fail "locked is not deleted"
later 47; expect 0 ctl purge acme; says "2 snapshots deleted" "$W/out"
expect 0 ctl --json collect acme --dry-run
# Two dumps of 20 MB are dead, but for what shares a blob with a file that lives; a pack less than half dead stays as it is: 8 MiB at most.
LEAST=$((40000000 - (8 << 20)))
expect 0 ctl --json usage acme
jq -se --argjson least "$LEAST" '.[0] | .stored_bytes == .live_bytes + .locked_bytes + .uploading_bytes + .dead_bytes + .copies_bytes + .overhead_bytes + .unlisted_bytes
  and .dead_bytes > $least and .trash_bytes == 0 and .snapshots == 1' "$W/out" >/dev/null || fail "usage: $(cat "$W/out")"
expect 0 ctl --json collect acme --dry-run
(($(report dead_bytes) > LEAST && $(report condemned_bytes) + $(report rewritten_bytes) > LEAST && $(report trash_packs) == 0)) || fail "a dry run: $(cat "$W/out")"
# A pack that no record names, as a crash leaves it, and one that was lost with its session.
ORPHAN=$(echo "$W"/server/tenants/*/packs/*/ | cut -d' ' -f1); ORPHAN=$ORPHAN/0000000000000001-$(basename "$ORPHAN")$(head -c 15 /dev/urandom | od -An -tx1 | tr -d ' \n').pack
head -c 5000 /dev/urandom >"$ORPHAN"

# B16: a new client's first backup while collections run one after the other.
for i in $(seq 60); do head -c 3000000 /dev/urandom >"$W/till/$i"; done
hf till backup "$W/till" >"$W/till.out" 2>&1 & BACKUP=$!; PIDS+=("$BACKUP")
ROUNDS=0
while kill -0 "$BACKUP" 2>/dev/null; do
  code=0; ctl --json collect acme >>"$W/rounds" 2>"$W/err" || code=$?
  ((code == 0)) || fail "collect beside a backup: exit $code"
  ROUNDS=$((ROUNDS + 1))
done
code=0; wait "$BACKUP" || code=$?; ((code == 0)) || { cat "$W/till.out" >&2; fail "the backup ended with $code"; }
((ROUNDS >= 2)) || fail "no collection ran beside the backup"
CONDEMNED=$(jq -s 'map(select(.type == "collect") | .condemned_bytes + .rewritten_bytes) | add' "$W/rounds")
((CONDEMNED > LEAST)) || fail "only $CONDEMNED bytes were condemned"
(($(jq -s 'map(select(.type == "collect") | .orphans) | add' "$W/rounds") == 1)) || fail "the orphan was not seen"
[[ -e $ORPHAN ]] || fail "the orphan did not wait"
expect 0 ctl check --read-data
for machine in shop till; do
  expect 0 hf "$machine" restore latest --target "$W/back-$machine"; same_trees "$W/$machine" "$W/back-$machine$W/$machine"
done
(($(used) > FULL)) || fail "bytes went before their time"
expect 0 ctl usage; says "comes back then at the earliest: in the trash" "$W/out"; says "tenant bolt: 0 snapshots" "$W/out"
expect 1 ctl usage nobody

later 53; expect 0 ctl --json collect; (($(report removed_packs | head -n 1) == 0)) || fail "the trash was emptied after six days"
later 55; BEFORE=$(used)
expect 0 ctl --json collect acme
(($(report erased_snapshots) >= 1 && $(report removed_bytes) > LEAST)) || fail "after the trash: $(cat "$W/out")"
(($(used) < BEFORE - LEAST)) || fail "the space did not come back: $(used) of $BEFORE"
[[ ! -e $ORPHAN ]] || fail "the orphan is still there"
expect 0 hf shop backup "$W/shop"
expect 0 ctl collect; [[ ! -s $W/err ]] || fail "the last collection warns"
epilogue shop "$W/shop"
