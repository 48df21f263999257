# Shared by the comparisons with other programs (increments.sh, peers.sh): a disk of its own, a PostgreSQL of its own, a
# loopback sshd, restic and borg behind it, byte counts, the table. Sources the scenario driver: its functions are there too.
#
#   HF_BENCH_SCALE   1 = the sizes that the limits are stated for; 0.05 tries the scripts in minutes
#   ROUNDS           rounds; medians are taken (5)
#   HF_STREAMS       1: dumps go through `backup --command 'cat FILE' --name dump.sql`; 0: as a file in a directory
#   HF_BIN           programs to measure instead of this tree's release build
#   HF_ALONE         set by scripts that compare with no other program
#   HF_KEEP          keeps the work directory when something failed
#
# Bytes on the wire: Holdfast's from `--json` (what the client sent, TLS included); a peer's counted below its ssh. Bytes
# stored: growth of everything in the repository, of Holdfast everything but the index, which can be rebuilt.
set -euo pipefail
BENCH=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ -z ${HF_BIN:-} ]]; then
  ROOT=$(cd "$BENCH/../.." && pwd)
  export CMAKE_CXX_COMPILER_LAUNCHER=${CMAKE_CXX_COMPILER_LAUNCHER-$(command -v ccache || true)}
  mkdir -p "$ROOT/build"
  (cd "$ROOT" && cmake --preset release && ninja -C build/release holdfast holdfastd holdfastctl) >"$ROOT/build/bench-build.log" 2>&1 ||
    { tail -n 20 "$ROOT/build/bench-build.log"; exit 1; }
  HF_BIN=$ROOT/build/release/bin
fi
source "$BENCH/../system/driver.sh"
SCALE=${HF_BENCH_SCALE:-1}
ROUNDS=${ROUNDS:-5}
STREAMS=${HF_STREAMS:-1}
PG_BIN=/usr/lib/postgresql/15/bin
MISSED=0

scaled() { awk -v n="$1" -v s="$SCALE" 'BEGIN { v = int(n * s); printf "%.0f\n", (v < 1 ? 1 : v) }'; }
now() { date +%s.%N; }
step() { printf '%6d s  %s\n' "$SECONDS" "$*" >&2; }
# A file younger than 2 s when it is read is read again by Holdfast: let data come of age.
settle() { sync; sleep 2.1; }
size_of() { find "$@" -type f -printf '%s\n' | awk '{ s += $1 } END { printf "%.0f\n", s }'; }
median() { sort -g | awk '{ a[NR] = $1 } END { print (NR % 2 ? a[(NR + 1) / 2] : (a[NR / 2] + a[NR / 2 + 1]) / 2) }'; }
human() { [[ $1 == - ]] && echo - || numfmt --to=iec-i --format=%.1f "$(printf %.0f "$1")"; }

# --- a disk of its own -------------------------------------------------------------------------------------------------

