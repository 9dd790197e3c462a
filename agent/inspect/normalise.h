/* SPDX-License-Identifier: Apache-2.0 */
/* Texts as a reader sees them: characters that are invisible or only another
 * form of ASCII, and ASCII characters written as escapes, in folded form with
 * the way back. Private to the room.
 *
 * What folds, character by character, whatever stands around it:
 *  - to nothing: default ignorable characters that do not show (soft hyphen,
 *    U+200B…U+200F, U+202A…U+202E, U+2060…U+206F, U+FEFF, U+034F, U+061C,
 *    U+180B…U+180F, variation selectors, tag characters);
 *  - to a space: the other spaces of Unicode (U+00A0, U+2000…U+200A, U+3000 …);
 *  - to ASCII: what NFKC (UAX #15) folds to ASCII alone: full-width forms,
 *    mathematical alphanumerics, letter-like symbols, super- and subscripts,
 *    circled letters and digits, ligatures. Not the ellipsis, which no token
 *    holds and every prose does;
 *  - to the byte that they name: %XX (RFC 3986, 2.1), \xXX and \uXXXX behind up
 *    to sixteen backslashes, and character references of HTML (numbers, and
 *    names of ASCII characters).
 *
 * The short escapes of strings in JSON (RFC 8259, 7) and of languages like it,
 * behind as many backslashes: \n \r \t \b \f, \" \' \/. Every program has them,
 * and what is behind them is mostly seen without undoing them; so they fold
 * where one of them is likely to hide something, and from there on, as behind
 * anything else that folds, as long as they follow one another closely. Likely
 * are quotes and slashes, which no text escapes but in a string in a string,
 * and ends of lines before a word, or before the end of a string in JSON. */
#ifndef HOOP_INSPECT_NORMALISE_H
#define HOOP_INSPECT_NORMALISE_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Short escapes fold so far behind the last thing that folded. */
#define FOLD_REACH 512
/* Bytes that one folds to at most. */
#define FOLD_OUT_MAX 8

typedef struct {
  uint8_t len; /* of out */
  char out[FOLD_OUT_MAX];
} Folded;

/* What begins at text[0], but for short escapes: the bytes that fold (more than
 * 0; *folded is what they fold to), 0 when nothing does, -1 when what follows
 * decides (never when `final`). Halves of surrogate pairs in WTF-8 count as
 * their character. */
int fold_at(const char *text, size_t len, bool final, Folded *folded);

/* The first place where something folds, or may once more text is there; len
 * when there is none. Nothing folded less than FOLD_REACH before the text.
 * *folds (may be NULL): it does. ASCII without escapes passes at 16 bytes a
 * step. */
size_t fold_find(const char *text, size_t len, bool final, bool *folds);

/* `count` sequences of the same lengths, one behind the other. */
typedef struct {
  uint64_t folded : 48, count : 16;
  uint64_t orig : 48, n_folded : 8, n_orig : 8;
} FoldStep;

/* Appends the folded form of a text to `out`, and FoldStep for what changed.
 * The text begins at `orig`, its folded form at `folded`; short escapes before
 * *near fold, which the first call gets as 0. Returns how much of the text was
 * read: less than all when its end is not decided yet. */
size_t fold_append(const char *text,
                   size_t len,
                   bool final,
                   size_t orig,
                   size_t folded,
                   size_t *near,
                   GString *out,
                   GArray *steps);

/* Where the character of the folded byte at `pos` begins in the text, and one
 * past where the one before `pos` ends there. */
size_t fold_start(const GArray *steps, size_t pos);
size_t fold_end(const GArray *steps, size_t pos);

#endif
