#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A ThreadSanitizer build runs the unit, fuzz replay and flow tests.

. "$HOOP_SRCDIR/tests/full/lib.sh"

own_build CC="$(cc clang)" CFLAGS='-g -O1' --enable-sanitizer=thread
automake_tests . TEST_TIMEOUT=1800 LINT_TESTS= HOUSE_TESTS=
