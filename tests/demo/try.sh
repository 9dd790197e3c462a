#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shows the agent at work against the bundled stand-in of Copilot's backend;
# `./autogen.sh try` builds everything and then runs this.
# Usage: tests/demo/try.sh [--once]   (--once: ends after the demonstration)

set -eu
HOOP_SRCDIR=${HOOP_SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
HOOP_BUILDDIR=${HOOP_BUILDDIR:-$HOOP_SRCDIR/build}
export HOOP_SRCDIR HOOP_BUILDDIR
exec "${NODE:-node}" "$HOOP_SRCDIR/tests/demo/try.mjs" "$@"
