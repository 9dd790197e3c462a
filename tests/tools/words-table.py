#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes agent/inspect/words-table.h: how usual each three letters are in the
words and identifiers of ordinary text.

    find ... | words-table.py >agent/inspect/words-table.h

counts the words of the files that are named on standard input (documentation,
headers, sources of any kind; identifiers are split at capitals). Only the frequencies of
letter triples go into the table, rounded to sixteen steps; no text does.
"""

import math
import re
import sys

LETTERS = "^abcdefghijklmnopqrstuvwxyz"  # ^: where a word begins or ends
STEP = 1.0  # bits in one step
SEEN = 3  # a word that is rarer is perhaps none
LONGEST = 20  # and so is one that is longer
SMOOTH = 0.4

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def count_words(files):
    counts = {}
    for name in files:
        with open(name, encoding="utf-8", errors="replace") as file:
            for line in file:
                if len(line) > 400:  # data, or made by a machine
                    continue
                for word in WORD.findall(line):
                    if 2 <= len(word) <= LONGEST:
                        word = word.lower()
                        counts[word] = counts.get(word, 0) + 1
    return counts


def count_triples(words):
    n = len(LETTERS)
    triples = [0.0] * (n * n * n)
    for word, seen in words.items():
        if seen < SEEN:
            continue
        at = [0, 0] + [LETTERS.index(c) for c in word] + [0]
        for i in range(len(at) - 2):
            place = (at[i] * n + at[i + 1]) * n + at[i + 2]
            triples[place] += math.log2(seen)
    return triples


def main():
    n = len(LETTERS)
    triples = count_triples(count_words(line.rstrip("\n") for line in sys.stdin))
    print("/* SPDX-License-Identifier: Apache-2.0 */")
    print("/* How unusual a letter is behind two others, in bits: 'a' is 0, 'p'")
    print(" * is 15 or more. Made by tests/tools/words-table.py; private to")
    print(" * words.c. */")
    print("#ifndef HOOP_INSPECT_WORDS_TABLE_H")
    print("#define HOOP_INSPECT_WORDS_TABLE_H")
    print()
    print("/* The letters and the end of a word. */")
    print(f"#define WORD_LETTERS {n}")
    print()
    print("/* clang-format off */")
    print("static const char word_bits[WORD_LETTERS][WORD_LETTERS *")
    print("                                          WORD_LETTERS + 1] = {")
    for a in range(n):
        row = ""
        for b in range(n):
            base = (a * n + b) * n
            total = sum(triples[base : base + n]) + SMOOTH * n
            for c in range(n):
                bits = -math.log2((triples[base + c] + SMOOTH) / total)
                row += chr(ord("a") + min(15, round(bits / STEP)))
        for i in range(0, len(row), 74):
            last = "," if i + 74 >= len(row) else ""
            print('  "' + row[i : i + 74] + '"' + last)
    print("};")
    print("/* clang-format on */")
    print()
    print("#endif")


main()
