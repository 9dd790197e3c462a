#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shell scripts are clean under shellcheck.

. "$(dirname "$0")/lib.sh"

tool=${SHELLCHECK:-shellcheck}
command -v "$tool" >/dev/null || skip 'shellcheck is not installed'

mapfile -t scripts < <(files tests agent policy .ci autogen.sh -- '*.sh' run)
while IFS=: read -r file number _ message; do
  [ -n "$number" ] && fault "$file:$number" "$message"
done < <("$tool" -f gcc -e SC1090,SC1091 "${scripts[@]}")

finish
