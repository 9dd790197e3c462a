/* SPDX-License-Identifier: Apache-2.0 */
/* The store in SQLite: every change one transaction with its row of the
 * record. */
#include "hub/store.h"
#include "hub/schema.h"
#include "kit/clock.h"
#include <string.h>

struct store {
  sqlite3 *db;
};

static const char *const states[] = {"pending",
                                     "approved",
                                     "approved-masked",
                                     "denied",
                                     "expired",
                                     "withdrawn"};

const char *
review_state_name(ReviewState state)
{
  return states[state];
}

Review *
review_new(void)
{
  Review *review = g_new0(Review, 1);

  review->voices = g_ptr_array_new_with_free_func(review_voice_free);
  return review;
}

void
review_free(void *data)
{
  Review *review = data;

  if (!review)
    return;
  review_ask_free(review->ask);
  g_free(review->issuer);
  g_free(review->subject);
  g_free(review->user);
  g_free(review->machine);
  g_free(review->decision);
  g_ptr_array_unref(review->voices);
  g_free(review);
}

void
machine_free(Machine *machine)
{
  if (!machine)
    return;
  g_free(machine->id);
  g_free(machine->issuer);
  g_free(machine->subject);
  g_free(machine->user);
  g_free(machine->name);
  g_free(machine);
}

Store *
store_open(const char *path, GError **error)
{
  sqlite3 *db = schema_open(path, error);
  Store *store;

  if (!db)
    return NULL;
  store = g_new0(Store, 1);
  store->db = db;
  return store;
}

void
store_free(Store *store)
{
  if (!store)
    return;
  sqlite3_close(store->db);
  g_free(store);
}

/* ---- statements -----------------------------------------------------------
 * Bound by a format: s text (NULL is none), i 64 bits, b a key. */

typedef sqlite3_stmt Statement;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Statement, sqlite3_finalize)

static Statement *
prepare(Store *store, GError **error, const char *sql, const char *format, ...)
{
  g_autoptr(Statement) statement = NULL;
  bool good =
      sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) == SQLITE_OK;
  va_list args;

  va_start(args, format);
  for (int i = 0; good && format[i]; i++) {
    int result;

    if (format[i] == 'i')
      result = sqlite3_bind_int64(statement, i + 1, va_arg(args, int64_t));
    else if (format[i] == 'b')
      result = sqlite3_bind_blob(statement,
                                 i + 1,
                                 va_arg(args, const void *),
                                 SIGNING_KEY_LEN,
                                 SQLITE_TRANSIENT);
    else
      result = sqlite3_bind_text(
          statement, i + 1, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
    good = result == SQLITE_OK;
  }
  va_end(args);
  if (good)
    return g_steal_pointer(&statement);
  schema_fail(store->db, "a statement cannot be made", error);
  return NULL;
}

/* Runs one that gives no rows; takes it. A broken constraint is a conflict. */
static StoreResult
run(Store *store, Statement *taken, GError **error)
{
  g_autoptr(Statement) statement = taken;
  int result;

  if (!statement)
    return STORE_FAILED;
  result = sqlite3_step(statement);
  if (result == SQLITE_DONE)
    return STORE_DONE;
  if ((result & 0xff) == SQLITE_CONSTRAINT)
    return STORE_CONFLICT;
  schema_fail(store->db, "the hub's database cannot be written", error);
  return STORE_FAILED;
}

static StoreResult
begin(Store *store, GError **error)
{
  return run(store, prepare(store, error, "BEGIN IMMEDIATE", ""), error);
}

/* Commits what went well, undoes the rest. */
static StoreResult
finish(Store *store, StoreResult result, GError **error)
{
  if (result == STORE_DONE)
    result = run(store, prepare(store, error, "COMMIT", ""), error);
  if (result != STORE_DONE && !sqlite3_get_autocommit(store->db))
    sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
  return result;
}

