/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a Store, for the files that make it up. Private to them. */
#ifndef HOOP_JOURNAL_STORE_STATE_H
#define HOOP_JOURNAL_STORE_STATE_H

#include "journal/body.h"
#include "journal/parts.h"
#include "journal/place.h"
#include "journal/row.h"
#include "journal/store.h"

/* Frames (pages of 4 KiB) of write-ahead log that are moved in any case. */
#define STORE_TIDY_FRAMES 4096

struct store {
  char *path;
  sqlite3 *db;
  SigningKey *key;
  JournalMeta meta;
  Place place; /* where the files were when it was opened, and their size */
  BodyPacker *packer;
  PartCutter cutter;
  GByteArray *encoded;
  GByteArray *list;   /* of a body's parts */
  GHashTable *shared; /* what was shared lately: store_shared_new() */
  GHashTable
      *checked; /* body id to the row at which its parts were looked at */
  bool shares[SHARE_DETAIL + 1]; /* what the row being put shares */
  bool bodies;
  size_t max_recorded_body;
  bool escrow;
  uint8_t escrow_key[ESCROW_KEY_LEN];
  JournalRetention keep; /* ship_to is owned */
  bool shrinking;        /* pruning for size has begun */
  unsigned beside;       /* prune_share() of the files beside it, and until */
  int64_t beside_until;  /* when (clock_mono_us()) that is believed */
  Head head;
  Head committed;
  int wal_frames;
  int tidy_at; /* frames at which tidying is forced */
  sqlite3_stmt *begin, *commit, *rollback;
  sqlite3_stmt *insert_row, *insert_checkpoint;
  sqlite3_stmt *find_body, *insert_body, *use_body;
  sqlite3_stmt *find_part, *insert_part, *use_part;
  sqlite3_stmt *find_shared, *insert_shared, *use_shared;
  sqlite3_stmt *insert_sealed;
  sqlite3_stmt *set_cursor, *set_aside, *keep_receipt;
  sqlite3_stmt *insert_open, *delete_open;
  sqlite3_stmt *find_row;
};

/* Runs a statement that returns nothing, and resets it. */
bool store_step(Store *store, sqlite3_stmt *stmt, GError **error);
/* Stores a text under its digest as used by the next row, unless it is there
 * already. */
bool store_body(Store *store,
                const uint8_t digest[SHA256_LEN],
                const uint8_t *text,
                size_t len,
                GError **error);

#define STORE_INSERT_SHARED                                                    \
  "INSERT INTO shared (digest, used_seq, user, \"groups\", issuer, client, "   \
  "process, connection, host, method, path, api, model, conversation, "        \
  "detail, policy_revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "   \
  "?, ?, ?)"
GHashTable *store_shared_new(void);
/* Stores what the next row says like others, or finds it; binds where it is,
 * and sets store->shares. */
bool store_share(Store *store, JournalRow *row, GError **error);

/* Seals what the next row's body was before masking, where that differs from
 * what is stored of it; true with `sealed` false when there is nothing to
 * seal. */
bool store_original(Store *store,
                    const JournalRow *row,
                    uint8_t digest[SHA256_LEN],
                    bool *sealed,
                    GError **error);
/* How much of a text is stored, in bytes: never half a character. */
size_t store_kept_len(const Store *store, const uint8_t *text, size_t len);

#endif
