#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Loading the detector, reading a request, one delta of a stream, held bytes,
# within their figures; a sanitizer build has none.

set -eu
: "${HOOP_BUILDDIR:?}"
[ "${HOOP_SANITIZER:-no}" = no ] || exit 0
make -s -C "$HOOP_BUILDDIR" tests/bench/bench-inspect >/dev/null
exec "$HOOP_BUILDDIR/tests/bench/bench-inspect"
