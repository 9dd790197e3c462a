#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A ThreadSanitizer build runs the unit, fuzz replay and flow tests.
#
# At most 30 minutes.

. "$HOOP_SRCDIR/tests/full/lib.sh"

own_build CC="$(cc clang)" CFLAGS='-g -O1' --enable-sanitizer=thread

# A race is still seen, whatever the suppressions pass over.
race() {
  # shellcheck disable=SC2046 # flags are words
  clang -g -O1 -fsanitize=thread -o race "$HOOP_SRCDIR/tests/full/race.c" \
    $(pkg-config --cflags --libs glib-2.0) || return 1
  (export HOOP_SANITIZER=thread && . "$HOOP_SRCDIR/tests/environment.sh" && ./race)
  [ $? -eq 66 ] # TSan's exit code
}
quietly race race || exit 1

patience 6
automake_tests . TEST_TIMEOUT=$((1800 * slow)) LINT_TESTS= HOUSE_TESTS=
