#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Sign-in at length: 1,000 connections around a renewal, and a real browser,
# which is got when it is not installed.
#
# At most 20 minutes.

. "$HOOP_SRCDIR/tests/full/lib.sh"

export HOOP_FULL=1
patience 1
automake_tests "$HOOP_BUILDDIR" TEST_TIMEOUT=$((1800 * slow)) \
  TESTS='tests/flow/signin-sessions.test.mjs tests/flow/login-chromium.test.mjs'