# bench_start NAME GIB: $DISK is a fresh ext4 of GIB × scale on a loop device (sparse), $W a directory on it, a server runs.
# Data lies in $D, apart from $W, where files come and go: a directory above the data with a new time is a change as well. So
# TMPDIR should be a quiet place; /tmp of a busy machine is none, hence /var/tmp when TMPDIR is not set.
bench_start() {
  local gib
  gib=$(awk -v n="$2" -v s="$SCALE" 'BEGIN { printf "%.0f", n * s + 3 }')
  BASE=$(mktemp -d "${TMPDIR:-/var/tmp}/hfbench.XXXXXX")
  chmod 711 "$BASE"
  trap 'rm -rf "$BASE"' EXIT
  (($(df --output=avail -k "$BASE" | tail -n 1) > gib * 1048576)) || { echo "bench: $BASE has less than $gib GiB free" >&2; exit 1; }
  DISK=$BASE/disk
  mkdir "$DISK"
  trap bench_end EXIT
  if ((EUID == 0)) && truncate -s "${gib}G" "$BASE/image" && mkfs.ext4 -q -F -m 0 "$BASE/image" && mount -o loop,nodiscard "$BASE/image" "$DISK" 2>/dev/null; then
    MOUNTED=1
  else
    rm -f "$BASE/image"
    echo "note: no loop-mounted ext4 (needs root and a loop device): a plain directory on $(stat -f -c %T "$BASE") is used"
  fi
  chmod 711 "$DISK"
  D=$DISK/data
  mkdir "$D"
  TMPDIR=$DISK scenario "$1"
  trap bench_end EXIT
  mkdir -m 1777 "$DISK/tmp"
  export TMPDIR=$DISK/tmp  # the peers' temporary files: on this disk, and above no data either
  local peers=
  [[ -n ${HF_ALONE:-} ]] || peers="dumps as $( ((STREAMS)) && echo streams || echo files); $(restic version | cut -d' ' -f1,2); $(borg --version);"
  printf '%s, scale %s, %s rounds; %s %s\n' "$("$HF_BIN/holdfast" --version | head -n 1)" "$SCALE" "$ROUNDS" "$peers" "$(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2-)"
  server_init
  server_start
}

bench_end() {
  local status=$? try
  trap - EXIT
  set +e
  pg_stop_all immediate
  if [[ -n ${SSHD_PID:-} ]]; then kill "$SSHD_PID" 2>/dev/null; fi
  [[ -n ${MADE_RUN_SSHD:-} ]] && rmdir /run/sshd 2>/dev/null
  if [[ -n ${SERVER_PID:-} ]]; then kill -9 "$SERVER_PID" && wait "$SERVER_PID" 2>/dev/null; fi
  SERVER_PID=
  if [[ -n ${W:-} ]]; then ( (exit "$status"); cleanup ); fi
  if ((status != 0)) && [[ -n ${HF_KEEP:-} ]]; then
    echo "kept: $BASE" >&2
    exit "$status"
  fi
  if [[ -n ${MOUNTED:-} ]]; then
    for ((try = 0; try < 40; try++)); do umount "$DISK" 2>/dev/null && break; sleep 0.25; done
    ((try < 40)) || umount -l "$DISK"
  fi
  rm -rf "$BASE"
  exit "$status"
}

# The directories above PATH with their times of change: what differs between two calls has changed.
above() {
  local directory=$1
  while [[ $directory != / ]]; do
    directory=$(dirname "$directory")
    stat -c '%n %z' "$directory"
  done
}

# --- Holdfast ----------------------------------------------------------------------------------------------------------

# holdfast_new TENANT: a tenant with a kit of its own and one client of the same name.
holdfast_new() {
  tenant "$1"
  rm -f "$W/kit"*
  kit
  client "$1/$1" --kit "$W/kit"
}

hf_stored() { find "$W/server/tenants" -name index -prune -o -type f -printf '%s\n' | awk '{ s += $1 } END { printf "%.0f\n", s }'; }
hf_manifest() { perl "$BENCH/manifest_bytes.pl" "$W/server/tenants"; }
hf_state() { size_of "$W/clients/$1/state"; }
hf_forget() { find "$W/clients/$1/state" -mindepth 1 -delete; }  # what a client loses with its state; keys stay

# hf_add CLIENT PATH: sets HF_WIRE and HF_STORED (growth); a PATH that ends in .sql is a dump.
hf_add() {
  local before
  before=$(hf_stored)
  if ((STREAMS)) && [[ $2 == *.sql ]]; then
    expect 0 hf "$1" --json backup --command "cat '$2'" --name dump.sql
  else
    expect 0 hf "$1" --json backup "$2"
  fi
  HF_WIRE=$(field wire_sent_bytes)
  HF_STORED=$(($(hf_stored) - before))
}

