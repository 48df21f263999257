# 14, 17, B17: the life of snapshots with the real programs. The daemon is started anew in time namespaces whose boot clock is ahead:
# the same boot, weeks later. Purge locks, clients no longer see, undelete brings back, purge deletes, the newest good one stays.
source "$(dirname "${BASH_SOURCE[0]}")/../driver.sh"
scenario life
DAY=86400
later() { server_stop; SERVER_WRAP=(unshare --time --boottime $(($1 * DAY))); server_start; }
state() { ctl --json snapshots acme/shop | jq -er ".snapshots[] | select(.sequence == $1) | .state" || echo gone; }
seen() { hf shop --json snapshots 2>/dev/null | jq -r 'select(.type == "snapshot") | "\(.sequence):\(.state)"' | sort | xargs; }
mkdir "$W/data"
server_init; server_start; tenant acme; kit; client acme/shop --kit "$W/kit"
for i in 1 2 3 4; do head -c 200000 /dev/urandom >"$W/data/$i"; expect 0 hf shop backup "$W/data"; done
cp -a "$W/data" "$W/as-it-was"

# An operator's lock before the date: shown, never opened, and no sign of an older server.
expect 0 ctl snapshot lock acme/shop/4
says "It has been locked since" "$W/out"; says "by operator $(id -un)" "$W/out"; says "delay between lock and deletion" "$W/out"
expect 0 hf shop snapshots; says "locked by the operator" "$W/out"
expect 4 hf shop restore 4 --target "$W/no"; says "operator has locked it"
expect 0 hf shop restore latest --target "$W/three"; says "which is newer"
[[ ! -e $W/three$W/data/4 && -e $W/three$W/data/3 ]] || fail "latest is not the newest live one"
expect 1 ctl snapshot lock acme/shop/4
expect 0 ctl snapshot undelete acme/shop/4
expect 1 ctl snapshot explain acme/shop/9
expect 2 ctl snapshot explain shop
ID=$(ctl --json snapshots acme/shop | jq -r '.snapshots[3].id')
expect 0 ctl snapshot explain "${ID:0:8}"; says "that date has not come" "$W/out"; says "newest good snapshot of a registered source" "$W/out"
expect 0 ctl --json source list acme; jq -e '.sources | any(.source == null and .registered)' "$W/out" >/dev/null || fail "the client is not registered"
[[ $(seen) == "1:live 2:live 3:live 4:live" ]] || fail "before: $(seen)"

later 32
expect 0 ctl --json purge acme --dry-run
[[ $(jq '.tenants[0].locked | length' "$W/out") == 3 && $(state 1) == live ]] || fail "a dry run: $(cat "$W/out")"
expect 0 ctl purge; says "3 locked" "$W/out"; says "acme/shop/4" "$W/out"
[[ $(state 1) == locked && $(state 4) == live ]] || fail "after the purge: 1 $(state 1), 4 $(state 4)"
[[ $(seen) == "4:live" ]] || fail "the client sees $(seen)"
expect 1 hf shop restore 1 --target "$W/no"
expect 0 ctl snapshot undelete acme/shop/2; says "It is live" "$W/out"
[[ $(seen) == "2:live 4:live" ]] || fail "after undelete the client sees $(seen)"
expect 0 hf shop restore 2 --target "$W/two"; cmp "$W/data/2" "$W/two$W/data/2"

later 47
expect 0 ctl purge acme; says "2 snapshots deleted" "$W/out"
[[ $(state 1) == gone && $(state 2) == live && $(state 3) == gone && $(state 4) == live ]] || fail "after the second purge"
expect 0 ctl snapshot explain acme/shop/1; says "cannot be undone" "$W/out"
expect 1 ctl snapshot undelete acme/shop/1
expect 0 hf shop backup "$W/data"                       # the next one follows what is gone
expect 0 ctl client retire acme/shop; says "with all its sources" "$W/out"
expect 0 ctl check --read-data
for unit in holdfast-purge.service holdfast-purge.timer; do
  sed -E "s|^ExecStart=.*|ExecStart=/bin/true|; s|^Requisite=.*||" "$HERE/../../systemd/$unit" >"$W/$unit"
done
if command -v systemd-analyze >/dev/null; then expect 0 systemd-analyze verify --man=no "$W/holdfast-purge.service" "$W/holdfast-purge.timer"; [[ ! -s $W/err ]] || fail "the units"; fi
grep -qE '^[0-9]+ [0-9]+ \* \* \* holdfast .*/usr/bin/holdfastctl .* purge$' "$HERE/../../packaging/cron/holdfast-purge" || fail "the cron file"
epilogue shop "$W/data"
