/* SPDX-License-Identifier: Apache-2.0 */
/* The hub's database layer: the same SQL with the same results in SQLite and in
 * PostgreSQL, and what happens when a database does not answer. */
#include "kit/clock.h"
#include "postgresql-kit.h"
#include <pthread.h>
#include <string.h>

#define S INT64_C(1000000)

static Cluster *cluster;

typedef struct {
  char *folder, *where;
  Db *db;
} Kit;

static const DbVersion things[] = {
    {.sqlite = "CREATE TABLE thing(id TEXT PRIMARY KEY, n BIGINT, key BLOB);",
     .postgresql =
         "CREATE TABLE thing(id TEXT PRIMARY KEY, n BIGINT, key BYTEA);"},
    DB_SAME("ALTER TABLE thing ADD COLUMN more TEXT;"
            "CREATE INDEX thing_n ON thing(n);")};
static const DbPart part = {"thing", things, G_N_ELEMENTS(things)};

static Db *
open_db(const Kit *kit)
{
  g_autoptr(GError) error = NULL;
  Db *db = db_open(kit->where, &error);

  g_assert_no_error(error);
  return db;
}

/* data: not NULL for PostgreSQL. */
static void
setup(Kit *kit, const void *data)
{
  g_autoptr(GError) error = NULL;

  kit->folder = g_dir_make_tmp("hub-db-XXXXXX", NULL);
  if (data && !cluster)
    return;
  kit->where = data ? cluster_database(cluster)
                    : g_build_filename(kit->folder, "hub.db", NULL);
  kit->db = open_db(kit);
  g_assert_true(db_migrate(kit->db, &part, &error));
  g_assert_no_error(error);
}

static void
teardown(Kit *kit, const void *data)
{
  (void)data;
  db_free(kit->db);
  remove_folder(kit->folder);
  g_free(kit->folder);
  g_free(kit->where);
}

/* False: said so. */
static bool
is_there(const Kit *kit)
{
  if (!kit->db)
    g_test_skip("no PostgreSQL here (packages.list, group test)");
  return kit->db != NULL;
}

static DbResult
add(Db *db, const char *id, int64_t n, GError **error)
{
  return db_run(db,
                NULL,
                error,
                "INSERT INTO thing(id, n) VALUES($1, $2)",
                DB_TEXT(id),
                DB_INT(n));
}

static int64_t
count(Db *db)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(DbRows) rows = db_query(db, &error, "SELECT count(*) FROM thing");

  g_assert_no_error(error);
  g_assert_true(db_next(rows, &error));
  return db_int(rows, 0);
}

/* ---- both engines ---------------------------------------------------------
 */

static void
test_values(Kit *kit, const void *data)
{
  static const uint8_t bytes[] = {0, 1, 0xff, 0, '\\'};
  static const struct {
    const char *id;
    DbValue n, key, more;
  } cases[] = {
      {"a", {DB_KIND_INT, .number = INT64_MIN}, {DB_KIND_BLOB, true}, {0}},
      {"b", {DB_KIND_INT, .number = INT64_MAX}, {DB_KIND_BLOB, true}, {0}},
      {"c", {DB_KIND_INT, true}, {DB_KIND_BLOB, .bytes = ""}, {0}},
      {"d",
       {DB_KIND_INT, .number = -1},
       {DB_KIND_BLOB, .len = sizeof bytes, .bytes = bytes},
       {0}},
  };
  g_autoptr(GError) error = NULL;
  g_autoptr(DbRows) rows = NULL;
  size_t len;

  (void)data;
  if (!is_there(kit))
    return;
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    db_run(kit->db,
           NULL,
           &error,
           /* Parameters in another order than their numbers, one twice. */
           "INSERT INTO thing(more, n, id, key) SELECT $4, $2, $1, $3"
           " WHERE $1<>''",
           DB_TEXT(cases[i].id),
           cases[i].n,
           cases[i].key,
           DB_TEXT(i ? "ü ' \" $1 \n" : NULL));
    g_assert_no_error(error);
  }
  rows = db_query(
      kit->db, &error, "SELECT id, n, key, more FROM thing ORDER BY id");
  g_assert_no_error(error);
  for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_assert_true(db_next(rows, &error));
    g_assert_cmpstr(db_text(rows, 0), ==, cases[i].id);
    g_assert_cmpint(db_is_null(rows, 1), ==, cases[i].n.null);
    g_assert_cmpint(
        db_int(rows, 1), ==, cases[i].n.null ? 0 : cases[i].n.number);
    g_assert_cmpint(db_is_null(rows, 2), ==, cases[i].key.null);
    if (!cases[i].key.null) {
      const void *key = db_blob(rows, 2, &len);

      g_assert_cmpmem(key, len, cases[i].key.bytes, cases[i].key.len);
    }
    g_assert_cmpstr(db_text(rows, 3), ==, i ? "ü ' \" $1 \n" : NULL);
  }
  g_assert_false(db_next(rows, &error));
  g_assert_false(db_next(rows, &error));
  g_assert_no_error(error);
}

