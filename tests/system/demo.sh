#!/usr/bin/env bash
# demo.sh BIN_DIR: Holdfast's main job on real data of this machine: a server and a client on loopback, two backups of
# a real tree and a real SQLite database, a restore, a comparison. Works in one temporary directory and removes it.
HF_BIN=$1
source "$(dirname "${BASH_SOURCE[0]}")/driver.sh"
scenario demo

step() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[[ -t 1 && -z ${NO_COLOR:-} ]] || step() { printf '\n%s\n' "$*"; }
show() { printf '  $ %s\n' "$*"; }
human() { numfmt --to=iec-i --suffix=B --format=%.1f "$1"; }

FILES_WANTED=${HF_DEMO_FILES:-25000}
DATA=$W/customer

step "1. A customer's server: real files of this machine and a real database"
mkdir -p "$DATA/files" "$DATA/db"
# The first files of /usr/share and /usr/lib, in order, as many as are wanted and there.
cd /
find usr/share usr/lib -xdev \( -type f -o -type l \) -readable -size -8M 2>/dev/null | sort | sed -n "1,${FILES_WANTED}p" >"$W/list"
rsync -aHAX --files-from="$W/list" / "$DATA/files/" 2>/dev/null || fail "copying the sample failed"
cd "$W"
COUNT=$(find "$DATA/files" -type f | wc -l)
{
  echo 'PRAGMA journal_mode=WAL; CREATE TABLE file(id INTEGER PRIMARY KEY, path TEXT, note TEXT); BEGIN;'
  awk -v q="'" '{ gsub(q, q q); printf "INSERT INTO file(path,note) VALUES(%s%s%s,hex(randomblob(40)));\n", q, $0, q }' "$W/list"
  echo 'COMMIT; PRAGMA wal_checkpoint(TRUNCATE);'
} | sqlite3 "$DATA/db/shop.sqlite" >/dev/null
echo "  $COUNT files and links, $(human "$(du -sb "$DATA/files" | cut -f1)"); a database of $(human "$(stat -c %s "$DATA/db/shop.sqlite")")"

step "2. A backup server on loopback, a tenant, a client enrolled with a one-time token"
server_init
server_start
kit
tenant acme --plan 30d
client acme/shop --kit "$W/kit"
echo "  server $SERVICE, mutual TLS 1.3; the tenant's kit stays off line (here: $W/kit)"

step "3. First backup"
show "holdfast backup $DATA"
sleep 2  # files younger than the clock's grain are read again next time; let these grow up
expect 0 hf shop --json backup "$DATA"
cp "$W/out" "$W/first"
one() { tail -n 1 "$W/$1" | grep -oE "\"$2\":[^,}]+" | head -n 1 | cut -d: -f2 | tr -d '"'; }
printf '  %s files, %s read, %s sent and stored, %.1f s\n' "$(one first files)" "$(human "$(one first read_bytes)")" "$(human "$(one first stored_bytes)")" "$(one first seconds)"

step "4. The customer works: rows change, files change, come, go and move"
sqlite3 "$DATA/db/shop.sqlite" "UPDATE file SET note=hex(randomblob(40)) WHERE id % 100 = 0; PRAGMA wal_checkpoint(TRUNCATE);" >/dev/null
mapfile -t CHANGED < <(find "$DATA/files" -type f -size -64k | sort | awk "NR % 500 == 0 && ++n <= 50")
for f in "${CHANGED[@]}"; do echo "changed by the demo" >>"$f"; done
rm -f "$(find "$DATA/files" -type f | sort | sed -n 7p)"
mkdir "$DATA/files/new" && head -c 300000 /dev/urandom >"$DATA/files/new/upload.bin"
echo "  ${#CHANGED[@]} files appended to, 1 removed, 1 new, 1 % of the rows updated"

step "5. Second backup"
sleep 2
expect 0 hf shop --json backup "$DATA"
cp "$W/out" "$W/second"
printf '  %s known from the last snapshot, %s read, %s sent and stored, %.1f s\n' "$(human "$(one second known_bytes)")" \
  "$(human "$(one second read_bytes)")" "$(human "$(one second stored_bytes)")" "$(one second seconds)"

step "6. What there is"
hf shop snapshots

step "7. Restore the newest, compare every byte and attribute with the original"
show "holdfast restore latest --target $W/restored"
expect 0 hf shop --json restore latest --target "$W/restored"
cp "$W/out" "$W/restore"
same_trees "$DATA" "$W/restored$DATA"
sqlite3 "$W/restored$DATA/db/shop.sqlite" 'PRAGMA integrity_check' | grep -qx ok || fail "the restored database is not sound"
printf '  %s entries in %.1f s: identical; the database passes its integrity check\n' "$(one restore entries)" "$(one restore seconds)"

step "8. What the server holds"
expect 0 ctl check --read-data
if grep -rqaF 'changed by the demo' "$W/server"; then fail "the server's files hold plain text"; fi
echo "  check --read-data: every stored byte is right; none of the customer's text can be found in the server's files"

step "Done"
printf '  %-28s %10s %10s\n' '' first second
printf '  %-28s %10s %10s\n' 'sent and stored' "$(human "$(one first stored_bytes)")" "$(human "$(one second stored_bytes)")"
printf '  %-28s %9.1fs %9.1fs\n' 'time' "$(one first seconds)" "$(one second seconds)"
printf '  %-28s %9.1fs\n' 'restore' "$(one restore seconds)"
echo "  Everything was made in a temporary directory and has been removed."
