#!/bin/bash
# Builds a directory that holds everything a backup may get wrong: every kind of entry, every attribute, hostile names,
# holes, links, borders of sizes and times. The same arguments build the same tree, but for the times of creation.
#
#   torture_tree.sh DIR [quick|full] [SEED]
#
# DIR must not exist. quick (default): a few MiB, some hundred entries. full: 70 MiB, 10,000 entries.
# Needs bash, coreutils, perl-base, attr, acl, libcap2-bin. Without root it leaves out devices, foreign owners,
# capabilities and trusted.* attributes and says so on stderr. compare_trees.sh compares such a tree with its copy.
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022

dir=${1:?usage: torture_tree.sh DIR [quick|full] [SEED]}
size=${2:-quick}
seed=${3:-1}
case $size in
  quick) file_count=300 link_count=300 border_limit=$((1 << 20)) ;;
  full) file_count=5000 link_count=3000 border_limit=$((16 << 20)) ;;
  *) echo "torture_tree.sh: size is quick or full, not '$size'" >&2; exit 2 ;;
esac
am_root=false
[ "$(id -u)" = 0 ] && am_root=true
$am_root || echo "torture_tree.sh: not root: no devices, foreign owners, capabilities, trusted attributes" >&2

mkdir -- "$dir"
cd -- "$dir"

make_kinds() {
  mkdir kinds && cd kinds
  printf 'plain text\n' > file
  : > empty
  mkdir directory
  ln -s file to_file
  ln -s directory to_directory
  ln -s /etc/hostname absolute
  ln -s ../../../../../../../../etc/shadow upward
  ln -s nowhere dangling
  ln -s loop_b loop_a
  ln -s loop_a loop_b
  ln -s itself itself
  ln -s "$(perl -e 'print "t" x 4095')" longest_target
  ln -s $'\xff\xfe not text \n' odd_target
  mkfifo -m 0640 fifo
  perl -e 'use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0) and bind(S, sockaddr_un("socket")) or die "socket: $!"'
  if $am_root; then
    mknod -m 0660 null c 1 3
    mknod -m 0600 high c 259 70000
    mknod -m 0640 disk b 8 1
  fi
  cd ..
}

make_names() {
  mkdir names && cd names
  # Every byte that a name may hold, alone in the middle.
  perl -e 'for (1..255) { next if $_ == 47; open F, ">", sprintf("byte-%c-%03d", $_, $_) or die "$_: $!"; print F $_ }'
  perl -e 'for my $n ("-rf", "--help", "-", "...", " ", "  two  ", "*", "?", "[a-z]", "\$(reboot)", "`id`", "a\nb\nc", "\n", "\\", "\\n", "\"",
                      "\x27", "\x1b[2J\x1b[31m", "\xff" x 255, "n" x 255, "\xc3\xa9", "e\xcc\x81", "\xe2\x80\xae", "a:b", "con", "%2e%2e", "~",
                      ".hidden", "..hidden", "#recycle", "a=b;c|d&e") {
             open F, ">", "./$n" or die "$n: $!"; print F length $n }'
  perl -e 'mkdir "d\xff\n" or die; open F, ">", "d\xff\n/inside" or die; mkdir "-d" or die'
  cd ..
}

make_sizes() {
  mkdir sizes && cd sizes
  BORDER_LIMIT=$border_limit SEED=$seed perl -e '
    srand $ENV{SEED};
    my $block = pack "L*", map { int rand 4294967296 } 1 .. 65536;     # 256 KiB that do not compress
    my %sizes = (0 => 1, 1 => 1, 2 => 1, 511 => 1, 512 => 1, 513 => 1, 4095 => 1, 4096 => 1, 4097 => 1);
    for my $border (2048, 8192, 16384, 65536, 262144, 1048576, 4194304, 16777216) {
      next if $border > $ENV{BORDER_LIMIT};
      $sizes{$border + $_} = 1 for -1, 0, 1;
    }
    for my $size (sort { $a <=> $b } keys %sizes) {
      open my $f, ">", sprintf "size-%08d", $size or die $!;
      for (my ($left, $turn) = ($size, 0); $left > 0; ++$turn) {
        my $piece = pack("NN", $size, $turn) . $block;                  # no two blocks are equal
        my $n = length $piece < $left ? length $piece : $left;
        print $f substr $piece, 0, $n;
        $left -= $n;
      }
    }
    open my $f, ">", "text" or die $!;
    print $f "line $_ of a text that compresses well\n" for 1 .. 20000;
    open $f, ">", "zeros" or die $!;
    print $f "\0" x 300000;                                             # data, not a hole'
  cd ..
}

