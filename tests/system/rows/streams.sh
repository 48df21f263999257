# Streams: several and a tree in one run; a failed command never looks like a good source; restored bytes are the same.
source "$(dirname "${BASH_SOURCE[0]}")/../driver.sh"
scenario streams
mkdir -p "$W/data/d"; echo text >"$W/data/d/file"; seq 300000 >"$W/dump"; head -c 9000000 /dev/urandom >"$W/noise"
server_init; server_start; tenant acme; kit; client acme/shop --kit "$W/kit"

expect 2 hf shop backup --command true; says 'one --name'                                        # nothing runs
expect 2 hf shop backup --command "touch $W/ran" --name a --command true --name a; says "'a'"
expect 2 hf shop backup "$W/data" --command "touch $W/ran" --name files; says "'files'"
expect 2 hf shop backup --command "touch $W/ran" --name a/b; says "'a/b'"
expect 2 hf shop backup --command '' --name a; says 'empty'
expect 0 hf shop backup "$W/data" --command "touch $W/ran" --name a --dry-run; says "'a' would run"
[[ ! -e $W/ran ]] || fail "a command ran"

expect 0 hf shop --json backup "$W/data" --command "cat $W/dump" --name db.sql --command "cat $W/noise" --name zz --command true --name empty
[[ $(field streams) == 3 && $(field complete) == true ]] || fail "three streams were not taken"
[[ $(hf shop ls 1 | grep -cE ' /(db\.sql|zz|empty)$') == 3 ]] || fail "ls does not show the streams"
hf shop restore latest --stream db.sql >"$W/back" 2>"$W/err" || fail "exit $?"
cmp "$W/dump" "$W/back"; says 'every byte is right'
hf shop --json restore latest --stream zz 2>"$W/err" | cmp "$W/noise" || fail "the stream differs"
tail -n 1 "$W/err" | jq -e '.ok and .stream == "zz" and .bytes == 9000000' >/dev/null || fail "no result on stderr"
expect 0 hf shop restore latest --stream empty; [[ ! -s $W/out ]] || fail "an empty stream has bytes"
expect 0 hf shop restore latest --target "$W/tree"; says '3 streams are restored with --stream NAME' "$W/out"
same_trees "$W/data" "$W/tree$W/data"; [[ ! -e $W/tree/zz ]] || fail "a stream became a file"
expect 0 hf shop verify latest --read-data; says 'and 3 streams' "$W/out"

expect 1 hf shop --json backup "$W/data" --command "head -c 5000000 $W/noise; echo no space left >&2; exit 3" --name db.sql --command 'echo two' --name zz
says "source 'db.sql' failed"; says 'exit status 3'; says 'no space left'; [[ $(field complete) == false ]] || fail "it looks complete"
says incomplete <(hf shop snapshots)
expect 0 hf shop restore latest --source db.sql --stream db.sql; cmp "$W/dump" "$W/out"
expect 0 hf shop restore latest --stream zz; cmp "$W/noise" "$W/out"               # latest is complete
expect 0 hf shop restore latest --source zz --stream zz; grep -qx two "$W/out"     # in which zz is complete
expect 1 hf shop restore 2 --stream db.sql; says 'failed in that run'; says "'zz'"; [[ ! -s $W/out ]] || fail "bytes of a failed stream"
for bad in 'no-such-program-here' 'echo x; kill -9 $$' 'bash -c "set -o pipefail; false | cat"'; do
  expect 1 hf shop backup --command "$bad" --name db.sql; says "'db.sql'"
done
expect 1 bash -c "trap '' CHLD; exec $HF_BIN/holdfast --config $W/clients/shop/client.toml backup --command 'exit 1' --name db.sql"
[[ $(hf shop --json snapshots | grep -c '"type":"snapshot"') == 2 ]] || fail "a run whose every source failed left a snapshot"

{ got=0; hf shop restore 1 --stream zz 2>"$W/err" || got=$?; echo $got >"$W/code"; } | head -c 100000 | cmp -n 100000 "$W/noise"
says 'must not be used'; grep -qx 1 "$W/code" || fail "exit $(<"$W/code") when the reader has gone"
expect 1 hf shop restore 1 --stream nothing; says "'db.sql', 'empty', 'zz'"
expect 1 bash -c "$HF_BIN/holdfast --config $W/clients/shop/client.toml restore 1 --stream zz >&-"
expect 2 hf shop restore 1 --stream zz --target "$W/x"
expect 2 script -qec "$HF_BIN/holdfast --config $W/clients/shop/client.toml restore 1 --stream zz" /dev/null; says 'is a terminal' "$W/out"

printf '[[command]]\nname = "conf.sql"\ncommand = "echo configured"\n' >>"$W/clients/shop/client.toml"      # from client.toml
expect 0 hf shop backup; expect 0 hf shop restore latest --stream conf.sql; grep -qx configured "$W/out"
"$HF_BIN/holdfast" --config "$W/clients/shop/client.toml" backup --command "echo \$\$ >$W/begun; exec sleep 1000" --name slow 2>"$W/err" & PIDS+=($!)
wait_for "$W/begun" '^[0-9]+$' || fail "the command did not start"
kill -TERM "${PIDS[-1]}"; got=0; wait "${PIDS[-1]}" || got=$?
((got == 143)) || fail "exit $got after a signal in mid-stream"
! kill -0 "$(<"$W/begun")" 2>/dev/null || fail "the command outlived its run"
expect 0 hf shop backup "$W/data"; epilogue shop "$W/data"
