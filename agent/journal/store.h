/* SPDX-License-Identifier: Apache-2.0 */
/* The journal on disk, one caller at a time: transactions of rows, chained and
 * checkpointed as they are put. Private to the room. */
#ifndef HOOP_JOURNAL_STORE_H
#define HOOP_JOURNAL_STORE_H

#include "journal/schema.h"

typedef struct store Store;

/* Opens, migrates and checks the database. `create`: make what is missing
 * (folder, file, key); else a missing file is an error. */
Store *store_open(const JournalOptions *options, bool create, GError **error);
/* Moves what it can from the write-ahead log into the database. Accepts
 * NULL. */
void store_close(Store *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Store, store_close)

/* A group: begin, puts, commit. After any false the caller rolls back, and the
 * store stands where it stood at the last commit. */
bool store_begin(Store *store, GError **error);
/* The same, for notes of shipping alone: also beyond max-size, which only they
 * can end where nothing goes before it was shipped. */
bool store_begin_notes(Store *store, GError **error);
/* Bounds the row's texts, chains and stores it; signs when it is time. */
bool store_put(Store *store, JournalRow *row, GError **error);
/* Stores what became of rows at a receiver. Inside a group. */
bool store_shipped(Store *store, const JournalShipped *shipped, GError **error);
/* Signs the head, unless it is signed. Inside a group. */
bool store_checkpoint(Store *store, GError **error);
/* True when the group is where the path leads, as durable as SQLite makes it:
 * after an fsync with DURABILITY_FULL. */
bool store_commit(Store *store, GError **error);
void store_rollback(Store *store);

/* fsyncs the write-ahead log: all committed groups survive a power loss. */
bool store_sync(Store *store, GError **error);
/* Moves the write-ahead log into the database when it has grown, or earlier
 * when the caller has nothing better to do. */
bool store_tidy(Store *store, bool idle, GError **error);
/* Answers every request without a response as `interrupted`, as one group. */
bool store_close_open_requests(Store *store, GError **error);

/* Takes away a few hundred of the oldest rows where retention says so, with
 * what belongs to them alone; adds them to *total. *more: perhaps others are
 * due. Outside groups; on failure nothing went. */
bool store_prune(Store *store,
                 JournalPruned *total,
                 bool *more,
                 GError **error);
/* Gives some unused pages back to the file system, if there are many. */
bool store_give_back(Store *store, bool *more, GError **error);
/* True when rows would be refused for max-size. */
bool store_is_full(Store *store);
/* True when max-size comes near and retention should look. */
bool store_nearly_full(const Store *store);

/* The chain's end as of the last commit. */
typedef struct {
  int64_t seq;
  uint8_t hash[SHA256_LEN]; /* of that row */
  uint8_t link[SHA256_LEN]; /* what the next row follows */
  int64_t unsigned_rows;    /* since the last checkpoint */
} Head;
const Head *store_head(const Store *store);
const uint8_t *store_id(const Store *store); /* CHAIN_ID_LEN bytes */
/* True when the row is there with that hash. */
bool store_holds(Store *store, int64_t seq, const uint8_t hash[SHA256_LEN]);

#endif
