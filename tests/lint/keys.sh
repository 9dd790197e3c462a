#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The table of configuration keys (agent/config) and hoop-agent.conf(5)
# name the same keys: a `.SS [section]` for each section, `.B key` within.

. "$(dirname "$0")/lib.sh"

table=$(grep -lE 'ConfigKey [a-z_]+\[' agent/config/*.c 2>/dev/null | head -1)
page=man/hoop-agent.conf.5
[ -n "$table" ] || skip 'there is no ConfigKey table yet'

# rows: "LINE SECTION KEY" of each row {"section", "key", …} of the table.
rows() {
  perl -0777 -ne 'while (/\{\s*"([a-z]+)",\s*"([a-z0-9-]+)"/g) {
    print 1 + (substr($_, 0, $-[0]) =~ tr/\n//), " $1 $2\n" }' "$table"
}

# told: "LINE SECTION KEY" of each key that the page describes.
told() {
  awk '{ gsub(/\\-/, "-") }
    /^\.S[HS]/ { section = "" }
    /^\.SS/ { section = $0; gsub(/^\.SS +|["\[\]]|\\f[A-Z]/, "", section)
      sub(/ .*/, "", section) }
    section != "" && /^\.(B|BR|BI) / { key = $2; gsub(/["=]/, "", key)
      print FNR, section, key }' $page
}

declare -A known=() written=()
while read -r number section key; do
  known[$section.$key]=$number
done < <(rows)
[ ${#known[@]} -gt 0 ] ||
  fault "$table:1" 'no row like {"section", "key", … was found'

if [ -f $page ]; then
  while read -r number section key; do
    written[$section.$key]=$number
    [ -n "${known[$section.$key]+x}" ] ||
      fault "$page:$number" "[$section] $key is not in $table"
  done < <(told)
else
  fault "$page:1" 'the man page is missing'
fi
while read -r number section key; do
  [ -n "${written[$section.$key]+x}" ] ||
    fault "$table:$number" "[$section] $key is not described in $page"
done < <(rows)

finish
