/* SPDX-License-Identifier: Apache-2.0 */
/* A file's bytes as text, and the way back to bytes, lines and columns.
 * Private. */
#ifndef HOOP_CLI_TEXT_H
#define HOOP_CLI_TEXT_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
  TEXT_UTF8,    /* valid, without NULs: the bytes themselves */
  TEXT_MIXED,   /* UTF-8, each byte that is none read as Latin-1 */
  TEXT_UTF16LE, /* after a byte order mark */
  TEXT_UTF16BE
} TextCoding;

typedef struct {
  TextCoding coding;
  const uint8_t *raw; /* behind the byte order mark */
  size_t raw_len;
  size_t mark;      /* bytes of the mark */
  const char *text; /* valid UTF-8, carriage returns for NULs */
  size_t len;
  char *own; /* text, unless the raw bytes are it */
} FileText;

/* True when a NUL is in the first 8 KiB and no mark says UTF-16. */
bool text_is_binary(const uint8_t *bytes, size_t len);

/* Reads bytes, which must outlive it. text_clear() it (wipes). */
void text_init(FileText *file, const uint8_t *bytes, size_t len);
void text_clear(FileText *file);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(FileText, text_clear)

/* A place in a text. Moves forward only; copy it to look further ahead. */
typedef struct {
  size_t at;             /* byte of the text */
  size_t raw;            /* byte of the file, its mark included */
  size_t line_start;     /* byte of the text */
  unsigned line, column; /* from 1; columns count characters */
} TextPlace;

void place_init(const FileText *file, TextPlace *place);
/* To the byte `at` of the text, which begins a character (or is its end). */
void place_move(const FileText *file, TextPlace *place, size_t at);

#endif
