#!/usr/bin/perl
# manifest_bytes.pl DIR…: what manifests take in the packs below DIR: records that are not data, and their entries in the
# footers (common/pack/FORMAT.md, sections 3 and 4). Prints one number.
use strict;
use warnings;
use File::Find;

my $sum = 0;
sub count {
  my ($pack) = @_;
  my ($trailer, $footer);
  open my $in, '<:raw', $pack or die "$pack: $!";
  seek $in, -48, 2 or die "$pack: too short";
  read $in, $trailer, 48;
  my ($length, $magic, $version) = unpack 'Q< x32 a4 S<', $trailer;
  die "$pack: not a pack of version 1\n" if $magic ne 'HFPE' || $version != 1;
  seek $in, -48 - $length, 2 or die "$pack: footer longer than the pack\n";
  read $in, $footer, $length;
  my $entries = unpack 'L<', substr $footer, 26, 4;
  for (my $at = 30; $entries > 0; $entries--) {
    my ($type, $record, $children) = unpack 'x68 C x8 L< x32 L<', substr $footer, $at, 117;
    $sum += $record + 117 + 48 * $children if $type != 1;
    $at += 117 + 48 * $children;
  }
}
find({no_chdir => 1, wanted => sub { count($_) if /\.pack$/ }}, @ARGV);
print "$sum\n";
