/* SPDX-License-Identifier: Apache-2.0 */
/* The store: every change one transaction with its row of the
 * record. */
#include "hub/store/store.h"
#include "hub/store/schema.h"
#include "kit/secret.h"
#include <string.h>

#define MARK_BYTES 8

struct store {
  Db *db;
  char mark[2 * MARK_BYTES + 2]; /* of this hub's wake-ups: hex and a space */
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
store_open(const char *where, const char *password_file, GError **error)
{
  g_autoptr(Store) store = g_new0(Store, 1);
  g_autoptr(Secret) random = secret_new_random(MARK_BYTES);

  hex_encode(secret_bytes(random), MARK_BYTES, store->mark);
  store->mark[sizeof store->mark - 2] = ' ';
  store->mark[sizeof store->mark - 1] = '\0';
  store->db = db_open_with(where, password_file, error);
  if (!store->db || !db_migrate(store->db, &store_part, error))
    return NULL;
  return g_steal_pointer(&store);
}

void
store_free(Store *store)
{
  if (!store)
    return;
  db_free(store->db);
  g_free(store);
}

Db *
store_db(Store *store)
{
  return store->db;
}

DbResult
store_note(Db *db,
           const char *kind,
           int64_t at_us,
           const char *review,
           const Actor *by,
           const char *detail,
           GError **error)
{
  const DbResult result =
      db_run(db, NULL, error, "UPDATE record_head SET seq=seq+1 WHERE id=1");

  if (result != DB_DONE)
    return result;
  return db_run(db,
                NULL,
                error,
                "INSERT INTO record(seq, at_us, kind, review, issuer, subject,"
                " \"user\", detail) SELECT seq, $1, $2, $3, $4, $5, $6, $7"
                " FROM record_head WHERE id=1",
                DB_INT(at_us),
                DB_TEXT(kind),
                DB_TEXT(review),
                DB_TEXT(by ? by->issuer : NULL),
                DB_TEXT(by ? by->subject : NULL),
                DB_TEXT(by ? by->user : NULL),
                DB_TEXT(detail));
}

bool
store_check_key(Store *store, const char *fingerprint, GError **error)
{
  g_autoptr(DbRows) rows = NULL;

  if (!db_shares(store->db))
    return true;
  if (db_run(store->db,
             NULL,
             error,
             "INSERT INTO hub(id, fingerprint) VALUES(1, $1)"
             " ON CONFLICT (id) DO NOTHING",
             DB_TEXT(fingerprint)) != DB_DONE)
    return false;
  rows = db_query(store->db, error, "SELECT fingerprint FROM hub WHERE id=1");
  if (!rows || !db_next(rows, error))
    return false;
  if (g_str_equal(db_text(rows, 0), fingerprint))
    return true;
  g_set_error(error,
              DB_ERROR,
              DB_ERROR_OPEN,
              "the hubs of this database sign by another key (%s) than this "
              "one's hub.key (%s): give it theirs",
              db_text(rows, 0),
              fingerprint);
  return false;
}

const char *
store_heard(const Store *store, const char *payload)
{
  const char *space = strchr(payload, ' ');

  return space && !g_str_has_prefix(payload, store->mark) ? space + 1 : NULL;
}

/* Wakes the other hubs, and ends the transaction. */
static DbResult
finish(Store *store, const char *id, DbResult result, GError **error)
{
  g_autofree char *payload = g_strconcat(store->mark, id, NULL);

  if (result == DB_DONE && !db_notify(store->db, STORE_CHANNEL, payload, error))
    result = DB_FAILED;
  return db_finish(store->db, result, error);
}

/* ---- changes --------------------------------------------------------------
 */

DbResult
store_add(Store *store, const Review *review, GError **error)
{
  const Actor by = {review->issuer, review->subject, review->user};
  g_autofree char *ask = review_ask_format(review->ask);
  char digest[SHA256_HEX_SIZE];
  DbResult result;

  if (!db_begin(store->db, error))
    return DB_FAILED;
  hex_encode(review->ask->digest, SHA256_LEN, digest);
  result = db_run(store->db,
                  NULL,
                  error,
                  "INSERT INTO review(id, issuer, subject, \"user\", machine,"
                  " ask, received_us, state) VALUES($1,$2,$3,$4,$5,$6,$7,$8)",
                  DB_TEXT(review->ask->id),
                  DB_TEXT(review->issuer),
                  DB_TEXT(review->subject),
                  DB_TEXT(review->user),
                  DB_TEXT(review->machine),
                  DB_TEXT(ask),
                  DB_INT(review->received_us),
                  DB_INT(STATE_PENDING));
  if (result == DB_DONE)
    result = store_note(store->db,
                        "review",
                        review->received_us,
                        review->ask->id,
                        &by,
                        digest,
                        error);
  return finish(store, review->ask->id, result, error);
}

/* Only what is pending ends: compare and set. */
static DbResult
set_state(Store *store,
          const char *id,
          ReviewState state,
          int64_t at_us,
          const char *decision,
          GError **error)
{
  int64_t changed = 0;
  const DbResult result =
      db_run(store->db,
             &changed,
             error,
             "UPDATE review SET state=$1, ended_us=$2, decision=$3"
             " WHERE id=$4 AND state=0",
             DB_INT(state),
             DB_INT(state == STATE_PENDING ? 0 : at_us),
             DB_TEXT(decision),
             DB_TEXT(id));

  return result == DB_DONE && changed != 1 ? DB_CONFLICT : result;
}

static DbResult
add_voice(Store *store,
          const char *id,
          const ReviewVoice *voice,
          GError **error)
{
  g_autofree char *groups = g_strjoinv("\n", voice->groups);

  return db_run(store->db,
                NULL,
                error,
                "INSERT INTO answer(review, n, issuer, subject, \"user\","
                " groups, answer, reason, at_us) SELECT $1,"
                " (SELECT count(*) FROM answer WHERE review=$1),"
                " $2, $3, $4, $5, $6, $7, $8",
                DB_TEXT(id),
                DB_TEXT(voice->issuer),
                DB_TEXT(voice->subject),
                DB_TEXT(voice->user),
                DB_TEXT(groups),
                DB_INT(voice->answer),
                DB_TEXT(voice->reason),
                DB_INT(voice->at_us));
}

DbResult
store_escalate(Store *store,
               const char *id,
               int64_t waited_us,
               int64_t at_us,
               GError **error)
{
  int64_t changed = 0;
  DbResult result;

  if (!db_begin(store->db, error))
    return DB_FAILED;
  result = db_run(store->db,
                  &changed,
                  error,
                  "UPDATE review SET escalated_us=$1"
                  " WHERE id=$2 AND state=0 AND escalated_us<$1",
                  DB_INT(waited_us),
                  DB_TEXT(id));
  if (result == DB_DONE && changed != 1)
    result = DB_CONFLICT;
  if (result == DB_DONE)
    result = store_note(store->db, "escalation", at_us, id, NULL, NULL, error);
  return db_finish(store->db, result, error);
}

DbResult
store_end(Store *store,
          const char *id,
          ReviewState state,
          int64_t at_us,
          const Actor *by,
          GError **error)
{
  DbResult result;

  if (!db_begin(store->db, error))
    return DB_FAILED;
  result = set_state(store, id, state, at_us, NULL, error);
  if (result == DB_DONE)
    result = store_note(
        store->db, review_state_name(state), at_us, id, by, NULL, error);
  return finish(store, id, result, error);
}

static bool
same_owner(const Machine *one, const Machine *other)
{
  return g_str_equal(one->issuer, other->issuer) &&
         g_str_equal(one->subject, other->subject);
}

DbResult
store_add_machine(Store *store, const Machine *machine, GError **error)
{
  const Actor by = {machine->issuer, machine->subject, machine->user};
  g_autoptr(GError) why = NULL;
  g_autoptr(Machine) known = store_get_machine(store, machine->id, &why);
  DbResult result;

  if (why) {
    g_propagate_error(error, g_steal_pointer(&why));
    return DB_FAILED;
  }
  if (known)
    return same_owner(known, machine) ? DB_DONE : DB_CONFLICT;
  if (!db_begin(store->db, error))
    return DB_FAILED;
  result = db_run(store->db,
                  NULL,
                  error,
                  "INSERT INTO machine(id, public_key, issuer, subject,"
                  " \"user\", name, since_us) VALUES($1,$2,$3,$4,$5,$6,$7)",
                  DB_TEXT(machine->id),
                  DB_BLOB_OF(machine->public_key, SIGNING_KEY_LEN),
                  DB_TEXT(machine->issuer),
                  DB_TEXT(machine->subject),
                  DB_TEXT(machine->user),
                  DB_TEXT(machine->name),
                  DB_INT(machine->since_us));
  if (result == DB_DONE)
    result = store_note(
        store->db, "machine", machine->since_us, NULL, &by, machine->id, error);
  return db_finish(store->db, result, error);
}

bool
store_prune(Store *store, int64_t before_us, GError **error)
{
  return db_run(store->db,
                NULL,
                error,
                "DELETE FROM review WHERE state<>0 AND ended_us<$1",
                DB_INT(before_us)) == DB_DONE;
}

/* ---- reading --------------------------------------------------------------
 */

static bool
read_voices(Store *store, const char *id, GPtrArray *voices, GError **error)
{
  g_autoptr(GError) why = NULL;
  g_autoptr(DbRows) rows =
      db_query(store->db,
               error,
               "SELECT issuer, subject, \"user\", groups, answer, reason, at_us"
               " FROM answer WHERE review=$1 ORDER BY n",
               DB_TEXT(id));

  if (!rows)
    return false;
  while (db_next(rows, &why)) {
    ReviewVoice *voice = g_new0(ReviewVoice, 1);

    *voice = (ReviewVoice){.issuer = db_dup(rows, 0),
                           .subject = db_dup(rows, 1),
                           .user = db_dup(rows, 2),
                           .groups = g_strsplit(db_text(rows, 3), "\n", -1),
                           .answer = (ReviewOutcome)db_int(rows, 4),
                           .reason = db_dup(rows, 5),
                           .at_us = db_int(rows, 6)};
    g_ptr_array_add(voices, voice);
  }
  if (!why)
    return true;
  g_propagate_error(error, g_steal_pointer(&why));
  return false;
}

#define REVIEW_COLUMNS                                                         \
  "SELECT issuer, subject, \"user\", machine, ask, received_us, state,"        \
  " ended_us, decision, escalated_us FROM review "

/* The rows' reviews, in their order. */
static GPtrArray *
read_reviews(Store *store, DbRows *rows, GError **error)
{
  g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(review_free);
  g_autoptr(GError) why = NULL;

  while (db_next(rows, &why)) {
    Review *review = review_new();
    const char *ask = db_text(rows, 4);

    g_ptr_array_add(list, review);
    review->issuer = db_dup(rows, 0);
    review->subject = db_dup(rows, 1);
    review->user = db_dup(rows, 2);
    review->machine = db_dup(rows, 3);
    review->received_us = db_int(rows, 5);
    review->state = (ReviewState)db_int(rows, 6);
    review->ended_us = db_int(rows, 7);
    review->decision = db_dup(rows, 8);
    review->told_us = db_int(rows, 9);
    review->ask = review_ask_parse(ask, strlen(ask), &why);
    if (!review->ask) {
      g_set_error(error,
                  DB_ERROR,
                  DB_ERROR_OTHER,
                  "a review in the database is not as it was written: %s",
                  why->message);
      return NULL;
    }
  }
  if (why) {
    g_propagate_error(error, g_steal_pointer(&why));
    return NULL;
  }
  for (guint i = 0; i < list->len; i++) {
    const Review *review = list->pdata[i];

    if (!read_voices(store, review->ask->id, review->voices, error))
      return NULL;
  }
  return g_steal_pointer(&list);
}

Review *
store_get(Store *store, const char *id, GError **error)
{
  g_autoptr(DbRows) rows =
      db_query(store->db, error, REVIEW_COLUMNS "WHERE id=$1", DB_TEXT(id));
  g_autoptr(GPtrArray) list = rows ? read_reviews(store, rows, error) : NULL;

  return list && list->len > 0 ? g_ptr_array_steal_index(list, 0) : NULL;
}

GPtrArray *
store_list(Store *store, bool pending, unsigned limit, GError **error)
{
  g_autoptr(DbRows) rows =
      pending ? db_query(store->db,
                         error,
                         REVIEW_COLUMNS
                         "WHERE state=0 ORDER BY received_us DESC LIMIT $1",
                         DB_INT(limit))
              : db_query(store->db,
                         error,
                         REVIEW_COLUMNS "ORDER BY received_us DESC LIMIT $1",
                         DB_INT(limit));

  return rows ? read_reviews(store, rows, error) : NULL;
}

/* ---- answers --------------------------------------------------------------
 */

static DbResult
note_answer(Store *store,
            const char *id,
            const ReviewVoice *voice,
            const char *decision,
            GError **error)
{
  const Actor by = {voice->issuer, voice->subject, voice->user};
  DbResult result = store_note(store->db,
                               "answer",
                               voice->at_us,
                               id,
                               &by,
                               review_outcome_name(voice->answer),
                               error);

  if (result == DB_DONE && decision)
    result = store_note(
        store->db, "decision", voice->at_us, id, NULL, decision, error);
  return result;
}

/* Inside the transaction; `voices` are those before and, last, the new one. */
static DbResult
answer(Store *store,
       const char *id,
       GPtrArray *voices,
       ReviewVoice *taken,
       StoreDecide decide,
       void *data,
       ReviewState *state,
       char **decision,
       GError **error)
{
  /* Also where it goes on: what ended takes no answer, and whoever answers at
   * another hub waits from here on. */
  DbResult result = set_state(store, id, STATE_PENDING, 0, NULL, error);
  const ReviewVoice *voice = taken;

  if (result == DB_DONE && !read_voices(store, id, voices, error))
    result = DB_FAILED;
  g_ptr_array_add(voices, taken);
  if (result == DB_DONE && !decide(voices, state, decision, data))
    result = DB_CONFLICT;
  if (result == DB_DONE && *state != STATE_PENDING)
    result = set_state(store, id, *state, voice->at_us, *decision, error);
  if (result == DB_DONE)
    result = add_voice(store, id, voice, error);
  return result == DB_DONE ? note_answer(store, id, voice, *decision, error)
                           : result;
}

DbResult
store_answer(Store *store,
             Review *review,
             ReviewVoice *taken,
             StoreDecide decide,
             void *data,
             ReviewState *state,
             GError **error)
{
  g_autoptr(GPtrArray) voices =
      g_ptr_array_new_with_free_func(review_voice_free);
  g_autofree char *decision = NULL;
  ReviewState found = STATE_PENDING;
  DbResult result;

  if (!db_begin(store->db, error)) {
    review_voice_free(taken);
    return DB_FAILED;
  }
  result = answer(store,
                  review->ask->id,
                  voices,
                  taken,
                  decide,
                  data,
                  &found,
                  &decision,
                  error);
  result = finish(store, review->ask->id, result, error);
  if (result != DB_DONE)
    return result;
  *state = found;
  g_ptr_array_unref(review->voices);
  review->voices = g_steal_pointer(&voices);
  if (decision)
    review->decision = g_steal_pointer(&decision);
  return DB_DONE;
}

/* ---- machines and the record ----------------------------------------------
 */

Machine *
store_get_machine(Store *store, const char *id, GError **error)
{
  g_autoptr(DbRows) rows =
      db_query(store->db,
               error,
               "SELECT id, public_key, issuer, subject, \"user\", name,"
               " since_us FROM machine WHERE id=$1",
               DB_TEXT(id));
  Machine *machine;
  const void *key;
  size_t len;

  if (!rows || !db_next(rows, error))
    return NULL;
  machine = g_new0(Machine, 1);
  machine->id = db_dup(rows, 0);
  key = db_blob(rows, 1, &len);
  if (len == SIGNING_KEY_LEN)
    memcpy(machine->public_key, key, SIGNING_KEY_LEN);
  machine->issuer = db_dup(rows, 2);
  machine->subject = db_dup(rows, 3);
  machine->user = db_dup(rows, 4);
  machine->name = db_dup(rows, 5);
  machine->since_us = db_int(rows, 6);
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
  g_autoptr(GError) why = NULL;
  g_autoptr(DbRows) rows =
      db_query(store->db,
               error,
               "SELECT seq, at_us, kind, review, issuer, subject, \"user\","
               " detail FROM record WHERE seq>$1 ORDER BY seq LIMIT $2",
               DB_INT(after),
               DB_INT(limit));

  if (!rows)
    return false;
  while (db_next(rows, &why))
    each(&(RecordRow){.seq = db_int(rows, 0),
                      .at_us = db_int(rows, 1),
                      .kind = db_text(rows, 2),
                      .review = db_text(rows, 3),
                      .issuer = db_text(rows, 4),
                      .subject = db_text(rows, 5),
                      .user = db_text(rows, 6),
                      .detail = db_text(rows, 7)},
         data);
  if (!why)
    return true;
  g_propagate_error(error, g_steal_pointer(&why));
  return false;
}
