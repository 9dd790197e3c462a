/* SPDX-License-Identifier: Apache-2.0 */
/* Verifies what is stored: every row's hash from what it holds, every link,
 * every checkpoint's signature, and that the ends are those that were known
 * when rows came. */
#include "hub/audit/private.h"

#include <string.h>

/* Numbers of rows that are read at one time. */
#define STEP 500

typedef struct {
  Db *db;
  const Chain *chain;
  void (*each)(const char *journal, int64_t seq, const char *fault, void *data);
  void *data;
  AuditVerified *out;
  int64_t seq; /* the row that was seen last; 0: none */
  uint8_t hash[SHA256_LEN];
  bool has_link;
  uint8_t link[SHA256_LEN];
} Verifying;

static void
fault(Verifying *at, int64_t seq, const char *what)
{
  at->out->faults++;
  at->each(at->chain->journal, seq, what, at->data);
}

static void
verify_row(Verifying *at, const AuditPlace *place)
{
  if (at->seq && place->seq == at->seq) {
    fault(at, place->seq, "another row is held beside it");
    return;
  }
  if (at->seq && place->seq != at->seq + 1)
    fault(at, at->seq + 1, "this row, and perhaps more behind it, is missing");
  else if (at->has_link && place->has_link &&
           memcmp(place->link, at->link, SHA256_LEN) != 0)
    fault(at, place->seq, "it does not follow what stands before it");
  if (place->content == AUDIT_CONTENT_BAD)
    fault(at, place->seq, "it is not what its hash covers");
  if (place->seq == at->chain->signed_seq && !at->chain->broken &&
      memcmp(place->hash, at->chain->signed_hash, SHA256_LEN) != 0)
    fault(at, place->seq, "it is not the row that a receipt was signed for");
  at->out->rows++;
  at->seq = place->seq;
  memcpy(at->hash, place->hash, SHA256_LEN);
  memcpy(at->link, place->hash, SHA256_LEN);
  at->has_link = true;
}

static void
verify_checkpoint(Verifying *at, const AuditPlace *place)
{
  at->out->checkpoints++;
  if (place->content == AUDIT_CONTENT_BAD)
    fault(at, place->seq, "its checkpoint is not signed by the key it names");
  if (at->chain->has_key && memcmp(place->public_key,
                                   at->chain->public_key,
                                   sizeof place->public_key) != 0)
    fault(at, place->seq, "its checkpoint is of another key");
  if (place->seq != at->seq)
    return; /* the row is missing, which is told */
  if (memcmp(place->hash, at->hash, SHA256_LEN) != 0)
    fault(at, place->seq, "its checkpoint signs another row");
  at->has_link = place->has_link;
  memcpy(at->link, place->link, SHA256_LEN);
}

/* ---- reading --------------------------------------------------------------
 */

/* Rows of a number first, then its checkpoint, then what was set aside. */
static int
by_place(const void *a, const void *b)
{
  const AuditRow *one = a, *other = b;
  const bool one_aside = strchr(one->key, '~') != NULL;
  const bool other_aside = strchr(other->key, '~') != NULL;

  if (one->place.seq != other->place.seq)
    return one->place.seq < other->place.seq ? -1 : 1;
  if (one_aside != other_aside)
    return one_aside - other_aside;
  return one->place.checkpoint - other->place.checkpoint;
}

static void
clear_row(void *data)
{
  g_free(((AuditRow *)data)->key);
}

/* False: it says nothing of its place, as all that was taken did. */
static bool
read_place(const DbRows *rows, AuditRow *row)
{
  const char *text = db_text(rows, 2);
  g_autoptr(Document) attributes =
      text ? document_parse(text, strlen(text), NULL) : NULL;
  const char *why;
  bool placed = false;

  row->key = db_dup(rows, 0);
  row->at_us = db_int(rows, 1);
  row->place.seq = db_int(rows, 3);
  return attributes &&
         audit_place_read(attributes, row->at_us, &placed, &row->place, &why) &&
         placed && row->place.seq == db_int(rows, 3);
}

