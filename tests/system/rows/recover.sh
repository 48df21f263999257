# What the trash is for, with the real programs. Packs that collection has just written are lost; the packs they replaced
# still wait in the trash, and the next collection takes back what a snapshot needs.
source "$(dirname "${BASH_SOURCE[0]}")/../driver.sh"
scenario recover
DAY=86400
later() { server_stop; SERVER_WRAP=(unshare --time --boottime $(($1 * DAY))); server_start; }
packs() { find "$W"/server/tenants/*/packs -name '*.pack' | sort; }
mkdir "$W/shop"
server_init; server_start; expect 0 ctl tenant add acme --plan 30d-max; kit; client acme/shop --kit "$W/kit"
for i in 1 2 3 4 5; do head -c 2000000 /dev/urandom >"$W/shop/$i-kept"; done
dumps() { for i in 1 2 3 4 5; do head -c 6000000 /dev/urandom >"$W/shop/$i-dump"; done; expect 0 hf shop backup "$W/shop"; }
dumps; later 15; dumps
later 18; expect 0 ctl purge; says "1 locked" "$W/out"
later 24; expect 0 ctl purge; says "1 snapshot deleted" "$W/out"; packs >"$W/before"; expect 0 ctl collect acme
# Half dead or not: when half of the plan's two days for rewriting is over, whatever has a dead byte is written anew.
later 25; expect 0 ctl collect acme
packs | comm -13 "$W/before" - >"$W/copies"; [[ -s $W/copies ]] || fail "nothing was written anew: $(cat "$W/out")"
xargs rm <"$W/copies"
later 26; expect 6 ctl check; says "snapshot acme/shop/2" "$W/out"
expect 6 hf shop restore latest --target "$W/no"
expect 3 ctl collect acme; says "taken back from the trash"
expect 6 ctl check --read-data; says "0 damaged snapshots" "$W/out"; says "the pack is missing" "$W/out"
expect 0 hf shop restore latest --target "$W/back"; same_trees "$W/shop" "$W/back$W/shop"
expect 0 ctl collect acme; [[ ! -s $W/err ]] || fail "taken back twice: $(cat "$W/err")"
expect 0 hf shop backup "$W/shop"
later 33; expect 0 ctl --json collect acme
(($(jq -r 'select(.type == "collect") | .removed_packs' "$W/out") > 0)) || fail "the trash is not emptied: $(cat "$W/out")"
expect 0 hf shop restore latest --target "$W/late"; same_trees "$W/shop" "$W/late$W/shop"
