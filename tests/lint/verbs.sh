#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The table of verbs (agent/cli/verbs.c), the man page and the completions name
# the same verbs: `.SS` headings of COMMANDS in man/hoop-agent.1, and every
# file of agent/data/completions.

. "$(dirname "$0")/lib.sh"

table=agent/cli/verbs.c
page=man/hoop-agent.1
[ -f $table ] || skip "there is no $table yet"

# rows: "LINE VERB" of each row {"verb", …} of the table.
rows() {
  perl -0777 -ne 'while (/\{\s*"([a-z][a-z-]*)",/g) {
    print 1 + (substr($_, 0, $-[0]) =~ tr/\n//), " $1\n" }' $table
}

# headings: "LINE VERB" of each .SS in the COMMANDS section.
headings() {
  awk '/^\.SH/ { inside = /COMMANDS/ }
    inside && /^\.SS/ {
      gsub(/\\f[A-Z]/, ""); gsub(/"/, ""); gsub(/\\-/, "-")
      sub(/^\.SS +/, ""); sub(/^hoop-agent +/, "")
      print FNR, $1
    }' $page
}

declare -A known=()
while read -r number verb; do
  [ -z "${known[$verb]+x}" ] || fault "$table:$number" "'$verb' stands twice"
  known[$verb]=$number
done < <(rows)
[ ${#known[@]} -gt 0 ] || fault "$table:1" 'no row like {"verb", … was found'

declare -A told=()
if [ -f $page ]; then
  while read -r number verb; do
    told[$verb]=$number
    [ -n "${known[$verb]+x}" ] ||
      fault "$page:$number" "'$verb' is not in $table"
  done < <(headings)
else
  fault "$page:1" 'the man page is missing'
fi
while read -r number verb; do
  [ -n "${told[$verb]+x}" ] ||
    fault "$table:$number" "'$verb' has no .SS under COMMANDS in $page"
done < <(rows)

mapfile -t shells < <(files agent/data/completions -- '*')
[ ${#shells[@]} -ge 3 ] ||
  fault 'agent/data/completions:1' 'bash, zsh and fish each need a file'
for shell in "${shells[@]}"; do
  for verb in "${!known[@]}"; do
    grep -qE "(^|[^a-z-])$verb([^a-z-]|\$)" "$shell" ||
      fault "$shell:1" "does not complete '$verb'"
  done
done

# options: "LINE NAME" of each .name = "…" of the table.
options() {
  grep -noE '\.name = "[a-z-]+"' $table | sed -E 's/:.*"([a-z-]+)"/ \1/'
}
while read -r number option; do
  grep -qF -e "\\-\\-${option//-/\\-}" $page ||
    fault "$table:$number" "--$option is not in $page"
done < <(options | sort -u -k2,2)

finish