# hf_fetch CLIENT PATH: restores the newest snapshot, compares, sets HF_FETCHED (bytes received on the wire).
hf_fetch() {
  rm -rf "$W/back"
  if ((STREAMS)) && [[ $2 == *.sql ]]; then
    # The stream takes standard output, so the result event is looked for on standard error.
    hf "$1" --json restore latest --stream dump.sql >"$W/back" 2>"$W/err" || fail "restore --stream: exit $?"
    cmp "$2" "$W/back" >&2 || fail "the restored stream differs from $2"
    HF_FETCHED=$(tail -n 1 "$W/err" | jq -r '.wire_received_bytes // "-"' 2>/dev/null) || HF_FETCHED=-
  else
    expect 0 hf "$1" --json restore latest --target "$W/back"
    cmp "$2" "$W/back$2" >&2 || fail "the restored file differs from $2"
    HF_FETCHED=$(field wire_received_bytes)
  fi
  rm -rf "$W/back"
}

# --- peers behind a loopback sshd --------------------------------------------------------------------------------------

# peers_start [count]: an sshd with throw-away keys; with `count`, what passes below ssh is counted (costs time).
peers_start() {
  local port proxy='' try
  mkdir -p "$W/ssh" "$W/peers" "$W/wire" "$W/cache"
  chmod 700 "$W/ssh"
  ssh-keygen -q -t ed25519 -N '' -C bench -f "$W/ssh/host"
  ssh-keygen -q -t ed25519 -N '' -C bench -f "$W/ssh/user"
  cp "$W/ssh/user.pub" "$W/ssh/authorized"
  if ((EUID == 0)) && [[ ! -d /run/sshd ]]; then mkdir -m 755 /run/sshd && MADE_RUN_SSHD=1; fi
  for ((try = 0; try < 10; try++)); do
    port=$(perl -MIO::Socket::INET -e 'print IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")->sockport')
    cat >"$W/ssh/sshd_config" <<CONF
Port $port
ListenAddress 127.0.0.1
HostKey $W/ssh/host
AuthorizedKeysFile $W/ssh/authorized
PidFile none
StrictModes no
UsePAM $([[ $(getent shadow "$(id -un)" 2>/dev/null | cut -d: -f2) == '!'* ]] && echo yes || echo no)
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
CONF
    /usr/sbin/sshd -D -e -f "$W/ssh/sshd_config" 2>"$W/ssh/log" &
    SSHD_PID=$!
    wait_for "$W/ssh/log" 'Server listening' 5 && break
    kill "$SSHD_PID" 2>/dev/null || true
  done
  ((try < 10)) || fail "sshd did not start: $(tail -n 3 "$W/ssh/log")"
  [[ ${1:-} != count ]] || proxy="ProxyCommand perl $BENCH/wire_count.pl 127.0.0.1 $port $W/wire"
  printf 'peer %s\n' "$(cut -d' ' -f1,2 "$W/ssh/host.pub")" >"$W/ssh/known"
  cat >"$W/ssh/config" <<CONF
Host peer
HostName 127.0.0.1
Port $port
User $(id -un)
HostKeyAlias peer
IdentityFile $W/ssh/user
IdentitiesOnly yes
BatchMode yes
StrictHostKeyChecking yes
UserKnownHostsFile $W/ssh/known
GlobalKnownHostsFile none
LogLevel ERROR
$proxy
CONF
  head -c 24 /dev/urandom | base64 >"$W/ssh/password"
  export RESTIC_PASSWORD_FILE=$W/ssh/password RESTIC_CACHE_DIR=$W/cache/restic
  export BORG_RSH="ssh -F $W/ssh/config" BORG_BASE_DIR=$W/cache/borg BORG_PASSPHRASE
  BORG_PASSPHRASE=$(cat "$W/ssh/password")
  ssh -F "$W/ssh/config" peer true 2>"$W/err" || fail "ssh to the loopback sshd"
}

