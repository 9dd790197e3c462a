#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Rows a second into the record, SQLite and PostgreSQL (started here).
#   run-audit.sh [ROWS [AGENTS]]     in the build directory

set -eu
here=$(cd "$(dirname "$0")" && pwd)
rows=${1:-80000} agents=${2:-8}
bench=tests/bench/hub/bench-audit
"$bench" '' "$rows" "$agents"
dir=$(mktemp -d)
status=0
if told=$("$here/../../tools/postgresql.sh" start "$dir" $$); then
  read -r port sockets <<<"$told"
  "$bench" "postgresql://hoop@/postgres?host=$sockets&port=$port" \
    "$rows" "$agents" || status=$?
  "$here/../../tools/postgresql.sh" stop "$dir"
fi
rm -rf "$dir"
exit $status
