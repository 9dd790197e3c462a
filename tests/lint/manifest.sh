#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Nothing is forgotten: every source is in Makefile.am, so is every test, and
# what Makefile.am names exists.

. "$(dirname "$0")/lib.sh"

make=Makefile.am

# named PATH: Makefile.am has it as a whole word.
named() {
  grep -qE "(^|[[:space:]])${1//./\\.}([[:space:]]|\$)" $make
}

while IFS= read -r file; do
  named "$file" || fault "$file:1" "is not in $make"
done < <(
  files agent policy tray window hub -- '*.c' '*.h' '*.xml' '*.yaml'
  files tests/flow tests/promise -- '*.test.mjs'
  files tests/house -- '*.sh'
  files tests/lint -- '*.sh' | grep -v '/lib\.sh$'
)
while IFS= read -r file; do
  named "${file%.c}" || named "$file" || fault "$file:1" "is not in $make"
done < <(files tests/unit tests/fuzz -- 'test-*.c' 'fuzz-*.c')

# by gdbus-codegen, in the build folder
generated='^(agent/bus/hoop-agent-bus|tray/status-notifier-item)\.[ch]$'
while IFS=: read -r number file; do
  file=${file//[[:space:]\\]/}
  [[ $file =~ $generated || $file == *:* ]] && continue
  [ -e "$file" ] || [ -e "$file.c" ] ||
    fault "$make:$number" "$file does not exist"
done < <(grep -nE '^[[:space:]]+(agent|policy|tests|man|tray|window|hub)/[^ $]+ *\\?$' $make)

finish