static bool
verify_step(Verifying *at, int64_t after, GError **error)
{
  g_autoptr(GArray) list = g_array_new(FALSE, TRUE, sizeof(AuditRow));
  g_autoptr(GError) why = NULL;
  g_autoptr(DbRows) rows = db_query(
      at->db,
      error,
      "SELECT key, at_us, attributes, seq FROM audit_row WHERE journal=$1"
      " AND seq > $2 AND seq <= $3",
      DB_TEXT(at->chain->journal),
      DB_INT(after),
      DB_INT(after + STEP));

  if (!rows)
    return false;
  g_array_set_clear_func(list, clear_row);
  while (db_next(rows, &why)) {
    AuditRow row = {0};

    if (!read_place(rows, &row)) {
      fault(at, row.place.seq, "it cannot be read");
      g_free(row.key);
      continue;
    }
    g_array_append_val(list, row);
  }
  if (why) {
    g_propagate_error(error, g_steal_pointer(&why));
    return false;
  }
  g_array_sort(list, by_place);
  for (guint i = 0; i < list->len; i++) {
    const AuditRow *row = &g_array_index(list, AuditRow, i);

    if (strchr(row->key, '~'))
      fault(at, row->place.seq, "another one is held beside it");
    else if (row->place.checkpoint)
      verify_checkpoint(at, &row->place);
    else
      verify_row(at, &row->place);
  }
  return true;
}

/* The oldest row that retention left. */
static bool
read_first(Db *db, const char *journal, int64_t *first, GError **error)
{
  g_autoptr(GError) why = NULL;
  g_autoptr(DbRows) rows =
      db_query(db,
               error,
               "SELECT coalesce(min(seq), 0) FROM audit_row WHERE journal=$1",
               DB_TEXT(journal));

  if (!rows)
    return false;
  *first = db_next(rows, &why) ? db_int(rows, 0) : 0;
  if (why)
    g_propagate_error(error, g_steal_pointer(&why));
  return !why;
}

static bool
verify_journal(Verifying *at, const char *journal, GError **error)
{
  Chain *chain = NULL;
  int64_t first = 0;
  bool good;

  if (!chain_load(at->db, journal, &chain, error) ||
      (chain && !read_first(at->db, journal, &first, error))) {
    chain_state_free(chain);
    return false;
  }
  if (!chain)
    return true;
  at->chain = chain;
  at->seq = 0;
  at->has_link = chain->has_key && first == 1;
  memcpy(at->link, chain->genesis, SHA256_LEN);
  at->out->journals++;
  good = true;
  for (int64_t after = first - 1; good && first > 0 && after < chain->head_seq;
       after += STEP)
    good = verify_step(at, after, error);
  if (good && at->seq && at->seq < chain->head_seq)
    fault(at, at->seq + 1, "the rows from here on came, and are missing");
  else if (good && at->seq && !chain->broken &&
           memcmp(at->hash, chain->tip_hash, SHA256_LEN) != 0)
    fault(at, at->seq, "it is not the row that came last");
  chain_state_free(chain);
  return good;
}

static GPtrArray *
list_journals(Db *db, GError **error)
{
  g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GError) why = NULL;
  g_autoptr(DbRows) rows =
      db_query(db, error, "SELECT journal FROM audit_journal ORDER BY journal");

  if (!rows)
    return NULL;
  while (db_next(rows, &why))
    g_ptr_array_add(list, db_dup(rows, 0));
  if (!why)
    return g_steal_pointer(&list);
  g_propagate_error(error, g_steal_pointer(&why));
  return NULL;
}

bool
audit_verify(Db *db,
             const char *journal,
             void (*each)(const char *journal,
                          int64_t seq,
                          const char *fault,
                          void *data),
             void *data,
             AuditVerified *out,
             GError **error)
{
  Verifying at = {.db = db, .each = each, .data = data, .out = out};
  g_autoptr(GPtrArray) list = NULL;

  *out = (AuditVerified){0};
  if (journal)
    return verify_journal(&at, journal, error);
  list = list_journals(db, error);
  if (!list)
    return false;
  for (guint i = 0; i < list->len; i++)
    if (!verify_journal(&at, list->pdata[i], error))
      return false;
  return true;
}
