#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All C is formatted as .clang-format says, by clang-format 14.

. "$(dirname "$0")/lib.sh"

tool=${CLANG_FORMAT:-clang-format-14}
command -v "$tool" >/dev/null || skip 'clang-format-14 is not installed'

mapfile -t all < <(files agent policy tray window hub tests/unit tests/fuzz \
  tests/bench tests/full tests/promise tests/fake -- '*.c' '*.h')
while IFS=: read -r file number _; do
  fault "$file:$number" "not formatted: run clang-format-14 -i $file"
done < <([ ${#all[@]} -eq 0 ] ||
  "$tool" --style=file --dry-run "${all[@]}" 2>&1 |
  grep -E '^[^ ]+:[0-9]+:[0-9]+: (warning|error)' | sort -u -t: -k1,2 |
    awk -F: '++seen[$1] <= 3')

finish
