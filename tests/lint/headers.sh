#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every header compiles alone and twice: it includes what it uses and guards
# itself.

. "$(dirname "$0")/lib.sh"

: "${CC:=cc}" "${HOOP_BUILDDIR:=.}"
: "${LINT_CFLAGS:=-std=gnu17 -Wall -Wextra $(pkg-config --cflags gio-unix-2.0)}"
export CC LINT_CFLAGS HOOP_BUILDDIR
LINT_TOP=$PWD
export LINT_TOP

# compile HEADER: silent when it stands alone; run from the build folder, where
# the include paths of LINT_CFLAGS start.
compile() {
  local out
  # shellcheck disable=SC2086 # both are lists of words
  out=$(cd "$HOOP_BUILDDIR" &&
    printf '#include "%s"\n#include "%s"\n' "$LINT_TOP/$1" "$LINT_TOP/$1" |
    $CC $LINT_CFLAGS "-I$LINT_TOP/agent" "-I$LINT_TOP" -Werror \
      -fsyntax-only -x c - 2>&1) || {
    line=$(printf '%s\n' "$out" |
      sed -n "s|.*/${1##*/}:\([0-9]*\):.*error: \(.*\)|\1 \2|p" | head -1)
    printf '%s:%s %s\n' "$1" "${line%% *}" "${line#* }"
  }
}
export -f compile

# shellcheck disable=SC2016 # $1 is for the inner shell
while read -r where message; do
  case $where in
  *:) where=${where}1 message="does not compile alone: $message" ;;
  esac
  fault "$where" "does not stand alone: $message"
done < <(files agent policy tray window hub -- '*.h' |
  xargs -r -P 2 -I '{}' bash -c 'compile "$1"' _ '{}' | sort)

finish
