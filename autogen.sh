#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# From a fresh clone to a running hoop-agent in one command: installs the Debian
# packages that are missing, configures out of tree, builds, then does its verb.

set -u
top=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd) || exit 1
cd "$top" || exit 1

build=build
jobs=$(nproc 2>/dev/null || echo 2)
node_min=18 # Debian 12's; the tests and the stand-in backend run on it

usage() {
  cat <<'END'
Usage: ./autogen.sh VERB [OPTION]... [-- CONFIGURE-OPTION...]

  try              build, then show the agent at work against a bundled
                   stand-in of Copilot's backend; leaves it running until Ctrl-C
                   (--once: ends after the demonstration)
  check            build, then run all tests (check-full: the long ones too)
  install          build, install (default /usr/local) and enable the user unit
  build            build only
  setup [GROUP]... install packages only (groups of packages.list)

  --bootstrap-only only generate configure; installs nothing
  --prefix=DIR     where `install` puts things
  --builddir=DIR   where to build (default: build)
  -h, --help       this text

Everything after -- goes to configure, e.g. -- --enable-sanitizer
END
}

# --- saying what happens -----------------------------------------------------

say() { printf '%s\n' "$*"; }
die() {
  printf 'autogen.sh: %s\n' "$*" >&2
  exit 1
}

# step NAME LOG COMMAND...: runs it into build/LOG.log, with a sign of life
# every few seconds; a failure shows the end of the log.
step() {
  local name=$1 log=$build/$2.log pid rc start=$SECONDS waited=0
  shift 2
  printf '  %-34s' "$name"
  "$@" >"$log" 2>&1 </dev/null &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.2
    waited=$((waited + 1))
    [ $((waited % 25)) -ne 0 ] || printf '.'
  done
  wait "$pid"
  rc=$?
  if [ $rc -ne 0 ]; then
    printf ' failed after %d s\n\n' $((SECONDS - start))
    tail -n 40 "$log"
    printf '\nThe whole log: %s\n' "$top/$log"
    exit 1
  fi
  printf ' done, %d s\n' $((SECONDS - start))
}

# --- packages ----------------------------------------------------------------

# group NAME: the lines of that group in packages.list.
group() {
  awk -v want="[$1]" '/^\[/ { inside = ($0 == want); found = found || inside; next }
    inside && NF && !/^#/ { print }
    END { exit !found }' packages.list || die "packages.list has no group '$1'"
}

node_found() {
  local major
  major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null) || return 1
  [ "$major" -ge "$node_min" ] 2>/dev/null
}

installed() {
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# missing GROUP...: one line for each requirement that nothing here meets.
missing() {
  local line name met
  for name; do group "$name"; done | sort -u | while IFS= read -r line; do
    case $line in
    nodejs) node_found && continue ;;
    npm) command -v npm >/dev/null && continue ;;
    esac
    met=no
    for name in ${line//|/ }; do
      installed "$name" && met=yes
    done
    [ $met = yes ] || printf '%s\n' "$line"
  done
}