static StoreResult
note(Store *store,
     const char *kind,
     int64_t at_us,
     const char *review,
     const Actor *by,
     const char *detail,
     GError **error)
{
  return run(store,
             prepare(store,
                     error,
                     "INSERT INTO record(at_us, kind, review, issuer, subject,"
                     " user, detail) VALUES(?,?,?,?,?,?,?)",
                     "issssss",
                     at_us,
                     kind,
                     review,
                     by ? by->issuer : NULL,
                     by ? by->subject : NULL,
                     by ? by->user : NULL,
                     detail),
             error);
}

/* ---- changes --------------------------------------------------------------
 */

StoreResult
store_add(Store *store, const Review *review, GError **error)
{
  const Actor by = {review->issuer, review->subject, review->user};
  g_autofree char *ask = review_ask_format(review->ask);
  char digest[SHA256_HEX_SIZE];
  StoreResult result = begin(store, error);

  if (result != STORE_DONE)
    return result;
  hex_encode(review->ask->digest, SHA256_LEN, digest);
  result = run(store,
               prepare(store,
                       error,
                       "INSERT INTO review(id, issuer, subject, user, machine,"
                       " ask, received_us, state) VALUES(?,?,?,?,?,?,?,?)",
                       "ssssssii",
                       review->ask->id,
                       review->issuer,
                       review->subject,
                       review->user,
                       review->machine,
                       ask,
                       review->received_us,
                       (int64_t)STATE_PENDING),
               error);
  if (result == STORE_DONE)
    result = note(store,
                  "review",
                  review->received_us,
                  review->ask->id,
                  &by,
                  digest,
                  error);
  return finish(store, result, error);
}

/* Only what is pending ends: compare and set. */
static StoreResult
set_state(Store *store,
          const char *id,
          ReviewState state,
          int64_t at_us,
          const char *decision,
          GError **error)
{
  StoreResult result =
      run(store,
          prepare(store,
                  error,
                  "UPDATE review SET state=?, ended_us=?, decision=?"
                  " WHERE id=? AND state=0",
                  "iiss",
                  (int64_t)state,
                  state == STATE_PENDING ? (int64_t)0 : at_us,
                  decision,
                  id),
          error);

  if (result == STORE_DONE && sqlite3_changes(store->db) != 1)
    return STORE_CONFLICT;
  return result;
}

static StoreResult
add_voice(Store *store,
          const char *id,
          const ReviewVoice *voice,
          GError **error)
{
  g_autofree char *groups = g_strjoinv("\n", voice->groups);

  return run(store,
             prepare(store,
                     error,
                     "INSERT INTO answer(review, n, issuer, subject, user,"
                     " groups, answer, reason, at_us) SELECT ?1,"
                     " (SELECT count(*) FROM answer WHERE review=?1),"
                     " ?2,?3,?4,?5,?6,?7,?8",
                     "sssssisi",
                     id,
                     voice->issuer,
                     voice->subject,
                     voice->user,
                     groups,
                     (int64_t)voice->answer,
                     voice->reason,
                     voice->at_us),
             error);
}

StoreResult
store_answer(Store *store,
             const char *id,
             const ReviewVoice *voice,
             ReviewState state,
             const char *decision,
             GError **error)
{
  const Actor by = {voice->issuer, voice->subject, voice->user};
  StoreResult result = begin(store, error);

  if (result != STORE_DONE)
    return result;
  /* Also where it goes on: what ended takes no answer. */
  result = set_state(store, id, state, voice->at_us, decision, error);
  if (result == STORE_DONE)
    result = add_voice(store, id, voice, error);
  if (result == STORE_DONE)
    result = note(store,
                  "answer",
                  voice->at_us,
                  id,
                  &by,
                  review_outcome_name(voice->answer),
                  error);
  if (result == STORE_DONE && state != STATE_PENDING)
    result = note(store,
                  "decision",
                  voice->at_us,
                  id,
                  NULL,
                  decision ? decision : review_state_name(state),
                  error);
  return finish(store, result, error);
}

