#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The unit tests of a plain build under valgrind: no invalid access, no
# definite leak.

set -u
cd "$HOOP_FULL_DIR" || exit 1
[ -f config.status ] ||
  "$HOOP_SRCDIR/configure" CFLAGS='-g -O1' || exit 1
make "-j$(nproc)" all || exit 1
make "-j$(nproc)" check TESTS= || exit 1

failed=0
G_SLICE=always-malloc
HOOP_VALGRIND=1 # a test that counts time can give itself more of it
export G_SLICE HOOP_VALGRIND
for program in tests/unit/test-*; do
  case $program in *.*) continue ;; esac
  [ -x "$program" ] || continue
  echo "valgrind $program"
  timeout -k 10 900 valgrind -q --error-exitcode=99 --leak-check=full \
    --errors-for-leak-kinds=definite --show-leak-kinds=definite \
    --suppressions="$HOOP_SRCDIR/tests/valgrind.supp" \
    --num-callers=20 "$program" || {
    echo "FAILED under valgrind: $program"
    failed=1
  }
done
exit $failed
