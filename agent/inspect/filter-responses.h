/* SPDX-License-Identifier: Apache-2.0 */
/* What reading and writing of Responses streams share. Private to the room. */
#ifndef HOOP_INSPECT_FILTER_RESPONSES_H
#define HOOP_INSPECT_FILTER_RESPONSES_H

#include "inspect/filter.h"

/* What an event of this stream is. */
enum {
  KIND_OTHER,
  KIND_CREATED, /* carries the response, which is in progress */
  KIND_ITEM_ADDED,
  KIND_PART_ADDED,
  KIND_DELTA, /* of output_text */
  KIND_TEXT_DONE,
  KIND_PART_DONE,
  KIND_ITEM_DONE,
  KIND_END, /* response.completed and its like */
  KIND_ERROR
};

/* One part of a text, as its deltas came: what the copies repeat. */
typedef struct {
  TextEntry *entry;
  unsigned index; /* content_index or summary_index */
  size_t start, end;
  uint64_t hash;
} TextPart;

typedef struct {
  GArray *parts;   /* TextPart */
  guint last_part; /* that a piece was added to */
  /* What was given out. */
  bool created;
  bool ended;       /* an error or the last event */
  int64_t sequence; /* next number */
  bool renumber;    /* numbers do not follow upstream's any more */
  bool item_open, part_open, text_open;
  bool item_is_message;
  unsigned item;      /* output_index of the open item */
  unsigned part;      /* content_index of the open part */
  unsigned next_item; /* output_index of the next one */
  char *item_id;
  GString *text;  /* of the open part, masked */
  GString *items; /* JSON of the items that are done, masked, by commas */
} ResponsesData;

/* FNV-1a, continued. */
uint64_t text_hash(uint64_t hash, const char *bytes, size_t len);
#define TEXT_HASH_START UINT64_C(0xcbf29ce484222325)

/* filter-responses-write.c */
void *responses_data_new(void);
void responses_data_free(void *data);
bool responses_write(ResponseFilter *filter,
                     FilterEvent *event,
                     Edits *edits,
                     Buf *out,
                     Buf *record);
void responses_written(ResponseFilter *filter,
                       FilterEvent *event,
                       const char *payload,
                       size_t len,
                       bool edited,
                       const char *text,
                       size_t text_len);
void responses_state(ResponseFilter *filter, AnswerState *state);
bool responses_is_complete(const ResponseFilter *filter);

#endif