StoreResult
store_end(Store *store,
          const char *id,
          ReviewState state,
          int64_t at_us,
          const Actor *by,
          GError **error)
{
  StoreResult result = begin(store, error);

  if (result != STORE_DONE)
    return result;
  result = set_state(store, id, state, at_us, NULL, error);
  if (result == STORE_DONE)
    result = note(store, review_state_name(state), at_us, id, by, NULL, error);
  return finish(store, result, error);
}

StoreResult
store_add_machine(Store *store, const Machine *machine, GError **error)
{
  const Actor by = {machine->issuer, machine->subject, machine->user};
  g_autoptr(GError) why = NULL;
  g_autoptr(Machine) known = store_get_machine(store, machine->id, &why);
  StoreResult result;

  if (why) {
    g_propagate_error(error, g_steal_pointer(&why));
    return STORE_FAILED;
  }
  if (known)
    return g_str_equal(known->issuer, machine->issuer) &&
                   g_str_equal(known->subject, machine->subject)
               ? STORE_DONE
               : STORE_CONFLICT;
  result = begin(store, error);
  if (result != STORE_DONE)
    return result;
  result = run(store,
               prepare(store,
                       error,
                       "INSERT INTO machine(id, public_key, issuer, subject,"
                       " user, name, since_us) VALUES(?,?,?,?,?,?,?)",
                       "sbssssi",
                       machine->id,
                       machine->public_key,
                       machine->issuer,
                       machine->subject,
                       machine->user,
                       machine->name,
                       machine->since_us),
               error);
  if (result == STORE_DONE)
    result = note(
        store, "machine", machine->since_us, NULL, &by, machine->id, error);
  return finish(store, result, error);
}

bool
store_prune(Store *store, int64_t before_us, GError **error)
{
  return run(store,
             prepare(store,
                     error,
                     "DELETE FROM review WHERE state<>0 AND ended_us<?",
                     "i",
                     before_us),
             error) == STORE_DONE;
}

/* ---- reading --------------------------------------------------------------
 */

static char *
column(Statement *statement, int i)
{
  return g_strdup((const char *)sqlite3_column_text(statement, i));
}

static bool
read_voices(Store *store, Review *review, GError **error)
{
  g_autoptr(Statement) statement =
      prepare(store,
              error,
              "SELECT issuer, subject, user, groups, answer, reason, at_us"
              " FROM answer WHERE review=? ORDER BY n",
              "s",
              review->ask->id);
  int result;

  if (!statement)
    return false;
  while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
    ReviewVoice *voice = g_new0(ReviewVoice, 1);
    g_autofree char *groups = column(statement, 3);

    *voice =
        (ReviewVoice){.issuer = column(statement, 0),
                      .subject = column(statement, 1),
                      .user = column(statement, 2),
                      .groups = g_strsplit(groups, "\n", -1),
                      .answer = (ReviewOutcome)sqlite3_column_int(statement, 4),
                      .reason = column(statement, 5),
                      .at_us = sqlite3_column_int64(statement, 6)};
    g_ptr_array_add(review->voices, voice);
  }
  return result == SQLITE_DONE ||
         schema_fail(store->db, "the answers cannot be read", error);
}

#define REVIEW_COLUMNS                                                         \
  "SELECT issuer, subject, user, machine, ask, received_us, state, ended_us,"  \
  " decision FROM review "

static Review *
read_review(Store *store, Statement *statement, GError **error)
{
  g_autoptr(Review) review = review_new();
  g_autofree char *ask = column(statement, 4);
  g_autoptr(GError) why = NULL;

  review->issuer = column(statement, 0);
  review->subject = column(statement, 1);
  review->user = column(statement, 2);
  review->machine = column(statement, 3);
  review->received_us = sqlite3_column_int64(statement, 5);
  review->state = (ReviewState)sqlite3_column_int(statement, 6);
  review->ended_us = sqlite3_column_int64(statement, 7);
  review->decision = column(statement, 8);
  review->ask = review_ask_parse(ask, strlen(ask), &why);
  if (!review->ask) {
    g_set_error(error,
                HUB_ERROR,
                HUB_ERROR_STORE,
                "a review in the database is not as it was written: %s",
                why->message);
    return NULL;
  }
  return read_voices(store, review, error) ? g_steal_pointer(&review) : NULL;
}

