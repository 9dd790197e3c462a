/* SPDX-License-Identifier: Apache-2.0 */
/* The file of grants: read whole or not at all, never longer than was said,
 * and what cannot be written is not given. */
#include "grants-kit.h"

static bool
start_again(Fixture *f, Policy *policy, GError **error)
{
  grants_free(f->grants);
  f->grants = make_grants(f);
  approve_use_grants(f->queue, f->grants);
  return grants_load(f->grants, policy, NULL, NULL, error);
}

static void
test_restart(Fixture *f, const void *data)
{
  g_autoptr(Policy) policy = policy_of(HEAD CAREFUL);
  g_autoptr(Policy) other = policy_of(HEAD CARDS);
  g_autoptr(GError) error = NULL;
  g_autofree char *id = NULL;
  struct stat info;

  (void)data;
  give(f, request_by("a", policy), ANSWER_APPROVE, &ten_minutes);
  id = g_strdup(only(f)->id);
  g_assert_true(passes(f, request_by("b", policy)));
  g_assert_cmpint(stat(f->path, &info), ==, 0);
  g_assert_cmpint(info.st_mode & 0777, ==, 0600);
  start_again(f, policy, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(only(f)->id, ==, id);
  g_assert_cmpuint(only(f)->uses, ==, 1);
  g_assert_true(passes(f, request_by("c", policy)));
  /* The wall clock set back while the agent was down. */
  boot_us += 600 * S;
  wall_us -= 600 * S;
  start_again(f, policy, NULL);
  g_assert_cmpuint(grants_list(f->grants)->len, ==, 0);
  wall_us += 1200 * S;
  /* Another policy at the next start. */
  grants_follow(f->grants, policy);
  give(f, request_by("d", policy), ANSWER_APPROVE, &ten_minutes);
  start_again(f, other, NULL);
  g_assert_cmpuint(grants_list(f->grants)->len, ==, 0);
  start_again(f, policy, NULL);
  g_assert_cmpuint(grants_list(f->grants)->len, ==, 0);
  /* A session is over. */
  {
    g_autoptr(Policy) same = policy_of(HEAD CAREFUL);

    give(f, request_by("e", same), ANSWER_APPROVE, &for_session);
    start_again(f, same, NULL);
    g_assert_cmpuint(grants_list(f->grants)->len, ==, 0);
  }
}

/* A denial outlives the agent, too, and says so. */
static void
test_denial(Fixture *f, const void *data)
{
  g_autoptr(Policy) policy = policy_of(HEAD CAREFUL);
  g_autoptr(GError) error = NULL;
  Held one;

  (void)data;
  give(f, request_by("a", policy), ANSWER_DENY, &ten_minutes);
  start_again(f, policy, &error);
  g_assert_no_error(error);
  g_assert_true(only(f)->denies);
  hold(f, &one, request_by("b", policy));
  g_assert_cmpuint(one.decided, ==, 1);
  g_assert_cmpint(one.outcome, ==, OUTCOME_DENIED);
  let_go(f, &one);
  boot_us += 600 * S;
  hold(f, &one, request_by("c", policy));
  g_assert_cmpuint(one.decided, ==, 0);
  let_go(f, &one);
}

static bool
is_id(const char *id, void *data)
{
  return g_str_equal(id, data);
}

/* An old copy of the file, put back after what it holds was revoked. */
static void
test_put_back(Fixture *f, const void *data)
{
  g_autoptr(Policy) policy = policy_of(HEAD CAREFUL);
  g_autofree char *id = NULL, *copy = NULL, *text = NULL;
  gsize len;

  (void)data;
  give(f, request_by("a", policy), ANSWER_APPROVE, &ten_minutes);
  id = g_strdup(only(f)->id);
  g_assert_true(g_file_get_contents(f->path, &copy, &len, NULL));
  g_assert_true(grants_revoke(f->grants, id, NULL));
  grants_free(f->grants);
  g_assert_true(g_file_set_contents_full(
      f->path, copy, (gssize)len, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
  f->grants = make_grants(f);
  approve_use_grants(f->queue, f->grants);
  g_assert_true(grants_load(f->grants, policy, is_id, id, NULL));
  g_assert_cmpuint(grants_list(f->grants)->len, ==, 0);
  g_assert_false(passes(f, request_by("b", policy)));
  /* Nor is it in the file any more. */
  grants_tidy(f->grants);
  g_assert_true(g_file_get_contents(f->path, &text, NULL, NULL));
  g_assert_null(strstr(text, id));
}

static void
write_file(Fixture *f, const char *text)
{
  g_unlink(f->path);
  g_assert_true(g_file_set_contents_full(
      f->path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
}

static void
rewrite(Fixture *f, const char *from, const char *to)
{
  g_autofree char *text = NULL;
  g_auto(GStrv) parts = NULL;
  g_autofree char *changed = NULL;

  g_assert_true(g_file_get_contents(f->path, &text, NULL, NULL));
  parts = g_strsplit(text, from, 2);
  g_assert_nonnull(parts[1]);
  changed = g_strjoinv(to, parts);
  write_file(f, changed);
}

static void
test_edited_file(Fixture *f, const void *data)
{
  static const struct {
    const char *from, *to;
  } rows[] = {{" whole ", " masked "},
              {"developer", "reviewer"},
              {":ada", ":bob"},
              {":copilot", ":anthropic"},
              {"careful=", "cards="},
              {" 0 0 ", " 1 0 "},
              {"grants 1", "grants 2"},
              {"boot ", "boot x"},
              {"mac ", "mac 0"},
              {"\nmac", "\n\nmac"}};
  g_autoptr(Policy) policy = policy_of(HEAD CAREFUL);

  (void)data;
  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GError) error = NULL;
    Grants *before = f->grants;

    give(f, request_by("a", policy), ANSWER_APPROVE, &ten_minutes);
    /* It does not store what it knows any more. */
    approve_use_grants(f->queue, NULL);
    rewrite(f, rows[i].from, rows[i].to);
    f->grants = make_grants(f);
    g_assert_false(grants_load(f->grants, policy, NULL, NULL, &error));
    g_assert_error(error, APPROVE_ERROR, APPROVE_ERROR_STORE);
    g_assert_cmpuint(grants_list(f->grants)->len, ==, 0);
    grants_free(before);
    g_unlink(f->path);
    approve_use_grants(f->queue, f->grants);
  }
}

static void
test_open_file(Fixture *f, const void *data)
{
  g_autoptr(Policy) policy = policy_of(HEAD CAREFUL);
  g_autoptr(GError) error = NULL;

  (void)data;
  give(f, request_by("a", policy), ANSWER_APPROVE, &ten_minutes);
  grants_free(g_steal_pointer(&f->grants));
  g_assert_cmpint(g_chmod(f->path, 0660), ==, 0);
  f->grants = make_grants(f);
  approve_use_grants(f->queue, f->grants);
  g_assert_false(grants_load(f->grants, policy, NULL, NULL, &error));
  g_assert_error(error, APPROVE_ERROR, APPROVE_ERROR_STORE);
  g_assert_cmpuint(grants_list(f->grants)->len, ==, 0);
}

/* Of another boot: how long it lasted since nobody knows. */
static void
test_other_boot(Fixture *f, const void *data)
{
  g_autoptr(Policy) policy = policy_of(HEAD CAREFUL);
  g_autofree char *text = NULL;
  g_autofree char *now = NULL;
  g_autoptr(GPtrArray) again = NULL;
  g_autofree char *ours = NULL;
  g_autoptr(GError) error = NULL;

  (void)data;
  give(f, request_by("a", policy), ANSWER_APPROVE, &ten_minutes);
  g_assert_true(g_file_get_contents(f->path, &now, NULL, NULL));
  again = grants_parse(now, strlen(now), f->key, &ours, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(again->len, ==, 1);
  text = grants_format(again, "another", f->key);
  grants_free(g_steal_pointer(&f->grants));
  write_file(f, text);
  f->grants = make_grants(f);
  approve_use_grants(f->queue, f->grants);
  grants_load(f->grants, policy, NULL, NULL, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(grants_list(f->grants)->len, ==, 0);
}

/* A lower limit at the next start ends what lasts longer. */
static void
test_lower_limit(Fixture *f, const void *data)
{
  g_autoptr(Policy) policy = policy_of(HEAD CAREFUL);
  GrantOptions options = {.path = f->path,
                          .key = f->key,
                          .most_seconds = 300,
                          .most = 4,
                          .wall_us = wall,
                          .boot_us = boot};

  (void)data;
  give(f, request_by("a", policy), ANSWER_APPROVE, &ten_minutes);
  grants_free(f->grants);
  f->grants = grants_new(&options);
  approve_use_grants(f->queue, f->grants);
  g_assert_true(grants_load(f->grants, policy, NULL, NULL, NULL));
  g_assert_cmpuint(grants_list(f->grants)->len, ==, 0);
}

/* What cannot be stored is not given; what cannot be taken out of the file is
 * revoked all the same. */
static void
test_unwritable(Fixture *f, const void *data)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *inside = g_build_filename(f->path, "x", NULL);
  Held one;

  (void)data;
  give(f, request("a"), ANSWER_APPROVE, &ten_minutes);
  g_unlink(f->path);
  g_assert_cmpint(g_mkdir(f->path, 0700), ==, 0);
  g_assert_cmpint(g_mkdir(inside, 0700), ==, 0);
  g_assert_false(grants_revoke(f->grants, only(f)->id, &error));
  g_assert_error(error, APPROVE_ERROR, APPROVE_ERROR_STORE);
  g_assert_true(g_str_has_prefix(error->message, "the grant is revoked, but"));
  g_assert_cmpuint(grants_list(f->grants)->len, ==, 0);
  g_clear_error(&error);
  hold(f, &one, request("b"));
  g_assert_false(grant_as(
      f, "b", APPROVER_DEVELOPER, "ada", ANSWER_APPROVE, &ten_minutes, &error));
  g_assert_error(error, APPROVE_ERROR, APPROVE_ERROR_STORE);
  g_assert_cmpuint(one.decided, ==, 0);
  /* A session's needs no file. */
  g_assert_true(grant_as(
      f, "b", APPROVER_DEVELOPER, "ada", ANSWER_APPROVE, &for_session, NULL));
  let_go(f, &one);
  /* As soon as it can be written it is. */
  g_rmdir(inside);
  g_rmdir(f->path);
  grants_tidy(f->grants);
  g_assert_true(g_file_test(f->path, G_FILE_TEST_IS_REGULAR));
}

static void
test_text(void)
{
  static const uint8_t key[SHA256_LEN] = {1, 2, 3}, digest[SHA256_LEN] = {9};
  g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(grant_free);
  g_autoptr(GPtrArray) again = NULL;
  g_autofree char *text = NULL;
  g_autofree char *other = NULL;
  g_autofree char *name = NULL;
  g_autoptr(GError) error = NULL;
  Grant *grant = grant_new();
  const Grant *read;

  grant->id = g_strdup("g-000000000001");
  grant->kind = APPROVER_REVIEWER;
  grant->masked = true;
  grant->who = g_strdup("a b\nc:%-é");
  grant->reason = g_strdup("");
  grant->exchange = g_strdup("x");
  grant->user = g_strdup("-");
  grant->issuer = g_strdup("https://idp.example.com/?a=b");
  grant->subject = g_strdup("00u1");
  grant->client = g_strdup("/opt/My Editor/bin");
  grant->connection = g_strdup("copilot");
  grant->since_us = 1;
  grant->until_us = G_MAXINT64;
  grant->until_boot_us = 3;
  grant->uses = 4;
  grant_add_rule(grant, "one", digest);
  grant_add_rule(grant, "two", key);
  g_ptr_array_add(list, grant);
  text = grants_format(list, "boot-1", key);
  again = grants_parse(text, strlen(text), key, &name, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(name, ==, "boot-1");
  g_assert_cmpuint(again->len, ==, 1);
  read = again->pdata[0];
  g_assert_cmpstr(read->who, ==, grant->who);
  g_assert_cmpstr(read->reason, ==, "");
  g_assert_cmpstr(read->user, ==, "-");
  g_assert_cmpstr(read->client, ==, grant->client);
  g_assert_true(read->masked);
  g_assert_cmpint(read->kind, ==, APPROVER_REVIEWER);
  g_assert_cmpuint(read->rules->len, ==, 2);
  /* Each byte counts. */
  for (size_t i = 0; i < strlen(text); i++) {
    g_autofree char *changed = g_strdup(text);
    char *boot_name = NULL;

    changed[i] ^= 1;
    g_assert_null(grants_parse(changed, strlen(text), key, &boot_name, NULL));
    g_assert_null(grants_parse(text, i, key, &boot_name, NULL));
    g_assert_null(boot_name);
  }
}

#define TEST(name, func)                                                       \
  g_test_add(                                                                  \
      "/approve/grants-file/" name, Fixture, NULL, set_up, func, tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  TEST("restart", test_restart);
  TEST("denial", test_denial);
  TEST("put-back", test_put_back);
  TEST("edited-file", test_edited_file);
  TEST("open-file", test_open_file);
  TEST("other-boot", test_other_boot);
  TEST("lower-limit", test_lower_limit);
  TEST("unwritable", test_unwritable);
  g_test_add_func("/approve/grants-file/text", test_text);
  return g_test_run();
}
