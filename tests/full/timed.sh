#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs one test of automake's and notes what it took.
# Usage: timed.sh OPTION-OF-timeout... COMMAND... PROGRAM

set -u
start=$SECONDS
timeout "$@"
status=$?
printf '%s %d s\n' "${*: -1}" $((SECONDS - start)) >>"$HOOP_FULL_DIR/progress"
exit $status
