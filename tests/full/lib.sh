# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the long tests share: a build of their own made quietly, and tests of
# which a reader sees one line, or the end of the log where they failed.

set -u
shopt -s extglob # for HOOP_FULL_ONLY
: "${HOOP_SRCDIR:?run through make check-full}" "${HOOP_BUILDDIR:?}"
cd "${HOOP_FULL_DIR:?}" || exit 1
jobs=$(nproc)
slow=${HOOP_FULL_SLOW:-1}

# patience TIMES: the tests wait so many times as long as a plain build's.
patience() { export HOOP_PATIENCE=$(($1 * slow)); }

# cc NAME: that compiler, through ccache where it is installed.
cc() { printf '%s%s' "$(command -v ccache >/dev/null && echo 'ccache ')" "$1"; }

# result pass|FAIL|skip NAME SECONDS: for the part's summary.
result() { printf '%s %s %d\n' "$1" "$2" "$3" >>"$HOOP_FULL_DIR/results"; }

# quietly NAME COMMAND...: into NAME.log, whose end is shown when it fails.
quietly() {
  local name=$1 start=$SECONDS
  shift
  if "$@" >"$name.log" 2>&1; then
    result pass "$name" $((SECONDS - start))
    printf '%s: %d s\n' "$name" $((SECONDS - start))
    return 0
  fi
  result FAIL "$name" $((SECONDS - start))
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

# numbered OF: each line, and which of how many it is.
numbered() {
  local line n=0
  while IFS= read -r line; do
    printf '%s (%d of %d)\n' "$line" $((n += 1)) "$1"
  done
}

# follow FILE OF: its lines as they come, numbered. Sets $follower.
follow() {
  : >"$1"
  tail -n +1 -f "$1" 2>/dev/null > >(numbered "$2") &
  follower=$!
}

# asked_for NAME: HOOP_FULL_ONLY, a pattern, leaves it.
asked_for() {
  # shellcheck disable=SC2254 # a pattern
  case ${1##*/} in ${HOOP_FULL_ONLY:-*}) ;; *) return 1 ;; esac
}

# automake_tests DIR ARGUMENT...: `make check` there; each program's result.
automake_tests() {
  local dir=$1 start=$SECONDS status follower log program programs=()
  shift
  for program in $(make -s -C "$dir" "$@" print-tests); do
    ! asked_for "$program" || programs+=("$program")
  done
  [ ${#programs[@]} -gt 0 ] || return 0
  follow progress "${#programs[@]}"
  touch started
  make -C "$dir" "-j$jobs" -k check "$@" TESTS="${programs[*]}" \
    LOG_COMPILER="bash $HOOP_SRCDIR/tests/full/timed.sh" \
    SH_LOG_COMPILER="bash $HOOP_SRCDIR/tests/full/timed.sh" \
    MJS_LOG_COMPILER="bash $HOOP_SRCDIR/tests/full/timed.sh" >check.log 2>&1
  status=$?
  sleep 1 # for tail to see the last line
  kill "$follower"
  while read -r log; do
    automake_result "$dir" "${log%.trs}"
  done < <(find "$dir/tests" -name '*.trs' -newer started | sort)
  sed -n 's/^# \(PASS\|SKIP\|FAIL\|ERROR\): */\1 /p' check.log |
    paste -sd ' ' | sed "s/\$/, $((SECONDS - start)) s/"
  [ $status -eq 0 ] && return 0
  grep -E '^(FAIL|ERROR|XPASS):' check.log || tail -n 40 check.log
  bash "$HOOP_SRCDIR/tests/tools/failures.sh" "$dir" "$PWD/started"
  return 1
}

# automake_result DIR LOG: what its .trs says, and how long it took.
automake_result() {
  local name=${2#"$1/"} said seconds
  said=$(sed -n 's/^:global-test-result: *//p' "$2.trs")
  seconds=$(sed -En "s|^(.*/)?${name##*/}(\.mjs\|\.sh)? ([0-9]+) s\$|\3|p" \
    progress | tail -n 1)
  case $said in
  PASS) said=pass ;;
  SKIP) said=skip ;;
  *) said=FAIL ;;
  esac
  result "$said" "$name" "${seconds:-0}"
}

# each PATTERN FUNCTION: `FUNCTION PROGRAM` for each program that matches and is
# asked for, one on each core; the function's output is shown when it fails.
each() {
  local programs=() program follower status
  for program in $1; do
    case $program in *.*) continue ;; esac
    [ ! -x "$program" ] || ! asked_for "$program" || programs+=("$program")
  done
  [ ${#programs[@]} -gt 0 ] || return 0
  export -f "${2?}" each_one result
  follow progress ${#programs[@]}
  printf '%s\n' "${programs[@]}" |
    xargs -P "$jobs" -I '{}' bash -c 'each_one "$@"' _ "$2" '{}'
  status=$?
  sleep 1
  kill "$follower"
  return $status
}

# each_one FUNCTION PROGRAM
each_one() {
  local name=${2##*/} start=$SECONDS
  if "$1" "$2" >"$name.log" 2>&1; then
    result pass "$name" $((SECONDS - start))
    printf '%s: %d s\n' "$name" $((SECONDS - start)) >>progress
    return 0
  fi
  result FAIL "$name" $((SECONDS - start))
  printf '%s FAILED: %d s\n' "$name" $((SECONDS - start)) >>progress
  printf '%s\n%s FAILED: %s\n' "$(tail -n 60 "$name.log")" "$name" \
    "$PWD/$name.log"
  return 1
}
