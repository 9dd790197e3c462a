#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 100,000 rows of a day offline, delivered in order within its figure of 5,000
# rows a second; a sanitizer build has none.

set -eu
: "${HOOP_BUILDDIR:?}"
: "${HOOP_SRCDIR:?}"
[ "${HOOP_SANITIZER:-no}" = no ] || exit 0
make -s -C "$HOOP_BUILDDIR" tests/bench/bench-ship >/dev/null
exec "${NODE:-node}" "$HOOP_SRCDIR/tests/bench/run-ship.mjs" 100000 5000
