#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A verdict on 1,000 rules and 100 findings, and loading 1,000 rules, within
# their figures; a sanitizer build has none.

set -eu
: "${HOOP_BUILDDIR:?}"
[ "${HOOP_SANITIZER:-no}" = no ] || exit 0
make -s -C "$HOOP_BUILDDIR" tests/bench/bench-judge >/dev/null
exec "$HOOP_BUILDDIR/tests/bench/bench-judge"
