# Burp as a fourth program beside the others (sourced by peers.sh after lib.sh): its own TLS with throw-away certificates, its
# own encryption (which switches its deltas off), zlib 3; one server for all rounds, a client per round.

burp_start() {
  local port status try
  mkdir -p "$W/burp/conf" "$W/burp/clients" "$W/burp/spool"
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=benchCA -keyout "$W/burp/conf/ca.key" -out "$W/burp/conf/ca.pem" 2>"$W/err" || fail "burp's CA"
  burp_certificate burpserver
  openssl dhparam -dsaparam -out "$W/burp/conf/dh.pem" 2048 2>"$W/err" || fail "burp's parameters"
  for ((try = 0; try < 10; try++)); do
    read -r port status < <(perl -MIO::Socket::INET -e 'my @s = map { IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") } 1, 2; print join(" ", map { $_->sockport } @s), "\n"')
    cat >"$W/burp/conf/server.conf" <<CONF
mode = server
listen = 127.0.0.1:$port
listen_status = 127.0.0.1:$status
max_children = 5
directory = $W/burp/spool
dedup_group = global
hardlinked_archive = 0
clientconfdir = $W/burp/clients
pidfile = $W/burp/server.pid
lockfile = $W/burp/server.lock
working_dir_recovery_method = delete
umask = 0022
syslog = 0
stdout = 1
keep = 7
compression = 3
client_can_force_backup = 1
client_can_list = 1
client_can_restore = 1
ca_crl_check = 0
ssl_cert_ca = $W/burp/conf/ca.pem
ssl_cert = $W/burp/conf/burpserver.pem
ssl_key = $W/burp/conf/burpserver.key
ssl_dhfile = $W/burp/conf/dh.pem
CONF
    /usr/sbin/burp -F -c "$W/burp/conf/server.conf" >"$W/burp/log" 2>&1 &
    BURP_PID=$!
    sleep 1
    kill -0 "$BURP_PID" 2>/dev/null && break
  done
  ((try < 10)) || fail "burp's server did not start: $(tail -n 3 "$W/burp/log")"
  PIDS+=("$BURP_PID")
  BURP_PORT=$port BURP_STATUS=$status
}

burp_certificate() {  # NAME
  local base=$W/burp/conf/$1
  { openssl req -newkey rsa:2048 -nodes -subj "/CN=$1" -keyout "$base.key" -out "$base.csr" &&
    openssl x509 -req -in "$base.csr" -CA "$W/burp/conf/ca.pem" -CAkey "$W/burp/conf/ca.key" -CAcreateserial -days 2 -out "$base.pem"; } 2>"$W/err" ||
    fail "burp's certificate"
}

burp_new() {  # SET
  burp_certificate "$1"
  echo 'password = bench' >"$W/burp/clients/$1"
  mkdir -p "$W/burp/spool"
  cat >"$W/burp/conf/$1.conf" <<CONF
mode = client
server = 127.0.0.1:$BURP_PORT
status_port = $BURP_STATUS
password = bench
cname = $1
pidfile = $W/burp/$1.pid
lockfile = $W/burp/$1.lock
syslog = 0
stdout = 0
progress_counter = 0
server_can_restore = 0
ssl_cert_ca = $W/burp/conf/ca.pem
ssl_cert = $W/burp/conf/$1.pem
ssl_key = $W/burp/conf/$1.key
ssl_peer_cn = burpserver
encryption_password = bench
include = $D
CONF
}
burp_backup() { /usr/sbin/burp -c "$W/burp/conf/$1.conf" -a b; }
burp_restore() { /usr/sbin/burp -c "$W/burp/conf/$1.conf" -a r -d "$W/back"; }  # SET
# The client ends before the server has put the backup in its place: the next step must not meet that.
burp_rest() {  # SET
  local try
  for ((try = 0; try < 1200; try++)); do
    [[ -L $W/burp/spool/$1/working || -L $W/burp/spool/$1/finishing ]] || return 0
    sleep 0.1
  done
  fail "burp's server does not come to an end"
}
burp_stop() { kill "$BURP_PID" 2>/dev/null; wait "$BURP_PID" 2>/dev/null || true; }
burp_stored() { if [[ -d $W/burp/spool/$1 ]]; then size_of "$W/burp/spool/$1"; else echo 0; fi; }
