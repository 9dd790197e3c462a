/* SPDX-License-Identifier: Apache-2.0 */
/* Long bodies as parts that other bodies share: where a text is cut, and how
 * its parts are joined again. Private to the room. */
#ifndef HOOP_JOURNAL_PARTS_H
#define HOOP_JOURNAL_PARTS_H

#include "journal/schema.h"

/* Shorter texts are stored whole. */
#define PARTS_FROM ((size_t)8 * 1024)
/* Bytes of a part's id in the list of a body's parts. */
#define PART_ID_LEN 8
/* A part's used_seq may lag behind its last use by this many rows, so that not
 * every use writes it; retention counts with it. */
#define PART_LAG 4096

/* The rolling hash that says where to cut. */
typedef struct {
  uint64_t gear[256];
} PartCutter;
void part_cutter_init(PartCutter *cutter);
/* The length of the first part of the text: all of it when it is short. */
size_t part_cut(const PartCutter *cutter, const uint8_t *text, size_t len);

void part_id_write(uint8_t out[PART_ID_LEN], int64_t id);
int64_t part_id_read(const uint8_t in[PART_ID_LEN]);

/* Reads the parts of bodies. */
sqlite3_stmt *parts_prepare(sqlite3 *db, const char *path, GError **error);
/* The text of a body: its `data` is the text itself when `parts` is 0, else
 * the list of its parts. Bounds and errors as body_unpack(); digest NULL: the
 * hashes are not computed. */
GBytes *parts_join(sqlite3_stmt *stmt,
                   const uint8_t *data,
                   size_t data_len,
                   int64_t parts,
                   size_t len,
                   const uint8_t digest[SHA256_LEN],
                   GError **error);

#endif
