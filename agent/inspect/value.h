/* SPDX-License-Identifier: Apache-2.0 */
/* What tells a secret from an ordinary word: how usual its letters are, what
 * stands for a secret without being one, and the name before it. Private to
 * the room; CPU only, any thread. */
#ifndef HOOP_INSPECT_VALUE_H
#define HOOP_INSPECT_VALUE_H

#include <stdbool.h>
#include <stddef.h>

/* A value with what may be read around it: [floor, limit) of one text. Nothing
 * behind `limit` is looked at, so that a stream that is cut anywhere says the
 * same as the whole text. */
typedef struct {
  const char *floor;
  const char *opener; /* where what follows the name and its operator begins */
  const char *secret;
  size_t len;
  const char *limit; /* the end of what the regex matched */
} Value;

/* ---- words.c: letters ---------------------------------------------------- */

/* Mean bits of a word's letters, each behind the two before it; ASCII letters
 * only. Words and identifiers have 2 to 5, random letters 5 to 7. */
double word_bits_mean(const char *word, size_t len);
/* True when these letters look like a word, a part of one, or an
 * abbreviation. */
bool word_is_usual(const char *word, size_t len);

typedef struct {
  size_t letters, digits, uppers, lowers;
  size_t others;   /* neither letters, digits nor joints */
  size_t joints;   /* - _ . : / , */
  size_t spaces;   /* white space */
  size_t usual;    /* letters in usual words of three letters and more */
  size_t longest;  /* the longest unusual run of letters */
  size_t pieces;   /* runs of letters */
  size_t distinct; /* different bytes */
} ValueShape;
/* Takes a text apart: runs of letters are cut where a capital follows a small
 * letter. */
void shape_of_value(const char *text, size_t len, ValueShape *shape);

/* ---- harmless.c: what is no secret whatever its name is ------------------ */

/* A reference to a value that stands elsewhere: ${X}, $X, %X%, {{ x }},
 * <%= x %>, #{x}, @X@, a call, a path of members. */
bool value_is_reference(const char *text, size_t len);
/* Something to be filled in: <your-key>, xxxx, ****, changeme, REPLACE_ME,
 * one character over and over, abcd1234. */
bool value_is_placeholder(const char *text, size_t len);
/* A run up or down the alphabet or the digits, or two of them: 12345678,
 * abcdefgh, 1234567890abcdef. */
bool value_is_sequence(const char *text, size_t len);
/* A URL without a password, a path, a file's name, an e-mail address, a hash
 * with its algorithm, inline data, a version, a date, a regex. */
bool value_is_address(const char *text, size_t len);
/* Letters and digits that name a technique: sha256, utf8, base64, oauth2. */
bool value_is_technical(const char *text, size_t len);

/* ---- names.c: what a name promises --------------------------------------- */

typedef enum {
  NAME_NONE,     /* nothing secret, or only something about a secret */
  NAME_PASSWORD, /* chosen by people as often as not */
  NAME_SECRET,   /* "secret": either */
  NAME_KEY       /* made by a machine: tokens, keys */
} NameKind;
NameKind name_kind(const char *name, size_t len);
/* True for a text whose words are all those of secrets' names: "password",
 * "db_password", "API token". */
bool names_a_secret(const char *text, size_t len);

/* ---- assign.c: a value in its place -------------------------------------- */

/* A name, an operator and a value. *len may become less where the value ends
 * before what the regex took. */
bool assignment_is_secret(const Value *value, size_t *len, double *confidence);
/* A value that can only be a password: false for references, placeholders and
 * what is too short to be one. */
bool password_is_secret(const char *text, size_t len);
/* A value that a person chose as a password rather than wrote as a text, a
 * name or a setting. */
bool chosen_is_secret(const char *text, size_t len);
/* The same, where nothing but the name that the match begins in, and a command
 * such as "export", stands before it in its line. */
bool setting_is_secret(const Value *value, size_t len);
/* A value that a machine made, or may have. */
bool token_is_secret(const char *text, size_t len);

#endif
