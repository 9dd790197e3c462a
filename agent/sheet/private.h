/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the room share. */
#ifndef HOOP_SHEET_PRIVATE_H
#define HOOP_SHEET_PRIVATE_H

#include "sheet/sheet.h"

/* As io.hoop.Agent1.Review has them. */
typedef struct {
  guint32 start, end;
  const char *kind, *name, *where, *more;
  unsigned finding; /* from 1, of findings */
} SheetMark;

struct sheet {
  GVariant *review; /* the text's, and its marks' */
  GVariant *state;  /* as it was told last */
  GArray *marks;    /* SheetMark, by place, those that fit the text */
  GPtrArray *rows;  /* SheetRow */
  SheetText *texts[2];
  bool *seen;
  unsigned n_findings, n_seen;
  uint64_t gap_bytes, gap_findings;
  bool acknowledged;
};

/* ---- text.c */
SheetText *sheet_text_new(const Sheet *sheet, bool masked);
void sheet_text_free(SheetText *text);

#endif
