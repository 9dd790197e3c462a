#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A PostgreSQL of a test's own in DIR, as somebody unprivileged: Unix socket
# without a password, loopback TCP with one. It ends with process PID.
#
#   postgresql.sh start DIR PID   makes and starts it; prints "PORT SOCKETS"
#   postgresql.sh again DIR PID   starts it after it was killed, same port
#   postgresql.sh kill DIR        SIGKILL to all of it
#   postgresql.sh hang|go DIR     SIGSTOP and SIGCONT
#   postgresql.sh stop DIR
# Exit status 77: PostgreSQL is not installed, or cannot be run here.

set -eu
verb=$1 dir=$2 watched=${3:-}
: "${HOOP_PG_PASSWORD:=correct horse}"

initdb=$(command -v initdb || true)
if [ -n "$initdb" ]; then
  programs=$(dirname "$(readlink -f "$initdb")")
else
  programs=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -1)
fi
if [ ! -x "$programs/postgres" ]; then
  echo 'PostgreSQL is not installed (packages.list, group test)' >&2
  exit 77
fi
as=()
if [ "$(id -u)" = 0 ]; then
  user=postgres
  id "$user" >/dev/null 2>&1 || user=nobody
  as=(setpriv "--reuid=$user" "--regid=$(id -g "$user")" --clear-groups
    env "HOME=$dir")
fi
data=$dir/data

# leader: the pid of the first of its processes.
leader() { head -1 "$data/postmaster.pid" 2>/dev/null || true; }

# everybody: the pids of all of them.
everybody() {
  local pid
  pid=$(leader)
  [ -z "$pid" ] || { echo "$pid"; ps -o pid= --ppid "$pid"; }
}

# alive PID: and no zombie, which nobody may have waited for.
alive() {
  grep -qs '^State:[[:space:]]*[^Z[:space:]]' "/proc/$1/status"
}

free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  echo "$port"
}

serve() {
  local port=$1 try
  "${as[@]}" "$programs/postgres" -D "$data" -p "$port" -k "$dir" \
    -h 127.0.0.1 >>"$dir/log" 2>&1 </dev/null &
  for ((try = 0; try < 400; try++)); do
    "$programs/pg_isready" -q -h "$dir" -p "$port" && return 0
    alive $! || return 1
    sleep 0.05
  done
  return 1
}

# It must not outlive the test, however that ends.
watch_over() {
  (
    trap '' HUP INT
    exec </dev/null >/dev/null 2>&1
    while alive "$watched" && [ -d "$dir" ]; do sleep 1; done
    # shellcheck disable=SC2046 # several
    kill -KILL $(everybody) 2>/dev/null || true
  ) &
}

case $verb in
start)
  mkdir -p "$dir" && chmod 755 "$dir"
  [ ${#as[@]} = 0 ] || chown "$user" "$dir"
  printf '%s\n' "$HOOP_PG_PASSWORD" >"$dir/password"
  chmod 644 "$dir/password"
  "${as[@]}" "$programs/initdb" -D "$data" -U hoop -E UTF8 --locale=C.UTF-8 \
    --auth-local=trust --auth-host=scram-sha-256 "--pwfile=$dir/password" \
    --no-sync >"$dir/log" 2>&1 || { cat "$dir/log" >&2; exit 1; }
  cat >>"$data/postgresql.conf" <<-'END'
	fsync=off
	shared_buffers=16MB
	max_connections=40
	autovacuum=off
	END
  for try in 1 2 3 4 5; do
    port=$(free_port)
    if serve "$port"; then
      echo "$port" >"$dir/port"
      watch_over
      echo "$port $dir"
      exit 0
    fi
    [ "$try" -lt 5 ] || cat "$dir/log" >&2
  done
  exit 1
  ;;
again)
  port=$(cat "$dir/port")
  rm -f "$data/postmaster.pid" "$dir/.s.PGSQL.$port.lock"
  serve "$port" || { cat "$dir/log" >&2; exit 1; }
  echo "$port $dir"
  ;;
kill | hang | go)
  declare -A signals=([kill]=KILL [hang]=STOP [go]=CONT)
  # shellcheck disable=SC2046 # several
  kill "-${signals[$verb]}" $(everybody)
  ;;
stop)
  pid=$(leader)
  [ -n "$pid" ] || exit 0
  kill -QUIT "$pid" 2>/dev/null || exit 0
  for ((try = 0; try < 100; try++)); do
    alive "$pid" || exit 0
    sleep 0.05
  done
  # shellcheck disable=SC2046 # several; some end meanwhile
  kill -KILL $(everybody) 2>/dev/null
  for ((try = 0; try < 100; try++)); do
    alive "$pid" || exit 0
    sleep 0.05
  done
  echo "postgresql.sh: $pid does not end" >&2
  exit 1
  ;;
*)
  echo "postgresql.sh: $verb?" >&2
  exit 2
  ;;
esac