static void
test_conflict(Kit *kit, const void *data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(DbRows) rows = NULL;
  int64_t changed = 5;

  (void)data;
  if (!is_there(kit))
    return;
  g_assert_cmpint(add(kit->db, "a", 1, &error), ==, DB_DONE);
  g_assert_cmpint(add(kit->db, "a", 2, &error), ==, DB_CONFLICT);
  g_assert_no_error(error);
  g_assert_cmpint(db_run(kit->db,
                         &changed,
                         &error,
                         "INSERT INTO thing(id, n) VALUES($1, $2)"
                         " ON CONFLICT (id) DO NOTHING",
                         DB_TEXT("a"),
                         DB_INT(3)),
                  ==,
                  DB_DONE);
  g_assert_cmpint(changed, ==, 0);
  db_run(kit->db,
         &changed,
         &error,
         "UPDATE thing SET n=n+1 WHERE n>=$1",
         DB_INT(1));
  g_assert_cmpint(changed, ==, 1);
  rows = db_query(kit->db,
                  &error,
                  "INSERT INTO thing(id) VALUES($1) RETURNING id",
                  DB_TEXT("a"));
  g_assert_null(rows);
  g_assert_error(error, DB_ERROR, DB_ERROR_CONSTRAINT);
  g_assert_null(strstr(error->message, "(a)")); /* values are nobody's news */
}

/* A change with RETURNING is made, whether its rows are read or not. */
static void
test_returning(Kit *kit, const void *data)
{
  g_autoptr(GError) error = NULL;

  (void)data;
  if (!is_there(kit))
    return;
  for (int i = 0; i < 2; i++) {
    g_autoptr(DbRows) rows = db_query(kit->db,
                                      &error,
                                      "INSERT INTO thing(id, n) VALUES($1, $2)"
                                      " RETURNING n, id",
                                      DB_TEXT(i ? "b" : "a"),
                                      DB_INT(7));

    g_assert_no_error(error);
    if (i) {
      g_assert_true(db_next(rows, &error));
      g_assert_cmpint(db_int(rows, 0), ==, 7);
      g_assert_cmpstr(db_text(rows, 1), ==, "b");
    }
  }
  g_assert_cmpint(count(kit->db), ==, 2);
}

static void
test_transactions(Kit *kit, const void *data)
{
  g_autoptr(Db) other = kit->db ? open_db(kit) : NULL;
  g_autoptr(GError) error = NULL;

  (void)data;
  if (!is_there(kit))
    return;
  g_assert_true(db_begin(kit->db, &error));
  g_assert_true(db_in_transaction(kit->db));
  add(kit->db, "a", 1, &error);
  g_assert_cmpint(count(other), ==, 0);
  g_assert_cmpint(db_finish(kit->db, DB_DONE, &error), ==, DB_DONE);
  g_assert_false(db_in_transaction(kit->db));
  g_assert_cmpint(count(other), ==, 1);

  g_assert_true(db_begin(kit->db, &error));
  add(kit->db, "b", 1, &error);
  g_assert_cmpint(db_finish(kit->db, add(kit->db, "a", 1, &error), &error),
                  ==,
                  DB_CONFLICT);
  g_assert_no_error(error);
  g_assert_false(db_in_transaction(kit->db));
  g_assert_cmpint(count(other), ==, 1);
}

