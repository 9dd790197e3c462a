/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine under db.h has to give. Private to the layer. */
#ifndef HOOP_HUB_DB_ENGINE_H
#define HOOP_HUB_DB_ENGINE_H

#include "hub/store/db.h"

/* What an engine knows of one connection; it begins its own struct. */
typedef struct {
  unsigned patience_ms;
} DbLink;

typedef struct {
  /* As db_open(); the password is NULL where none was given. */
  DbLink *(*open)(const char *where,
                  const char *password,
                  unsigned patience_ms,
                  GError **error);
  void (*close)(DbLink *link);
  /* True: of no use any more. */
  bool (*is_lost)(const DbLink *link);
  bool (*in_transaction)(const DbLink *link);
  /* Several statements, without parameters. */
  DbResult (*script)(DbLink *link, const char *sql, GError **error);
  DbResult (*run)(DbLink *link,
                  const char *sql,
                  const DbValue *values,
                  size_t n_values,
                  int64_t *changed,
                  GError **error);
  DbResult (*run_many)(DbLink *link,
                       const char *sql,
                       const DbValue *values,
                       unsigned n_values,
                       unsigned n_rows,
                       unsigned *changed,
                       GError **error);
  DbRows *(*query)(DbLink *link,
                   const char *sql,
                   const DbValue *values,
                   size_t n_values,
                   GError **error);
  bool (*next)(DbRows *rows, GError **error);
  void (*rows_free)(DbRows *rows);
  /* NULL for NULL. */
  const char *(*text)(const DbRows *rows, unsigned column);
  const void *(*blob)(const DbRows *rows, unsigned column, size_t *len);
  int64_t (*number)(const DbRows *rows, unsigned column);
  bool (*is_null)(const DbRows *rows, unsigned column);

  const char *begin;   /* takes what must be taken to write */
  const char *migrate; /* in the transaction: nobody else migrates meanwhile */
  const char *has_parts; /* one row when schema_part is there */
  size_t script_offset;  /* of its text in DbVersion */
  /* NULL: has no wake-ups. */
  DbResult (*listen)(DbLink *link, const char *channel, GError **error);
  int (*fd)(const DbLink *link);
  bool (*hear)(DbLink *link,
               void (*each)(const char *channel,
                            const char *payload,
                            void *data),
               void *data,
               GError **error);
  const char *notify; /* statement of $1 channel, $2 payload; gives a row */
} DbEngine;

/* Begins each engine's own struct of rows. */
struct db_rows {
  const DbEngine *engine;
};

extern const DbEngine db_sqlite;
extern const DbEngine db_postgresql; /* where HAVE_POSTGRESQL */

#endif
