# 5, 6, B5, B6: client, network or server killed in the middle of an upload of 200 MB, then the same run goes on by itself or
# another begins: how much travels twice (beyond what the whole costs, of which half a percent is chance), how much is read again, and
# that one whole snapshot comes of it. A collection before the next run leaves the open session's packs alone.
source "$(dirname "${BASH_SOURCE[0]}")/../driver.sh"
scenario resume
D=$W/in/data; mkdir -p "$D"
for i in $(seq 100 149); do head -c 4194304 /dev/urandom >"$D/$i"; done
sleep 2.1
MiB=$((1 << 20)) FULL=0
packs() { find "$W/server/tenants" -path '*/packs/*' -type f -printf '%s\n' | awk '{s += $1} END {printf "%d", s}'; }
fresh() {  # [SECONDS of patience]: a server and a client of its own for every part, so that nothing is known
  [[ -z $SERVER_PID ]] || server_stop
  rm -rf "$W/server" "$W/clients" "$W"/kit*
  server_init; server_start; tenant acme; kit; client acme/shop --kit "$W/kit"
  sed -i "s/^reconnect_seconds = .*/reconnect_seconds = ${1:-600}/" "$W/clients/shop/client.toml"
}
relay() { perl "$HERE/relay.pl" "$W/relay.port" "$SERVICE" & RELAY=$!; PIDS+=("$RELAY"); wait_for "$W/relay.port" '[0-9]' || fail relay; }
relay_kill() { kill -9 "$RELAY"; wait "$RELAY" 2>/dev/null || true; }
through_relay() { : >"$W/relay.port"; relay; sed -i "s|^server = .*|server = \"127.0.0.1:$(cat "$W/relay.port")\"|" "$W/clients/shop/client.toml"; }
begin_until() {  # MiB: a run in the background, until so much is acknowledged
  "$HF_BIN/holdfast" --config "$W/clients/shop/client.toml" --json backup "$D" >"$W/out" 2>"$W/err" & CLIENT=$!; PIDS+=("$CLIENT")
  local i; for ((i = 0; i < 4000; i++)); do (($(packs) >= $1 * MiB)) && return; sleep 0.05; done
  fail "the upload never came to $1 MiB"
}
client_kill() { kill -9 "$CLIENT"; wait "$CLIENT" 2>/dev/null || true; }
ends() { local code=0; wait "$CLIENT" || code=$?; ((code == $1)) || fail "the client ended with $code instead of $1"; }
again() {  # the next run; what it sends beyond what the server lacks of the whole
  local now=-1
  while ((now != $(packs))); do now=$(packs); sleep 3; done  # what has arrived is stored
  before=$now
  expect 0 hf shop --json backup "$D"
}
judge() {  # WHAT MiB-TWICE MiB-READ: at most so many twice; read at most so many beyond what the server lacks
  local sent read twice most; sent=$(field wire_sent_bytes) read=$(field read_bytes)
  twice=$((before + sent - FULL)) most=$((200 + $3 - before / MiB))
  echo "$1: $((before / MiB)) MiB were there, $sent bytes were sent, $twice of them twice (at most $2 MiB), $((read / MiB)) MiB read (at most $most)"
  ((twice <= $2 * MiB && read <= most * MiB)) || fail "$1: too much"
  expect 0 hf shop --json snapshots
  (($(field snapshots) == 1)) || fail "$1: not one snapshot"
  expect 0 ctl check
  rm -rf "$W/back"; expect 0 hf shop restore latest --target "$W/back"; same_trees "$D" "$W/back$D"
}

fresh; expect 0 hf shop --json backup "$D"; FULL=$(field wire_sent_bytes)
fresh; begin_until 120; client_kill; again; judge 'client killed, the next run' 4 32
fresh; before=0; begin_until 100; server_kill; sleep 1; server_start
ends 0; says 'connection lost, trying again'; says 'the connection is back'; judge 'server killed, the run goes on' 16 0
fresh; before=0; through_relay; begin_until 100; relay_kill; sleep 1; relay
ends 0; says 'the connection is back'; judge 'network cut, the run goes on' 12 0
fresh 0; through_relay; begin_until 100; relay_kill; ends 5; relay; again; judge 'network cut, the next run' 4 32
fresh 0; begin_until 100; server_kill; ends 5; server_start; expect 0 ctl collect; again; judge 'server killed, a collection, the next run' 4 32
fresh; begin_until 100; client_kill; server_kill; server_start
mv "$D" "$W/in/moved"; D=$W/in/moved; again; judge 'client and server killed, the source moved' 4 200
epilogue shop "$D"
