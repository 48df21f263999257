# B1: a file replaced with the same mtime and another size is taken anew. A file that changes while it is read is marked.
source "$(dirname "${BASH_SOURCE[0]}")/../driver.sh"
scenario replaced_file
mkdir -p "$W/data"; echo 'old text' >"$W/data/file"; touch -d 2020-01-01T00:00:00Z "$W/data/file"
server_init; server_start; tenant acme; kit; client acme/shop --kit "$W/kit"
sleep 2.1
expect 0 hf shop backup "$W/data"
echo 'a new and longer text' >"$W/data/file"; touch -d 2020-01-01T00:00:00Z "$W/data/file"
expect 0 hf shop backup "$W/data"
expect 0 hf shop restore latest --target "$W/back"
grep -qx 'a new and longer text' "$W/back$W/data/file" || fail "the old text was kept"
# The same size, the same time, replaced by rename.
echo 'A NEW AND LONGER TEXT' >"$W/data/.new"; touch -d 2020-01-01T00:00:00Z "$W/data/.new"; mv "$W/data/.new" "$W/data/file"
expect 0 hf shop backup "$W/data"
rm -rf "$W/back"; expect 0 hf shop restore latest --target "$W/back"
grep -qx 'A NEW AND LONGER TEXT' "$W/back$W/data/file" || fail "the replaced file was not taken"
# A file that grows all the time it is read.
( while :; do head -c 100000 /dev/zero >>"$W/data/growing"; [[ $(stat -c %s "$W/data/growing") -lt 400000000 ]] || break; done ) & PIDS+=($!)
sleep 0.3
got=0; hf shop backup "$W/data" >"$W/out" 2>"$W/err" || got=$?
kill "${PIDS[0]}" 2>/dev/null || true
((got == 3 || got == 0)) || fail "exit $got"
((got == 0)) || says 'changed while it was being read'
expect 0 hf shop verify latest --read-data
