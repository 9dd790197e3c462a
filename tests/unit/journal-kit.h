/* SPDX-License-Identifier: Apache-2.0 */
/* What the journal's tests share: a journal in a folder of its own, rows put
 * and waited for, and both verifiers asked at once. */
#ifndef HOOP_TESTS_JOURNAL_KIT_H
#define HOOP_TESTS_JOURNAL_KIT_H

#include "journal/chain.h"

#include <sqlite3.h>

/* Milliseconds that a test waits for an answer before it fails. */
#define TEST_DEADLINE_MS 30000

typedef struct {
  char *folder;
  char *path; /* of the database */
  JournalOptions options;
  Loop *loop;
  Journal *journal; /* NULL until bench_open() */
  unsigned answered;
  unsigned refused;
  int last_code;      /* JournalErrorCode of the last refusal, or -1 */
  char *last_message; /* and what it said */
} TestJournal;

TestJournal *test_journal_new(void);
/* Closes what is open and deletes the folder. */
void test_journal_free(TestJournal *test);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(TestJournal, test_journal_free)

/* Opens it; a failure fails the test. */
void test_journal_open(TestJournal *test);
/* Closes it and runs the answers that are still due. */
void test_journal_close(TestJournal *test);

/* A request with every field set, of exchange `id` (copied). */
JournalRow *test_request(const char *id, const char *body);
JournalRow *test_response(const char *id, const char *body);

/* What counts an answer; `data` is the TestJournal. */
void test_done(const GError *error, void *data);
/* Appends without waiting. */
void test_append(TestJournal *test, JournalRow *row);
/* Runs the loop until `count` rows in all were answered. */
void test_wait(TestJournal *test, unsigned count);
/* Appends and waits; true when it was stored. */
bool test_put(TestJournal *test, JournalRow *row);

/* One integer of the database, by SQL; the file is opened for it. */
int64_t test_count(const char *path, const char *sql);
/* Runs SQL as somebody who edits the file would. */
void test_edit(const char *path, const char *sql);
/* Copies database, log and key aside, so that each edit starts afresh. */
void test_copy(const char *from, const char *to);

/* Asks journal_verify() and, where Python is installed, verify-journal.py:
 * both must agree. True when intact. `head` may be NULL. */
bool test_verify(const char *path, const char *head);
/* The same with all that is known from elsewhere: NULL when intact, else what
 * journal_verify() says. g_free. */
char *test_verify_with(const char *path, const JournalWitness *witness);
/* The same, and that it is intact. */
void test_verify_intact(const char *path);
/* Signs the whole chain anew, as whoever reads the key can: rows, checkpoints
 * and the journal's key are then flawless. */
void test_resign(const char *path, const SigningKey *key);
/* The head that journal_verify() found: "SEQ:HASH". g_free. */
char *test_head(const char *path);

#endif
