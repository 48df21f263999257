# The scenario driver: start, enrol, back up, damage, kill, compare. Sourced by every row in rows/ and by the demo.
# A row is a script of ≤ 60 lines that sources this file, calls `scenario`, and uses the functions below.
#
#   scenario NAME            a fresh directory $W; everything ends and is removed when the script ends
#   server_init [option…]    holdfastd init in $W/server on free loopback ports
#   server_start             starts it and waits for its ready line (log: $W/server.log); server_stop, server_kill
#   tenant NAME [option…]    adds a tenant
#   client NAME [option…]    adds client TENANT/MACHINE and enrols it in $W/clients/MACHINE (options go to enroll)
#   hf MACHINE args…         holdfast with that machine's configuration;  ctl args…  holdfastctl
#   expect CODE command…     runs it, demands that exit code; output in $W/out and $W/err
#   says TEXT [FILE]         demands that $W/err (or FILE) contains the text (fixed string)
#   field NAME               the value of a field of the last line of $W/out (--json)
#   fail TEXT                ends the row as failed
set -euo pipefail
export LC_ALL=C
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
: "${HF_BIN:?HF_BIN must name the directory of the programs}"
# A report of a sanitizer must never look like one of the documented exit codes.
export ASAN_OPTIONS="exitcode=99:detect_stack_use_after_return=0:${ASAN_OPTIONS:-}" UBSAN_OPTIONS="print_stacktrace=1:${UBSAN_OPTIONS:-}"

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  if [[ -s ${W:-}/err ]]; then printf -- '--- last stderr\n%s\n' "$(tail -n 20 "$W/err")" >&2; fi
  if [[ -s ${W:-}/server.log ]]; then printf -- '--- server log\n%s\n' "$(tail -n 30 "$W/server.log")" >&2; fi
  exit 1
}

scenario() {
  W=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-$1.XXXXXX")
  chmod 700 "$W"
  SERVER_PID=
  PIDS=()
  trap cleanup EXIT
}

cleanup() {
  local status=$?
  set +e
  [[ -n $SERVER_PID ]] && kill -9 "$SERVER_PID" 2>/dev/null
  local pid
  for pid in "${PIDS[@]}"; do kill -9 "$pid" 2>/dev/null; done
  wait 2>/dev/null
  local mounted
  while mounted=$(findmnt -rno TARGET | grep -F "$W/" | tail -n 1) && [[ -n $mounted ]]; do umount -l "$mounted"; done
  if ((status != 0)) && [[ -n ${HF_KEEP:-} ]]; then echo "kept: $W" >&2
  else
    chmod -R u+rwx "$W" 2>/dev/null
    rm -rf "$W" 2>/dev/null || { find "$W" -exec chattr -i {} + 2>/dev/null; rm -rf "$W"; }
  fi
  exit "$status"
}

server_init() {
  "$HF_BIN/holdfastd" init --data-dir "$W/server" --listen 127.0.0.1:0 --enroll-listen 127.0.0.1:0 "$@" >"$W/init.out" 2>"$W/err" ||
    fail "holdfastd init: exit $?"
}

# Waits for FILE to hold a line that matches, at most SECONDS (60).
wait_for() {
  local file=$1 pattern=$2 seconds=${3:-60} i
  for ((i = 0; i < seconds * 20; i++)); do
    grep -qE "$pattern" "$file" 2>/dev/null && return 0
    sleep 0.05
  done
  return 1
}

server_start() {
  : >"$W/server.log"
  "${SERVER_WRAP[@]:-env}" "$HF_BIN/holdfastd" --config "$W/server/server.toml" 2>"$W/server.log" >/dev/null &
  SERVER_PID=$!
  wait_for "$W/server.log" 'event="?ready' 60 || fail "the server did not get ready"
  # The first start took free ports: later starts keep them, as clients know them.
  SERVICE=$(grep -oE 'service=[^ ]+' "$W/server.log" | head -n 1 | cut -d= -f2)
  ENROLMENT=$(grep -oE 'enrolment=[^ ]+' "$W/server.log" | head -n 1 | cut -d= -f2)
  sed -i -E "s|^listen = .*|listen = \"$SERVICE\"|; s|^enroll_listen = .*|enroll_listen = \"$ENROLMENT\"|" "$W/server/server.toml"
}

server_stop() {
  kill -TERM "$SERVER_PID"
  local code=0
  wait "$SERVER_PID" || code=$?
  SERVER_PID=
  cp "$W/server.log" "$W/server.log.1"
  ((code == 0)) || fail "the server ended with exit code $code"
}

server_kill() {
  kill -9 "$SERVER_PID"
  wait "$SERVER_PID" 2>/dev/null || true
  SERVER_PID=
}

ctl() { "$HF_BIN/holdfastctl" --config "$W/server/server.toml" "$@"; }
hf() {
  local machine=$1
  shift
  "$HF_BIN/holdfast" --config "$W/clients/$machine/client.toml" "$@"
}

tenant() { ctl tenant add "$@" >"$W/out" 2>"$W/err" || fail "tenant add $*: exit $?"; }

token() { ctl --json client add "$1" | jq -er '.token // empty' || fail "client add $1"; }

# client TENANT/MACHINE [option of enroll…]
client() {
  local name=$1 machine=${1#*/} t
  shift
  t=$(token "$name")
  mkdir -p "$W/clients/$machine"
  chmod 700 "$W/clients" "$W/clients/$machine"
  hf "$machine" enroll --token "$t" "$@" >"$W/out" 2>"$W/err" || fail "enroll $name: exit $?"
}

kit() { "$HF_BIN/holdfast" key new --out "$W/kit" >"$W/out" 2>"$W/err" || fail "key new: exit $?"; }

# operator NAME: an operator's configuration in $W/clients/NAME
operator() {
  local t
  t=$(ctl --json operator add "$1" | jq -er '.token // empty') || fail "operator add $1"
  mkdir -p "$W/clients/$1"
  chmod 700 "$W/clients" "$W/clients/$1"
  hf "$1" enroll --token "$t" >"$W/out" 2>"$W/err" || fail "enroll operator $1: exit $?"
}

expect() {
  local want=$1 got=0
  shift
  "$@" >"$W/out" 2>"$W/err" || got=$?
  ((got == want)) || fail "exit $got instead of $want: $*"
}

says() { grep -qF -- "$1" "${2:-$W/err}" || fail "'$1' is not in ${2:-stderr}"; }
field() { tail -n 1 "$W/out" | jq -er ".$1"; }

same_trees() { bash "$HERE/compare_trees.sh" "$1" "$2" >"$W/compare" 2>&1 || { head -40 "$W/compare" >&2; fail "$1 and $2 differ"; }; }

# Every row ends with this: stop, delete the RocksDB directories, start, compare index digests through check, restore. A
# directory of a tree that takes long is restored alone when it is named: epilogue MACHINE TREE [DIRECTORY]
epilogue() {
  local machine=$1 tree=$2
  server_stop
  rm -rf "$W"/server/tenants/*/index
  server_start
  expect 0 ctl check --read-data
  rm -rf "$W/epilogue"
  expect 0 hf "$machine" restore latest ${3:+"$3"} --target "$W/epilogue"
  same_trees "${3:-$tree}" "$W/epilogue${3:-$tree}"
}
