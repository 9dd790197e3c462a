/* SPDX-License-Identifier: Apache-2.0 */
/* The database beneath: connections with everything switched off that a
 * tampered file could use, the schema's versions, errors. Private to the
 * room. */
#ifndef HOOP_JOURNAL_SCHEMA_H
#define HOOP_JOURNAL_SCHEMA_H

#include "journal/chain.h"

#include <sqlite3.h>

/* "hoop", in the file's header (sqlite.org/fileformat.html, offset 68). */
#define SCHEMA_APPLICATION_ID 0x686f6f70
#define SCHEMA_VERSION 3
/* The statements that lead from the version of their index to the next. */
extern const char *const schema_migrations[SCHEMA_VERSION];

/* Opens an existing file. Writers own it (FULL or NORMAL as `durability`
 * says); readers cannot change it. */
sqlite3 *schema_connect_writer(const char *path,
                               Durability durability,
                               GError **error);
sqlite3 *schema_connect_reader(const char *path, GError **error);

/* Brings a new or older database to SCHEMA_VERSION in one transaction; a new
 * one is bound to `key`. A newer one is refused. */
bool schema_migrate(sqlite3 *db,
                    const char *path,
                    const SigningKey *key,
                    GError **error);

/* True while nothing was ever stored: no table, version 0. */
bool schema_is_new(sqlite3 *db, const char *path, bool *is_new, GError **error);

/* Refuses anything but exactly the tables and indices of this version: a
 * trigger or view that somebody added would run with our statements. */
bool schema_check(sqlite3 *db, const char *path, GError **error);

/* PRAGMA user_version of a database that check passed. */
bool schema_version(sqlite3 *db,
                    const char *path,
                    int64_t *version,
                    GError **error);
/* Table `rows` of a database of that version as a term for FROM: N_ROW_COLUMNS
 * columns in the order of their field numbers, with what rows share put in;
 * NULL for those that came later. `hint` follows the table's name: "" or
 * " NOT INDEXED". g_free. */
char *schema_rows(int64_t version, const char *hint);

/* What table `meta` says: who this journal is. */
typedef struct {
  uint8_t id[CHAIN_ID_LEN];
  uint8_t public_key[CHAIN_KEY_LEN];
  int64_t created_us;
  uint8_t genesis[SHA256_LEN];
} JournalMeta;
bool schema_read_meta(sqlite3 *db,
                      const char *path,
                      JournalMeta *meta,
                      GError **error);

/* Sets the JournalErrorCode that a failed SQLite call stands for, in a
 * sentence that names the file and, where it helps, what to do. */
void schema_set_error(GError **error,
                      sqlite3 *db,
                      const char *path,
                      const char *doing);

/* The same; `call_errno` is what errno was after the call, for those errors
 * where SQLite does not keep it (a failed COMMIT). */
void schema_set_error_errno(GError **error,
                            sqlite3 *db,
                            const char *path,
                            const char *doing,
                            int call_errno);

sqlite3_stmt *schema_prepare(sqlite3 *db,
                             const char *path,
                             const char *sql,
                             GError **error);
/* How much work reading may be, for a file of its size: pages of a tampered
 * file can lead back to each other, and a scan of them would never end. Past
 * it statements fail, with JOURNAL_ERROR_CORRUPT. */
typedef struct {
  int64_t left;
} WorkBudget;
bool schema_limit_work(sqlite3 *db,
                       const char *path,
                       WorkBudget *budget,
                       GError **error);
void schema_unlimit_work(sqlite3 *db);

/* Copies a blob column of exactly `len` bytes; false for anything else. */
bool column_bytes(sqlite3_stmt *stmt, int column, void *out, size_t len);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(sqlite3, sqlite3_close)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(sqlite3_stmt, sqlite3_finalize)

#endif
