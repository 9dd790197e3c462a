#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All of `make check`.
#
# At most 20 minutes.

. "$HOOP_SRCDIR/tests/full/lib.sh"

quietly build-tests make -C "$HOOP_BUILDDIR" "-j$jobs" check TESTS= || exit 1
jobs=$((jobs + 1)) # some wait for time to pass
patience 1
automake_tests "$HOOP_BUILDDIR" TEST_TIMEOUT=$((300 * slow))
