#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bytes that an exchange takes in the journal beside its bodies: at most 1,200.

set -eu
: "${HOOP_BUILDDIR:?}"
: "${HOOP_SRCDIR:?}"
exec "${NODE:-node}" "$HOOP_SRCDIR/tests/bench/journal-size.mjs" 20000 1200
