# Row 21, row 22: plain-text markers (names and contents, 64 bytes) are nowhere in the server's files, its memory, or on
# the wire; and a write-only machine with all its files and the whole store opens nothing.
source "$(dirname "${BASH_SOURCE[0]}")/../driver.sh"
scenario markers
marker() { printf 'HFMARK%s' "$(head -c 64 /dev/urandom | od -An -tx1 | tr -d ' \n' | head -c 58)"; }
NAME=$(marker) BODY=$(marker) LINK=$(marker) XATTR=$(marker) SMALL=$(marker)
mkdir -p "$W/data/$NAME"
{ seq 1 200000; echo "$BODY"; seq 1 200000; } >"$W/data/$NAME/content"
echo "$SMALL" >"$W/data/small"
ln -s "/$LINK" "$W/data/link"
setfattr -n user.note -v "$XATTR" "$W/data/small"
server_init; server_start; tenant acme; kit
client acme/shop --write-only --kit "$W/kit"

# The wire: everything goes through a relay that keeps both directions.
relay=$((20000 + RANDOM % 20000))
socat -r "$W/wire.up" -R "$W/wire.down" "TCP-LISTEN:$relay,bind=127.0.0.1,reuseaddr,fork" "TCP:$SERVICE" & PIDS+=($!)
for _ in $(seq 100); do (exec 3<>"/dev/tcp/127.0.0.1/$relay") 2>/dev/null && break; sleep 0.05; done
sed -i "s|^server = .*|server = \"127.0.0.1:$relay\"|" "$W/clients/shop/client.toml"
expect 0 hf shop backup "$W/data"
[[ $(stat -c %s "$W/wire.up") -gt 100000 ]] || fail "the relay saw nothing"
expect 0 hf shop verify latest --read-data --key "$W/kit.recovery"
texts=("$NAME" "$BODY" "$LINK" "$XATTR" "$SMALL")
# The search itself is shown to work: the server's memory does hold the tenant's name, which it must know.
perl "$HERE/search_memory.pl" "$SERVER_PID" holdfast://acme/shop >/dev/null || fail "the memory of the server could not be searched"
found=0; perl "$HERE/search_memory.pl" "$SERVER_PID" "${texts[@]}" >"$W/out" || found=$?
((found == 1)) || fail "marker in the server's memory (search ended with $found): $(cat "$W/out")"
for text in "${texts[@]}"; do
  for place in "$W/server" "$W/wire.up" "$W/wire.down" "$W/server.log"; do
    if grep -rqaF "$text" $place; then fail "marker found in $place"; fi
  done
done

# Row 22: the thief has every file of the machine and the whole store; the source's marker is gone.
rm -rf "$W/data"
for command in "snapshots" "restore latest --target $W/thief" "verify latest --read-data"; do
  expect 4 hf shop $command
  says 'write-only'
done
[[ ! -e $W/thief ]] || fail "a write-only machine restored something"
grep -rqaF "$BODY" "$W/clients" && fail "content in the client's own files" || true
expect 0 hf shop restore latest --target "$W/owner" --key "$W/kit.recovery"
grep -qF "$BODY" "$W/owner$W/data/$NAME/content" || fail "the recovery key does not restore"
