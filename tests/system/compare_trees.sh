#!/bin/bash
# Is one directory the exact copy of another? Compares everything that a backup promises to bring back: kinds, names,
# contents, owners, modes, times to the nanosecond, link targets, groups of hard links, devices, ACLs, extended
# attributes, capabilities, and that holes did not become blocks. Prints the differences.
#
#   compare_trees.sh ORIGINAL COPY
#
# Exit codes: 0 equal, 1 different, 2 cannot compare. Needs bash, coreutils, findutils, diffutils, perl-base, rsync,
# attr, acl, libcap2-bin. Paths beyond PATH_MAX are compared with find alone: rsync, getfacl and getfattr cannot.
set -uo pipefail
export LC_ALL=C TZ=UTC

a=${1:?usage: compare_trees.sh ORIGINAL COPY}
b=${2:?usage: compare_trees.sh ORIGINAL COPY}
for dir in "$a" "$b"; do
  [ -d "$dir" ] || { echo "compare_trees.sh: $dir is no directory" >&2; exit 2; }
done
for tool in rsync getfattr getfacl getcap perl find diff cmp; do
  command -v "$tool" > /dev/null || [ -x "/usr/sbin/$tool" ] || { echo "compare_trees.sh: $tool is missing" >&2; exit 2; }
done
PATH=$PATH:/usr/sbin:/sbin

allowed_blocks=128      # of 512 bytes: what a copy may occupy beyond its original (blocks at the edges of holes)
whole_read_bytes=1g     # larger files are compared by cmp, not by rsync's checksums
long_path_bytes=3500    # of paths that rsync, getfacl and getfattr can take, whatever leads to the two directories

work=$(mktemp -d) || exit 2
trap 'rm -rf -- "$work"' EXIT
different=0

# compare NAME COMMAND...: runs COMMAND in both directories and compares what it prints.
compare() {
  local what=$1; shift
  # An error of either side counts, also when the last command of a pipe went well.
  (cd -- "$a" && "$@") > "$work/a" 2> "$work/a.err" || { echo "$what: failed in $a: $(head -c 500 "$work/a.err")"; different=1; return; }
  (cd -- "$b" && "$@") > "$work/b" 2> "$work/b.err" || { echo "$what: failed in $b: $(head -c 500 "$work/b.err")"; different=1; return; }
  cmp -s "$work/a" "$work/b" && return
  different=1
  echo "== $what"
  diff --text "$work/a" "$work/b" | head -40
}

# Kind, mode, owner, size, time, target and number of links of every entry, in a fixed order.
list_entries() {
  find . \( -type d -printf '%P\t%y %m %U %G - %T@\0' \) -o -printf '%P\t%y %m %U %G %s %T@ %n %l\0' | sort -z | tr '\0' '\n'
}

# Every name of an inode with several names, with the first of them.
list_link_groups() {
  find . ! -type d -links +1 -printf '%i\t%P\0' | perl -0 -ne '
    chomp; my ($inode, $path) = split /\t/, $_, 2; push @{$names{$inode}}, $path;
    END { print map { "$_\n" } sort map { my @n = sort @$_; map { "$_ => $n[0]" } @n } values %names }'
}

list_devices() {
  find . \( -type b -o -type c \) -print0 | sort -z | xargs -0 -r stat -c '%n %t:%T'
}

# Second-level directories that hold paths too long for rsync, getfacl and getfattr are looked at from the inside.
find_long_tops() {
  (cd -- "$a" && find . -mindepth 2 -printf '%P\0') |
    LONG=$long_path_bytes perl -0 -ne 'chomp; next if length() < $ENV{LONG}; my ($top) = m{^([^/]+/[^/]+)}; print "$top\0" if !$seen{$top}++' > "$work/tops"
  mapfile -d '' -t long_tops < "$work/tops"
}

# NUL-separated paths that every tool can take, below no long top, in a fixed order.
short_paths() {
  local top prune=()
  for top in ${long_tops[@]+"${long_tops[@]}"}; do prune+=(-path "./$top" -prune -o); done
  find . ${prune[@]+"${prune[@]}"} "$@" -print0 | sort -z
}
list_acls() { short_paths ! -type l | xargs -0 -r getfacl -nP --; }
list_xattrs() { short_paths -true | xargs -0 -r getfattr -h -d -m - -e hex --; }
list_capabilities() { short_paths -type f | xargs -0 -r getcap -n --; }

in_long_tops() {
  local top
  for top in ${long_tops[@]+"${long_tops[@]}"}; do find "./$top" "$@" | sort; done
}
list_deep_contents() { in_long_tops -type f -execdir sha256sum -b -- {} +; }
list_deep_attributes() { in_long_tops ! -type l -execdir getfattr -h -d -m - -e hex -- {} +; }

# Blocks: only more than the original is a fault.
compare_blocks() {
  local dir
  for dir in "$a" "$b"; do (cd -- "$dir" && find . -type f -printf '%b\t%P\0' | sort -z -t$'\t' -k2) || return 2; done > "$work/blocks"
  perl -0 -ne '
    BEGIN { $allowed = shift } chomp; my ($blocks, $path) = split /\t/, $_, 2;
    if (!exists $first{$path}) { $first{$path} = $blocks; next }
    next if $blocks <= $first{$path} + $allowed;
    print "== blocks\n" if !$bad++;
    print "$path: $first{$path} blocks became $blocks\n";
    END { exit($bad ? 1 : 0) }' "$allowed_blocks" "$work/blocks" || different=1
}

compare_huge() {
  (cd -- "$a" && find . -type f -size +"${whole_read_bytes%g}G" -print0) > "$work/huge"
  local path
  while IFS= read -r -d '' path; do
    cmp -- "$a/$path" "$b/$path" || different=1
  done < "$work/huge"
}

compare_with_rsync() {
  local top excludes=()
  for top in ${long_tops[@]+"${long_tops[@]}"}; do excludes+=("--exclude=/$top"); done
  rsync -aHAXn --checksum --modify-window=-1 --numeric-ids --devices --specials --itemize-changes --delete --max-size="$whole_read_bytes" \
        ${excludes[@]+"${excludes[@]}"} "$a/" "$b/" > "$work/rsync" 2> "$work/rsync.err"
  local code=$?
  if [ $code != 0 ] || [ -s "$work/rsync" ]; then
    different=1
    echo "== rsync (exit $code)"
    head -40 "$work/rsync"
    head -c 1000 "$work/rsync.err"
  fi
}

find_long_tops
compare entries list_entries
compare 'link groups' list_link_groups
compare devices list_devices
compare ACLs list_acls
compare 'extended attributes' list_xattrs
compare capabilities list_capabilities
compare 'contents of deep files' list_deep_contents
compare 'attributes of deep entries' list_deep_attributes
compare_blocks
compare_huge
compare_with_rsync
exit $different
