/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a row: one table that the schema, the canonical encoding, the
 * writer and the reader all follow. Private to the room. */
#ifndef HOOP_JOURNAL_ROW_H
#define HOOP_JOURNAL_ROW_H

#include "journal/journal.h"

/* Numbers of the fields in the canonical encoding and, in this order, the
 * columns of table `rows`. Never renumbered; later ones go to the end. */
enum {
  FIELD_SEQ = 1,
  FIELD_KIND = 2,
  FIELD_WALL_US = 3,
  FIELD_DETAIL = 20,
  FIELD_BODY_DIGEST = 28, /* of the whole masked body */
  FIELD_BODY_LEN = 29,
  FIELD_KEPT_DIGEST = 30, /* of the stored text, when less than the whole */
  FIELD_KEPT_LEN = 31,    /* bytes stored; NULL: only the digest */
  FIELD_CUT = 32,         /* bit n: field n was cut */
  FIELD_HASH = 33,        /* not in the encoding */
  FIELD_FIRST_BYTE_US = 34,
  FIELD_HELD_US = 35,
  FIELD_SEALED_DIGEST = 36, /* of the sealed original */
  FIELD_LAST = FIELD_SEALED_DIGEST,
  /* Where a row's shared values are; not in the encoding, which has the values
   * themselves. */
  FIELD_CONTEXT = 37,
  FIELD_SHARED_DETAIL = 38,
  N_ROW_COLUMNS = FIELD_SHARED_DETAIL
};

typedef enum { ROW_INT, ROW_TEXT } RowFieldType;

/* A member of JournalRow that is stored as it is. */
typedef struct {
  int number;
  RowFieldType type;
  const char *name; /* the column */
  size_t offset;    /* in JournalRow */
  size_t max;       /* text: longest stored, in bytes */
} RowField;

/* What many rows say alike stands once in table `shared`: who asked from where
 * and what (all of it together), and the detail. */
typedef enum { SHARE_NOT, SHARE_CONTEXT, SHARE_DETAIL } RowShare;
RowShare row_share(int field);

extern const RowField row_fields[];
extern const size_t n_row_fields;

/* The column of a field, and the schema's version that brought it. */
const char *row_column(int field);
int row_column_since(int field);

/* The text member of `row` that a field names. */
char **row_text(JournalRow *row, const RowField *field);
int64_t *row_int(JournalRow *row, const RowField *field);

/* Makes every text valid UTF-8 and at most as long as its field allows.
 * Returns the mask of the fields that were cut. */
uint64_t row_bound(JournalRow *row);

/* Bytes of memory that the row holds on to. */
size_t row_size(const JournalRow *row);

/* The kind of that name, or -1. */
int row_kind_of(const char *name);

#endif
