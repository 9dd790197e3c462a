# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the lints share: the tree they look at, faults with file and line, and
# one line of TAP. Usage: tests/lint/NAME.sh [ROOT]

set -u
export LC_ALL=C.UTF-8
lint_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lint_root=${1:-${HOOP_SRCDIR:-$lint_here/../..}}
cd "$lint_root" || exit 99
lint_name=$(basename "$0" .sh)
lint_faults=0

# files FOLDER-OR-FILE... -- PATTERN...: the project's own files, sorted.
files() {
  local where=() names=() what
  while [ "$1" != -- ]; do
    [ -e "$1" ] && where+=("$1")
    shift
  done
  shift
  [ ${#where[@]} -gt 0 ] || return 0
  for what; do names+=(-o -name "$what"); done
  find "${where[@]}" \( -name node_modules -o -name build -o -name 'build-*' \) \
    -prune -o -type f \( "${names[@]:1}" \) -print | sort
}

# fault FILE:LINE MESSAGE
fault() {
  lint_faults=$((lint_faults + 1))
  printf '# %s: %s\n' "$1" "$2"
}

# skip REASON: visible in the summary, never a silent pass.
skip() {
  printf '1..1\nok 1 - %s # SKIP %s\n' "$lint_name" "$1"
  exit 0
}

# finish: the verdict; the last call of every lint.
finish() {
  if [ "$lint_faults" -eq 0 ]; then
    printf 'ok 1 - %s\n1..1\n' "$lint_name"
    exit 0
  fi
  printf 'not ok 1 - %s: %s faults\n1..1\n' "$lint_name" "$lint_faults"
  exit 1
}
