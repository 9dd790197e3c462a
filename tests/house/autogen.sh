#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# autogen.sh installs what is missing and nothing else: tried in a copy, with
# stand-ins for dpkg, apt, sudo and id, so that this machine stays as it is.

set -u
top=${HOOP_SRCDIR:-$(cd "$(dirname "$0")/../.." && pwd)}
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
count=0

check() { # NAME: ok when the last command succeeded
  local verdict=ok
  [ "$status" = true ] || verdict='not ok'
  count=$((count + 1))
  printf '%s %d - %s\n' "$verdict" $count "$1"
  [ "$status" = true ] || sed 's/^/# /' "$work/out"
}

holds() { # COMMAND...: its outcome becomes the status that check reports
  if "$@" >/dev/null 2>&1; then status=true; else status=false; fi
}

tree="$work/a tree"
bin=$work/bin
mkdir -p "$tree" "$bin"
cp "$top/autogen.sh" "$top/packages.list" "$tree/"
for tool in bash awk sed sort wc tail head cat mkdir dirname nproc sleep grep \
  tr env; do
  ln -s "$(command -v $tool)" "$bin/$tool"
done

stub() { # NAME < BODY
  { printf '#!/bin/bash\n'; cat; } >"$bin/$1"
  chmod +x "$bin/$1"
}
stub dpkg-query <<'END'
grep -qx -e "${@: -1}" "$STUB/absent" || printf installed
END
stub apt-cache <<'END'
case $* in *hyperscan*) ;; *) echo Package ;; esac
END
stub apt-get <<'END'
printf '%s\n' "apt-get $*" >>"$STUB/calls"
[ ! -e "$STUB/offline" ] || { echo 'E: cannot reach the archive' >&2; exit 100; }
END
stub id <<'END'
cat "$STUB/uid"
END
stub node <<'END'
cat "$STUB/node"
END
stub npm </dev/null

run() { # ARGUMENT...: autogen.sh with the stand-ins; output and calls kept
  : >"$work/calls"
  STUB=$work PATH=$bin CC='' bash "$tree/autogen.sh" "$@" >"$work/out" 2>&1
}

echo 0 >"$work/uid"
echo 20 >"$work/node"
: >"$work/absent"

holds run setup build test
check 'setup succeeds when nothing is missing'
holds [ ! -s "$work/calls" ]
check 'nothing missing: apt is not called, so offline works'

printf 'libfyaml-dev\nmake\n' >"$work/absent"
run setup build
holds grep -q -- 'install -y --no-install-recommends libfyaml-dev make$' \
  "$work/calls"
check 'only what is missing is installed, without recommends'

printf 'libhyperscan-dev\nlibvectorscan-dev\n' >"$work/absent"
run setup build
holds grep -q 'recommends libvectorscan-dev$' "$work/calls"
check 'of two alternatives the one that apt knows is taken'
printf 'libhyperscan-dev\n' >"$work/absent"
run setup build
holds [ ! -s "$work/calls" ]
check 'one alternative is enough'

printf 'nodejs\n' >"$work/absent"
run setup try
holds [ ! -s "$work/calls" ]
check 'a node in PATH is left alone'
echo 16 >"$work/node"
run setup try
holds grep -q 'recommends nodejs$' "$work/calls"
check 'a node that is too old is not'
echo 20 >"$work/node"

printf 'make\n' >"$work/absent"
: >"$work/offline"
run setup build
holds grep -q 'cannot reach the archive' "$work/out"
check 'a failing apt shows the end of its log'
rm "$work/offline"

echo 1000 >"$work/uid"
if run setup build; then status=false; else status=true; fi
check 'without root and sudo it fails'
holds grep -q '^make$' "$work/out"
check 'and names what is missing'
holds [ ! -s "$work/calls" ]
check 'and calls nothing'
stub sudo <<'END'
[ "$1" = -v ] || { echo "sudo $1 $3" >>"$STUB/calls"; exec "$@"; }
END
holds run setup build
check 'with sudo it succeeds'
holds grep -q '^sudo env apt-get$' "$work/calls"
check 'by running apt through sudo'

if run setup no-such-group; then status=false; else status=true; fi
check 'an unknown group is an error'
run frobnicate
holds [ $? -eq 2 ]
check 'an unknown verb is a usage error'

printf '1..%d\n' $count
