#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The programs carry the hardening that configure asked the compiler for: PIE,
# full RELRO, no executable stack, stack protector and fortified calls.

set -u
cd "${HOOP_BUILDDIR:-.}" || exit 99
if [ "${HOOP_SANITIZER:-no}" != no ]; then
  echo '1..0 # SKIP a sanitizer build is not hardened'
  exit 0
fi
command -v readelf >/dev/null || {
  echo '1..0 # SKIP readelf is not installed'
  exit 0
}

count=0
check() { # PROGRAM WHAT: ok when the last command succeeded
  local verdict=ok
  [ "$status" = 0 ] || verdict='not ok'
  count=$((count + 1))
  printf '%s %d - %s: %s\n' "$verdict" $count "$1" "$2"
}

for program in hoop-agent hoop-agent-tray hoop-hub tests/unit/test-house; do
  [ -x $program ] || continue
  readelf -hlW $program >/dev/null || exit 99
  readelf -hW $program | grep -q 'Type:.*DYN'
  status=$?
  check $program 'position independent'
  readelf -lW $program | grep -q GNU_RELRO
  status=$?
  check $program 'relocations are read-only'
  readelf -dW $program | grep -q 'BIND_NOW\|FLAGS.*NOW'
  status=$?
  check $program 'bound at start'
  readelf -lW $program | grep -q 'GNU_STACK.* RW '
  status=$?
  check $program 'stack is not executable'
  case $program in hoop-*) ;; *) continue ;; esac
  readelf -sW $program | grep -q __stack_chk_fail
  status=$?
  check $program 'stack protector'
  readelf -sW $program | grep -q '__[a-z]*_chk@'
  status=$?
  check $program 'fortified calls'
done
printf '1..%d\n' $count
