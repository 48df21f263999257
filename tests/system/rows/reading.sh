# Reading without restoring: find over snapshots, diff of two of them, compare with the live files.
source "$(dirname "${BASH_SOURCE[0]}")/../driver.sh"
scenario reading
D=$W/data; mkdir -p "$D/etc/sub" "$D/srv"
for f in etc/a.conf etc/b.conf etc/sub/c.conf srv/page; do echo "$f" >"$D/$f"; done
printf 'x' >"$D/etc/"$'\xff\e[31m.conf'; ln "$D/srv/page" "$D/srv/page2"; ln -s a.conf "$D/etc/link"
server_init; server_start; tenant acme; kit; client acme/shop --kit "$W/kit"
expect 1 hf shop find '*.conf'; says 'no snapshot yet'
expect 0 hf shop backup "$D"

# Nothing changed.
expect 0 hf shop compare latest "$D"; says 'no difference'
expect 0 hf shop --json compare latest "$D" --read-data; [[ $(field equal) == true && $(field entries) == 11 ]] || fail "not equal"
expect 0 hf shop compare latest; says 'new entries were not looked for directly in'
expect 0 hf shop backup "$D"; expect 0 hf shop --json diff 1 2 "$D" --exit-code; [[ $(field equal) == true ]] || fail "1 and 2 differ"

echo changed >"$D/etc/a.conf"; chmod 600 "$D/etc/b.conf"; rm "$D/etc/sub/c.conf"; echo new >"$D/srv/new"
touch -r "$D/srv/page" "$W/stamp"; printf 'SRV/page\n' >"$D/srv/page"; touch -r "$W/stamp" "$D/srv/page"      # stat sees nothing
expect 1 hf shop compare 2 "$D"
for line in "M $D/etc/a.conf (content, mtime)" "U $D/etc/b.conf (mode)" "- $D/etc/sub/c.conf" "+ $D/srv/new"; do says "$line" "$W/out"; done
says '1 added (4 B), 1 removed'; ! grep -q /srv/page "$W/out" || fail "stat saw what it cannot see"
expect 1 hf shop compare 2 "$D" --read-data; says "M $D/srv/page (content)" "$W/out"
expect 1 hf shop compare 2 "$D/srv" --exclude new; says "U $D/srv (mtime)" "$W/out"; ! grep -q new "$W/out" || fail "excluded"
expect 1 hf shop compare 2 "$W/nowhere"; says 'neither here nor in the snapshot'

expect 0 hf shop backup "$D" --full                                                     # 3: reads what looks unchanged
expect 0 hf shop --json diff 2 latest; cp "$W/out" "$W/events"
[[ $(field added) == 1 && $(field removed) == 1 && $(field added_bytes) == 4 ]] || fail "wrong counts"
jq -es --arg d "$D" 'any(.path == $d + "/srv/page" and .what == ["content"]) and any(.path == $d + "/etc/b.conf" and .what == ["mode"]
  and .after.mode == 384) and any(.path == $d + "/etc/sub/c.conf" and .change == "removed")' "$W/events" >/dev/null ||
  fail "events of diff"
expect 1 hf shop diff 2 3 --exit-code; expect 0 hf shop diff 2 3 "$D/srv"; says "+ $D/srv/new" "$W/out"; ! grep -q etc "$W/out" || fail "beyond PATH"
expect 1 hf shop diff 2 3 "$W/nowhere"; says 'in neither snapshot'
expect 0 hf shop diff 3 2 "$D/srv/new"; says "- $D/srv/new" "$W/out"

rm "$D/srv/new"; expect 0 hf shop backup "$D"                                           # 4
expect 0 hf shop find 'etc/nothing'; says '**/NAME looks in every directory'
expect 0 hf shop find '*.conf' --all; [[ $(wc -l <"$W/out") == 5 ]] || fail "five findings"
grep -qE "^ +1-2 +file .* $D/etc/a.conf$" "$W/out" || fail "a.conf before"; grep -qE "^ +3-4 +file .* $D/etc/a.conf$" "$W/out" || fail "a.conf after"
grep -qE "^ +1-2 +file .* $D/etc/sub/c.conf$" "$W/out" || fail "c.conf"; ! grep -q $'\e' "$W/out" || fail "a name was not escaped"
expect 0 hf shop --json find $'\xff*'; jq -es '.[0].path_b64 != null and .[0].first == 4 and .[1].findings == 1' "$W/out" >/dev/null || fail "bytes of a name"
expect 0 hf shop find new --all; grep -qE '^ +3 +file' "$W/out" || fail "new is in 3 alone"
expect 0 hf shop find new; says 'nothing matches in 1 snapshot'; [[ ! -s $W/out ]] || fail "new is gone"
expect 0 hf shop find "$D/**/c.conf" --snapshot 1 --snapshot 4; grep -qE '^ +1 +file' "$W/out" || fail "c.conf is in 1"
expect 2 hf shop find '!x'; expect 2 hf shop find x --all --snapshot 1; expect 2 hf shop find; expect 1 hf shop find x --snapshot 99

operator alice                                                                          # another machine's, with a key
expect 0 hf alice find a.conf --all --as operator --tenant acme --client shop --key "$W/kit.recovery"; [[ $(wc -l <"$W/out") == 2 ]] || fail "alice"
expect 0 hf alice diff 2 3 --as operator --tenant acme --client shop --key "$W/kit.recovery"
expect 4 hf alice diff 2 3 --as operator --tenant acme --client shop
mode=$(stat -c %a "$D/etc/sub"); chmod 700 "$D/etc/sub"; chmod g+s "$D/etc/sub"
expect 1 hf shop compare latest "$D"; says "U $D/etc/sub (mode)" "$W/out"; chmod g-s "$D/etc/sub"; chmod "$mode" "$D/etc/sub"
expect 0 hf shop compare latest "$D" --read-data -q; [[ ! -s $W/out && ! -s $W/err ]] || fail "-q and equal, yet words"
epilogue shop "$D"
