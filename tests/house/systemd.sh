#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Under a live `systemd --user`, in mount and pid namespaces of its own: the
# service reports that it is ready, comes back after SIGKILL, stays down with a
# wrong configuration; the socket starts it for the first client.

set -u
self=$(readlink -f "$0")
cd "${HOOP_BUILDDIR:-.}" || exit 99
unset MAKEFLAGS MFLAGS MAKELEVEL
manager=/lib/systemd/systemd
socket_port=8788
patience=${HOOP_PATIENCE:-1}
wait_steps=$((150 * patience)) # of 0.1 s

skip() {
  printf '1..0 # SKIP %s\n' "$1"
  exit 0
}

# --- outside: make the namespaces ---------------------------------------------

if [ -z "${HOOP_INSIDE:-}" ]; then
  [ "$(id -u)" -eq 0 ] || skip 'needs root, for namespaces of its own'
  [ -x $manager ] || skip 'needs systemd'
  for tool in curl ip unshare; do
    command -v $tool >/dev/null || skip "needs $tool"
  done
  unshare --mount --pid --net --fork --mount-proc true 2>/dev/null ||
    skip 'namespaces cannot be made here'
  grep -q '^SERVICE_TYPE = notify' Makefile || skip 'built without libsystemd'
  home=$(mktemp -d) || exit 99
  trap 'rm -rf "$home"' EXIT
  HOOP_INSIDE=$home timeout -k 5 $((120 * patience)) unshare --mount --pid --net --fork \
    --mount-proc --kill-child bash "$self"
  exit
fi

# --- inside -------------------------------------------------------------------

count=0
report() { # STATUS NAME
  local verdict=ok
  [ "$1" -eq 0 ] || verdict='not ok'
  count=$((count + 1))
  printf '%s %d - %s\n' "$verdict" $count "$2"
}

# until_true COMMAND...: within a bounded number of steps.
until_true() {
  local step
  for ((step = 0; step < wait_steps; step++)); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.1
  done
  return 1
}

user() { systemctl --user --no-pager "$@"; }
is() { [ "$(user show -P "$1" hoop-agent.service)" = "$2" ]; }
main_pid() { user show -P MainPID hoop-agent.service; }

export HOME=$HOOP_INSIDE XDG_RUNTIME_DIR=$HOOP_INSIDE/run
unset XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME XDG_CACHE_HOME
unset DBUS_SESSION_BUS_ADDRESS NOTIFY_SOCKET LISTEN_FDS LISTEN_PID
mkdir -m 700 "$XDG_RUNTIME_DIR"
prefix=$(sed -n 's/^prefix = //p' Makefile)
ip link set lo up

# The installed files stand where the unit says, and only in here; systemd sees
# a control group tree that is its own.
furnish() {
  mount -t tmpfs none /run/systemd && mkdir -p /run/systemd/system &&
    umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup &&
    mkdir -p "$prefix" && mount -t tmpfs none "$prefix"
}
furnish >"$HOME/log" 2>&1 ||
  skip "the namespaces cannot be furnished: $(tail -n 1 "$HOME/log")"
make -s install >"$HOME/log" 2>&1
report $? 'make install'
group=$(mktemp -d /sys/fs/cgroup/hoop-test-XXXXXX) &&
  echo $$ >"$group/cgroup.procs"
export PATH=$prefix/bin:$PATH

# The rules are compiled already.
if [ -f "${HOOP_COMPILED_RULES:-}/detector.hsdb" ]; then
  mkdir -m 700 "$HOME/.cache" "$HOME/.cache/hoop-agent"
  install -m 600 "$HOOP_COMPILED_RULES/detector.hsdb" "$HOME/.cache/hoop-agent"
fi

# No journal daemon runs in here: what the agent says goes to a file. (A
# sanitizer build looks for leaks by ptrace, which the unit forbids.)
mkdir -p "$HOME/.config/systemd/user/hoop-agent.service.d"
cat >"$HOME/.config/systemd/user/hoop-agent.service.d/log.conf" <<END
[Service]
StandardError=append:$HOME/agent.log
Environment=ASAN_OPTIONS=detect_leaks=0
END

$manager --user --log-target=console >"$HOME/manager.log" 2>&1 &
until_true user is-system-running
report $? 'systemd --user runs'

user enable --now hoop-agent.service >>"$HOME/log" 2>&1
report $? 'the service starts, and says so when it is ready'
hoop-agent status --json >"$HOME/status" 2>>"$HOME/log"
report $? 'the command line finds it'
user status hoop-agent.service | grep -q 'Status: "'
report $? 'systemctl status says what it does'

pid=$(main_pid)
grep -q '^Seccomp:[[:space:]]*2' "/proc/$pid/status" &&
  grep -q '^NoNewPrivs:[[:space:]]*1' "/proc/$pid/status"
report $? 'it runs inside the hardening of its unit'
[ "$(awk '/^Max core file size/ { print $5 }' "/proc/$pid/limits")" = 0 ]
report $? 'it leaves no core dump'

kill -KILL "$pid"
restarted() { [ "$(main_pid)" != "$pid" ] && is ActiveState active; }
until_true restarted && hoop-agent status >/dev/null 2>&1
report $? 'it comes back after SIGKILL'
hoop-agent journal verify >>"$HOME/log" 2>&1
report $? 'its journal verifies after SIGKILL'

user stop hoop-agent.service >>"$HOME/log" 2>&1 && is Result success
report $? 'it ends in order when it is stopped'

mkdir -p "$HOME/.config/hoop-agent"
printf '[listen]\nprot=1\n' >"$HOME/.config/hoop-agent/agent.conf"
! user start hoop-agent.service >>"$HOME/log" 2>&1
report $? 'a wrong configuration does not start'
is NRestarts 0 && is ExecMainStatus 2
report $? 'nor is it tried again'
grep -q 'agent.conf:2' "$HOME/agent.log"
report $? 'its log names the file and the line'
rm "$HOME/.config/hoop-agent/agent.conf"

user reset-failed hoop-agent.service
user disable hoop-agent.service >>"$HOME/log" 2>&1
user enable --now hoop-agent.socket >>"$HOME/log" 2>&1
report $? 'the socket starts'
is ActiveState inactive
report $? 'and the agent not yet'
# Without its own CA the client could not ask; any answer will do.
hoop-agent ca show >/dev/null 2>&1
curl -sk --max-time $((20 * patience)) -o "$HOME/answer" -w '%{http_code}' \
  "https://127.0.0.1:$socket_port/" >"$HOME/code" 2>>"$HOME/log"
[ "$(cat "$HOME/code")" -ge 200 ] 2>/dev/null
report $? "the first client starts it and is answered ($(cat "$HOME/code"))"
is ActiveState active
report $? 'then it is up'
[ "$(curl -sk --max-time $((20 * patience)) -o /dev/null -w '%{http_code}' \
  "https://[::1]:$socket_port/" 2>>"$HOME/log")" -ge 200 ]
report $? 'over IPv6 as well'

user stop hoop-agent.socket hoop-agent.service >>"$HOME/log" 2>&1
report $? 'both stop'
user exit >/dev/null 2>&1
wait
echo $$ >/sys/fs/cgroup/cgroup.procs
find "$group" -depth -type d -exec rmdir {} + 2>>"$HOME/log"
printf '1..%d\n' $count
if [ -n "${HOOP_VERBOSE:-}" ]; then
  sed 's/^/# /' "$HOME/log" "$HOME/agent.log" "$HOME/manager.log"
fi
