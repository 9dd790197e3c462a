#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The long tests, after `make check`: every tests/full/NN-*.sh in order, each in
# its own folder of the build, each with its log. Usage: run.sh [NAME]...

set -u
: "${HOOP_SRCDIR:?run through make check-full}" "${HOOP_BUILDDIR:?}"
HOOP_FULL=1 # flow tests run their long loops
export HOOP_FULL

passed=0 failed=0
for script in "$HOOP_SRCDIR"/tests/full/[0-9]*.sh; do
  name=$(basename "$script" .sh)
  case " ${*:-$name} " in
  *" $name "*) ;;
  *) continue ;;
  esac
  HOOP_FULL_DIR=$HOOP_BUILDDIR/full/$name
  export HOOP_FULL_DIR
  mkdir -p "$HOOP_FULL_DIR" || exit 1
  start=$SECONDS
  printf -- '--- %s\n' "$name"
  bash "$script" 2>&1 </dev/null | tee "$HOOP_FULL_DIR/log" |
    grep --line-buffered -vE '^(make|PASS|libtool|ok |# |TAP |1\.\.|  (CC|CCLD|GEN))'
  if [ "${PIPESTATUS[0]}" -eq 0 ]; then
    passed=$((passed + 1))
    printf -- '--- %s: passed, %d s\n' "$name" $((SECONDS - start))
  else
    failed=$((failed + 1))
    printf -- '--- %s: FAILED, %d s; log: %s\n' "$name" $((SECONDS - start)) \
      "$HOOP_FULL_DIR/log"
  fi
done
printf 'check-full: %d passed, %d failed\n' $passed $failed
[ $failed -eq 0 ]
