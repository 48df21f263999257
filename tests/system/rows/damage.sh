# Row 10, B9, end to end: one byte flipped in any stored file of any kind is named by `check --read-data`, and never
# restored as wrong bytes: what is damaged is left out and named, everything else comes back. HF_FLIPS offsets (30).
source "$(dirname "${BASH_SOURCE[0]}")/../driver.sh"
scenario damage
SEED=${HF_SEED:-$RANDOM}; RANDOM=$SEED; echo "seed $SEED (replay: HF_SEED=$SEED)"
mkdir -p "$W/data"
for i in $(seq 1 12); do head -c 700000 /dev/urandom >"$W/data/$i"; done
echo text >"$W/data/small"
server_init; server_start; tenant acme; kit; client acme/shop --kit "$W/kit"
expect 0 hf shop backup "$W/data"
head -c 500000 /dev/urandom >"$W/data/13"
expect 0 hf shop backup "$W/data"
expect 0 ctl check --read-data
T=$(ls -d "$W"/server/tenants/*)
mapfile -t FILES < <(cd "$T" && find head journal packs slots -type f | sort)
((${#FILES[@]} >= 5)) || fail "too few kinds of files: ${FILES[*]}"
big=$(cd "$T" && find packs -type f -printf '%s %p\n' | sort -rn | head -n 1 | cut -d' ' -f2)
flips=${HF_FLIPS:-30} named=0
for ((n = 0; n < flips; n++)); do
  file=${FILES[n % ${#FILES[@]}]}
  ((n % 3 == 2)) && file=$big
  size=$(stat -c %s "$T/$file")
  at=$(((RANDOM * 32768 + RANDOM) % size))
  # The head file's slots stand at the front of two blocks; the rest of a block is fixed padding.
  old=$(od -An -tu1 -j "$at" -N 1 "$T/$file" | tr -d ' ')
  printf "\\x$(printf %02x $((old ^ (1 << (RANDOM % 8)))))" | dd of="$T/$file" bs=1 seek="$at" conv=notrunc status=none
  # Every fourth time the server starts on the damage; it may mend a spare copy (a head slot) and then says so.
  if ((n % 4 == 3)); then server_stop; server_start; fi
  got=0; ctl --json check --read-data >"$W/out" 2>"$W/err" || got=$?
  if ((got == 0)) && grep -qE "event=\"journal recovered\".*${file##*/}" "$W/server.log"; then named=$((named + 1)); continue; fi
  ((got == 6)) || fail "flip $n: byte $at of $file: check ended with exit $got"
  grep -qF "${file##*/}" "$W/out" || fail "flip $n: byte $at of $file is not named"
  rm -rf "$W/back"; got=0
  hf shop restore latest --target "$W/back" >"$W/out" 2>"$W/err" || got=$?
  ((got == 0 || got == 6)) || fail "flip $n: byte $at of $file: restore ended with exit $got"
  if [[ -d $W/back$W/data ]]; then
    (cd "$W/back$W/data" && find . -type f | while read -r f; do cmp -s "$f" "$W/data/$f" || { echo "$f"; exit 1; }; done) || fail "flip $n: byte $at of $file: wrong bytes were restored"
    ((got == 6)) || [[ $(find "$W/back$W/data" -type f | wc -l) == 14 ]] || fail "flip $n: exit 0 but files are missing"
  else ((got == 6)) || fail "flip $n: nothing restored, exit $got"; fi
  printf "\\x$(printf %02x "$old")" | dd of="$T/$file" bs=1 seek="$at" conv=notrunc status=none
  # A tenant that was seen with a damaged journal is read-only, and check says so until the server is started anew.
  if [[ $file == head || $file == journal/* ]]; then server_stop; server_start; fi
  named=$((named + 1))
done
server_stop; server_start
expect 0 ctl check --read-data
expect 0 hf shop restore latest --target "$W/whole"
same_trees "$W/data" "$W/whole$W/data"
echo "$named of $flips flips named, in ${#FILES[@]} files"
