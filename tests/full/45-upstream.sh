#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A gigabyte through a slow owner, sized and chunked: the memory stays flat.
#
# At most 10 minutes.

. "$HOOP_SRCDIR/tests/full/lib.sh"

quietly build make -C "$HOOP_BUILDDIR" tests/unit/test-upstream-flow || exit 1
quietly memory timeout -k 10 $((900 * slow)) \
  "$HOOP_BUILDDIR/tests/unit/test-upstream-flow" -m slow -p /upstream/flow/memory
