#!/usr/bin/env bash
# Called by `./run bench increments`: what small changes cost on the wire and in the store, beside restic and borg, with
# encryption everywhere. One line for each limit; exit code 1 when one is missed. Sizes, rounds, switches: lib.sh. Sizes
# hardly vary, so the rounds are successive changes, each sent by all three in turn; the median of the ratios counts.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
PARTS=${*:-tree dump raw sixty}  # ./run bench increments [PART…]
bench_start increments 40
peers_start count
part() { [[ " $PARTS " == *" $1 "* ]]; }

# A client of its own loses its state after the first run and goes over the same data again.
after_loss() {  # NAME PATH
  holdfast_new "lost-$1"
  hf_add "lost-$1" "$2"
  local first=$HF_STORED
  hf_forget "lost-$1"
  hf_add "lost-$1" "$2"
  echo "$(greater "$HF_WIRE" "$HF_STORED") $first" >"$W/lost.$1"
}
show_loss() { local again first; read -r again first <"$W/lost.$1"; part_of "$2" "$again" "$first" 0.03; }

# first SET PATH KEY: the first run of a data set, with what its manifest and its local state take.
first() {
  local manifest
  everywhere "$1"
  settle
  manifest=$(hf_manifest)
  add "$1" "$2" "$3"
  echo "$(($(hf_manifest) - manifest)) $(hf_state "$1") $(size_of "$2")" >"$W/overhead.$3"
}

run_tree() {
  step 'tree: made'
  make_tree "$D/tree"
  first tree "$D/tree" tree_first
  PHOTOS=$(size_of "$D/tree/photos")
  for ((round = 1; round <= ROUNDS; round++)); do
    step "tree: round $round"
    above "$D/tree" >"$W/above"
    settle
    add tree "$D/tree" unchanged
    above "$D/tree" | sort "$W/above" - | uniq -u | cut -d' ' -f1 >>"$W/moved"
    printf '%x' $((round % 16)) | dd of="$D/tree/three.bin" bs=1 seek=$((1234567 + round * 1000)) conv=notrunc status=none
    settle
    add tree "$D/tree" one_byte
    if [[ -d $D/tree/photos ]]; then mv "$D/tree/photos" "$D/tree/pictures-$round"; else mv "$D"/tree/pictures-* "$D/tree/photos"; fi
    settle
    add tree "$D/tree" renamed
  done
  after_loss tree "$D/tree"
  step 'small files'
  first small "$D/tree/files" small
  # Real files of this machine as well: other words, other sizes.
  mkdir -p "$D/real"
  find /usr/share /usr/lib /usr/include -xdev -type f -size -64k 2>/dev/null | sort | awk -v n="$(scaled 40000)" 'NR <= n' | sed 's|^/||' >"$W/list"
  rsync -a --files-from="$W/list" / "$D/real/" 2>/dev/null || true
  first real "$D/real" real
  peers_forget tree
  peers_forget small
  peers_forget real
  rm -rf "$D/tree" "$D/real"
}

show_tree() {
  at_most one_byte 'one byte in a 3 MB file' 65536
  at_most renamed "a directory renamed ($(human "$PHOTOS"), 1 % of it)" $((PHOTOS / 100))
  at_most unchanged "nothing changed, $(scaled 100000) files" 32768
  if [[ -s $W/moved ]]; then
    echo "  note: not quite nothing: others changed $(sort -u "$W/moved" | tr '\n' ' ')above the data between two runs; try a quiet TMPDIR"
  fi
}

show_small() {
  local key hf restic borg
  for key in small real; do
    read -r _ hf _ restic _ borg <"$W/figures.$key"
    line "small files, first run, $1" 0.95 "$(figure $key 1)" "$hf" "$(figure $key 3)" "$restic" "$borg" \
      "$(awk -v a="$hf" -v b="$restic" 'BEGIN { printf "%.3f", a / b }')" "$(verdict "$(share "$hf" "$restic")" 0.95)"
    shift
  done
}

