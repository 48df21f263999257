#!/usr/bin/perl
# search_memory.pl PID TEXT…: does the readable memory of the process hold one of the texts? Prints what it found;
# exit 0 found, 1 not found, 2 could not look. Mappings over 8 GiB are a sanitizer's shadow and hold no program data.
use strict;
use warnings;
my ($pid, @texts) = @ARGV;
open(my $maps, '<', "/proc/$pid/maps") or exit 2;
open(my $mem, '<:raw', "/proc/$pid/mem") or exit 2;
my ($found, $looked) = (0, 0);
my $longest = 0;
for (@texts) { $longest = length if length > $longest }
while (my $line = <$maps>) {
  my ($from, $to, $rights, $name) = $line =~ /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)$/ or next;
  no warnings 'portable';
  my ($at, $end) = (hex $from, hex $to);
  next if $rights !~ /^r/ || $end - $at > (8 << 30) || $name =~ /^\[v/;
  my $tail = '';
  while ($at < $end) {
    my $want = $end - $at > (4 << 20) ? 4 << 20 : $end - $at;
    sysseek($mem, $at, 0) or last;
    my $got = sysread($mem, my $bytes, $want);
    last if !$got;
    $looked += $got;
    my $window = $tail . $bytes;
    for (@texts) {
      if (index($window, $_) >= 0) { print "found in $from-$to $name\n"; $found = 1 }
    }
    $tail = substr($window, -$longest);
    $at += $got;
  }
}
exit 2 if $looked < (1 << 20);
exit($found ? 0 : 1);
