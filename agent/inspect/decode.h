/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of a text that are encoded text: found as the text goes by, decoded in
 * windows. Private to the room.
 *
 * Base64 (RFC 4648, 4 and 5, with or without padding; MIME's lines) and hex.
 * A run counts when its first 16 characters decode
 * to text, in UTF-8 or, if it is ASCII, in UTF-16 (as PowerShell's
 * -EncodedCommand has it): images, archives, hashes and identifiers do not, and
 * cost nothing more. It may begin after any of "+/-_", so that a path or a name
 * before it hides nothing. */
#ifndef HOOP_INSPECT_DECODE_H
#define HOOP_INSPECT_DECODE_H

#include "inspect/detector.h"

/* Shorter runs hold no secret of any exact format. */
#define DECODE_MIN 16
/* A run is decoded in windows of so many bytes of the text, the next one
 * beginning so many later: what a stream must hold of it, and more than any
 * token takes, twice encoded, where two of them meet. */
#define DECODE_WINDOW 16384
#define DECODE_HOP 12288
/* A line that may go on in the next one is at least so long (PEM has 64, MIME
 * 76), and the next one is indented by no more than this. */
#define DECODE_LINE_MIN 32
#define DECODE_INDENT_MAX 32

typedef enum { DECODE_BASE64, DECODE_HEX } DecodeKind;

/* A piece of a text, all of it at hand. */
typedef struct {
  DecodeKind kind;
  size_t start, end;
} DecodeWindow;

typedef enum {
  DECODE_OUT,   /* no run */
  DECODE_BEGUN, /* a run that is too short yet to tell */
  DECODE_LIVE,  /* a run that decodes to text */
  DECODE_DEAD,  /* a run that does not */
  DECODE_PAD,   /* behind its "=" */
  DECODE_BREAK  /* behind a whole line of it */
} DecodeState;

/* Where in a text one is. */
typedef struct {
  DecodeState state;
  DecodeKind kind;
  size_t pos;   /* everything before it was looked at */
  size_t start; /* of the run, or of its next window */
  size_t line;  /* where the run's current line begins */
  size_t width; /* of its lines; 0: still in the first */
  size_t edge;  /* where its last whole line ends */
  bool newline; /* BREAK: the line's end was seen */
} DecodeScan;

/* Goes on over what the view holds; true with the next window that is whole.
 * To be called until it is false. What it finds does not depend on how the
 * text was cut. */
bool decode_next(DecodeScan *scan, const TextView *view, DecodeWindow *window);
/* The window that was found last is no text: the rest of its run is not looked
 * at. */
void decode_give_up(DecodeScan *scan);
/* No window that is not found yet begins before this; SIZE_MAX: none is
 * beginning. */
size_t decode_floor(const DecodeScan *scan);

/* Some characters of a window, and the bytes that they stand for. */
typedef struct {
  guint32 start, end; /* from the window's start */
} DecodeGroup;

/* Where a character of the decoded text comes from: that at `pos` is byte
 * pos * stride + offset of what was decoded, in groups of per_group bytes. */
typedef struct {
  unsigned per_group, stride, offset;
} DecodeMap;

static inline size_t
decode_group(const DecodeMap *map, size_t pos)
{
  return (pos * map->stride + map->offset) / map->per_group;
}

/* Appends the decoded text and its groups (the last may have fewer bytes).
 * False: it is not text. */
bool decode_window(const TextView *view,
                   const DecodeWindow *window,
                   GString *out,
                   GArray *groups,
                   DecodeMap *map);

#endif