restic_do() {  # SET command…
  local set=$1
  shift
  restic -q -r "sftp:peer:$W/peers/restic-$set" -o sftp.command="ssh -F $W/ssh/config peer -s sftp" "$@"
}
borg_do() {  # SET command option…: ARCHIVE stands for the repository's address
  local address=ssh://peer$W/peers/borg-$1 command=$2
  shift 2
  borg "$command" "${@//ARCHIVE/$address}"
}
restic_new() { expect 0 restic_do "$1" init --repository-version 2; }
borg_new() { expect 0 borg_do "$1" init --encryption repokey-blake2 ARCHIVE; }
restic_backup() { restic_do "$1" backup --compression auto "$2"; }
borg_backup() { borg_do "$1" create --compression zstd,3 "ARCHIVE::$(date +%s.%N)" "$2"; }
peers_forget() { rm -rf "$W"/peers/*-"$1"; }

# peer_add PROGRAM SET PATH: sets PEER_WIRE (bytes sent) and PEER_STORED (growth).
peer_add() {
  local repository=$W/peers/$1-$2 before try
  before=$(size_of "$repository")
  rm -f "$W"/wire/*
  expect 0 "$1_backup" "$2" "$3"
  for ((try = 0; try < 100; try++)); do compgen -G "$W/wire/*.open" >/dev/null || break; sleep 0.05; done
  PEER_WIRE=$(cat "$W"/wire/*.count | awk '{ s += $1 } END { printf "%.0f\n", s }')
  PEER_STORED=$(($(size_of "$repository") - before))
}

# everywhere SET: a tenant, a restic and a borg repository of that name.
everywhere() { holdfast_new "$1"; restic_new "$1"; borg_new "$1"; }

# add SET PATH KEY: the same bytes to all three, one after the other; a line of six figures in $W/figures.KEY.
add() {
  local line
  hf_add "$1" "$2"
  line="$HF_WIRE $HF_STORED"
  peer_add restic "$1" "$2"
  line+=" $PEER_WIRE $PEER_STORED"
  peer_add borg "$1" "$2"
  echo "$line $PEER_WIRE $PEER_STORED" >>"$W/figures.$3"
}
figure() { cut -d' ' -f"$2" "$W/figures.$1" | median; }  # KEY COLUMN (Holdfast wire, stored, restic wire, stored, borg wire, stored)

# --- the table ---------------------------------------------------------------------------------------------------------

table_head() {
  printf '\n%-58s %9s | %9s %9s | %9s %9s | %9s | %8s\n' 'bytes, medians' limit wire stored 'restic w.' stored borg figure
}
# verdict FIGURE LIMIT: ok or MISSED; a figure that is missing is missed.
verdict() {
  if [[ $1 != - ]] && awk -v a="$1" -v b="$2" 'BEGIN { exit !(a <= b) }'; then echo ok; else echo MISSED; fi
}
line() {  # TITLE LIMIT-TEXT wire stored restic-wire restic-stored borg-stored FIGURE-TEXT VERDICT
  printf '%-58s %9s | %9s %9s | %9s %9s | %9s | %8s %s\n' "$1" "$2" "$(human "$3")" "$(human "$4")" "$(human "$5")" "$(human "$6")" "$(human "$7")" "$8" "$9"
  if [[ $9 == MISSED ]]; then MISSED=1; fi
}
percent() { awk -v a="$1" -v b="$2" 'BEGIN { if (a == "-" || b <= 0) print "-"; else printf "%.2f%%\n", 100 * a / b }'; }
share() { awk -v a="$1" -v b="$2" 'BEGIN { if (a == "-" || b <= 0) print "-"; else printf "%.6f\n", a / b }'; }
greater() { awk -v a="$1" -v b="$2" 'BEGIN { print (a > b ? a : b) }'; }

# at_most KEY TITLE BYTES: the greater of wire and stored, median, is at most BYTES.
at_most() {
  local most
  most=$(awk '{ print ($1 > $2 ? $1 : $2) }' "$W/figures.$1" | median)
  line "$2" "$(human "$3")" "$(figure "$1" 1)" "$(figure "$1" 2)" "$(figure "$1" 3)" "$(figure "$1" 4)" "$(figure "$1" 6)" "$(human "$most")" "$(verdict "$most" "$3")"
}
# against_restic KEY TITLE DIVISOR: the greater of wire and stored is at most 1/DIVISOR of what restic stored, per round, median.
against_restic() {
  local ratio
  ratio=$(awk '{ most = $1 > $2 ? $1 : $2; print most / ($4 ? $4 : 1) }' "$W/figures.$1" | median)
  line "$2" "1/$3" "$(figure "$1" 1)" "$(figure "$1" 2)" "$(figure "$1" 3)" "$(figure "$1" 4)" "$(figure "$1" 6)" \
    "1/$(awk -v r="$ratio" 'BEGIN { printf "%.1f", (r > 0 ? 1 / r : 999) }')" "$(verdict "$ratio" "$(awk -v d="$3" 'BEGIN { print 1 / d }')")"
}
# part_of TITLE BYTES WHOLE LIMIT: BYTES is at most the share LIMIT of WHOLE.
part_of() {
  line "$1" "$(percent "$4" 1)" - "$2" - - - "$(percent "$2" "$3")" "$(verdict "$(share "$2" "$3")" "$4")"
}
# For information, without a limit.
note_of() { line "$1" - - "$2" - - - "$(percent "$2" "$3")" ''; }

# --- data --------------------------------------------------------------------------------------------------------------

# PostgreSQL never runs as root: then the clusters belong to the user that the package made.
pg_as() {
  if ((EUID == 0)); then setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; else "$@"; fi
}
pg_own() { if ((EUID == 0)); then chown -R postgres:postgres "$@"; fi; }
sql() { pg_as psql -qX -v ON_ERROR_STOP=1 -h "$DISK/pg/socket" -d "${PG_DATABASE:-shop}" -c "$1" >"$W/out" 2>"$W/err" || fail "psql: $1"; }

pg_begin() { (cd / && pg_as "$PG_BIN/pg_ctl" -s -w -t 120 -D "$1" -l "$DISK/pg/log" start >/dev/null 2>&1) || fail "PostgreSQL did not start: $(tail -n 5 "$DISK/pg/log")"; }
# A fast shutdown writes a checkpoint: the directory at rest is complete.
pg_end() { (cd / && pg_as "$PG_BIN/pg_ctl" -s -w -t 300 -D "$1" -m "${2:-fast}" stop >/dev/null 2>&1); }
pg_stop_all() {
  local pid
  for pid in "${DISK:-/nowhere}"/pg/*/postmaster.pid; do
    if [[ -e $pid ]]; then pg_end "$(dirname "$pid")" "$1"; fi
  done
}

