#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Puts one provider for tests under the cache, once, and prints the directory.
# Debian's are downloaded and unpacked, not installed: no service is started,
# no account made, and no root needed.
# usage: install.sh npm|glewlwyd|lemonldap|chromium
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
what=${1:-}
cache=${XDG_CACHE_HOME:-${HOME:?set HOME or XDG_CACHE_HOME}/.cache}

say() { echo "providers/install.sh: $*" >&2; }

case $what in
npm)
  packages=
  hash=$(sha256sum "$here/package.json" | cut -c1-16)
  ;;
glewlwyd) packages='glewlwyd dbconfig-no-thanks' ;;
lemonldap)
  packages='liblemonldap-ng-portal-perl lemonldap-ng-handler
    libstring-random-perl libio-string-perl'
  ;;
chromium) packages='chromium' ;;
*)
  say "usage: install.sh npm|glewlwyd|lemonldap|chromium"
  exit 2
  ;;
esac
[ -z "$packages" ] || hash=$(echo "1 $packages" | sha256sum | cut -c1-16)
dir=${HOOP_TEST_PROVIDERS:-$cache/hoop-agent-tests/providers}/$what-$hash

installed() {
  [ -f "$dir/.installed" ] && [ "$(cat "$dir/.installed")" = "$hash" ]
}

if installed; then
  echo "$dir"
  exit 0
fi

tools='flock npm node'
[ -z "$packages" ] || tools='flock apt-get dpkg-deb dpkg-query'
for tool in $tools; do
  command -v "$tool" >/dev/null || {
    say "$tool is not installed"
    exit 1
  }
done

# One installer at a time; the second one finds the work done.
mkdir -p "$dir"
exec 9>"$dir/.lock"
flock 9
if installed; then
  echo "$dir"
  exit 0
fi

# Those that this machine lacks, Perl's own aside.
lacking() {
  # shellcheck disable=SC2086
  apt-get install -s --no-install-recommends $packages |
    awk '/^Inst / { print $2 }' | while read -r name; do
    case $name in
    perl | perl-base | perl-modules-* | libperl5*) continue ;;
    esac
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = \
      installed ] || echo "$name"
  done
}

unpack() {
  rm -rf "$dir/debs" "$dir/root"
  mkdir -p "$dir/debs" "$dir/root"
  names=$(lacking)
  if [ -n "$names" ]; then
    # shellcheck disable=SC2086
    (cd "$dir/debs" && apt-get -q -o APT::Sandbox::User=root download $names)
    for deb in "$dir"/debs/*.deb; do
      dpkg-deb -x "$deb" "$dir/root" || return 1
    done
  fi
  rm -rf "$dir/debs"
}

rm -f "$dir/.installed"
say "getting $what into $dir (once)"
if [ -n "$packages" ]; then
  unpack >"$dir/install.log" 2>&1 || {
    say "failed; the end of $dir/install.log (apt-get update may help):"
    tail -n 15 "$dir/install.log" >&2
    exit 1
  }
else
  cp "$here/package.json" "$dir/package.json"
  npm install --prefix "$dir" --no-package-lock --no-audit --no-fund \
    --ignore-scripts --no-progress --loglevel=error >"$dir/npm.log" 2>&1 || {
    say "npm install failed; the end of $dir/npm.log:"
    tail -n 15 "$dir/npm.log" >&2
    exit 1
  }
fi
echo "$hash" >"$dir/.installed"
echo "$dir"
