#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The journal's long loops: 200 kills at random moments, and every write and
# fsync of a run failing in turn.
#
# At most 10 minutes.

. "$HOOP_SRCDIR/tests/full/lib.sh"

export HOOP_FULL=1
patience 1
automake_tests "$HOOP_BUILDDIR" TEST_TIMEOUT=$((3600 * slow)) \
  TESTS='tests/unit/test-journal-kill tests/unit/test-journal-faults'
