#!/usr/bin/perl
# Data for the benchmarks: made from a seed, the same on every machine, with the mixture that shops have: words in uneven
# frequency, times that ascend, amounts, random tokens.
#
#   make_data.pl customers ROWS            lines for COPY customers
#   make_data.pl orders ROWS CUSTOMERS     lines for COPY orders
#   make_data.pl payments FIRST ROWS SEED  lines for COPY payments, ids from FIRST
#   make_data.pl tree DIR FILES            small text files, 100 in a directory
use strict;
use warnings;

my @base = qw(order customer please deliver before friday address parcel number the and with for from this that not door
  garden office left right second floor ring bell twice neighbour leave box behind gift wrap invoice company tax red blue green
  black white large small medium size colour cotton wool leather steel wooden table chair lamp shelf kitchen knife plate cup
  bottle paper pencil book map travel summer winter spring jacket shirt shoe glove hat belt watch ring silver gold glass
  mirror picture frame carpet curtain pillow blanket towel soap brush candle coffee tea chocolate biscuit honey olive oil
  pepper salt flour rice bean tomato apple lemon berry juice water wine beer return refund exchange broken missing late early
  arrived damaged thanks again soon call phone mail morning evening after school work home station street corner bridge
  market square church tower castle river lake forest mountain valley island harbour north south east west);
my @words = @base;
push @words, map { ($_ . 's', $_ . 'ed', $_ . 'ing', 're' . $_, $_ . 'er', 'un' . $_) } @base;
my @first = qw(Anna Bela Carla David Emma Felix Greta Hugo Ida Jonas Klara Lukas Maria Nils Olga Paul Rosa Simon Tessa Udo Vera Willi);
my @last = qw(Abel Brandt Conrad Dietz Ebner Fuchs Graf Huber Iller Jahn Kaiser Lang Mayer Nagel Ott Pohl Reiter Sommer Thal Urban Vogt Weber);
my @cities = qw(Aachen Basel Coburg Dresden Erfurt Freiburg Gera Halle Ingolstadt Jena Kassel Leipzig Mainz Neuss Oldenburg Passau);
my @states = qw(new new paid paid paid packed shipped shipped shipped shipped done done done done done returned);
my @methods = qw(card card card invoice transfer wallet);

# Zipf-like: low numbers often.
sub pick { my $list = shift; return $list->[int(@$list * rand() ** 3)] }
sub any { my $list = shift; return $list->[int(rand @$list)] }
sub sentence { my $n = shift; return join ' ', map { pick(\@words) } 1 .. $n }
sub hex_digits { my $n = shift; return join '', map { sprintf '%08x', int(rand 4294967296) } 1 .. $n / 8 }
sub uuid { my $h = hex_digits(32); return join '-', substr($h, 0, 8), substr($h, 8, 4), '4' . substr($h, 13, 3), 'a' . substr($h, 17, 3), substr($h, 20) }
sub stamp {
  my @t = gmtime shift;
  return sprintf '%04d-%02d-%02d %02d:%02d:%02d+00', $t[5] + 1900, $t[4] + 1, @t[3, 2, 1, 0];
}
sub line { print join("\t", @_), "\n" }

my $mode = shift // '';
if ($mode eq 'customers') {
  my ($rows) = @ARGV;
  srand 11;
  for my $id (1 .. $rows) {
    my ($given, $family) = (any(\@first), any(\@last));
    line($id, "$given $family", lc("$given.$family.$id\@") . any(\@words) . '.example', ucfirst(any(\@words)) . 'weg ' . int(rand 200),
      sprintf('%05d', rand 99999), any(\@cities), stamp(1600000000 + $id * 800 + int(rand 700)), hex_digits(64), sentence(int rand 12));
  }
} elsif ($mode eq 'orders') {
  my ($rows, $customers) = @ARGV;
  srand 12;
  my $time = 1650000000;
  for my $id (1 .. $rows) {
    $time += int rand 80;
    my $net = sprintf '%.2f', 5 + 400 * rand() ** 2;
    my $items = 1 + int(5 * rand() ** 2);
    line($id, 1 + int rand $customers, stamp($time), stamp($time + int rand 86400), pick(\@states), 'EUR', $net, sprintf('%.2f', $net * 0.19),
      any(\@methods), uuid(), hex_digits(32), any(\@first) . ' ' . any(\@last), ucfirst(any(\@words)) . 'weg ' . int(rand 200),
      sprintf('%05d', rand 99999), any(\@cities), $items, join(';', map { pick(\@words) . '-' . int(rand 9000) . 'x' . (1 + int rand 4) } 1 .. $items),
      rand() < 0.5 ? '\\N' : 'T' . hex_digits(16), sentence(int rand 20));
  }
} elsif ($mode eq 'payments') {
  my ($from, $rows, $seed) = @ARGV;
  srand $seed;
  my $time = 1680000000 + 60 * $from;
  for my $id ($from .. $from + $rows - 1) {
    $time += int rand 120;
    line($id, 1 + int rand 1000000, stamp($time), stamp($time), any(\@methods), pick(\@states), sprintf('%.2f', 5 + 400 * rand() ** 2),
      hex_digits(32), any(\@first) . ' ' . any(\@last), sentence(2 + int rand 14));
  }
} elsif ($mode eq 'tree') {
  my ($dir, $files) = @ARGV;
  srand 13;
  my @ends = qw(php html json txt css js eml xml);
  for my $i (0 .. $files - 1) {
    my $folder = sprintf '%s/%03d', $dir, $i / 100;
    if ($i % 100 == 0) { mkdir $folder or die "$folder: $!" }
    my $name = sprintf '%s/%s-%06d.%s', $folder, pick(\@words), $i, any(\@ends);
    open my $out, '>', $name or die "$name: $!";
    my $lines = 2 + int(80 * rand() ** 3);
    print $out '<', any(\@words), ' id="', hex_digits(16), '" date="', stamp(1600000000 + int rand 1e8), "\">\n";
    print $out '  ', pick(\@words), ' = "', sentence(3 + int rand 12), "\";\n" for 1 .. $lines;
    close $out or die "$name: $!";
  }
} else {
  die "make_data.pl: unknown kind '$mode'\n";
}
