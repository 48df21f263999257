# Disk full at server, client and restore target: exit 1, the message says where; nothing half done; works again when
# there is room. (Size-limited tmpfs in a mount namespace of the row's own.)
if [[ -z ${HF_UNSHARED:-} ]]; then exec env HF_UNSHARED=1 unshare -m bash "${BASH_SOURCE[0]}"; fi
source "$(dirname "${BASH_SOURCE[0]}")/../driver.sh"
scenario disk_full
mkdir -p "$W/server" "$W/data" "$W/small"
mount -t tmpfs -o size=160m tmpfs "$W/server"
chmod 700 "$W/server"
for i in $(seq 1 30); do head -c 1000000 /dev/urandom >"$W/data/$i"; done
rmdir "$W/server/lost+found" 2>/dev/null || true
mkdir "$W/server/d"; rmdir "$W/server/d"
server_init; server_start; tenant acme; kit; client acme/shop --kit "$W/kit"
expect 0 hf shop backup "$W/data"
for i in $(seq 31 200); do head -c 1000000 /dev/urandom >"$W/data/$i"; done
expect 1 hf shop backup "$W/data"                       # the server's disk
says 'full'
says 'server'
kill -0 "$SERVER_PID" || fail "the server died of a full disk"
expect 0 hf shop snapshots
[[ $(grep -c . "$W/out") -ge 2 ]] || fail "no list"
expect 0 hf shop restore 1 --target "$W/back"
rm -f "$W"/data/{31..200}
mount -o remount,size=600m "$W/server"
expect 0 hf shop backup "$W/data"
expect 0 hf shop verify latest --read-data
expect 0 ctl check --read-data

mount -t tmpfs -o size=10m tmpfs "$W/small"             # the restore's target
expect 1 hf shop restore latest --target "$W/small/back"
says 'free'
[[ -z $(find "$W/small" -type f) ]] || fail "files were written though there was no room"

umount "$W/small"; mount -t tmpfs -o size=64k tmpfs "$W/small"   # the client's state
for i in $(seq 1 3000); do echo "$i" >"$W/data/f$i"; done
sleep 2.1   # older than the grain of file times: they are remembered
sed -i "s|^state_dir = .*|state_dir = \"$W/small\"|" "$W/clients/shop/client.toml"
expect 1 hf shop backup "$W/data"
says 'o space left'
sed -i "s|^state_dir = .*|state_dir = \"$W/clients/shop/state\"|" "$W/clients/shop/client.toml"
rm -f "$W"/data/f*
expect 0 hf shop backup "$W/data"
expect 0 hf shop restore latest --target "$W/again"
same_trees "$W/data" "$W/again$W/data"
umount "$W/small"