# pg_cluster NAME: a fresh cluster in $DISK/pg/NAME, Unix socket only, running. Without fsync: it is thrown away. Autovacuum
# is off so that every run does the same; finished WAL is removed instead of recycled, as a base backup leaves it out as well.
pg_cluster() {
  mkdir -p "$DISK/pg/socket"
  pg_own "$DISK/pg"
  pg_as test -w "$DISK/pg/socket" || fail "the user of PostgreSQL cannot reach $DISK: choose another TMPDIR"
  (cd / && pg_as "$PG_BIN/initdb" -D "$DISK/pg/$1" -U "$( ((EUID == 0)) && echo postgres || id -un)" -A trust -E UTF8 --locale=C -N) >"$W/out" 2>"$W/err" || fail initdb
  cat >>"$DISK/pg/$1/postgresql.conf" <<CONF
listen_addresses = ''
unix_socket_directories = '$DISK/pg/socket'
fsync = off
synchronous_commit = off
autovacuum = off
wal_level = minimal
max_wal_senders = 0
wal_recycle = off
min_wal_size = 32MB
shared_buffers = 256MB
maintenance_work_mem = 256MB
CONF
  pg_begin "$DISK/pg/$1"
  PG_DATABASE=postgres sql 'CREATE DATABASE shop'
}