Review *
store_get(Store *store, const char *id, GError **error)
{
  g_autoptr(Statement) statement =
      prepare(store, error, REVIEW_COLUMNS "WHERE id=?", "s", id);
  int result;

  if (!statement)
    return NULL;
  result = sqlite3_step(statement);
  if (result == SQLITE_ROW)
    return read_review(store, statement, error);
  if (result != SQLITE_DONE)
    schema_fail(store->db, "a review cannot be read", error);
  return NULL;
}

GPtrArray *
store_list(Store *store, bool pending, unsigned limit, GError **error)
{
  g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(review_free);
  g_autoptr(Statement) statement =
      pending ? prepare(store,
                        error,
                        REVIEW_COLUMNS "WHERE state=0"
                                       " ORDER BY received_us DESC LIMIT ?",
                        "i",
                        (int64_t)limit)
              : prepare(store,
                        error,
                        REVIEW_COLUMNS "ORDER BY received_us DESC LIMIT ?",
                        "i",
                        (int64_t)limit);
  int result;

  if (!statement)
    return NULL;
  while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
    Review *review = read_review(store, statement, error);

    if (!review)
      return NULL;
    g_ptr_array_add(list, review);
  }
  if (result == SQLITE_DONE)
    return g_steal_pointer(&list);
  schema_fail(store->db, "the reviews cannot be read", error);
  return NULL;
}

Machine *
store_get_machine(Store *store, const char *id, GError **error)
{
  g_autoptr(Statement) statement =
      prepare(store,
              error,
              "SELECT id, public_key, issuer, subject, user, name, since_us"
              " FROM machine WHERE id=?",
              "s",
              id);
  Machine *machine;
  int result;

  if (!statement)
    return NULL;
  result = sqlite3_step(statement);
  if (result != SQLITE_ROW) {
    if (result != SQLITE_DONE)
      schema_fail(store->db, "a machine cannot be read", error);
    return NULL;
  }
  machine = g_new0(Machine, 1);
  machine->id = column(statement, 0);
  if (sqlite3_column_bytes(statement, 1) == SIGNING_KEY_LEN)
    memcpy(machine->public_key,
           sqlite3_column_blob(statement, 1),
           SIGNING_KEY_LEN);
  machine->issuer = column(statement, 2);
  machine->subject = column(statement, 3);
  machine->user = column(statement, 4);
  machine->name = column(statement, 5);
  machine->since_us = sqlite3_column_int64(statement, 6);
  return machine;
}

bool
store_each_record(Store *store,
                  int64_t after,
                  unsigned limit,
                  void (*each)(const RecordRow *row, void *data),
                  void *data,
                  GError **error)
{
  g_autoptr(Statement) statement =
      prepare(store,
              error,
              "SELECT seq, at_us, kind, review, issuer, subject, user, detail"
              " FROM record WHERE seq>? ORDER BY seq LIMIT ?",
              "ii",
              after,
              (int64_t)limit);
  int result;

  if (!statement)
    return false;
  while ((result = sqlite3_step(statement)) == SQLITE_ROW)
    each(
        &(RecordRow){.seq = sqlite3_column_int64(statement, 0),
                     .at_us = sqlite3_column_int64(statement, 1),
                     .kind = (const char *)sqlite3_column_text(statement, 2),
                     .review = (const char *)sqlite3_column_text(statement, 3),
                     .issuer = (const char *)sqlite3_column_text(statement, 4),
                     .subject = (const char *)sqlite3_column_text(statement, 5),
                     .user = (const char *)sqlite3_column_text(statement, 6),
                     .detail = (const char *)sqlite3_column_text(statement, 7)},
        data);
  return result == SQLITE_DONE ||
         schema_fail(store->db, "the record cannot be read", error);
}
