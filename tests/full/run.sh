#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The long tests: every tests/full/NN-*.sh in order, each in its own folder of
# the build, each with its log. Usage: run.sh [PART]..., a part being its number
# or its name; a part that failed is gone past, and run again by its name.
#
# A part says `# At most N minutes.`; it is ended when it takes longer, or so
# many times as long on a machine with other work as HOOP_FULL_SLOW says; its
# tests are as patient. HOOP_FULL_ONLY='@(test-kit|ship)*', a pattern, leaves of
# a part's tests those whose names match.

set -u
: "${HOOP_SRCDIR:?run through make check-full}" "${HOOP_BUILDDIR:?}"
# The parts' own makes have nothing of the outer one, whose jobs they are not.
unset MAKEFLAGS MFLAGS MAKELEVEL

# The tests are in process groups and sessions of their own: their warden knows
# them all the same, and ends them with their part.
mkdir -p "$HOOP_BUILDDIR/full" || exit 1
warden=$HOOP_BUILDDIR/full/warden
${CC:-cc} -std=gnu17 -O1 -o "$warden" "$HOOP_SRCDIR/tests/full/warden.c" ||
  exit 1

begun=$(date +%s)
child=
trap 'ended' INT TERM HUP

ended() {
  [ -z "$child" ] || { kill "$child"; wait "$child"; } 2>/dev/null
  echo 'check-full: interrupted'
  exit 130
}

clock() {
  local s=$(($(date +%s) - begun))
  printf '%d:%02d:%02d' $((s / 3600)) $((s / 60 % 60)) $((s % 60))
}

# stamped NAME: each line with the time so far and the part's name.
stamped() {
  local line
  while IFS= read -r line; do
    printf '%s %s  %s\n' "$(clock)" "$1" "$line"
  done
}

# wanted NAME: it is among the parts asked for, which then are known.
wanted() {
  local part found=1
  [ ${#parts[@]} -gt 0 ] || return 0
  for part in "${parts[@]}"; do
    case $1 in "$part" | "$part"-*) known[$part]=1 found=0 ;; esac
  done
  return $found
}

# run NAME SCRIPT: its result in the summary.
run() {
  local name=$1 script=$2 minutes start status result reader i late=
  HOOP_FULL_DIR=$HOOP_BUILDDIR/full/$name
  export HOOP_FULL_DIR
  mkdir -p "$HOOP_FULL_DIR" || exit 1
  : >"$HOOP_FULL_DIR/results" || exit 1
  minutes=$(sed -n 's/^# At most \([0-9]*\) minutes\..*/\1/p' "$script")
  minutes=$((minutes * ${HOOP_FULL_SLOW:-1}))
  start=$(date +%s)
  printf '%s --- %s (at most %d minutes)\n' "$(clock)" "$name" "$minutes"
  exec 3> >(tee "$HOOP_FULL_DIR/log" | stamped "$name")
  reader=$!
  "$warden" bash "$script" </dev/null >&3 2>&1 3>&- &
  child=$!
  while kill -0 "$child" 2>/dev/null; do
    sleep 1
    [ $(($(date +%s) - start)) -le $((minutes * 60)) ] && continue
    late=late
    kill "$child" 2>/dev/null
  done
  wait "$child"
  status=$?
  child=
  exec 3>&-
  for ((i = 0; i < 50; i++)); do # until its last line, or for 5 s
    kill -0 "$reader" 2>/dev/null || break
    sleep 0.1
  done
  case $late$status in
  0) result=passed ;;
  late*) result='OUT OF TIME' ;;
  *) result=FAILED ;;
  esac
  [ "$result" = passed ] || failed=$((failed + 1))
  summary+=("$(printf '%-13s %-12s %4d %6d %7d %7d s' "$name" "$result" \
    "$(sum pass)" "$(sum FAIL)" "$(sum skip)" $(($(date +%s) - start)))")
  bad+=("$(sed -n "s/^FAIL \\([^ ]*\\).*/$name: \\1/p" "$HOOP_FULL_DIR/results")")
  printf '%s --- %s: %s\n' "$(clock)" "$name" "$result"
}

# sum RESULT: of so many programs in the part's results.
sum() { grep -c "^$1 " "$HOOP_FULL_DIR/results"; }

parts=("$@") failed=0 summary=() bad=()
declare -A known
for script in "$HOOP_SRCDIR"/tests/full/[0-9]*.sh; do
  name=$(basename "$script" .sh)
  wanted "$name" && run "$name" "$script"
done
for part in "${parts[@]}"; do
  [ -n "${known[$part]:-}" ] && continue
  printf 'there is no %s\n' "$part"
  failed=$((failed + 1))
done

{
  printf '%-13s %-12s %4s %6s %7s %7s\n' part result pass fail skip time
  printf '%s\n' "${summary[@]}"
  printf '%s\n' "${bad[@]}" | sed -n 's/./failed in &/p'
} | tee "$HOOP_BUILDDIR/full/summary"
[ $failed -eq 0 ] && verdict=passed || verdict="FAILED in $failed parts"
printf 'check-full: %s, %s\n' "$verdict" "$(clock)"
[ $failed -eq 0 ]
