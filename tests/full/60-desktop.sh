#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tray on XFCE under Xvfb and on sway: real clicks on what a person would see.
# Pictures of the screen stay in this part's folder.
#
# At most 15 minutes.

. "$HOOP_SRCDIR/tests/full/lib.sh"

patience 1
failed=0
for test in "$HOOP_SRCDIR"/tests/desktop/*.test.mjs; do
  name=$(basename "$test" .test.mjs)
  asked_for "$name" || continue
  HOOP_SHOTS=$HOOP_FULL_DIR/shots-$name \
    quietly "$name" bash "$HOOP_SRCDIR/tests/flow/run.sh" "$test" || failed=1
done
exit $failed