/* Whatever a caller overlooked is not committed in part. */
static void
test_failed_inside(Kit *kit, const void *data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GError) why = NULL;

  (void)data;
  if (!is_there(kit))
    return;
  g_assert_true(db_begin(kit->db, &error));
  add(kit->db, "a", 1, &error);
  g_assert_cmpint(
      db_run(kit->db, NULL, &why, "UPDATE nowhere SET n=1"), ==, DB_FAILED);
  g_assert_error(why, DB_ERROR, DB_ERROR_OTHER);
  g_assert_cmpint(db_finish(kit->db, DB_FAILED, &error), ==, DB_FAILED);
  g_assert_cmpint(count(kit->db), ==, 0);
  g_assert_false(db_is_lost(kit->db));
}

#define MANY 1000

static void
test_many(Kit *kit, const void *data)
{
  g_autofree DbValue *values = g_new0(DbValue, 2 * MANY);
  g_autofree unsigned *changed = g_new0(unsigned, MANY);
  g_autoptr(GStrvBuilder) names = g_strv_builder_new();
  g_auto(GStrv) ids = NULL;
  g_autoptr(GError) error = NULL;
  static const char sql[] = "INSERT INTO thing(id, n) VALUES($1, $2)"
                            " ON CONFLICT (id) DO NOTHING";

  (void)data;
  if (!is_there(kit))
    return;
  for (unsigned i = 0; i < MANY; i++) {
    g_autofree char *id = g_strdup_printf("i%u", i - i % 2);

    g_strv_builder_add(names, id);
  }
  ids = g_strv_builder_end(names);
  for (unsigned i = 0; i < MANY; i++) {
    values[2 * i] = DB_TEXT(ids[i]);
    values[2 * i + 1] = DB_INT(i);
  }
  g_assert_true(db_begin(kit->db, &error));
  g_assert_cmpint(
      db_run_many(kit->db, sql, values, 2, MANY, changed, &error), ==, DB_DONE);
  g_assert_cmpint(db_finish(kit->db, DB_DONE, &error), ==, DB_DONE);
  g_assert_cmpint(count(kit->db), ==, MANY / 2);
  for (unsigned i = 0; i < MANY; i++)
    g_assert_cmpuint(changed[i], ==, 1 - i % 2);

  /* One that breaks a constraint ends it, and the connection goes on. */
  g_assert_true(db_begin(kit->db, &error));
  g_assert_cmpint(db_run_many(kit->db,
                              "INSERT INTO thing(id, n) VALUES($1, $2)",
                              values,
                              2,
                              MANY,
                              NULL,
                              &error),
                  ==,
                  DB_CONFLICT);
  g_assert_cmpint(db_finish(kit->db, DB_CONFLICT, &error), ==, DB_CONFLICT);
  g_assert_no_error(error);
  g_assert_cmpint(count(kit->db), ==, MANY / 2);
}

/* The same text while its rows are still being read. */
static void
test_twice(Kit *kit, const void *data)
{
  g_autoptr(GError) error = NULL;
  unsigned n = 0;

  (void)data;
  if (!is_there(kit))
    return;
  add(kit->db, "a", 1, &error);
  add(kit->db, "b", 2, &error);
  for (DbRows *outer = NULL; n < 4; n += 2) {
    static const char sql[] = "SELECT id FROM thing ORDER BY id";
    g_autoptr(DbRows) inner = NULL;

    outer = db_query(kit->db, &error, sql);
    g_assert_true(db_next(outer, &error));
    inner = db_query(kit->db, &error, sql);
    g_assert_true(db_next(inner, &error));
    g_assert_true(db_next(inner, &error));
    g_assert_cmpstr(db_text(inner, 0), ==, "b");
    g_assert_cmpstr(db_text(outer, 0), ==, "a");
    db_rows_free(outer);
  }
}

