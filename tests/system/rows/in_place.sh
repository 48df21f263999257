# A live tree set back to a snapshot: only files that differ are fetched, --strip and --delete do what they say and no more.
source "$(dirname "${BASH_SOURCE[0]}")/../driver.sh"
scenario in_place
D=$W/data; mkdir -p "$D/www/img" "$D/etc"
for i in $(seq 1 20); do head -c 1000000 /dev/urandom >"$D/www/img/$i"; done
for i in $(seq 1 100); do head -c 2000 /dev/urandom >"$D/etc/$i"; done
echo page >"$D/www/index.html"; ln "$D/etc/1" "$D/www/shared"; ln -s index.html "$D/www/link"; truncate -s 3M "$D/www/hole"
server_init; server_start; tenant acme; kit; client acme/shop --kit "$W/kit"
expect 0 hf shop backup "$D"; cp -a "$D" "$W/was"
HERE_AGAIN=(--target "$D" --strip "$D")
times() { find "$D" -type f -printf '%P %i %C@\n' | sort; }

# Nothing differs: nothing is fetched, no file is touched.
times >"$W/before"
expect 0 hf shop --json restore latest "${HERE_AGAIN[@]}" --overwrite changed
[[ $(field blobs_fetched) == 0 && $(field files_right) == 122 && $(field bytes_not_fetched) -gt 20000000 ]] || fail "not all files were right"
(($(field wire_received_bytes) < 300000)) || fail "$(field wire_received_bytes) bytes for a tree that was right"
times | cmp -s - "$W/before" || fail "a file that was right was touched"

# Some differ: one secretly (size and time equal), one in its mode alone, one is gone, one is a link to elsewhere.
echo secret >"$W/secret"
touch -r "$D/www/img/1" "$W/stamp"; printf X | dd of="$D/www/img/1" bs=1 seek=500000 conv=notrunc status=none; touch -r "$W/stamp" "$D/www/img/1"
chmod 600 "$D/www/img/2"; rm "$D/etc/50"; rm "$D/www/index.html"; ln -s "$W/secret" "$D/www/index.html"; touch "$D/www/img/3"
keeps=$(stat -c %i "$D/www/img/2" "$D/www/img/3" "$D/www/img/4")
expect 0 hf shop --json restore latest "${HERE_AGAIN[@]}" --overwrite changed
bytes=$(field wire_received_bytes)
((bytes < 9000000)) || fail "$bytes bytes came for 1 MB that differs"
[[ $(field files_right) == 119 && $keeps == $(stat -c %i "$D/www/img/2" "$D/www/img/3" "$D/www/img/4") ]] || fail "$(field files_right) files were right"
[[ $(cat "$W/secret") == secret ]] || fail "a link was followed"
touch -r "$W/was" "$D"; same_trees "$W/was" "$D"
echo "3 files of 122 differed: $bytes of 20 MB came"

# --strip: straight into the target; nothing when something is beside it.
expect 2 hf shop restore latest "$D" --target "$W/www" --strip "$D/www"; [[ ! -e $W/www ]] || fail "something was written"
expect 0 hf shop restore latest "$D/www" --target "$W/www" --strip "$D/www"
cmp "$W/www/index.html" "$W/was/www/index.html"; cmp "$W/www/shared" "$W/was/etc/1"; [[ ! -e $W/www$W ]] || fail "nothing was stripped"

# --delete: below the PATH, after a dry run, never through links, never beside it.
mkdir -p "$D/www/new/deep" "$W/elsewhere"; echo kept >"$W/elsewhere/file"; ln -s "$W/elsewhere" "$D/www/new/out"
: >"$D/www/new/deep/x"; : >"$D/www/img/0"; : >"$D/etc/new"
expect 2 hf shop restore latest "${HERE_AGAIN[@]}" --overwrite changed --delete; says 'PATHs'
expect 0 hf shop restore latest "$D/www" "${HERE_AGAIN[@]}" --overwrite changed --delete --dry-run
says "would remove $D/www/new/deep/x" "$W/out"; says 'Would remove 5 entries' "$W/out"; [[ -e $D/www/new/deep/x ]] || fail "removed in a dry run"
expect 0 hf shop --json restore latest "$D/www" "${HERE_AGAIN[@]}" --overwrite changed --delete
[[ $(field removed) == 5 && $(field blobs_fetched) == 0 ]] || fail "removed $(field removed)"
[[ $(cat "$W/elsewhere/file") == kept && -e $D/etc/new ]] || fail "it reached beyond its PATH"
rm "$D/etc/new"; touch -r "$W/was/etc" "$D/etc"; touch -r "$W/was" "$D"; same_trees "$W/was" "$D"
epilogue shop "$D"
