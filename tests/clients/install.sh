#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the real clients of package.json once, outside the source tree, and
# prints the directory. Needs npm and the registry that npm is set to use.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
hash=$(sha256sum "$here/package.json" | cut -c1-16)
cache=${XDG_CACHE_HOME:-${HOME:?set HOME or XDG_CACHE_HOME}/.cache}
dir=${HOOP_TEST_CLIENTS:-$cache/hoop-agent-tests/clients-$hash}

say() { echo "clients/install.sh: $*" >&2; }

if [ "${1:-}" = --print-dir ]; then
  echo "$dir"
  exit 0
fi

case $(uname -s)-$(uname -m) in
Linux-x86_64) ;;
*)
  say "the clients are installed on Linux x86_64 only, not $(uname -sm)"
  exit 1
  ;;
esac

installed() {
  [ -f "$dir/.installed" ] && [ "$(cat "$dir/.installed")" = "$hash" ]
}

if installed; then
  echo "$dir"
  exit 0
fi

for tool in npm node flock; do
  command -v "$tool" >/dev/null || {
    say "$tool is not installed (Debian: apt install nodejs npm util-linux)"
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

free_kib=$(df -Pk "$dir" | awk 'NR == 2 { print $4 }')
if [ "$free_kib" -lt 2097152 ]; then
  say "$dir needs 2 GiB of free space, has $((free_kib / 1024)) MiB"
  exit 1
fi

rm -rf "$dir/node_modules" "$dir/.installed"
cp "$here/package.json" "$dir/package.json"
say "installing $(grep -c '": "[0-9]' "$dir/package.json") clients into $dir (once)"

# Install scripts stay off: of these packages only claude-code has one, which
# links its native binary; claude-code.mjs runs that binary where it lies.
if ! npm install --prefix "$dir" --no-package-lock --no-audit --no-fund \
  --ignore-scripts --no-progress --loglevel=error >"$dir/npm.log" 2>&1; then
  say "npm install failed; the end of $dir/npm.log:"
  tail -n 15 "$dir/npm.log" >&2
  exit 1
fi
echo "$hash" >"$dir/.installed"
echo "$dir"
