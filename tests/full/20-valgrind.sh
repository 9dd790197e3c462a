#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The unit tests of a plain build under valgrind: no invalid access, no
# definite leak.
#
# At most 30 minutes.

. "$HOOP_SRCDIR/tests/full/lib.sh"

own_build CC="$(cc gcc)" CFLAGS='-g -O1'

G_SLICE=always-malloc
HOOP_VALGRIND=1 # a test gives itself more time, and does less
HOOP_COMPILED_RULES=$PWD/rules/hoop-agent
export slow G_SLICE HOOP_VALGRIND HOOP_COMPILED_RULES

# libhs compiles for the processor that it finds, and valgrind's is another
# than the machine's: a minute's work, once instead of in each program.
compile_rules() {
  mkdir -p rules/none && chmod 700 rules || return 1
  XDG_CACHE_HOME=$PWD/rules HOOP_SHARE=$HOOP_SRCDIR/policy \
    timeout -k 10 $((1200 * slow)) valgrind -q ./hoop-agent scan rules/none
}
quietly rules compile_rules || exit 1

under_valgrind() {
  timeout -k 10 $((1800 * slow)) \
    valgrind -q --error-exitcode=99 --leak-check=full \
    --errors-for-leak-kinds=definite --show-leak-kinds=definite \
    --suppressions="$HOOP_SRCDIR/tests/valgrind.supp" \
    --num-callers=20 "$1"
}

each 'tests/unit/test-*' under_valgrind
