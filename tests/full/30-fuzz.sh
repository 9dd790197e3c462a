#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each fuzz harness runs for a minute with libFuzzer, ASan and UBSan from its
# corpus; what it finds stays in its folder.

set -u
cd "$HOOP_FULL_DIR" || exit 1
unset MALLOC_PERTURB_
[ -f config.status ] ||
  "$HOOP_SRCDIR/configure" CC=clang CFLAGS='-g -O1' --enable-fuzzers \
    --enable-sanitizer || exit 1
make "-j$(nproc)" all || exit 1
make "-j$(nproc)" check TESTS= || exit 1

failed=0
for program in tests/fuzz/fuzz-*; do
  case $program in *.*) continue ;; esac
  [ -x "$program" ] || continue
  name=${program##*/fuzz-}
  mkdir -p "grown/$name" "found/$name"
  echo "fuzz $name"
  "$program" "-max_total_time=${HOOP_FUZZ_SECONDS:-60}" -timeout=10 \
    -rss_limit_mb=2048 -print_final_stats=1 "-artifact_prefix=found/$name/" \
    "grown/$name" "$HOOP_SRCDIR/tests/fuzz/corpus/$name" >"$name.log" 2>&1 || {
    tail -n 40 "$name.log"
    echo "FAILED: $name; input in $HOOP_FULL_DIR/found/$name"
    failed=1
  }
  grep -E 'stat::(number_of_executed_units|average_exec)' "$name.log"
done
exit $failed