static void
test_migrate(Kit *kit, const void *data)
{
  static const DbVersion newer[] = {DB_SAME(""), DB_SAME(""), DB_SAME("")};
  const DbPart future = {"thing", newer, G_N_ELEMENTS(newer)};
  static const DbVersion wrong[] = {
      DB_SAME("CREATE TABLE half(id TEXT); CREATE TABLE half(id TEXT)")};
  const DbPart broken = {"half", wrong, G_N_ELEMENTS(wrong)};
  g_autoptr(GError) error = NULL;
  g_autoptr(GError) why = NULL;

  (void)data;
  if (!is_there(kit))
    return;
  g_assert_true(db_migrate(kit->db, &part, &error));
  g_assert_false(db_migrate(kit->db, &broken, &why));
  g_assert_error(why, DB_ERROR, DB_ERROR_OTHER);
  g_clear_error(&why);
  g_assert_cmpint(
      db_run(kit->db, NULL, &why, "DELETE FROM half"), ==, DB_FAILED);
  g_clear_error(&why);
  db_run(kit->db,
         NULL,
         &error,
         "UPDATE schema_part SET version=3 WHERE name='thing'");
  g_assert_true(db_migrate(kit->db, &future, &error));
  g_assert_no_error(error);
  g_assert_false(db_migrate(kit->db, &part, &error));
  g_assert_error(error, DB_ERROR, DB_ERROR_OPEN);
  g_assert_nonnull(strstr(error->message, "newer hoop-hub"));
}

/* ---- threads --------------------------------------------------------------
 */

#define THREADS 4
#define EACH 40

static void *
work(void *data)
{
  g_autoptr(Db) db = open_db(data);
  g_autoptr(GError) error = NULL;

  db_set_patience(db, 30000);
  g_assert_true(db_migrate(db, &part, &error));
  for (int i = 0; i < EACH; i++) {
    g_autoptr(DbRows) rows = NULL;

    g_assert_true(db_begin(db, &error));
    /* Whoever updates first makes the others wait: none is lost. */
    rows = db_query(
        db, &error, "UPDATE thing SET n=n+1 WHERE id='head' RETURNING n");
    g_assert_no_error(error);
    g_assert_true(db_next(rows, &error));
    {
      g_autofree char *id = g_strdup_printf("n%d", (int)db_int(rows, 0));

      g_clear_pointer(&rows, db_rows_free);
      g_assert_cmpint(
          db_finish(db, add(db, id, 0, &error), &error), ==, DB_DONE);
    }
  }
  return NULL;
}

static void
test_threads(Kit *kit, const void *data)
{
  pthread_t threads[THREADS];
  g_autoptr(GError) error = NULL;

  (void)data;
  if (!is_there(kit))
    return;
  add(kit->db, "head", 0, &error);
  for (int i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, work, kit);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  g_assert_cmpint(count(kit->db), ==, THREADS * EACH + 1);
}

/* ---- a database that is busy, silent or gone ------------------------------
 */

static void
test_busy(Kit *kit, const void *data)
{
  g_autoptr(Db) other = kit->db ? open_db(kit) : NULL;
  g_autoptr(GError) error = NULL;
  const int64_t before = clock_mono_us();
  static const char sql[] = "UPDATE thing SET n=2 WHERE id='a'";

  (void)data;
  if (!is_there(kit))
    return;
  add(kit->db, "a", 1, &error);
  g_assert_true(db_begin(other, &error));
  db_run(other, NULL, &error, sql);
  g_assert_no_error(error);
  db_set_patience(kit->db, 200);
  g_assert_cmpint(db_run(kit->db, NULL, &error, sql), ==, DB_FAILED);
  g_assert_error(error, DB_ERROR, DB_ERROR_BUSY);
  g_assert_true(db_error_passes(error));
  g_assert_cmpint(clock_mono_us() - before, >, S / 10);
  g_clear_error(&error);
  g_assert_false(db_is_lost(kit->db));
  db_finish(other, DB_DONE, &error);
  db_set_patience(kit->db, 20000);
  g_assert_cmpint(db_run(kit->db, NULL, &error, sql), ==, DB_DONE);
}

static void
reconnect(Db *db)
{
  g_autoptr(GError) error = NULL;

  g_assert_true(db_reopen(db, &error));
  g_assert_no_error(error);
  g_assert_false(db_is_lost(db));
}

