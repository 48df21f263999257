# 14: the life of snapshots with the real programs. The daemon is started anew in time namespaces whose boot clock is ahead:
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
# More than one purge locks: the cap is ten where the day before has no dates, and the newest good one stays.
tenant bolt; client bolt/till --kit "$W/kit"; for i in $(seq 12); do expect 0 hf till backup "$W/data/1"; done
# The cron file's own command, as cron runs it.
CRON=$(sed -nE "s|^[0-9]+ [0-9]+ \* \* \* holdfast ||; T; s|/usr/bin/holdfastctl|$HF_BIN/holdfastctl|; s|/var/lib/holdfastd|$W/server|; s|/run/systemd|$W/systemd|; p" "$HERE/../../packaging/cron/holdfast-purge")
[[ $CRON == *"$HF_BIN/holdfastctl "* && $CRON != *%* ]] || fail "the cron file: $CRON"
cron() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin ASAN_OPTIONS="$ASAN_OPTIONS" UBSAN_OPTIONS="$UBSAN_OPTIONS" /bin/sh -c "$CRON"; }
silent() { [[ ! -s $W/out && ! -s $W/err ]] || fail "not silent: $(cat "$W/out" "$W/err")"; }

later 32
expect 0 ctl --json purge acme --dry-run
[[ $(jq '.tenants[0].locked | length' "$W/out") == 3 && $(state 1) == live ]] || fail "a dry run: $(cat "$W/out")"
expect 3 ctl purge --dry-run
mkdir -p "$W/systemd/system"; expect 0 cron; silent; rm -r "$W/systemd"; [[ $(state 1) == live ]] || fail "cron purges where a timer does"
expect 3 ctl purge; says "3 locked" "$W/out"; says "acme/shop/4" "$W/out"; says "by the cap"
says "tenant bolt" "$W/out"; says "10 locked" "$W/out"; says "held: 1 snapshot by the cap" "$W/out"
expect 0 cron; silent; expect 0 ctl --json purge bolt --dry-run; [[ $(jq '.tenants[0] | (.locked | length) + .held_by_cap' "$W/out") == 0 ]] || fail "the next purge did not go on"
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
epilogue shop "$W/data"
