#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The agent's own figures, and beside other proxies; needs a quiet machine.
# A sanitizer build has no figures; proxies that are not installed are left out.

set -eu
: "${HOOP_SRCDIR:?}" "${HOOP_BUILDDIR:?}"
[ "${HOOP_SANITIZER:-no}" = no ] || exit 0
export HOOP_BUILDDIR
make -s -C "$HOOP_BUILDDIR" hoop-agent tests/bench/proxies/backend \
  tests/bench/proxies/load >/dev/null
failed=0
cd "$HOOP_SRCDIR/tests/bench/proxies"
"${NODE:-node}" own.mjs --check "${HOOP_BENCH_CHECK:-yes}" || failed=1
"${NODE:-node}" compare.mjs --check "${HOOP_BENCH_CHECK:-yes}" || failed=1
exit $failed
