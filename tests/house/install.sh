#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `make install` puts every file where its reader looks for it, the unit is one
# that systemd takes, and `make uninstall` leaves nothing behind.

set -u
cd "${HOOP_BUILDDIR:-.}" || exit 99
unset MAKEFLAGS MFLAGS MAKELEVEL
dest=$(mktemp -d) || exit 99
trap 'rm -rf "$dest"' EXIT
count=0

report() { # STATUS NAME
  local verdict=ok
  [ "$1" -eq 0 ] || verdict='not ok'
  count=$((count + 1))
  printf '%s %d - %s\n' "$verdict" $count "$2"
}

prefix=$(sed -n 's/^prefix = //p' Makefile)
make -s install DESTDIR="$dest" >"$dest/log" 2>&1
report $? 'make install'
for file in bin/hoop-agent bin/hoop-hub lib/systemd/system/hoop-hub.service \
  share/man/man1/hoop-hub.1 share/man/man5/hoop-hub.conf.5 \
  share/man/man7/hoop-hub.7 lib/systemd/user/hoop-agent.service \
  lib/systemd/user/hoop-agent.socket \
  share/hoop-agent/default.yaml share/hoop-agent/rules.d/10-cloud.yaml \
  share/man/man1/hoop-agent.1 share/man/man5/hoop-agent.conf.5 \
  share/man/man5/hoop-policy.5 share/man/man5/hoop-journal.5 \
  share/bash-completion/completions/hoop-agent.bash \
  share/fish/vendor_completions.d/hoop-agent.fish \
  share/polkit-1/actions/org.hoop-agent.approve.policy \
  share/zsh/site-functions/_hoop-agent; do
  [ -f "$dest$prefix/$file" ]
  report $? "PREFIX/$file"
done

if [ -x hoop-agent-tray ]; then
  conf=$(sed -n 's/^sysconfdir = //p' Makefile)
  conf=${conf/#\$\{prefix\}/$prefix}
  autostart=$dest$conf/xdg/autostart/hoop-agent-tray.desktop
  grep -q '^Exec=hoop-agent-tray$' "$autostart"
  report $? 'the tray starts with the session'
  service=$dest$prefix/share/dbus-1/services/io.hoop.AgentTray.service
  grep -qx 'Name=io.hoop.AgentTray' "$service" &&
    [ -x "$dest$(sed -n 's/^Exec=//p' "$service")" ]
  report $? 'the bus can start the tray'
  [ -f "$dest$prefix/share/man/man1/hoop-agent-tray.1" ]
  report $? 'PREFIX/share/man/man1/hoop-agent-tray.1'
fi

unit=$dest$prefix/lib/systemd/user/hoop-agent.service
! grep -q '@[A-Za-z_]*@' "$unit"
report $? 'the unit has no place left to fill'
if command -v systemd-analyze >/dev/null; then
  mkdir -p "$dest/check"
  sed "s|^ExecStart=[^ ]*|ExecStart=$(command -v true)|" "$unit" \
    >"$dest/check/hoop-agent.service"
  XDG_RUNTIME_DIR=$dest/check systemd-analyze --user verify --man=no \
    "$dest/check/hoop-agent.service" "${unit%.service}.socket" \
    >"$dest/verify" 2>&1 &&
    ! grep -q hoop-agent "$dest/verify"
  status=$?
  report $status 'systemd takes the unit'
  [ $status -eq 0 ] || sed 's/^/# /' "$dest/verify"
fi

make -s uninstall DESTDIR="$dest" >>"$dest/log" 2>&1
report $? 'make uninstall'
left=$(cd "$dest" && find . -type f -path "*$prefix*")
[ -z "$left" ]
report $? "nothing is left behind ${left:+(${left//$'\n'/ })}"
printf '1..%d\n' $count
