/* SPDX-License-Identifier: Apache-2.0 */
/* The response head as curl hands it over line by line: 1xx heads skipped,
 * limits and framing checked, trailers dropped. */
#ifndef HOOP_UPSTREAM_HEAD_H
#define HOOP_UPSTREAM_HEAD_H

#include "http/http.h"

/* All header bytes of one answer, 1xx heads and trailers included. Real heads
 * stay under 8 KiB; the agent's clients refuse more than this. */
#define HEAD_MAX (64 * 1024)

typedef struct {
  HttpHeaders *headers; /* NULL after the owner took them */
  int status;           /* 0 before the first status line */
  size_t bytes;         /* of all lines so far */
  bool multiplexed;     /* HTTP/2: framing is not in the headers */
  bool complete;        /* the final head's empty line was seen */
} Head;

void head_clear(Head *head);

/* Takes one line with its line end. Returns NULL, or why the answer cannot be
 * believed (static text): too many bytes, folded or malformed fields, framing
 * that RFC 9112 section 6.3 calls an error, an upgrade nobody asked for.
 * `*final` is set when this line ended the final head. */
const char *head_line(Head *head, const char *line, size_t len, bool *final);

/* After the final head: true when only the end of the connection ends the
 * body, so that a cut would go unnoticed. */
bool head_is_close_delimited(const Head *head, bool head_request);

#endif
