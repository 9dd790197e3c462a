#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Includes go only along the arrows of arrows.allow, only to a room's public
# header (room/room.h; kit is public throughout), and name their room.

. "$(dirname "$0")/lib.sh"

allow=tests/lint/arrows.allow
generated=' bus/hoop-agent-bus.h ' # gdbus-codegen's; as public as bus.h
declare -A may=()

while read -r number line; do
  room=${line%%:*}
  for target in ${line#*:}; do
    [ -n "${may[$target]+x}" ] ||
      fault "$allow:$number" "$room names $target, which does not stand above it"
  done
  may[$room]=" ${line#*:} "
done < <(grep -n '^[a-z]' "$allow" | sed 's/:/ /')

# room_of PATH: prints the room a file belongs to.
room_of() {
  case $1 in
  agent/*) local rest=${1#agent/}; echo "${rest%%/*}" ;;
  *) echo "${1%%/*}" ;;
  esac
}

# check FILE LINE MARK TARGET: one include directive.
check() {
  local file=$1 number=$2 mark=$3 target=$4 from to
  from=$(room_of "$file")
  to=${target%%/*}
  [ -n "${may[$from]+x}" ] || {
    fault "$file:$number" "room '$from' is not in $allow"
    return
  }
  if [ "$mark" = '<' ]; then
    [ "$to" = "$target" ] || [ -z "${may[$to]+x}" ] ||
      fault "$file:$number" "<$target>: our own headers are included with quotes"
    return
  fi
  [ "$target" = config.h ] && return
  if [ "$to" = "$target" ]; then
    fault "$file:$number" "\"$target\" does not name its room"
    return
  fi
  [ "$to" = "$from" ] && return
  case ${may[$from]} in
  *" $to "*) ;;
  *)
    fault "$file:$number" "$from may not include $to ($target): no such arrow"
    return
    ;;
  esac
  [ "$to" = kit ] || [ "$target" = "$to/$to.h" ] ||
    [[ $generated == *" $target "* ]] ||
    fault "$file:$number" "$target is private to its room: include $to/$to.h"
}

pattern='^[[:space:]]*#[[:space:]]*include[[:space:]]*([<"])([^>"]+)[>"]'
while IFS= read -r file; do
  while IFS= read -r hit; do
    number=${hit%%:*}
    [[ ${hit#*:} =~ $pattern ]] || continue
    check "$file" "$number" "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
  done < <(grep -nE "$pattern" "$file")
done < <(files agent policy tray window hub -- '*.c' '*.h')

finish
