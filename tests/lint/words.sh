#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Words that do not belong: paths of somebody's machine, registries, unfinished
# work, and C that the house has a better way for.

. "$(dirname "$0")/lib.sh"

# hunt PATTERN MESSAGE FILE...: each hit is a fault.
hunt() {
  local pattern=$1 message=$2
  shift 2
  [ $# -gt 0 ] || return 0
  while IFS=: read -r file number _; do
    fault "$file:$number" "$message"
  done < <(grep -nHE -e "$pattern" "$@")
}

mapfile -t all < <(files agent policy tray window hub tests man doc .ci README.md \
  Makefile.am configure.ac autogen.sh packages.list -- '*' |
  grep -vE '^tests/lint/(words|selftest)\.sh$|\.(zst|br|gz|der|bin|png)$|/corpus/')
mapfile -t code < <(files agent policy tray window hub -- '*.c' '*.h')
mapfile -t rooms < <(printf '%s\n' "${code[@]}" |
  grep -vE '^(agent/(daemon|cli|kit/log)|tray|window|hub)')

hunt '(^|[^A-Za-z0-9_.$}/-])/(work|home/[a-z]+|root|Users)/' \
  'a path of one machine' "${all[@]}"
hunt 'registry\.npmjs|registry\.yarnpkg|npmmirror|pypi\.org|proxy\.golang|crates\.io|deb\.debian\.org' \
  'names a registry host' "${all[@]}"
hunt '\b(TODO|FIXME|XXX|HACK)\b' 'unfinished work' "${all[@]}"
hunt '^[[:space:]]*goto[[:space:]]' 'goto: use g_autoptr and early returns' \
  "${code[@]}"
hunt '\b(g_mutex_|g_rw_lock_|g_rec_mutex_|g_cond_|g_async_queue_|GMutex|GCond|GAsyncQueue|G_LOCK)' \
  'GLib locks are invisible to TSan: use pthread or kit/loop.h' "${code[@]}"
hunt '\b(strcpy|strcat|sprintf|gets|strtok|alloca|mktemp|tmpnam)[[:space:]]*\(' \
  'unbounded or unsafe: use the g_ or _r form' "${code[@]}"
hunt '\b(printf|puts|perror|g_print|g_printerr|g_warning|g_message|log_(error|warning|info|debug))[[:space:]]*\(|fprintf[[:space:]]*\((stdout|stderr)' \
  'rooms return errors; only daemon, CLI, tray and window print or log' "${rooms[@]}"

finish
