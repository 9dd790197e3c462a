#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The benches, each of which tells its figures and what they must be. What the
# clock says is told only, for other work on the machine changes it; a figure
# of memory, or a ratio to another proxy missed by a quarter, is a failure.
#
# At most 20 minutes.

. "$HOOP_SRCDIR/tests/full/lib.sh"

export HOOP_BENCH_CHECK=clearly

# bench PROGRAM: exit status 1 is a figure missed.
bench() {
  local log status
  log=$(basename "$1" .sh).log
  timeout -k 10 $((900 * slow)) bash "$1" 2>&1 | tee "$log"
  status=${PIPESTATUS[0]}
  [ "$status" -eq 1 ] || return "$status"
  case $1 in
  *-proxies.sh) return 1 ;;
  *-inspect.sh) ! grep MISSED "$log" | grep -qvE ' ([mun]s|s)(/[a-z]+)? +must' ;;
  esac
}

failed=0
for program in "$HOOP_SRCDIR"/tests/bench/run*.sh; do
  asked_for "$program" || continue
  start=$SECONDS said=pass
  bench "$program" || said=FAIL failed=1
  result "$said" "$(basename "$program" .sh)" $((SECONDS - start))
done
exit $failed
