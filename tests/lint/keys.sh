#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tables of configuration keys and the pages about them name the same keys:
# a `.SS [section]` for each section, `.B key` within.

. "$(dirname "$0")/lib.sh"

[ -f agent/config/keys.c ] || skip 'there is no agent/config/keys.c yet'
[ -f man/hoop-agent.conf.5 ] || skip 'there is no man/hoop-agent.conf.5 yet'

# rows: "LINE SECTION KEY" of each row KEY("section", "key", … of $table;
# CONN_KEY("key", … belongs to a [connection].
rows() {
  perl -0777 -ne '
    my %of = (CONN => "connection", ID => "identity", IDENTITY => "identity");
    while (/\b(?:([A-Z]+)_)?KEY\(\s*"([a-z0-9-]+)"(?:,\s*"([a-z0-9-]+)")?/g) {
      my $line = 1 + (substr($_, 0, $-[0]) =~ tr/\n//);
      print "$line ", ($1 ? ($of{$1} // lc $1) . " $2" : "$2 $3"), "\n";
    }' "$table"
}

# told: "LINE SECTION KEY" of each key that the page describes: a .B line behind
# a .TP.
told() {
  awk '{ gsub(/\\-/, "-") }
    /^\.S[HS]/ { section = "" }
    /^\.SS/ { section = $0; gsub(/^\.SS +|["\[\]]|\\f[A-Z]/, "", section)
      sub(/ .*/, "", section) }
    tag && section != "" && /^\.(B|BR|BI) / { key = $2; gsub(/["=]/, "", key)
      print FNR, section, key }
    { tag = /^\.TP/ }' "$page"
}

# compare TABLE PAGE
compare() {
  local table=$1 page=$2 number section key
  local -A known=() written=()
  while read -r number section key; do
    known[$section.$key]=$number
  done < <(rows)
  [ ${#known[@]} -gt 0 ] ||
    fault "$table:1" 'no row like KEY("section", "key", … was found'

  while read -r number section key; do
    written[$section.$key]=$number
    [ -n "${known[$section.$key]+x}" ] ||
      fault "$page:$number" "[$section] $key is not in $table"
  done < <(told)
  while read -r number section key; do
    [ -n "${written[$section.$key]+x}" ] ||
      fault "$table:$number" "[$section] $key is not described in $page"
  done < <(rows)
}

compare agent/config/keys.c man/hoop-agent.conf.5
[ ! -f hub/settings.c ] || compare hub/settings.c man/hoop-hub.conf.5

finish
