#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every file opens with its licence and a purpose, and none is longer than 700
# lines.

. "$(dirname "$0")/lib.sh"

max_lines=700 # STYLE: files of 100 to 600 lines; past this, split

# opening FILE: the licence on the first line (the second after #!), then a
# comment that says what the file is for.
opening() {
  local file=$1 mark first=1 head purpose
  case $file in
  *.c | *.h) mark='/\*' ;;
  *.mjs | *.js) mark='//' ;;
  *) mark='#' ;;
  esac
  head=$(sed -n 1p "$file")
  case $head in
  '#!'* | '# shellcheck '*) first=2 ;;
  esac
  sed -n ${first}p "$file" |
    grep -qE "^$mark SPDX-License-Identifier: Apache-2\.0" ||
    fault "$file:$first" 'does not open with its SPDX licence line'
  purpose=$(sed -n $((first + 1))p "$file")
  [[ $purpose =~ ^(/\*|//|\#)\ ?[A-Za-z0-9\"\`\'] ]] ||
    fault "$file:$((first + 1))" 'has no comment that says what it is for'
}

# length FILE: within the limit.
length() {
  local lines
  lines=$(wc -l <"$1")
  [ "$lines" -le $max_lines ] ||
    fault "$1:$lines" "longer than $max_lines lines: split it"
}

while IFS= read -r file; do
  opening "$file"
  length "$file"
done < <(files agent policy tray window hub tests .ci autogen.sh \
  -- '*.c' '*.h' '*.mjs' '*.sh' run)

finish