# 2 % of all rows changed, then 2 % of the newest tenth's, round by round on top of each other.
run_dump() {
  local dump=$D/dump/dump.sql
  mkdir -p "$D/dump"
  step 'dump: the database is made'
  make_shop shop
  dump customers orders >"$dump"
  DUMP_BYTES=$(stat -c %s "$dump")
  step "dump: $(human "$DUMP_BYTES")"
  if part raw; then
    pg_end "$DISK/pg/shop"
    cp -a "$DISK/pg/shop" "$DISK/pg/raw"
    pg_begin "$DISK/pg/shop"
  fi
  first dump "$dump" dump_first
  for ((round = 1; round <= ROUNDS; round++)); do
    step "dump: round $round"
    change_orders "$round" "$EVENLY $((round % 50))"
    dump customers orders >"$dump"
    settle
    add dump "$dump" dump_even
    change_orders "$((round + 100))" "$(newest_tenth "$round")"
    dump customers orders >"$dump"
    settle
    add dump "$dump" dump_newest
  done
  after_loss dump "$dump"
  peers_forget dump
  pg_end "$DISK/pg/shop"
  rm -rf "$DISK/pg/shop" "$D/dump"
}

show_dump() {
  against_restic dump_even "SQL dump ($(human "$DUMP_BYTES")), 2 % of rows, evenly spread" 6
  against_restic dump_newest 'same, changes in the newest tenth' 8
}

# The directory of a stopped PostgreSQL, with secondary indexes; rows move as PostgreSQL moves them.
run_raw() {
  local raw=$DISK/pg/raw
  step 'raw: indexes'
  pg_begin "$raw"
  sql 'CREATE INDEX ON orders (customer_id); CREATE INDEX ON orders (token); CREATE INDEX ON orders (session);
    CREATE INDEX ON orders (ordered_at); CREATE INDEX ON customers (email)'
  sql 'VACUUM ANALYZE'
  pg_end "$raw"
  RAW_BYTES=$(size_of "$raw")
  step "raw: $(human "$RAW_BYTES")"
  first raw "$raw" raw_first
  for ((round = 1; round <= ROUNDS; round++)); do
    step "raw: round $round"
    pg_begin "$raw"
    change_orders "$round" "$EVENLY $((round % 50))"
    pg_end "$raw"
    settle
    add raw "$raw" raw_even
    pg_begin "$raw"
    change_orders "$((round + 100))" "$(newest_tenth "$round")"
    pg_end "$raw"
    settle
    add raw "$raw" raw_newest
  done
  after_loss raw "$raw"
  peers_forget raw
  rm -rf "$raw"
}

show_raw() {
  against_restic raw_even "raw PostgreSQL directory ($(human "$RAW_BYTES")), 2 % evenly" 3
  against_restic raw_newest 'same, changes in the newest tenth' 3
}

# One table, 60 times: 0.1 % of all rows, 10 % of the newest twentieth, 0.1 % new rows each time.
run_sixty() {
  local dump=$D/sixty/dump.sql rows new number
  mkdir -p "$D/sixty"
  rows=$(scaled 230000)
  new=$((rows / 1000))
  step 'sixty: the table is made'
  pg_cluster sixty
  sql 'CREATE TABLE payments (id bigint PRIMARY KEY, order_id bigint NOT NULL, made_at timestamptz NOT NULL, updated_at timestamptz NOT NULL, method text NOT NULL,
    state text NOT NULL, amount numeric(10,2) NOT NULL, token text NOT NULL, payer text, note text)'
  copy_in payments payments 1 "$rows" 21
  everywhere sixty
  for ((number = 1; number <= 60; number++)); do
    if ((number > 1)); then
      sql "UPDATE payments SET state = 'booked $number', updated_at = timestamptz '2026-11-01 00:00+00' + $number * interval '6 hours' + (id % 21600) * interval '1 second'
        WHERE (hashint8(id + $number * 1000003::bigint) & 2147483647) % 1000 = 0
          OR id > $((rows - rows / 20)) AND (hashint8(id * 31 + $number) & 2147483647) % 10 = 0"
      copy_in payments payments $((rows + 1)) "$new" "$((100 + number))"
      rows=$((rows + new))
    fi
    dump payments >"$dump"
    ((number > 1)) || SIXTY_BYTES=$(stat -c %s "$dump")
    settle
    ((number % 10)) || step "sixty: dump $number"
    add sixty "$dump" sixty
  done
  hf_fetch sixty "$dump"
  SIXTY_FETCHED=$HF_FETCHED
  holdfast_new sixty-once
  hf_add sixty-once "$dump"
  SIXTY_ONCE=$HF_STORED
  pg_end "$DISK/pg/sixty"
  peers_forget sixty
}