static void
test_killed(Kit *kit, const void *data)
{
  g_autoptr(GError) error = NULL;

  (void)data;
  if (!is_there(kit))
    return;
  add(kit->db, "a", 1, &error);
  g_assert_true(db_begin(kit->db, &error));
  add(kit->db, "b", 1, &error);
  g_assert_cmpint(cluster_do(cluster, "kill", NULL), ==, 0);
  g_assert_cmpint(db_finish(kit->db, DB_DONE, &error), ==, DB_FAILED);
  g_assert_error(error, DB_ERROR, DB_ERROR_LOST);
  g_assert_true(db_is_lost(kit->db));
  g_assert_false(db_in_transaction(kit->db));
  g_assert_cmpint(db_fd(kit->db), ==, -1);
  g_clear_error(&error);
  g_assert_cmpint(add(kit->db, "c", 1, &error), ==, DB_FAILED);
  g_assert_error(error, DB_ERROR, DB_ERROR_LOST);
  g_clear_error(&error);
  g_assert_false(db_reopen(kit->db, &error));
  g_assert_error(error, DB_ERROR, DB_ERROR_LOST);
  g_clear_error(&error);
  g_assert_cmpint(cluster_do(cluster, "again", NULL), ==, 0);
  reconnect(kit->db);
  g_assert_cmpint(count(kit->db), ==, 1); /* what was committed, and no more */
}

/* A server that hangs costs the caller's patience once. */
static void
test_hangs(Kit *kit, const void *data)
{
  g_autoptr(GError) error = NULL;
  int64_t before;

  (void)data;
  if (!is_there(kit))
    return;
  add(kit->db, "a", 1, &error);
  db_set_patience(kit->db, 300);
  count(kit->db);
  g_assert_cmpint(cluster_do(cluster, "hang", NULL), ==, 0);
  before = clock_mono_us();
  g_assert_cmpint(add(kit->db, "b", 1, &error), ==, DB_FAILED);
  g_assert_error(error, DB_ERROR, DB_ERROR_LOST);
  g_assert_cmpint(clock_mono_us() - before, >=, 3 * S / 10);
  g_clear_error(&error);
  before = clock_mono_us();
  for (int i = 0; i < 1000; i++) {
    g_assert_cmpint(add(kit->db, "b", 1, &error), ==, DB_FAILED);
    g_clear_error(&error);
  }
  g_assert_cmpint(clock_mono_us() - before, <, 3 * S / 10);
  g_assert_cmpint(cluster_do(cluster, "go", NULL), ==, 0);
  db_set_patience(kit->db, 20000);
  {
    /* As the hub does it: opened elsewhere, put in place. */
    Db *fresh = db_open_like(kit->db, &error);

    g_assert_no_error(error);
    db_take(kit->db, fresh);
  }
  g_assert_false(db_is_lost(kit->db));
  g_assert_cmpint(count(kit->db), >=, 1);
}

/* ---- wake-ups -------------------------------------------------------------
 */

static void
hear(const char *channel, const char *payload, void *data)
{
  g_string_append_printf(data, "%s=%s ", channel, payload);
}

static void
test_wakes(Kit *kit, const void *data)
{
  g_autoptr(Db) listener = kit->db ? open_db(kit) : NULL;
  g_autoptr(GString) heard = g_string_new(NULL);
  g_autoptr(GError) error = NULL;
  const int64_t until = clock_mono_us() + 20 * S;

  if (!is_there(kit))
    return;
  g_assert_true(db_listen(listener, "hoop_review", &error));
  g_assert_true(db_begin(kit->db, &error));
  g_assert_true(db_notify(kit->db, "hoop_review", "kept back", &error));
  db_finish(kit->db, DB_FAILED, &error);
  g_assert_true(db_begin(kit->db, &error));
  g_assert_true(db_notify(kit->db, "hoop_review", "id 1", &error));
  g_assert_true(db_notify(kit->db, "elsewhere", "id 2", &error));
  g_assert_cmpint(db_finish(kit->db, DB_DONE, &error), ==, DB_DONE);
  while (data && heard->len == 0 && clock_mono_us() < until) {
    g_usleep(1000);
    g_assert_true(db_hear(listener, hear, heard, &error));
  }
  g_assert_true(db_hear(listener, hear, heard, &error));
  g_assert_no_error(error);
  g_assert_cmpstr(heard->str, ==, data ? "hoop_review=id 1 " : "");
  g_assert_true(data ? db_fd(listener) > 2 : db_fd(listener) == -1);
}