make_holes() {
  mkdir holes && cd holes
  truncate -s 5000000 only_a_hole
  truncate -s 5G huge && printf 'end' >> huge && printf 'start' | dd of=huge conv=notrunc status=none
  printf 'x' | dd of=huge bs=1 seek=$((4 << 30)) conv=notrunc status=none
  printf 'data then hole' > tail && truncate -s 1M tail
  truncate -s 1M head && printf 'hole then data' >> head
  truncate -s 16M sieve
  for i in $(seq 0 2 62); do printf '%04000d' "$i" | dd of=sieve bs=64K seek="$i" conv=notrunc status=none; done
  truncate -s 1 one_byte_hole
  fallocate -l 1M reserved 2> /dev/null || truncate -s 1M reserved
  cd ..
}

make_modes() {
  mkdir modes && cd modes
  local mode
  for mode in 0000 0001 0200 0400 0444 0555 0644 0777 1644 2644 2755 4711 4755 6755 7777; do
    printf '%s' "$mode" > "file-$mode"
    mkdir "dir-$mode"
    printf '%s' "$mode" > "dir-$mode/inside"
    chmod "$mode" "file-$mode" "dir-$mode"
  done
  cd ..
}

make_owners() {
  $am_root || return 0
  mkdir owners && cd owners
  local id
  for id in 0 1 1000 65534 12345678 4294967294; do
    : > "file-$id"
    mkdir "dir-$id"
    ln -s "target" "link-$id"
    mkfifo "fifo-$id"
    chown -h "$id:$id" "file-$id" "dir-$id" "link-$id" "fifo-$id"
  done
  printf 'x' > setuid && chown 1000:1000 setuid && chmod 6755 setuid
  cd ..
}

make_xattrs() {
  mkdir xattrs && cd xattrs
  printf 'x' > file
  mkdir directory
  setfattr -n user.empty file
  setfattr -n user.text -v 'some text' file
  setfattr -n user.binary -v 0x00ff0a0d5c22 file
  setfattr -n user.$'\xff odd \n name' -v 1 file
  setfattr -n user.directory -v 'on a directory' directory
  printf 'x' > large && setfattr -n user.large -v "$(perl -e 'print "v" x 3000')" large
  printf 'x' > many && for i in $(seq 40); do setfattr -n "user.n$i" -v "$i" many; done
  if $am_root; then
    setfattr -n trusted.file -v t file
    setfattr -n trusted.directory -v t directory
    ln -s file link && setfattr -h -n trusted.link -v 'on the link itself' link
    ln -s nowhere dangling && setfattr -h -n trusted.link -v 'on a dangling link' dangling
    mkfifo fifo && setfattr -n trusted.fifo -v t fifo
    mknod device c 1 3 && setfattr -n trusted.device -v t device
    printf 'x' > capable && setcap cap_net_raw,cap_net_bind_service+ep capable
    printf 'x' > capable_user && chown 1000:1000 capable_user && setcap cap_sys_time+p capable_user
    chmod 0000 large
  fi
  cd ..
}

make_acls() {
  mkdir acls && cd acls
  printf 'x' > file && setfacl -m u:1000:rw,u:12345678:r,g:1000:-,m::rw file
  printf 'x' > masked && chmod 0660 masked && setfacl -m u:1000:rwx,m::r masked
  mkdir access && setfacl -m u:1000:rwx access
  mkdir default && setfacl -d -m u:1000:rwx,g:65534:rx,o::- default
  mkdir both && setfacl -m g:1000:rx both && setfacl -d -m g:1000:rwx both
  printf 'inherits' > default/inherits
  mkdir default/inherits_too
  printf 'x' > default/without && setfacl -b default/without
  mkdir default/without_too && setfacl -bk default/without_too
  cd ..
}

