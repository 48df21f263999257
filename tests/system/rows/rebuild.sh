# Row 12: RocksDB deleted, rebuilt from footers: the same contents digest, with two tenants, blobs stored twice and an
# abandoned session's packs present; a snapshot still restores.
source "$(dirname "${BASH_SOURCE[0]}")/../driver.sh"
scenario rebuild
mkdir -p "$W/data"
for i in $(seq 1 40); do head -c 300000 /dev/urandom >"$W/data/$i"; done
server_init; server_start; tenant acme; tenant beta; kit; client acme/shop --kit "$W/kit"; client acme/web --kit "$W/kit"; client beta/db
expect 0 hf shop backup "$W/data"
expect 0 hf web backup "$W/data"
expect 0 hf db backup "$W/data"
# A run that is killed in the middle leaves an open session behind.
for i in $(seq 41 160); do head -c 400000 /dev/urandom >"$W/data/$i"; done
hf shop backup "$W/data" >/dev/null 2>&1 & victim=$!
sleep 1; kill -9 "$victim" 2>/dev/null || true; wait "$victim" 2>/dev/null || true
expect 0 ctl --json check
expect 0 ctl --json rebuild-index acme
expect 0 ctl check --read-data
server_stop
rm -rf "$W"/server/tenants/*/index
server_start
expect 0 ctl check --read-data
expect 0 hf shop backup "$W/data"
epilogue shop "$W/data"
# An index of another time is recognised: copy it, back up more, put it back.
server_stop; T=$(grep -l . "$W"/server/tenants/*/head | head -n 1 | xargs dirname); cp -r "$T/index" "$W/old-index"; server_start
echo more >"$W/data/more"; expect 0 hf shop backup "$W/data"; expect 0 hf db backup "$W/data"
server_stop; rm -rf "$T/index"; cp -r "$W/old-index" "$T/index"; server_start
expect 0 ctl check --read-data
expect 0 hf db verify latest --read-data
expect 0 hf shop verify latest --read-data
