#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The benches, each of which fails when it misses the figure it must reach.
#
# At most 20 minutes.

. "$HOOP_SRCDIR/tests/full/lib.sh"

failed=0
for bench in "$HOOP_SRCDIR"/tests/bench/run*.sh; do
  start=$SECONDS said=pass
  timeout -k 10 900 bash "$bench" || said=FAIL failed=1
  result "$said" "$(basename "$bench" .sh)" $((SECONDS - start))
done
exit $failed
