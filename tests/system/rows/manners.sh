# CLI.md's manners: versions, JSON, quiet pipes, escaped names, umask and locale, signals, dry runs, unknown keys, modes.
source "$(dirname "${BASH_SOURCE[0]}")/../driver.sh"
scenario manners
mkdir -p "$W/data"; printf x >"$W/data/$(printf 'evil\033[31mname\nline')"; printf x >"$W/data/$(printf 'latin\xe9')"
for i in $(seq 1 60); do head -c 1000000 /dev/urandom >"$W/data/$i"; done
for program in holdfast holdfastd holdfastctl; do
  expect 0 "$HF_BIN/$program" --version; grep -qE 'format' "$W/out" || fail "$program --version says no format version"
  expect 0 "$HF_BIN/$program" --help
done
server_init; server_start
ctl tenant add acme >"$W/out" 2>&1; grep -qF 30d "$W/out" || fail "the default plan was not said aloud"
kit; client acme/shop --kit "$W/kit"
expect 0 hf shop backup --dry-run -v "$W/data"
grep -q $'\033' "$W/out" "$W/err" && fail "a name drove the terminal" || true
umask 000; expect 0 env LC_ALL=tr_TR.UTF-8 "$HF_BIN/holdfast" --config "$W/clients/shop/client.toml" --json backup "$W/data"; umask 022
while read -r line; do jq -e . <<<"$line" >/dev/null || fail "not JSON: $line"; done <"$W/out"
[[ $(field type) == result ]] || fail "the last line is not the result"
[[ -z $(find "$W/clients/shop" "$W/server" -type f -perm /077 ! -path '*/index/*' | head -n 1) ]] || fail "others may read $(find "$W/clients/shop" "$W/server" -type f -perm /077 | head -n 1)"
expect 0 hf shop --json ls latest; grep -q path_b64 "$W/out" || fail "a name that is not UTF-8 has no path_b64"
expect 0 hf shop -q backup "$W/data"; [[ ! -s $W/err ]] || fail "-q is not quiet"
expect 0 hf shop config check
expect 0 hf shop status
chmod 644 "$W/clients/shop/keyring"; expect 4 hf shop snapshots; says 'chmod 600'; chmod 600 "$W/clients/shop/keyring"
expect 7 "$HF_BIN/holdfastd" --config "$W/server/server.toml"
expect 4 "$HF_BIN/holdfast" --fips --config "$W/clients/shop/client.toml" snapshots; says 'FIPS'

# A signal: a clean stop, 130 or 143, and the next run is whole.
for i in $(seq 61 260); do head -c 1000000 /dev/urandom >"$W/data/$i"; done
for signal in INT TERM; do
  want=130; [[ $signal == TERM ]] && want=143
  "$HF_BIN/holdfast" --config "$W/clients/shop/client.toml" backup --full "$W/data" >"$W/out" 2>"$W/err" & pid=$!
  sleep 1.2; kill -"$signal" "$pid"; code=0; wait "$pid" || code=$?
  [[ $code == "$want" || $code == 0 ]] || fail "SIG$signal: exit $code instead of $want"
done
expect 0 hf shop backup "$W/data"
expect 0 hf shop restore latest --target "$W/back"
same_trees "$W/data" "$W/back$W/data"
