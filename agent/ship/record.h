/* SPDX-License-Identifier: Apache-2.0 */
/* What is shipped of a row or a checkpoint: one flat record, whichever format
 * writes it. Private to the room. */
#ifndef HOOP_SHIP_RECORD_H
#define HOOP_SHIP_RECORD_H

#include "journal/journal.h"

/* "0123456789abcdef0123456789abcdef-9223372036854775807c" */
#define RECORD_KEY_SIZE 56
/* A row's detail that is longer is named by length and digest alone: an OTLP
 * collector refuses records of more than a few hundred KiB. */
#define RECORD_MAX_DETAIL (64 * 1024)

/* OpenTelemetry logs data model, "Severity fields". */
typedef enum {
  SEVERITY_INFO = 9,
  SEVERITY_WARN = 13,
  SEVERITY_ERROR = 17
} Severity;
/* "INFO" … */
const char *severity_name(Severity severity);

typedef enum { ATTRIBUTE_TEXT, ATTRIBUTE_NUMBER, ATTRIBUTE_LIST } AttributeType;

typedef struct {
  const char *name; /* static */
  AttributeType type;
  int64_t number;
  const char *text; /* UTF-8 */
  char **list;      /* NULL terminated, UTF-8 */
} Attribute;

/* Where something stands in the order in which everything is shipped: each
 * row, and behind it the checkpoint that signs it. */
typedef struct {
  int64_t seq;
  bool checkpoint;
} ShipPlace;
/* Negative, 0 or positive as strcmp(). */
int ship_place_compare(ShipPlace a, ShipPlace b);

/* "JOURNAL-SEQ", with a "c" behind for a checkpoint: the same whenever this is
 * sent again. */
void ship_key(const char *journal, ShipPlace place, char out[RECORD_KEY_SIZE]);
/* False unless `key` is one of this journal's. */
bool ship_key_read(const char *journal, const char *key, ShipPlace *place);

typedef struct {
  ShipPlace place;
  char key[RECORD_KEY_SIZE];
  char trace[33]; /* 32 hex digits of the exchange's id, or "" */
  int64_t wall_us;
  Severity severity;
  const char *event;   /* static */
  const char *said;    /* one line for people */
  GArray *attributes;  /* Attribute */
  GStringChunk *texts; /* what they point to, beside the row */
  GPtrArray *lists;    /* char **, theirs */
} Record;

void record_init(Record *record);
void record_clear(Record *record);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Record, record_clear)

/* Fills a record, again and again; it refers to the entry's row until the next
 * call. `journal`: 32 hex digits, as of journal_reader_id(). `link`: what the
 * row follows; NULL: not known. */
void record_set_row(Record *record,
                    const char *journal,
                    const JournalEntry *entry,
                    const uint8_t *link);
void record_set_checkpoint(Record *record,
                           const char *journal,
                           const JournalCheckpoint *checkpoint,
                           int64_t created_us);

#endif
