#!/usr/bin/env perl
# slow_link.pl HOST PORT DELAY_MS MBIT COUNTS: a link of that delay (each way) and that rate (each way; 0: no limit) between a
# loopback port, which is printed, and HOST:PORT. Bytes leave in order, DELAY_MS after the link has taken the last of them;
# at most as much waits as the link holds in 300 ms, as in a router, then the sender has to wait. COUNTS is a file that holds
# the bytes taken so far, up and down. Ends with its standard input.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

my ($host, $port, $delay_ms, $mbit, $counts) = @ARGV;
my $delay = $delay_ms / 1000;
my $rate = $mbit * 1e6 / 8;    # bytes a second
my $room = $rate ? $rate * ($delay + 0.3) : 16e6;
my $piece = 16384;
my $listener = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die "listen: $!";
$| = 1;
print $listener->sockport, "\n";
$SIG{PIPE} = 'IGNORE';

my @taken = (0, 0);            # up, down
my @free = (0, 0);             # when each way of the link has sent what it took
my %flows;                     # by the descriptor of the socket that is read

sub flow {
  my ($from, $to, $way) = @_;
  return { from => $from, to => $to, way => $way, queue => [], bytes => 0, ended => 0, closed => 0 };
}
sub accept_one {
  my $client = $listener->accept or return;
  my $server = IO::Socket::INET->new(PeerAddr => $host, PeerPort => $port) or do { close $client; return };
  for ($client, $server) { setsockopt($_, IPPROTO_TCP, TCP_NODELAY, 1); $_->blocking(0); }
  my ($up, $down) = (flow($client, $server, 0), flow($server, $client, 1));
  ($up->{back}, $down->{back}) = ($down, $up);
  $flows{fileno $client} = $up;
  $flows{fileno $server} = $down;
}
sub take {
  my ($flow) = @_;
  my $bytes;
  my $count = sysread $flow->{from}, $bytes, $piece;
  return if !defined $count && $!{EAGAIN};
  my $way = $flow->{way};
  if (!$count) {
    $flow->{ended} = 1;
    push @{ $flow->{queue} }, [time + $delay, ''];
    return;
  }
  my $now = time;
  $free[$way] = $now if $free[$way] < $now;
  $free[$way] += $count / $rate if $rate;
  push @{ $flow->{queue} }, [$free[$way] + $delay, $bytes];
  $flow->{bytes} += $count;
  $taken[$way] += $count;
}
sub give {
  my ($flow) = @_;
  my $now = time;
  while (@{ $flow->{queue} } && $flow->{queue}[0][0] <= $now) {
    my $first = $flow->{queue}[0];
    if ($first->[1] eq '') { shutdown $flow->{to}, 1; $flow->{closed} = 1; shift @{ $flow->{queue} }; last; }
    my $count = syswrite $flow->{to}, $first->[1];
    if (!defined $count) {
      return if $!{EAGAIN};
      ($flow->{queue}, $flow->{ended}, $flow->{closed}) = ([], 1, 1);
      shutdown $flow->{from}, 2;
      return;
    }
    $flow->{bytes} -= $count;
    substr($first->[1], 0, $count) = '';
    shift @{ $flow->{queue} } if $first->[1] eq '';
  }
}

my ($noted, $noted_at) = ('', 0);
while (1) {
  my ($reads, $writes, $wait, $now) = (IO::Select->new($listener, \*STDIN), IO::Select->new, 0.1, time);
  for my $flow (values %flows) {
    $reads->add($flow->{from}) if !$flow->{ended} && $flow->{bytes} < $room;
    next if !@{ $flow->{queue} };
    my $due = $flow->{queue}[0][0] - $now;
    if ($due <= 0) { $writes->add($flow->{to}) } elsif ($due < $wait) { $wait = $due }
  }
  my ($readable) = IO::Select->select($reads, $writes, undef, $wait);
  for my $socket (@{ $readable || [] }) {
    if ($socket == \*STDIN) { exit 0 }
    if ($socket == $listener) { accept_one(); next }
    take($flows{fileno $socket});
  }
  give($_) for values %flows;
  for my $key (keys %flows) {
    my $flow = $flows{$key} or next;
    next if !$flow->{closed} || !$flow->{back}{closed};
    delete $flows{fileno $flow->{back}{from}};
    delete $flows{$key};
    close $flow->{from};
    close $flow->{to};
  }
  if ("@taken" ne $noted && time > $noted_at + 0.05) {
    ($noted, $noted_at) = ("@taken", time);
    open my $file, '>', $counts or die "$counts: $!";
    print $file "$noted\n";
  }
}
