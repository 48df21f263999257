#!/usr/bin/perl
# relay.pl PORT-FILE SERVER:PORT: passes connections on to the server from a free port of loopback, which it writes to
# PORT-FILE; with a number in the file already, from that port. Killed: every connection breaks. Stopped: silence.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;

my ($file, $server) = @ARGV;
my $wanted = -s $file ? do { open(my $in, '<', $file) or die; my $port = <$in>; chomp $port; $port } : 0;
my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $wanted, Listen => 16, ReuseAddr => 1)
  or die "listen: $!";
open(my $out, '>', $file) or die;
print $out $listener->sockport, "\n";
close $out;
my ($select, %peer) = (IO::Select->new($listener));
while (1) {
  for my $from ($select->can_read) {
    if ($from == $listener) {
      my $client = $listener->accept or next;
      my $up = IO::Socket::INET->new(PeerAddr => $server);
      unless ($up) { close $client; next }
      ($peer{$client}, $peer{$up}) = ($up, $client);
      $select->add($client, $up);
      next;
    }
    my $to = $peer{$from} or next;
    my $got = sysread($from, my $bytes, 65536);
    my $gone = !$got;
    for (my $at = 0; !$gone && $at < $got;) {
      my $sent = syswrite($to, $bytes, $got - $at, $at);
      if (defined $sent) { $at += $sent } else { $gone = 1 }
    }
    next unless $gone;
    $select->remove($from, $to);
    delete @peer{$from, $to};
    close $from;
    close $to;
  }
}
