#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs one flow test by node's own test runner and prints flat TAP.
# Usage: tests/flow/run.sh FILE.test.mjs [node options]

set -u
HOOP_SRCDIR=${HOOP_SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
HOOP_BUILDDIR=${HOOP_BUILDDIR:-$HOOP_SRCDIR/build}
srcdir=$HOOP_SRCDIR
export HOOP_SRCDIR HOOP_BUILDDIR srcdir

node=${NODE:-node}
major=$("$node" -p 'process.versions.node.split(".")[0]' 2>/dev/null)
if [ "${major:-0}" -lt 18 ]; then
  echo '1..0 # SKIP flow tests need node 18 or newer'
  exit 0
fi

file=$1
shift
exec "$node" --test-reporter="$HOOP_SRCDIR/tests/flow/tap.mjs" \
  --test-reporter-destination=stdout "$@" "$file"
