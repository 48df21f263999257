# Each error of CLI.md's table is met on purpose once: message and exit code.
source "$(dirname "${BASH_SOURCE[0]}")/../driver.sh"
scenario errors
mkdir -p "$W/data" && echo text >"$W/data/file"
server_init; server_start; tenant acme; kit; client acme/shop --kit "$W/kit"
expect 0 hf shop backup "$W/data"

expect 2 hf shop frobnicate                                   # usage
expect 2 hf shop backup; says 'no PATH was given'
cp "$W/clients/shop/client.toml" "$W/toml"
sed -i 's/^compression_level/compresion_level/' "$W/clients/shop/client.toml"
expect 2 hf shop snapshots; says "did you mean 'compression_level'"; says 'client.toml:'
cp "$W/toml" "$W/clients/shop/client.toml"
expect 2 "$HF_BIN/holdfast" --config "$W/none.toml" snapshots; says 'there is none'
expect 1 hf shop restore 999 --target "$W/x"; says "'999'"; [[ ! -e $W/x ]] || fail "a target was made"
expect 1 hf shop restore latest /no/such --target "$W/x"; says '/no/such'
expect 1 hf shop backup /no/such/path; says '/no/such/path'

sed "s|^server = .*|server = \"127.0.0.1:1\"|" "$W/toml" >"$W/clients/shop/client.toml"       # nobody there
expect 5 hf shop backup "$W/data"; says '127.0.0.1:1'
sed "s|^server = .*|server = \"no-such-host.invalid:8700\"|" "$W/toml" >"$W/clients/shop/client.toml"
expect 5 hf shop snapshots; says 'no-such-host.invalid'
sed "s|^server = .*|server = \"$ENROLMENT\"|" "$W/toml" >"$W/clients/shop/client.toml"         # wrong port
expect 4 hf shop snapshots
cp "$W/toml" "$W/clients/shop/client.toml"

t=$(token acme/second); mkdir -p "$W/clients/second" "$W/clients/third"; chmod 700 "$W/clients"/*      # used token
expect 0 hf second enroll --token "$t" --kit "$W/kit"
expect 4 hf third enroll --token "$t" --kit "$W/kit"; says 'token'
expect 2 hf third enroll --token nonsense --kit "$W/kit"
"$HF_BIN/holdfast" key new --out "$W/other" >/dev/null 2>&1                                            # wrong kit, wrong key
expect 4 hf third enroll --token "$(token acme/third)" --kit "$W/other"; says "another tenant's kit"
mkdir -p "$W/target$W/data" && echo mine >"$W/target$W/data/file"                                      # B10
expect 4 hf shop restore latest --key "$W/other.recovery" --overwrite always --target "$W/target"
grep -qx mine "$W/target$W/data/file" || fail "a file was touched with a wrong key"
expect 3 hf shop restore latest --target "$W/target"; says 'left as they are'
grep -qx mine "$W/target$W/data/file" || fail "a file was replaced without being told to"

mkdir "$W/data/d"; echo x >"$W/data/d/unreadable"                                                      # unreadable, by another user
chmod 755 "$W"; chmod 000 "$W/data/d/unreadable"
run_as() { if [[ $EUID == 0 ]]; then setpriv --reuid 65534 --clear-groups --inh-caps=-all --bounding-set=-all "$@"; else "$@"; fi; }
cp -r "$W/clients/shop" "$W/clients/nobody"; [[ $EUID == 0 ]] && chown -R 65534 "$W/clients/nobody"; chmod 755 "$W/clients"
sed -i "s|$W/clients/shop|$W/clients/nobody|g" "$W/clients/nobody/client.toml"
expect 3 run_as "$HF_BIN/holdfast" --config "$W/clients/nobody/client.toml" backup "$W/data"; says 'unreadable'
chmod 644 "$W/data/d/unreadable"

exec 9>>"$W/clients/shop/state/lock"; flock 9                                                          # second run at once
expect 7 hf shop backup "$W/data"; says 'another run'
exec 9>&-

PACKS=$(find "$W"/server/tenants/*/packs -mindepth 1 -type d | head -n 1)                              # many orphans: rather a lost journal
for i in $(seq 10 26); do : >"$PACKS/0000000000000001-$(basename "$PACKS")$(printf %030d "$i").pack"; done
expect 3 ctl collect acme; says 'tenant acme: 17 orphans'
rm "$PACKS"/0000000000000001-"$(basename "$PACKS")"000*; expect 0 ctl -q collect acme; [[ ! -s $W/out && ! -s $W/err ]] || fail "collect -q is not quiet"
server_stop
expect 1 "$HF_BIN/holdfastd" init --data-dir "$W/server" --listen 127.0.0.1:0                              # nothing is overwritten