/* ---- how it is opened -----------------------------------------------------
 */

static void
test_refused_urls(void)
{
  static const char *const urls[] = {
      "postgresql://db.example/hub?sslmode=disable",
      "postgresql://db.example/hub?sslmode=prefer",
      "postgresql://localhost,db.example/hub?sslmode=allow",
      "postgresql://hoop:opensesame@localhost/hub",
      "postgresql://localhost/hub?password=opensesame",
      "postgresql://localhost/hub?service=opensesame",
      "postgresql://localhost:opensesame/hub?opensesame=%zz",
      "/nonexistent/folder/hub.db",
  };

  for (size_t i = 0; i < G_N_ELEMENTS(urls); i++) {
    g_autoptr(GError) error = NULL;

    g_assert_null(db_open(urls[i], &error));
    g_assert_error(error, DB_ERROR, DB_ERROR_OPEN);
    g_assert_null(strstr(error->message, "opensesame"));
  }
}

static void
test_password(Kit *kit, const void *data)
{
  g_autofree char *file = g_build_filename(kit->folder, "password", NULL);
  g_autofree char *url = NULL;
  g_autoptr(GError) error = NULL;

  (void)data;
  if (!is_there(kit))
    return;
  url =
      g_strdup_printf("postgresql://hoop@127.0.0.1:%s/postgres", cluster->port);
  for (int i = 0; i < 2; i++) {
    const char *text = i ? CLUSTER_PASSWORD "\n" : "opensesame\n";
    g_autoptr(Db) db = NULL;

    g_assert_true(g_file_set_contents_full(
        file, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
    db = db_open_with(url, file, &error);
    if (i) {
      g_autoptr(Db) like = NULL;

      g_assert_no_error(error);
      like = db_open_like(db, &error);
      g_assert_no_error(error);
    } else {
      g_assert_error(error, DB_ERROR, DB_ERROR_OPEN);
      g_assert_null(strstr(error->message, "opensesame"));
      g_clear_error(&error);
    }
  }
}

/* To another machine's name TLS is wanted, though nobody said so. */
static void
test_needs_tls(Kit *kit, const void *data)
{
  g_autofree char *url = NULL;
  g_autoptr(GError) error = NULL;

  (void)data;
  if (!is_there(kit))
    return;
  url = g_strdup_printf(
      "postgresql://hoop@db.example.test:%s/postgres?hostaddr=127.0.0.1",
      cluster->port);
  g_assert_null(db_open(url, &error));
  g_assert_error(error, DB_ERROR, DB_ERROR_LOST);
  g_assert_nonnull(strstr(error->message, "SSL"));
}

int
main(int argc, char **argv)
{
  int result;

  g_test_init(&argc, &argv, NULL);
  cluster = cluster_new();
#define ADD(path, engine, test)                                                \
  g_test_add("/hub/db/" path, Kit, engine, setup, test, teardown)
#define ADD_BOTH(path, test)                                                   \
  ADD("sqlite/" path, NULL, test);                                             \
  ADD("postgresql/" path, "", test)
  ADD_BOTH("values", test_values);
  ADD_BOTH("conflict", test_conflict);
  ADD_BOTH("returning", test_returning);
  ADD_BOTH("transactions", test_transactions);
  ADD_BOTH("failed-inside", test_failed_inside);
  ADD_BOTH("many", test_many);
  ADD_BOTH("twice", test_twice);
  ADD_BOTH("migrate", test_migrate);
  ADD_BOTH("threads", test_threads);
  ADD_BOTH("busy", test_busy);
  ADD_BOTH("wakes", test_wakes);
  g_test_add_func("/hub/db/refused-urls", test_refused_urls);
  ADD("postgresql/password", "", test_password);
  ADD("postgresql/needs-tls", "", test_needs_tls);
  ADD("postgresql/hangs", "", test_hangs);
  ADD("postgresql/killed", "", test_killed);
  result = g_test_run();
  cluster_free(cluster);
  return result;
}
