#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Looking for exact values in a prompt and in a stream's deltas, within its
# figure; a sanitizer build has none.

set -eu
: "${HOOP_BUILDDIR:?}"
: "${HOOP_SRCDIR:?}"
[ "${HOOP_SANITIZER:-no}" = no ] || exit 0
make -s -C "$HOOP_BUILDDIR" tests/bench/bench-values >/dev/null
G_TEST_SRCDIR=$HOOP_SRCDIR/tests exec "$HOOP_BUILDDIR/tests/bench/bench-values"
