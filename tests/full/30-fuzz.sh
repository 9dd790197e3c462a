#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each fuzz harness runs for a minute with libFuzzer, ASan and UBSan from its
# corpus; what it finds stays in its folder.
#
# At most 15 minutes.

. "$HOOP_SRCDIR/tests/full/lib.sh"

unset MALLOC_PERTURB_
own_configure CC="$(cc clang)" CFLAGS='-g -O1' --enable-fuzzers \
  --enable-sanitizer
harnesses=("$HOOP_SRCDIR"/tests/fuzz/fuzz-*.c)
harnesses=("${harnesses[@]%.c}")
quietly build make "-j$jobs" "${harnesses[@]/#"$HOOP_SRCDIR/"/}" || exit 1

# What a harness learns is kept for the next run; an input that it fails on is
# in found/.
fuzz() {
  local name=${1##*/fuzz-}
  mkdir -p "grown/$name" "found/$name" || return 1
  "$1" "-max_total_time=${HOOP_FUZZ_SECONDS:-60}" -timeout=10 \
    -rss_limit_mb=2048 -print_final_stats=1 "-artifact_prefix=found/$name/" \
    "grown/$name" "$HOOP_SRCDIR/tests/fuzz/corpus/$name"
}

each 'tests/fuzz/fuzz-*' fuzz
