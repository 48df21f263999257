# Rows 33 and 36 and B3 with the real programs: TLS 1.3 only, rogue servers get nothing, a token enrols exactly one
# client even under parallel use and kill -9, a revoked client is refused and cut.
source "$(dirname "${BASH_SOURCE[0]}")/../driver.sh"
scenario identity
mkdir -p "$W/data" && echo text >"$W/data/file"
server_init; server_start; tenant acme; kit; client acme/shop --kit "$W/kit"
sslscan --no-colour "$SERVICE" >"$W/scan" 2>&1 || true
grep -E '(SSLv[23]|TLSv1\.[012]) +enabled' "$W/scan" && fail "an old TLS is on" || true
grep -q 'TLSv1.2' "$W/scan" || fail "sslscan did not look"
hello() { timeout 10 openssl s_client -connect "$SERVICE" -alpn holdfast/1 "$@" </dev/null 2>&1 || true; }
hello -tls1_3 | grep -q 'New, TLSv1.3' || fail "TLS 1.3 is not on"
hello -tls1_2 | grep -q 'New, TLSv1.2' && fail "TLS 1.2 is on" || true

# B3: a rogue server with a certificate of its own on the same address: nothing of ours reaches it.
openssl req -x509 -newkey ed25519 -nodes -keyout "$W/rogue.key" -out "$W/rogue.crt" -days 1 -subj /CN=x -addext 'subjectAltName=URI:holdfast://server/main' 2>/dev/null
port=$((20000 + RANDOM % 20000))
openssl s_server -accept "127.0.0.1:$port" -key "$W/rogue.key" -cert "$W/rogue.crt" -tls1_3 -alpn holdfast/1 -quiet >"$W/rogue.out" 2>/dev/null & PIDS+=($!)
sleep 0.5
cp "$W/clients/shop/client.toml" "$W/toml"
sed -i "s|^server = .*|server = \"127.0.0.1:$port\"|" "$W/clients/shop/client.toml"
expect 4 hf shop backup "$W/data"; says 'certificate'
[[ ! -s $W/rogue.out ]] || fail "the rogue server got $(wc -c <"$W/rogue.out") bytes"
cp "$W/toml" "$W/clients/shop/client.toml"

# Row 36: many at once with one token; the server killed in the middle; exactly one machine is enrolled.
t=$(token acme/many)
for i in $(seq 1 12); do
  mkdir -p "$W/clients/m$i"; chmod 700 "$W/clients/m$i"
  (hf "m$i" enroll --token "$t" --kit "$W/kit" >/dev/null 2>"$W/clients/m$i/err" && echo "m$i" >>"$W/winners") & PIDS+=($!)
done
sleep 0.4; server_kill; sleep 0.2; server_start
for pid in "${PIDS[@]:1}"; do wait "$pid" || true; done
PIDS=("${PIDS[0]}")
for i in $(seq 1 12); do   # each tries again: whoever was certified before the kill gets the same answer, the others nothing
  hf "m$i" enroll --token "$t" --kit "$W/kit" >/dev/null 2>&1 || true
done
enrolled=$(ls "$W"/clients/m*/keyring 2>/dev/null | wc -l)
[[ $enrolled == 1 ]] || fail "$enrolled machines were enrolled with one token"
winner=$(basename "$(dirname "$(ls "$W"/clients/m*/keyring)")")
expect 0 hf "$winner" backup "$W/data"

# Revoked: refused at the next handshake, also after a restart.
expect 0 ctl client revoke acme/shop
expect 4 hf shop backup "$W/data"
server_stop; server_start
expect 4 hf shop snapshots
expect 0 hf "$winner" snapshots
