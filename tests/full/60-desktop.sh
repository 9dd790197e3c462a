#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tray on XFCE under Xvfb: real clicks on what a person would see. Pictures
# of the screen stay in this part's folder.
#
# At most 15 minutes.

. "$HOOP_SRCDIR/tests/full/lib.sh"

export HOOP_SHOTS=$HOOP_FULL_DIR/shots
quietly xfce bash "$HOOP_SRCDIR/tests/flow/run.sh" \
  "$HOOP_SRCDIR/tests/desktop/xfce.test.mjs"