show_sixty() {
  awk '{ for (i = 1; i <= 6; i++) s[i] += $i } END { for (i = 1; i <= 6; i++) printf "%.0f%s", s[i], i < 6 ? " " : "\n" }' "$W/figures.sixty" >"$W/figures.sixty_all"
  against_restic sixty_all "60 dumps of one table ($(human "$SIXTY_BYTES")), all together" 8
  line "the last of 60 restored: fetched; stored if it were the first" '2.2 x' "$SIXTY_FETCHED" "$SIXTY_ONCE" - - - \
    "$(awk -v a="$SIXTY_FETCHED" -v b="$SIXTY_ONCE" 'BEGIN { if (a == "-") print a; else printf "%.2f x", a / b }')" "$(verdict "$(share "$SIXTY_FETCHED" "$SIXTY_ONCE")" 2.2)"
}

show_overheads() {
  local key manifest state bytes limit
  for key in dump_first raw_first small; do
    [[ -e $W/overhead.$key ]] || continue
    read -r manifest state bytes <"$W/overhead.$key"
    if [[ $key == small ]]; then  # a name and a stat weigh more than 1 % of such files: for information
      note_of "manifest of the small files, of $(human "$bytes")" "$manifest" "$bytes"
      note_of "local state of the small files, of $(human "$bytes")" "$state" "$bytes"
      continue
    fi
    # Dumps are cut like streams, wherever they lie; raw database files nearly as fine (ARCHITECTURE.md says why).
    limit=$(awk -v b="$bytes" 'BEGIN { print (b > 4e9 ? 0.02 : 0.035) }')
    part_of "manifest, ${key%_first}, of $(human "$bytes")" "$manifest" "$bytes" 0.01
    part_of "local state, ${key%_first}, of $(human "$bytes")" "$state" "$bytes" $limit
  done
}

if part tree; then run_tree; fi
if part dump || part raw; then run_dump; fi
if part raw; then run_raw; fi
if part sixty; then run_sixty; fi

table_head
if part tree; then show_tree; fi
if part dump || part raw; then show_dump; fi
if part raw; then show_raw; fi
if part sixty; then show_sixty; fi
for name in tree dump raw; do
  [[ ! -e $W/lost.$name ]] || show_loss "$name" "state deleted, nothing changed, $name: of the stored size"
done
show_overheads
if part tree; then show_small made "of this machine"; fi
if awk -v s="$SCALE" 'BEGIN { exit !(s >= 1) }'; then
  if [[ -n ${DUMP_BYTES:-} ]] && ((DUMP_BYTES < 600000000)); then echo "MISSED: the dump is smaller than 600 MB"; MISSED=1; fi
  if [[ -n ${RAW_BYTES:-} ]] && ((RAW_BYTES < 1000000000)); then echo "MISSED: the raw directory is smaller than 1 GB"; MISSED=1; fi
  if [[ -n ${SIXTY_BYTES:-} ]] && ((SIXTY_BYTES < 40000000)); then echo "MISSED: the table's dump is smaller than 40 MB"; MISSED=1; fi
else
  echo "scale $SCALE: the limits are stated for scale 1"
fi
printf '%s s in all\n' "$SECONDS"
exit "$MISSED"
