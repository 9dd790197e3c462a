#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints files as C: their bytes, and a table of names that change with them.
# usage: embed.sh FILE…

set -eu

type_of() {
  case $1 in
  *.css) echo 'text/css; charset=utf-8' ;;
  *.js) echo 'text/javascript; charset=utf-8' ;;
  *.svg) echo 'image/svg+xml' ;;
  *) echo "embed.sh: $1: of what type?" >&2; exit 1 ;;
  esac
}

echo '/* Made by embed.sh. */'
n=0
for file; do
  n=$((n + 1))
  echo "static const unsigned char bytes_$n[] = {"
  od -An -v -tu1 "$file" | sed 's/  *\([0-9][0-9]*\)/\1,/g'
  echo '};'
done
echo 'static const struct {'
echo '  const char *plain, *path;'
echo '  Asset asset;'
echo '} embedded[] = {'
n=0
for file; do
  n=$((n + 1))
  plain=${file##*/}
  type=$(type_of "$plain")
  sum=$(sha256sum <"$file" | cut -c1-16)
  name=${plain%.*}-$sum.${plain##*.}
  echo "    {\"$plain\", \"/assets/$name\","
  echo "     {\"$name\", \"$type\", bytes_$n, sizeof bytes_$n}},"
done
echo '};'
