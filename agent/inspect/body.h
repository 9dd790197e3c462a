/* SPDX-License-Identifier: Apache-2.0 */
/* A body taken apart: its fields, where each stands in the bytes, and what the
 * API says beside them. Private to the room. */
#ifndef HOOP_INSPECT_BODY_H
#define HOOP_INSPECT_BODY_H

#include "inspect/detector.h"
#include "kit/json.h"

/* Numbers of so many digits before their point are looked into (a card number
 * has 13), shorter ones where policy may name their member. */
#define NUMBER_FIELD_MIN 6
/* No field: the body itself. */
#define NO_FIELD UINT_MAX
/* Objects further down say nothing about roles. */
#define NODE_DEPTH 8

typedef enum {
  ENCODED_NOT,
  ENCODED_JSON,
  ENCODED_FORM,
  ENCODED_LOOSE /* JSON that was not taken apart, its escapes undone */
} Encoding;

/* Where a field's text stands: raw bytes [start, end) of its parent's text. */
typedef struct {
  unsigned parent; /* field, or NO_FIELD */
  size_t start, end;
  Encoding encoding;
  bool verbatim; /* raw bytes and text are the same */
  bool number;   /* of JSON: masked as a whole, its mask becomes a string */
  size_t text;   /* offset of the text in the arena */
  size_t key;    /* offset of the last key's text, or 0 */
  size_t key_len;
  unsigned context; /* see roles.h */
  unsigned node;    /* object that it belongs to, or 0 */
  unsigned depth;   /* decodings around it */
} FieldPlace;

/* Decoded texts behind one another, each followed by a newline and a byte that
 * separate it from the next; freed wiped. Offset 0 is an empty text. */
typedef struct {
  char *bytes;
  size_t len, capacity;
} Arena;

struct inspection {
  Api api;
  Direction direction;
  GBytes *body;
  InspectLimits limits;
  Arena arena;
  GArray *fields; /* InspectField */
  GArray *places; /* FieldPlace */
  GArray *nodes;  /* BodyNode; [0] stands for none */
  GStringChunk *paths;
  GString *scratch;
  GArray *findings; /* Finding */
  GArray *calls;    /* ToolCall */
  size_t shortest;  /* bytes that something can be found in; names are fields
                       from there on */
  char *type;       /* its content type, or NULL */
  char *model;
  char *conversation;
  unsigned conversation_rank;
  bool stream;
  int64_t input_tokens, output_tokens;
};

/* arena.c */
/* Makes room for `len` more bytes: until then texts do not move. */
void arena_reserve(Arena *arena, size_t len);
void arena_clear(Arena *arena);
/* Room for one text of at most `len` bytes, which the caller fills. */
char *arena_open(Arena *arena, size_t len);
/* The text that was opened has `len` bytes; returns its offset. */
size_t arena_close(Arena *arena, size_t len);

/* inspection.c: adds a field whose text was put into the arena. `path` and the
 * key are copied or kept by offset. False on the limit. */
bool inspection_add(Inspection *inspection,
                    const FieldPlace *place,
                    size_t len,
                    const char *path,
                    size_t path_len,
                    bool is_key,
                    GError **error);

/* The API's own members are read, so that a second one of the same name could
 * mean something else to the API than to us. */
bool body_is_interpreted(const Inspection *inspection);

/* inspection.c: another body of the same kind. */
Inspection *inspection_again(DetectorScratch *scratch,
                             const Inspection *like,
                             GBytes *body,
                             GError **error);

/* json-fields.c: all string leaves, names and numbers of one JSON text, which
 * is [from, from + len) of the body `text` (parent NO_FIELD) or of a field's
 * text (`text` is not looked at). */
bool json_fields_read(Inspection *inspection,
                      unsigned parent,
                      const char *text,
                      size_t from,
                      size_t len,
                      GError **error);
/* loose.c: a field for a text that looks like JSON but is nested too deep, or
 * broken, with every escape undone however many backslashes it has; nothing
 * when it has none. */
bool loose_field_read(Inspection *inspection, unsigned field, GError **error);
/* Undoes them; map (len + 1 offsets) may be NULL. Returns the length. */
size_t loose_decode(const char *raw, size_t len, char *out, guint32 *map);
/* form-fields.c: application/x-www-form-urlencoded (URL standard, 5.1). */
bool form_fields_read(Inspection *inspection,
                      const char *text,
                      size_t len,
                      GError **error);
/* Decodes one part; map (len + 1 offsets) may be NULL. Returns the length. */
size_t form_decode(const char *raw, size_t len, char *out, guint32 *map);

/* calls.c: the tool calls of a whole JSON answer. */
bool calls_read(Inspection *inspection, GError **error);

#endif
