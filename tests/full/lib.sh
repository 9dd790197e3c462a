# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the long tests share: a build of their own made quietly, and tests of
# which a reader sees one line, or the end of the log where they failed.

set -u
: "${HOOP_SRCDIR:?run through make check-full}" "${HOOP_BUILDDIR:?}"
cd "${HOOP_FULL_DIR:?}" || exit 1
jobs=$(nproc)

# cc NAME: that compiler, through ccache where it is installed.
cc() { printf '%s%s' "$(command -v ccache >/dev/null && echo 'ccache ')" "$1"; }

# quietly NAME COMMAND...: into NAME.log, whose end is shown when it fails.
quietly() {
  local name=$1 start=$SECONDS
  shift
  if "$@" >"$name.log" 2>&1; then
    printf '%s: %d s\n' "$name" $((SECONDS - start))
    return 0
  fi
  tail -n 40 "$name.log"
  printf '%s FAILED: %s\n' "$name" "$HOOP_FULL_DIR/$name.log"
  return 1
}

# own_configure OPTION...: this part's folder, once.
own_configure() {
  [ -f config.status ] ||
    quietly configure "$HOOP_SRCDIR/configure" "$@" || exit 1
}

# own_build OPTION...: all programs and tests in this part's folder, configured
# with these options.
own_build() {
  own_configure "$@"
  quietly build make "-j$jobs" all || exit 1
  quietly build-tests make "-j$jobs" check TESTS= || exit 1
}

# automake_tests DIR ARGUMENT...: `make check` there, and its sums.
automake_tests() {
  local dir=$1 start=$SECONDS
  shift
  touch started
  make -C "$dir" "-j$jobs" -k check "$@" >check.log 2>&1 && {
    sed -n 's/^# \(PASS\|SKIP\): */\1 /p' check.log | paste -sd ' ' |
      sed "s/\$/, $((SECONDS - start)) s/"
    return 0
  }
  grep -E '^(FAIL|ERROR|XPASS):|^# (PASS|FAIL|ERROR):' check.log ||
    tail -n 40 check.log
  bash "$HOOP_SRCDIR/tests/tools/failures.sh" "$dir" "$PWD/started"
  return 1
}

# each PATTERN FUNCTION: `FUNCTION PROGRAM` for each program that matches, one
# on each core; the function's output is shown when it fails.
each() {
  local program
  export -f "${2?}" each_one
  for program in $1; do
    case $program in *.*) continue ;; esac
    [ ! -x "$program" ] || printf '%s\n' "$program"
  done | xargs -P "$jobs" -I '{}' bash -c 'each_one "$@"' _ "$2" '{}'
}

# each_one FUNCTION PROGRAM
each_one() {
  local name=${2##*/} start=$SECONDS
  if "$1" "$2" >"$name.log" 2>&1; then
    printf '%s: %d s\n' "$name" $((SECONDS - start))
    return 0
  fi
  printf '%s\n%s FAILED: %s\n' "$(tail -n 60 "$name.log")" "$name" \
    "$PWD/$name.log"
  return 1
}
