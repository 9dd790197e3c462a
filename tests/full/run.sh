#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The long tests, after `make check`: every tests/full/NN-*.sh in order, each in
# its own folder of the build, each with its log. Usage: run.sh [NAME]...

set -u
: "${HOOP_SRCDIR:?run through make check-full}" "${HOOP_BUILDDIR:?}"
# The parts' own makes have nothing of the outer one, whose jobs they are not.
unset MAKEFLAGS MFLAGS MAKELEVEL

passed=0 failed=0 names=' '
for script in "$HOOP_SRCDIR"/tests/full/[0-9]*.sh; do
  name=$(basename "$script" .sh)
  names+="$name "
  case " ${*:-$name} " in
  *" $name "*) ;;
  *) continue ;;
  esac
  HOOP_FULL_DIR=$HOOP_BUILDDIR/full/$name
  export HOOP_FULL_DIR
  mkdir -p "$HOOP_FULL_DIR" || exit 1
  start=$SECONDS
  printf -- '--- %s\n' "$name"
  bash "$script" 2>&1 </dev/null | tee "$HOOP_FULL_DIR/log"
  if [ "${PIPESTATUS[0]}" -eq 0 ]; then
    passed=$((passed + 1))
    printf -- '--- %s: passed, %d s\n' "$name" $((SECONDS - start))
  else
    failed=$((failed + 1))
    printf -- '--- %s: FAILED, %d s; log: %s\n' "$name" $((SECONDS - start)) \
      "$HOOP_FULL_DIR/log"
  fi
done
for name; do
  case $names in
  *" $name "*) ;;
  *) printf 'there is no %s\n' "$name" && failed=$((failed + 1)) ;;
  esac
done
printf 'check-full: %d passed, %d failed, %d s\n' $passed $failed $SECONDS
[ $failed -eq 0 ]
