#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A ThreadSanitizer build runs the unit, fuzz replay and flow tests.

set -eu
cd "$HOOP_FULL_DIR"
unset MALLOC_PERTURB_
[ -f config.status ] ||
  "$HOOP_SRCDIR/configure" CC="${HOOP_TSAN_CC:-clang}" CFLAGS='-g -O1' \
    --enable-sanitizer=thread
make "-j$(nproc)" all
make "-j$(nproc)" -k check LINT_TESTS= HOUSE_TESTS=
