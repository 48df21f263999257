# B2, B13, 49 end to end: what small changes cost on the wire, and that a local state that is damaged, foreign, old or gone
# costs bytes, never right ones. The figures of big data are `./run bench increments`.
source "$(dirname "${BASH_SOURCE[0]}")/../driver.sh"
scenario increments
server_init; server_start; tenant acme; kit; client acme/shop --kit "$W/kit"
D=$W/in/data
mkdir -p "$D/photos/2026" "$D/db"
head -c 3000000 /dev/urandom >"$D/three"
for i in $(seq 1 40); do head -c $((200000 + i * 1000)) /dev/urandom >"$D/photos/2026/$i"; done
seq -f 'INSERT INTO "t" VALUES(%.0f,'"'a row like all the others'"');' 1 200000 | sed '1i PRAGMA foreign_keys=OFF;' >"$D/db/dump.sql"
sleep 2.1
take() {  # WHAT LIMIT: backs up, at most LIMIT bytes go out
  expect 0 hf shop --json backup "$D"
  local sent; sent=$(field wire_sent_bytes)
  ((sent <= $2)) || fail "$1: $sent bytes on the wire, at most $2"
  echo "$1: $sent bytes on the wire"
}
restores() {
  rm -rf "$W/back"; expect 0 hf shop restore latest --target "$W/back"
  same_trees "$D" "$W/back$D"
}
take 'first run' 20000000
take 'nothing changed' 32768
printf x | dd of="$D/three" bs=1 seek=1500000 conv=notrunc status=none
take 'one byte of 3 MB (B2)' 65536
mv "$D/photos/2026" "$D/photos/old"
take 'a directory of 8.8 MB renamed (B13)' 88000
sed -i 's/VALUES(100000,/VALUES(100001,/' "$D/db/dump.sql"
take 'one row of a dump' 65536
restores
state=$W/clients/shop/state
cp -a "$state" "$W/old-state"
printf y | dd of="$D/three" bs=1 seek=700000 conv=notrunc status=none
take 'another byte' 65536
rm -rf "$state"; cp -a "$W/old-state" "$state"  # an older state: its receipt is older too, and so is the head
take 'with an older state' 20000000
restores
for file in "$state"/chunks-*; do printf '\xff' | dd of="$file" bs=1 seek=$(($(stat -c %s "$file") / 2)) conv=notrunc status=none; done
printf z | dd of="$D/three" bs=1 seek=300000 conv=notrunc status=none
take 'with damaged chunk lists' 20000000
rm -f "$state"/chunks-*
take 'without chunk lists' 3200000  # the changed file at most
rm -f "$state/state" "$state/segments"
printf z | dd of="$D/three" bs=1 seek=2300000 conv=notrunc status=none
take 'without a state' 5000000
restores
epilogue shop "$D"
