/* SPDX-License-Identifier: Apache-2.0 */
/* Splits text/event-stream into events (HTML standard, 9.2.6) without changing
 * a byte. Private to the room. */
#ifndef HOOP_INSPECT_SSE_H
#define HOOP_INSPECT_SSE_H

#include "inspect/inspect.h"

/* The largest event: a completed response repeats the whole answer, pictures
 * come as one delta. */
#define SSE_EVENT_MAX ((size_t)8 * 1024 * 1024)
/* Lines of one event. */
#define SSE_LINES_MAX 65536

/* One line's part that is text: a data line's value, or all of another line. */
typedef struct {
  size_t start, end; /* of the event's bytes */
  bool is_data;
} SseLine;

typedef struct {
  size_t line;  /* where the line that is read begins */
  size_t look;  /* where its end is looked for */
  bool started; /* a byte order mark may not come any more */
  bool partial; /* the last event had no empty line at its end */
} SseSplitter;

void sse_splitter_init(SseSplitter *splitter);
/* Looks for one event in bytes that begin where the last event ended and that
 * grew since the last call. Returns its length and fills lines (SseLine), or 0
 * when it is not complete. `final`: nothing follows, what is there is an event.
 */
size_t sse_next(SseSplitter *splitter,
                const char *bytes,
                size_t len,
                bool final,
                GArray *lines);

#endif
