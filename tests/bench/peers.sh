#!/usr/bin/env bash
# Called by `./run bench peers`: seconds and stored bytes of Holdfast, restic, borg and burp on the same data: a tree of small files,
# larger ones, random bytes, and an SQL dump. All encrypt and cross loopback (TLS, sftp in ssh, borg in ssh, burp's TLS); every
# round has fresh repositories; within a round each step is done by all before the next, and the order turns from round to
# round. Limits: Holdfast no slower than the fastest of the others in any row, and stored at most 1.02 times the smallest. Sizes, rounds, switches: lib.sh. The dump is a file here, as restoring a tree is compared.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
source "$BENCH/burp.sh"
bench_start peers 30
peers_start
burp_start
PROGRAMS=(holdfast restic borg burp)

step 'data: tree'
make_tree "$D/tree"
step 'data: database'
noise 128000000 4711 >"$D/random.bin"
make_shop shop
dump customers orders >"$W/dump.0"
change_orders 1 "$EVENLY 7"
dump customers orders >"$W/dump.1"
pg_end "$DISK/pg/shop"
rm -rf "$DISK/pg"
find "$D/tree/files" -type f | sort | awk 'NR % 100 == 0' >"$W/changed"

new_of() {
  case $1 in
    holdfast) holdfast_new "r$round" ;;
    *) "$1_new" "r$round" ;;
  esac
}
backup_of() {
  case $1 in
    holdfast) hf "r$round" backup "$D" ;;
    *) "$1_backup" "r$round" "$D" ;;
  esac
}
stored_of() {
  case $1 in
    holdfast) hf_stored ;;
    burp) burp_stored "r$round" ;;
    *) size_of "$W/peers/$1-r$round" ;;
  esac
}
restore_of() {
  case $1 in
    holdfast) hf "r$round" restore latest --target "$W/back" ;;
    burp) burp_restore "r$round" ;;
    restic) restic_do "r$round" restore latest --target "$W/back" ;;
    borg)
      local last
      last=$(borg_do "r$round" list --last 1 --format '{archive}' ARCHIVE)
      (cd "$W/back" && borg_do "r$round" extract "ARCHIVE::$last")
      ;;
  esac
}

# all STEP FUNCTION: by each program, seconds in $W/t.STEP.PROGRAM; what was written before is on the disk first.
all() {
  local i program start
  for ((i = 0; i < 4; i++)); do
    program=${PROGRAMS[(i + round) % 4]}
    rm -rf "$W/back"
    mkdir "$W/back"
    sync
    start=$(now)
    expect 0 "$2" "$program"
    echo "$(now) $start" | awk '{ printf "%.3f\n", $1 - $2 }' >>"$W/t.$1.$program"
    if [[ $program == burp ]]; then burp_rest "r$round"; fi
    if [[ $1 == restore ]] && ((round == 1)); then
      diff -r "$D" "$W/back$D" >"$W/err" 2>&1 || fail "$program restored something else"
    fi
  done
  rm -rf "$W/back"
}

# Growth since the round began: the server keeps the tenants of all rounds.
stored() {  # STEP
  local program
  for program in "${PROGRAMS[@]}"; do echo $(($(stored_of "$program") - ${BEFORE[$program]})) >>"$W/s.$1.$program"; done
}

declare -A BEFORE
for ((round = 1; round <= ROUNDS; round++)); do
  step "round $round"
  cp "$W/dump.0" "$D/dump.sql"
  for program in "${PROGRAMS[@]}"; do
    BEFORE[$program]=0
    if [[ $program == holdfast ]]; then BEFORE[holdfast]=$(hf_stored); fi
    new_of "$program"
  done
  settle
  cat "$D/dump.sql" >/dev/null
  all first backup_of
  stored first
  all unchanged backup_of
  cp "$W/dump.1" "$D/dump.sql"
  while read -r file; do echo "round $round" >>"$file"; done <"$W/changed"
  settle
  all increment backup_of
  stored both
  all restore restore_of
  peers_forget "r$round"
done

burp_stop

printf '\n%s files, %s (the dump %s), medians of %s rounds; best: Holdfast against the best of the others, at most the limit\n' \
  "$(find "$D" -type f | wc -l)" "$(human "$(size_of "$D")")" "$(human "$(stat -c %s "$W/dump.1")")" "$ROUNDS"
printf '%-34s %9s %9s %9s %9s | %7s %6s\n' '' Holdfast restic borg burp best limit
row() {  # TITLE FORMAT LIMIT holdfast restic borg burp
  local title=$1 format=$2 limit=$3 best
  shift 3
  best=$(printf '%s\n' "${@:2}" | sort -g | head -n 1 | awk -v h="$1" '{ printf "%.3f", h / $1 }')
  # shellcheck disable=SC2059
  printf "%-34s $format $format $format $format | %7s %6s %s\n" "$title" "$@" "$best" "$limit" "$(verdict "$best" "$limit")"
  [[ $(verdict "$best" "$limit") == ok ]] || MISSED=1
}
seconds() { row "$2, s" %9.2f 1.00 $(for program in "${PROGRAMS[@]}"; do median <"$W/t.$1.$program"; done); }
bytes() { row "$2, MB" %9.1f 1.02 $(for program in "${PROGRAMS[@]}"; do median <"$W/s.$1.$program" | awk '{ print $1 / 1e6 }'; done); }
seconds first 'first run'
seconds unchanged 'nothing changed'
seconds increment '2 % of rows, 1 % of files changed'
seconds restore 'restore of all'
bytes first 'stored by the first run'
bytes both 'stored after the change'
printf '%s s in all\n' "$SECONDS"
exit "$MISSED"