# choose LINE: of "a | b" the first that apt knows; of "a", a.
choose() {
  local name
  for name in ${1//|/ }; do
    if [ -n "$(apt-cache --no-generate show "$name" 2>/dev/null | head -1)" ]; then
      printf '%s\n' "$name"
      return
    fi
  done
  printf '%s\n' "${1%% *}"
}

apt_install() {
  local names=() line
  "$@" env DEBIAN_FRONTEND=noninteractive apt-get -q update || return 1
  while IFS= read -r line; do
    names+=("$(choose "$line")")
  done <<<"$lacking"
  "$@" env DEBIAN_FRONTEND=noninteractive apt-get -q install -y \
    --no-install-recommends "${names[@]}"
}

install_packages() {
  local lacking name as=()
  for name; do group "$name" >/dev/null; done
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    say "  not a Debian system: install what packages.list names ($*) yourself"
    return
  fi
  lacking=$(missing "$@") || exit 1
  [ -n "$lacking" ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "these packages are missing, and there is
neither root nor sudo to install them:

$lacking

Ask an administrator to run:
  ./autogen.sh setup $*"
    say "Installing $(wc -l <<<"$lacking") packages with sudo."
    sudo -v || die 'sudo refused; run as root, or install the packages first'
    as=(sudo)
  fi
  step "packages ($(wc -l <<<"$lacking") missing)" packages \
    apt_install ${as[@]+"${as[@]}"}
}

# --- building ----------------------------------------------------------------

bootstrap() {
  local file
  if [ -x configure ] && [ -f Makefile.in ] && [ -f build-aux/ltmain.sh ]; then
    for file in configure.ac Makefile.am; do
      [ "$file" -nt configure ] && break
      file=
    done
    [ -n "$file" ] || return 0
  fi
  step bootstrap bootstrap autoreconf -fi
}

# configure_tree OPTION...: again only when the options changed.
configure_tree() {
  local stamp=$build/.options wanted up=..
  [ "${build#/}" = "$build" ] && [ "${build#*/}" = "$build" ] || up=$top
  if [ -z "${CC:-}" ] && command -v ccache >/dev/null; then
    set -- "$@" CC='ccache gcc'
  fi
  wanted=$(printf '%s\n' "$@" "CC=${CC:-}" "CFLAGS=${CFLAGS:-}")
  if [ -f "$build/config.status" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    return 0
  fi
  if [ -f "$build/Makefile" ]; then
    step 'clean (the options changed)' clean make -C "$build" clean
  fi
  step configure configure env -C "$build" "$up/configure" "$@"
  printf '%s\n' "$wanted" >"$stamp"
}

build_tree() {
  mkdir -p "$build" || die "cannot write to $top/$build"
  say 'hoop-agent: preparing'
  install_packages "${groups[@]}"
  bootstrap
  configure_tree ${options[@]+"${options[@]}"}
  step "build ($jobs jobs)" build make -C "$build" "-j$jobs"
}

# --- verbs -------------------------------------------------------------------

verb_try() {
  say ''
  HOOP_BUILDDIR=$(cd "$build" && pwd)
  HOOP_SRCDIR=$top
  export HOOP_BUILDDIR HOOP_SRCDIR
  exec bash tests/demo/try.sh ${try_options[@]+"${try_options[@]}"}
}

# verb_check TARGET: automake's lines as they come, its summary at the end.
verb_check() {
  local rc
  step 'build the tests' build-tests make -C "$build" "-j$jobs" check TESTS=
  say "  tests (log: $build/$1.log)"
  make -C "$build" "-j$jobs" "$1" 2>&1 </dev/null |
    tee "$build/$1.log" |
    grep --line-buffered -E '^(PASS|FAIL|ERROR|SKIP|XPASS|# [A-Z])'
  rc=${PIPESTATUS[0]}
  [ "$rc" -eq 0 ] && return
  say ''
  [ ! -f "$build/test-suite.log" ] || tail -n 60 "$build/test-suite.log"
  die "tests failed: see $top/$build/$1.log and test-suite.log"
}

verb_install() {
  local as=() prefix unit=hoop-agent.service which=hoop-agent.service
  prefix=$(sed -n 's/^prefix = //p' "$build/Makefile")
  # Elsewhere the user's service manager does not look by itself.
  case $prefix in
  /usr | /usr/local) ;;
  *) which=$prefix/lib/systemd/user/$unit ;;
  esac
  if ! writable "$prefix"; then
    command -v sudo >/dev/null || die "$prefix is not writable and there is no
sudo: run as root, or choose a place with --prefix=\$HOME/.local"
    sudo -v || die "sudo refused; or choose a place with --prefix=\$HOME/.local"
    as=(sudo)
  fi
  step "install to $prefix" install ${as[@]+"${as[@]}"} make -C "$build" install
  say ''
  say "Installed $prefix/bin/hoop-agent and its user unit $unit."
  if [ "$(id -u)" -ne 0 ] && systemctl --user show-environment >/dev/null 2>&1; then
    if systemctl --user daemon-reload &&
      systemctl --user enable --now "$which"; then
      say "Enabled and started $unit for $(id -un)."
    else
      say "Could not start $unit; see: systemctl --user status $unit"
    fi
  else
    say 'No user service manager answers here, so nothing was started. As the'
    say "developer: systemctl --user enable --now $which"
  fi
  case :$PATH: in
  *":$prefix/bin:"*) ;;
  *) say "PATH does not name $prefix/bin: add it, or the shell finds no hoop-agent." ;;
  esac
  say ''
  say 'Next:'
  say '  hoop-agent doctor           checks this machine'
  say '  hoop-agent setup vscode     points a client at the agent (--undo: back)'
  say '  hoop-agent status           what the agent is doing'
}

# writable DIR: it, or its nearest existing parent, takes files.
writable() {
  local dir=$1
  while [ ! -e "$dir" ]; do dir=$(dirname "$dir"); done
  [ -w "$dir" ]
}

# --- command line ------------------------------------------------------------

verb=
options=()
wanted_groups=()
try_options=()
while [ $# -gt 0 ]; do
  case $1 in
  -h | --help) usage && exit 0 ;;
  --bootstrap-only) verb=bootstrap ;;
  --once) try_options=(--once) ;;
  --prefix=*) options+=("$1") ;;
  --builddir=*) build=${1#*=} ;;
  --)
    shift
    options+=("$@")
    break
    ;;
  -*) usage >&2 && exit 2 ;;
  *)
    if [ -z "$verb" ]; then
      verb=$1
    elif [ "$verb" = setup ]; then
      wanted_groups+=("$1")
    else
      usage >&2 && exit 2
    fi
    ;;
  esac
  shift
done

case $verb in
bootstrap)
  exec autoreconf -fi
  ;;
setup)
  mkdir -p "$build"
  install_packages "${wanted_groups[@]:-build}"
  say 'Packages: all there.'
  ;;
build | install)
  groups=(build)
  build_tree
  [ "$verb" = build ] || verb_install
  ;;
try)
  groups=(build try)
  build_tree
  verb_try
  ;;
check | check-full)
  groups=(build test)
  [ "$verb" = check ] || groups+=(full bench)
  build_tree
  verb_check "$verb"
  ;;
*)
  usage >&2
  exit 2
  ;;
esac