copy_in() {  # TABLE make_data arguments…
  local table=$1
  shift
  perl "$BENCH/make_data.pl" "$@" | pg_as psql -qX -v ON_ERROR_STOP=1 -h "$DISK/pg/socket" -d shop -c "COPY $table FROM STDIN" >"$W/out" 2>"$W/err" || fail "COPY $table"
}

# make_shop NAME: a cluster with customers and ORDERS orders; ≥ 600 MB as pg_dump's text, ≥ 1 GB as files with indexes, at scale 1.
make_shop() {
  local customers
  ORDERS=$(scaled 2000000)
  customers=$(scaled 200000)
  pg_cluster "$1"
  sql 'CREATE TABLE customers (id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL, street text, postcode text, city text,
    since timestamptz NOT NULL, password_hash text NOT NULL, note text)'
  sql 'CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint NOT NULL, ordered_at timestamptz NOT NULL, updated_at timestamptz NOT NULL,
    status text NOT NULL, currency text NOT NULL, net numeric(10,2) NOT NULL, tax numeric(10,2) NOT NULL, method text NOT NULL, token uuid NOT NULL,
    session text NOT NULL, ship_name text, ship_street text, ship_postcode text, ship_city text, item_count int, items text, tracking text, note text)'
  copy_in customers customers "$customers"
  copy_in orders orders "$ORDERS" "$customers"
}

# change_orders K CONDITION: those orders are shipped now.
change_orders() {
  sql "UPDATE orders SET status = 'shipped', tracking = 'T' || substr(md5(id::text || ' $1'), 1, 16),
    updated_at = timestamptz '2026-11-01 00:00+00' + $1 * interval '6 hours' + (id % 21600) * interval '1 second' WHERE $2"
}
EVENLY='id % 50 = '  # and a number below 50: 2 % of all rows
# 2 % of the rows of the newest tenth. (2 % of all rows would be a fifth of the tenth: ten times as much as a peer has to
# send for it could not be saved by anybody, for the changed rows alone are a fifth of that.)
newest_tenth() { echo "id > $((ORDERS - ORDERS / 10)) AND id % 50 = $(($1 % 50))"; }

# dump TABLE… > FILE: the text of a real pg_dump. An UPDATE moves rows to other places of the heap, and pg_dump reads in heap
# order. Here the rows stand in order of their keys before and after, as they do where updates find room in their page or the
# table is an index (InnoDB, SQLite): so the tables are clustered by their key first. Without that a dump has changes at
# the places of the old rows and the new versions at its end; the raw directories below are measured as they are.
dump() {
  local table tables=()
  for table in "$@"; do
    sql "CLUSTER $table USING ${table}_pkey"
    tables+=(-t "$table")
  done
  pg_as "$PG_BIN/pg_dump" -h "$DISK/pg/socket" "${tables[@]}" shop 2>"$W/err" || fail "pg_dump $*"
}

# make_tree DIR: 100,000 small text files, a 3 MB file, and a directory of larger files that do not compress.
make_tree() {
  local i
  mkdir -p "$1/files" "$1/photos"
  perl "$BENCH/make_data.pl" tree "$1/files" "$(scaled 100000)"
  noise 3000000 1 >"$1/three.bin"
  for ((i = 0; i < $(scaled 200); i++)); do noise $((100000 + i * 4001)) "$((i + 2))" >"$1/photos/$(printf %04d "$i").jpg"; done
}
# noise BYTES SEED: the same random bytes every time.
noise() { head -c "$1" /dev/zero | openssl enc -aes-128-ctr -nosalt -K 00112233445566778899aabbccddeeff -iv "$(printf %016x%016x "$2" 0)" 2>/dev/null; }
