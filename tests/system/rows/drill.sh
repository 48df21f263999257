# Disaster drill: all that is left is a copy of the server's directory and the recovery file. On a clean machine a server
# starts on the copy, an operator enrols, and everything comes back with every attribute.
source "$(dirname "${BASH_SOURCE[0]}")/../driver.sh"
scenario drill
bash "$HERE/torture_tree.sh" "$W/data" >/dev/null 2>"$W/err" || fail "the torture tree could not be made"
server_init; server_start; tenant acme; kit; client acme/shop --write-only --kit "$W/kit"
expect 0 hf shop backup "$W/data"
server_stop
mkdir "$W/clean"; cp -a "$W/server" "$W/clean/server"; cp "$W/kit.recovery" "$W/clean/recovery"
rm -rf "$W/server" "$W/clients" "$W/kit" "$W/kit.recovery"
mv "$W/clean/server" "$W/server"
sed -i "s|^data_dir = .*|data_dir = \"$W/server\"|" "$W/server/server.toml"
server_start
operator rescue
expect 4 hf rescue restore latest --as operator --tenant acme --client shop --target "$W/back"        # no key
expect 2 hf rescue restore latest --key "$W/clean/recovery" --target "$W/back"                         # whose?
expect 0 hf rescue snapshots --as operator --tenant acme --client shop --key "$W/clean/recovery"
expect 0 hf rescue restore latest --as operator --tenant acme --client shop --key "$W/clean/recovery" --target "$W/back"
same_trees "$W/data" "$W/back$W/data"
expect 0 hf rescue verify latest --read-data --as operator --tenant acme --client shop --key "$W/clean/recovery"
# An unknown client and a foreign one are answered alike.
expect 1 hf rescue snapshots --as operator --tenant acme --client nobody --key "$W/clean/recovery"; cp "$W/err" "$W/e1"
expect 1 hf rescue snapshots --as operator --tenant nobody --client shop --key "$W/clean/recovery"
diff <(sed -E 's/request [0-9a-f]+//; s/nobody|shop|acme//g' "$W/e1") <(sed -E 's/request [0-9a-f]+//; s/nobody|shop|acme//g' "$W/err") || fail "an unknown tenant is answered in another way than an unknown client"
