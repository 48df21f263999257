# B14: out of 300,000 files, one directory is restored with the bytes of one directory: its blobs, and of the manifest the way
# to it. Twenty directories cost about twenty times as much, not the whole.
source "$(dirname "${BASH_SOURCE[0]}")/../driver.sh"
scenario one_directory
server_init; server_start; tenant acme; kit; client acme/shop --kit "$W/kit"
D=$W/data
mkdir "$D"
perl -e 'my ($top, $seed) = @ARGV; srand $seed;
  for my $d (0 .. 299) { mkdir sprintf("%s/%03d", $top, $d);
    for my $f (0 .. 999) { open my $out, ">", sprintf("%s/%03d/file-%03d", $top, $d, $f) or die "$!";
      print $out pack("N*", map { int rand 2**32 } 1 .. 40); } }' "$D" 14
expect 0 hf shop --json backup "$D"
(($(field files) == 300000)) || fail "$(field files) files were backed up"
whole=$(field stored_bytes)
echo "300,000 files of 160 bytes: $whole bytes stored"
# Names of directories: what restores them receives at most LIMIT bytes and reads no blob that it does not need.
cost() {  # LIMIT directory…
  local limit=$1; shift
  rm -rf "$W/back"
  expect 0 hf shop --json restore latest "${@/#/$D/}" --target "$W/back"
  COST=$(field wire_received_bytes)
  ((COST <= limit)) || fail "$# directories: $COST bytes came, at most $limit should"
  (($(field files) == 1000 * $#)) || fail "$(field files) files came back, not $((1000 * $#))"
  local name; for name in "$@"; do diff -r "$D/$name" "$W/back$D/$name" >"$W/err" || fail "$name came back wrong"; done
}
# The directory's 160,000 bytes lie in one or two blobs of about 1 MiB (at most 4), its entries in some ten leaves of the manifest.
cost $((whole / 12)) 150
one=$COST
echo "one directory: $one bytes, $((one * 1000 / whole)) thousandths"
# shellcheck disable=SC2046
cost $((whole / 6)) $(seq 140 159)
echo "twenty neighbours: $COST bytes, $((COST * 1000 / whole)) thousandths"
epilogue shop "$D" "$D/042"
