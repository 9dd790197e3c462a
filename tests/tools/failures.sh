#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The ends of the logs of the tests that failed in a build folder.
# Usage: tests/tools/failures.sh BUILDDIR [STAMP: only since that file]

set -u
since=()
[ $# -lt 2 ] || since=(-newer "$2")
find "$1/tests" -name '*.trs' "${since[@]}" -exec \
  grep -lE '^:global-test-result: (FAIL|ERROR)' {} + | sort |
  while IFS= read -r trs; do
    printf -- '--- %s\n' "${trs%.trs}.log"
    tail -n 60 "${trs%.trs}.log"
  done | head -400
