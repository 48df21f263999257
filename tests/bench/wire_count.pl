#!/usr/bin/perl
# A ProxyCommand of ssh that counts: wire_count.pl HOST PORT DIR relays standard input and output to HOST:PORT and leaves
# "UP DOWN" in DIR/PID.count when the connection ends. While it is open there is DIR/PID.open.
use strict;
use warnings;
use IO::Socket::INET;

my ($host, $port, $dir) = @ARGV;
my ($up, $down) = (0, 0);
open my $mark, '>', "$dir/$$.open" or die "$dir: $!";
sub finish {
  open my $out, '>', "$dir/$$.count" or die "$dir: $!";
  print $out "$up $down\n";
  close $out;
  unlink "$dir/$$.open";
  exit 0;
}
$SIG{HUP} = $SIG{TERM} = $SIG{INT} = $SIG{PIPE} = \&finish;
my $peer = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port, Proto => 'tcp') or do { unlink "$dir/$$.open"; die "connect: $@" };
sub write_all {
  my ($to, $bytes) = @_;
  for (my $done = 0; $done < length $bytes;) { $done += syswrite($to, $bytes, length($bytes) - $done, $done) // finish() }
  return length $bytes;
}
my $open = 1;
for (;;) {
  my $bits = '';
  vec($bits, fileno STDIN, 1) = 1 if $open;
  vec($bits, fileno $peer, 1) = 1;
  next if select($bits, undef, undef, undef) < 0;
  if ($open && vec($bits, fileno STDIN, 1)) {
    if (sysread STDIN, my $bytes, 262144) { $up += write_all($peer, $bytes) } else { $open = 0; shutdown $peer, 1 }
  }
  if (vec($bits, fileno $peer, 1)) {
    sysread $peer, my $bytes, 262144 or finish();
    $down += write_all(\*STDOUT, $bytes);
  }
}
