# 20,000 real files of this machine and the torture tree come back identical: bytes, every attribute, links, holes,
# nanoseconds. Then an index rebuilt from footers, and the same again from the second snapshot.
source "$(dirname "${BASH_SOURCE[0]}")/../driver.sh"
scenario round_trip
mkdir -p "$W/data/real"
bash "$HERE/torture_tree.sh" "$W/data/torture" full >/dev/null 2>"$W/err" || fail "the torture tree could not be made"
find /usr/share /usr/lib /etc -xdev \( -type f -o -type l \) -size -2M 2>/dev/null | sort | sed -n 1,22000p | sed 's|^/||' >"$W/list"
rsync -aHAX --files-from="$W/list" / "$W/data/real/" 2>/dev/null || true
count=$(find "$W/data/real" \( -type f -o -type l \) | wc -l)
((count >= 20000)) || echo "note: this machine has only $count files to take"

server_init
server_start
tenant acme --plan 2y
kit
client acme/shop --kit "$W/kit"
sleep 2.1
expect 0 hf shop --json backup "$W/data"
[[ $(field files) -ge $count ]] || [[ $(field entries) -ge $count ]] || fail "fewer files than there are"
expect 0 hf shop --json restore latest --target "$W/back"
same_trees "$W/data" "$W/back$W/data"
# B11: the file that is one hole takes no space.
hole=$(find "$W/back$W/data/torture" -name '*hole*' -type f -size +4M | head -n 1)
[[ -n $hole && $(stat -c %b "$hole") -le 16 ]] || fail "the hole was filled: $hole"
rm -rf "$W/back"

# Again, with nothing changed: known by stat, next to nothing sent.
expect 0 hf shop --json backup "$W/data"
[[ $(field blobs_sent) == 0 ]] || fail "blobs were sent though nothing changed"
[[ $(field read_bytes) == 0 ]] || fail "files were read though nothing changed"
echo "first: $count files; second run sent $(field wire_sent_bytes) bytes on the wire"
expect 0 hf shop verify latest --read-data
epilogue shop "$W/data"
