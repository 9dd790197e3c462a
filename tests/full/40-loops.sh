#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The flow tests three times over, more at once than there are cores: what
# shows only on a busy machine, in the agent or in the test.
#
# At most 30 minutes.

. "$HOOP_SRCDIR/tests/full/lib.sh"

patience 4 # as busy as that
jobs=$((2 * jobs))
for ((turn = 1; turn <= 3; turn++)); do
  # shellcheck disable=SC2016 # for make to expand
  automake_tests "$HOOP_BUILDDIR" TEST_TIMEOUT=$((1800 * slow)) \
    TESTS='$(FLOW_TESTS)' || exit 1
done
