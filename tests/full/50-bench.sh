#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The benches, each of which fails when it misses the figure it must reach.

set -u
failed=0
for bench in "$HOOP_SRCDIR"/tests/bench/run*.sh; do
  [ -e "$bench" ] || continue
  timeout -k 10 1800 bash "$bench" || failed=1
done
exit $failed
