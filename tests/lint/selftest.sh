#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The lints' own test: each is silent on a small good tree, and names file and
# line of every fault that is planted in a copy of it.

set -u
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
count=0

report() { # VERDICT NAME
  count=$((count + 1))
  printf '%s %d - %s\n' "$1" $count "$2"
}

# plant FILE < TEXT: into the tree under test.
plant() {
  mkdir -p "$tree/$(dirname "$1")"
  cat >"$tree/$1"
}

licence='SPDX-License-Identifier: Apache-2.0'

# good_tree: a new tree that no lint has anything to say about.
good_tree() {
  tree=$(mktemp -d -p "$work")
  mkdir -p "$tree/tests/lint"
  cp "$here"/*.sh "$here/arrows.allow" "$tree/tests/lint/"
  cp "$top/.clang-format" "$tree/"
  printf '/* %s */\n/* Buffers. */\n#ifndef B\n#define B\n\n#include <stddef.h>\n\nsize_t buf_max(void);\n\n#endif\n' "$licence" |
    plant agent/kit/buf.h
  printf '/* %s */\n/* Buffers. */\n\n#include "kit/buf.h"\n\nsize_t\nbuf_max(void)\n{\n  return 1;\n}\n' "$licence" |
    plant agent/kit/buf.c
  printf '/* %s */\n/* Rules. */\n#ifndef P\n#define P\n\n#include "kit/buf.h"\n\n#endif\n' "$licence" |
    plant policy/policy.h
  printf '/* %s */\n/* Parts. */\n#ifndef R\n#define R\n\n#endif\n' "$licence" |
    plant policy/rule.h
  printf '/* %s */\n/* Verbs. */\n\n  {"serve", verb_serve, "the daemon"},\n  {"scan", verb_scan, "finds"},\n' "$licence" |
    plant agent/cli/verbs.c.txt
  printf '.SH COMMANDS\n.SS serve [\\fB--config\\fR]\nx\n.SS scan\nx\n.SH FILES\n' |
    plant man/hoop-agent.1
  for shell in bash zsh fish; do
    echo 'complete serve scan' | plant agent/data/completions/$shell
  done
  printf '/* %s */\n/* Keys. */\n\n  KEY("listen",\n   "port", "8788"),\n  CONN_KEY("type", x),\n' "$licence" |
    plant agent/config/keys.c.txt
  printf '.SH SECTIONS\n.SS [listen]\n.TP\n.B port\nx\n.SS [connection \\"name\\"]\n.TP\n.BR type =x\n' |
    plant man/hoop-agent.conf.5
  { printf 'X = \\\n\tagent/kit/buf.c \\\n\tagent/kit/buf.h \\\n\tpolicy/policy.h \\\n\tpolicy/rule.h\n'
    for lint in "$here"/*.sh; do echo "Y += tests/lint/$(basename "$lint")"; done
  } | plant Makefile.am
}

# tables: the two tables under their real names (they are no compilable C).
tables() {
  mv "$tree/agent/cli/verbs.c.txt" "$tree/agent/cli/verbs.c"
  mv "$tree/agent/config/keys.c.txt" "$tree/agent/config/keys.c"
}

lint() { # NAME: its output; the status says what it found
  HOOP_SRCDIR=$tree HOOP_BUILDDIR=$tree CC=${CC:-cc} \
    LINT_CFLAGS='-std=gnu17 -Wall' timeout 60 bash "$tree/tests/lint/$1.sh" "$tree"
}

silent() { # LINT
  if lint "$1" >"$work/out"; then
    report ok "$1 is silent on a good tree"
  else
    report 'not ok' "$1 is silent on a good tree"
    sed 's/^/# /' "$work/out"
  fi
}

# finds LINT FILE:LINE WORDS: it fails and says so.
finds() {
  if ! lint "$1" >"$work/out" && grep -qF "# $2: " "$work/out" &&
    grep -F "# $2: " "$work/out" | grep -qF -e "$3"; then
    report ok "$1 finds $3 at $2"
  elif grep -q SKIP "$work/out"; then
    report ok "$1 finds $3 at $2 # SKIP its tool is missing"
  else
    report 'not ok' "$1 finds $3 at $2"
    sed 's/^/# /' "$work/out"
  fi
}

good_tree
for name in arrows headers format opening words manifest; do silent $name; done
tables
for name in verbs keys; do silent $name; done
good_tree
# shellcheck disable=SC2016 # text for a file
printf '#!/bin/bash\n# %s\n# Fine.\necho "$1"\n' "$licence" | plant tests/demo/x.sh
silent scripts

good_tree
printf '#include "policy/policy.h"\n' >>"$tree/agent/kit/buf.c"
finds arrows agent/kit/buf.c:11 'kit may not include policy'
good_tree
printf '#include "policy/rule.h"\n' | plant agent/judge/judge.c
finds arrows agent/judge/judge.c:1 'is private to its room'
good_tree
printf '# include  "buf.h"\n' | plant agent/kit/file.c
finds arrows agent/kit/file.c:1 'does not name its room'
good_tree
printf '#include <kit/buf.h>\n' | plant agent/kit/file.c
finds arrows agent/kit/file.c:1 'with quotes'
good_tree
printf '\n' | plant agent/cellar/cellar.c
printf '#include "kit/buf.h"\n' | plant agent/cellar/cellar.c
finds arrows agent/cellar/cellar.c:1 "room 'cellar' is not in"
good_tree
printf 'kit: hub\n' >"$tree/tests/lint/arrows.allow"
finds arrows tests/lint/arrows.allow:1 'does not stand above it'

good_tree
printf '/* %s */\n/* X. */\n#ifndef F\n#define F\n\nsize_t file_size(void);\n\n#endif\n' "$licence" |
  plant agent/kit/file.h
finds headers agent/kit/file.h:6 'does not stand alone'
good_tree
printf '/* %s */\n/* X. */\nstruct twice {\n  int a;\n};\n' "$licence" |
  plant agent/kit/file.h
finds headers agent/kit/file.h:3 'redefinition'

good_tree
printf '/* %s */\n/* X. */\n\nint f (void);\n' "$licence" | plant agent/kit/file.h
finds format agent/kit/file.h:4 'not formatted'

good_tree
printf '/* X. */\n' | plant agent/kit/file.c
finds opening agent/kit/file.c:1 'SPDX'
good_tree
printf '/* %s */\n\n#include "kit/buf.h"\n' "$licence" | plant agent/kit/file.c
finds opening agent/kit/file.c:2 'no comment'
good_tree
printf '// %s\nconst a = 1;\n' "$licence" | plant tests/flow/a.test.mjs
finds opening tests/flow/a.test.mjs:2 'no comment'
good_tree
{ printf '/* %s */\n/* X. */\n' "$licence"; yes '' | head -699; } |
  plant agent/kit/file.c
finds opening agent/kit/file.c:701 'longer than 700'

good_tree
printf 'see /home/somebody/x\n' | plant doc/notes.md
finds words doc/notes.md:1 'a path of one machine'
good_tree
printf 'x\nfetch from registry.%s.org\n' npmjs | plant tests/clients/install.txt
finds words tests/clients/install.txt:2 'registry host'
good_tree
printf '/* %s: later */\n' TODO | plant agent/kit/file.c
finds words agent/kit/file.c:1 'unfinished'
good_tree
printf '  goto out;\n  g_mutex_lock(&lock);\n  strcpy(a, b);\n  printf("x");\n' |
  plant agent/kit/file.c
finds words agent/kit/file.c:1 'goto'
finds words agent/kit/file.c:2 'TSan'
finds words agent/kit/file.c:3 'unbounded'
finds words agent/kit/file.c:4 'rooms return errors'

good_tree
# shellcheck disable=SC2016 # the fault to be found
printf '#!/bin/bash\n# %s\n# X.\nrm $1\n' "$licence" | plant tests/demo/x.sh
finds scripts tests/demo/x.sh:4 'SC2086'

good_tree && tables
printf '  {"login", verb_login, "x"},\n' >>"$tree/agent/cli/verbs.c"
finds verbs agent/cli/verbs.c:6 "'login' has no .SS"
finds verbs agent/data/completions/fish:1 "does not complete 'login'"
good_tree && tables
printf '.SH COMMANDS\n.SS gone\n' >>"$tree/man/hoop-agent.1"
finds verbs man/hoop-agent.1:8 "'gone' is not in"
good_tree && tables
printf '    .options = {{.name = "deep"}}\n' >>"$tree/agent/cli/verbs.c"
finds verbs agent/cli/verbs.c:6 '--deep is not in man'
good_tree && tables
rm -r "$tree/agent/data/completions"
finds verbs agent/data/completions:1 'each need a file'

good_tree && tables
printf '  KEY("listen",\n   "address", ""),\n' >>"$tree/agent/config/keys.c"
finds keys agent/config/keys.c:7 '[listen] address is not described'
good_tree && tables
printf '.TP\n.B gone\n' >>"$tree/man/hoop-agent.conf.5"
finds keys man/hoop-agent.conf.5:10 '[connection] gone is not in'

good_tree
printf '/* %s */\n' "$licence" | plant agent/kit/file.c
finds manifest agent/kit/file.c:1 'is not in Makefile.am'
good_tree
printf '\tagent/kit/gone.c\n' >>"$tree/Makefile.am"
finds manifest "Makefile.am:$(wc -l <"$tree/Makefile.am")" 'does not exist'
good_tree
printf 'x\n' | plant tests/unit/test-x.c
finds manifest tests/unit/test-x.c:1 'is not in Makefile.am'

printf '1..%d\n' $count