make_links() {
  mkdir links && cd links
  LINK_COUNT=$link_count perl -e '
    my $count = $ENV{LINK_COUNT};
    mkdir sprintf "d%02d", $_ or die $! for 0 .. 29;
    open my $f, ">", "d29/last_made_first" or die $!; print $f "one inode, $count links"; close $f;
    link "d29/last_made_first", sprintf "d%02d/link-%05d", $_ % 30, $_ or die $! for 2 .. $count;
    for my $group (1 .. 50) {                                  # groups across directories
      open $f, ">", "d00/group-$group" or die $!; print $f "group $group" x $group; close $f;
      link "d00/group-$group", sprintf "d%02d/member-%d-%d", ($group * 7 + $_) % 30, $group, $_ or die $! for 1 .. 3;
    }
    symlink "target", "d00/symbolic" or die $!;
    link "d00/symbolic", "d17/symbolic_too" or die $!;'
  mkfifo d00/fifo && ln d00/fifo d18/fifo_too
  : > d00/empty && ln d00/empty d03/empty_too
  if $am_root; then
    mknod d00/device c 1 5 && ln d00/device d05/device_too
    printf 'x' > d00/all && ln d00/all d06/all_too && chown 1000:1000 d06/all_too && chmod 4755 d00/all && setfattr -n user.shared -v s d06/all_too
  fi
  mkdir outside_group && printf 'alone' > outside_group/single
  cd ..
}

make_many() {
  mkdir many && cd many
  FILE_COUNT=$file_count perl -e 'for (1 .. $ENV{FILE_COUNT}) { open F, ">", "f" . $_ * 7919 % 1000003 or die $!; print F "content of file $_\n" x ($_ % 23) }'
  mkdir -p ../empty_directories/a/b/c/d ../empty_directories/e
  cd ..
}

# Paths longer than PATH_MAX (4096), which only descriptor-relative programs can follow.
make_deep() {
  mkdir deep
  perl -e '
    sub chain { my ($top, $name, $levels) = @_;
      mkdir "deep/$top" or die $!; chdir "deep/$top" or die $!;
      for (1 .. $levels) {
        open my $f, ">", "zz_file" or die $!; print $f "level $_"; close $f;
        symlink "../zz_file", "link" or die $! if $_ % 10 == 0;
        mkdir $name or die $!; chdir $name or die $!;
      }
      open my $f, ">", "bottom" or die $!; print $f "the bottom of $top"; close $f; link "bottom", "bottom_too" or die $!; }
    if (my $child = fork) { waitpid $child, 0; exit $? if $?; } else { chain("long_names", "d" x 200, 30); exit }
    chain("many_levels", "level-", 700);'
}

# Last: whatever is made in a directory moves its time.
make_times() {
  mkdir times && cd times
  local i=0 time
  for time in '1970-01-01 00:00:00' '1969-12-31 23:59:59.999999999' '1969-12-31 23:59:58.000000001' '1901-12-13 20:45:53' '2038-01-19 03:14:07.999999999' \
              '2038-01-19 03:14:08' '2106-02-07 06:28:16' '2200-02-28 12:00:00.123456789' '2024-02-29 23:59:59.5' '2001-09-09 01:46:40.000000001'; do
    i=$((i + 1))
    : > "file-$i"
    mkdir "dir-$i"
    : > "dir-$i/inside"
    ln -s target "link-$i"
    mkfifo "fifo-$i"
    touch -h -d "$time UTC" "file-$i" "dir-$i" "link-$i" "fifo-$i"
  done
  cd ..
  touch -d '2003-03-03 03:03:03.030303030 UTC' kinds links/d00 empty_directories/a/b modes/dir-0555 many
}

make_kinds
make_names
make_sizes
make_holes
make_modes
make_owners
make_xattrs
make_acls
make_links
make_many
make_deep
make_times
