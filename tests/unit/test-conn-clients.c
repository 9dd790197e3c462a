/* SPDX-License-Identifier: Apache-2.0 */
/* Clients' dummy tokens and the credential behind them: who may have one, what
 * file and environment must be like, and rotation in every form. */
#include "tests/unit/child.h"
#include "tests/unit/conn-kit.h"
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HELD "[connection \"copilot\"]\ncredential=env:HOOP_TEST_CREDENTIAL\n"

static Table *
held_table(void)
{
  g_setenv("HOOP_TEST_CREDENTIAL", "gho_the-real-one", TRUE);
  return table_new(HELD);
}

/* ---- Tokens
 * ---------------------------------------------------------------------------
 */

static char *
token_for(Table *table, const char *client)
{
  g_autoptr(GError) error = NULL;
  char *token = conn_client_token(table->dir, client, &error);

  g_assert_no_error(error);
  return token;
}

static void
test_tokens(void)
{
  g_autoptr(Table) table = held_table();
  g_autofree char *one = token_for(table, "vscode");
  g_autofree char *again = token_for(table, "vscode");
  g_autofree char *other = token_for(table, "copilot-cli");
  g_autofree char *path = g_build_filename(table->dir, "clients.json", NULL);
  GStatBuf info;

  /* GitHub's form, which clients look at; and a mark of whose it is. */
  g_assert_cmpuint(strlen(one), ==, 40);
  g_assert_true(g_str_has_prefix(one, "gho_hoop"));
  g_assert_cmpstr(one, ==, again);
  g_assert_cmpstr(one, !=, other);
  g_assert_cmpint(g_stat(path, &info), ==, 0);
  g_assert_cmpint(info.st_mode & 07777, ==, 0600);
}

static void
test_names(void)
{
  static const char *const bad[] = {
      "", "a b", "a/b", "a\n", "\xc3\xa4", "a\"b", "a;b", "a:b"};
  g_autofree char *longest = g_strnfill(64, 'x');
  g_autofree char *longer = g_strnfill(65, 'x');
  g_autoptr(Table) table = held_table();
  g_autoptr(GError) error = NULL;

  for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_assert_null(conn_client_token(table->dir, bad[i], &error));
    g_assert_error(error, CONN_ERROR, CONN_ERROR_CLIENT);
    g_clear_error(&error);
  }
  g_assert_null(conn_client_token(table->dir, longer, &error));
  g_assert_error(error, CONN_ERROR, CONN_ERROR_CLIENT);
  g_free(token_for(table, longest));
}

/* Processes that ask at one time get one token for one client, and lose none
 * of the others'. */
static void
test_processes(void)
{
  g_autoptr(Table) table = held_table();
  pid_t children[8];

  for (unsigned i = 0; i < G_N_ELEMENTS(children); i++) {
    children[i] = fork();
    if (children[i] == 0) {
      for (unsigned j = 0; j < 5; j++) {
        g_autofree char *own = g_strdup_printf("own-%u-%u", i, j);
        g_autofree char *name = g_strdup_printf("shared-%u", j);
        g_autofree char *file =
            g_strdup_printf("%s/%s.%u", table->dir, name, i);
        g_autofree char *token = conn_client_token(table->dir, name, NULL);
        g_autofree char *mine = conn_client_token(table->dir, own, NULL);

        if (!token || !mine || !g_file_set_contents(file, token, -1, NULL))
          child_exit(1);
      }
      child_exit(0);
    }
  }
  for (unsigned i = 0; i < G_N_ELEMENTS(children); i++) {
    int status = -1;

    g_assert_cmpint(waitpid(children[i], &status, 0), ==, children[i]);
    g_assert_cmpint(status, ==, 0);
  }
  for (unsigned i = 0; i < G_N_ELEMENTS(children); i++)
    for (unsigned j = 0; j < 5; j++) {
      g_autofree char *name = g_strdup_printf("shared-%u", j);
      g_autofree char *file = g_strdup_printf("%s/%s.%u", table->dir, name, i);
      g_autofree char *token = token_for(table, name);
      g_autofree char *got = NULL;

      g_assert_true(g_file_get_contents(file, &got, NULL, NULL));
      g_assert_cmpstr(got, ==, token);
    }
  {
    g_autofree char *path = g_build_filename(table->dir, "clients.json", NULL);
    g_autofree char *text = NULL;

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    for (unsigned i = 0; i < G_N_ELEMENTS(children); i++) {
      g_autofree char *own = g_strdup_printf("\"own-%u-4\"", i);

      g_assert_nonnull(strstr(text, own));
    }
  }
}

/* A file that was damaged is not replaced: other clients would lose theirs. */
static void
test_damaged(void)
{
  static const char *const texts[] = {
      "",
      "{",
      "[]",
      "null",
      "{\"vscode\":null}",
      "{\"vscode\":5}",
      "{\"vscode\":\"\"}",
      "{\"vscode\":\"gho_hoopshort\"}",
      "{\"\":\"gho_hoop00000000000000000000000000000000\"}",
      "{'vscode':'gho_hoop00000000000000000000000000000000'}",
      "{\"vscode\":\"gho_hoop00000000000000000000000000000000\"}x",
      "{\"vscode\":\"gho_real00000000000000000000000000000000\"}",
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
    g_autoptr(Table) table = held_table();
    g_autofree char *path = table_file(table, "clients.json", texts[i]);
    g_autoptr(HttpHeaders) headers = headers_bearer("null");
    g_autoptr(GError) error = NULL;
    g_autofree char *after = NULL;

    g_assert_null(conn_client_token(table->dir, "new", &error));
    g_assert_error(error, CONN_ERROR, CONN_ERROR_CREDENTIAL);
    g_assert_nonnull(strstr(error->message, "remove it"));
    g_assert_null(strstr(error->message, "gho_"));
    g_assert_true(g_file_get_contents(path, &after, NULL, NULL));
    g_assert_cmpstr(after, ==, texts[i]);
    g_assert_null(
        connection_client(table_get(table, "copilot"), headers, NULL));
  }
}

static void
test_full(void)
{
  g_autoptr(Table) table = held_table();
  g_autoptr(GString) text = g_string_new("{\"first\":\"gho_hoop");
  g_autoptr(GError) error = NULL;
  g_autofree char *first = NULL;
  g_autofree char *still = NULL;
  unsigned i;

  g_string_append(text, "00000000000000000000000000000000\"");
  for (i = 0; text->len < 60000; i++)
    g_string_append_printf(text, ",\"client-%u\":\"gho_hoop%032x\"", i, i + 1);
  g_string_append_c(text, '}');
  g_free(table_file(table, "clients.json", text->str));
  first = token_for(table, "first");
  for (i = 0; i < 100 && !error; i++) {
    g_autofree char *name = g_strdup_printf("%064u", i);

    g_free(conn_client_token(table->dir, name, &error));
  }
  g_assert_error(error, CONN_ERROR, CONN_ERROR_CREDENTIAL);
  g_assert_nonnull(strstr(error->message, "as many clients"));
  still = token_for(table, "first");
  g_assert_cmpstr(first, ==, still);
}

/* ---- Whose request it is
 * ----------------------------------------------------------------- */

static void
assert_client(Table *table,
              const char *name,
              const char *value,
              const char *who)
{
  g_autoptr(HttpHeaders) headers = http_headers_new();
  g_autoptr(GError) error = NULL;
  const char *client;

  http_headers_add(headers, name, value);
  client = connection_client(table_get(table, "copilot"), headers, &error);
  if (g_strcmp0(client, who) != 0)
    g_error("%s: %s: %s", name, value, client);
  if (!who) {
    g_assert_error(error, CONN_ERROR, CONN_ERROR_CLIENT);
    g_assert_nonnull(strstr(error->message, "hoop-agent env"));
  }
}

static void
test_recognized(void)
{
  g_autoptr(Table) table = held_table();
  g_autofree char *one = token_for(table, "vscode");
  g_autofree char *two = token_for(table, "cli");
  g_autofree char *bearer = g_strconcat("Bearer ", one, NULL);
  g_autofree char *token = g_strconcat("token ", two, NULL);
  g_autofree char *session =
      g_strdup_printf("bearer tid=%s;exp=1;sku=x:hoop-agent", one);
  g_autofree char *bare = g_strdup_printf("Bearer tid=%s:hoop-agent", one);
  g_autofree char *longer = g_strdup_printf("Bearer %s0", one);
  g_autofree char *shorter = g_strndup(bearer, strlen(bearer) - 1);
  g_autofree char *upper = g_strconcat("Bearer ", "GHO", one + 3, NULL);
  g_autofree char *basic = g_strconcat("Basic ", one, NULL);

  assert_client(table, "Authorization", bearer, "vscode");
  assert_client(table, "Authorization", token, "cli");
  assert_client(table, "Authorization", session, "vscode");
  assert_client(table, "Authorization", bare, "vscode");
  assert_client(table, "x-api-key", two, "cli");
  assert_client(table, "Authorization", longer, NULL);
  assert_client(table, "Authorization", shorter, NULL);
  assert_client(table, "Authorization", upper, NULL);
  assert_client(table, "Authorization", basic, NULL);
  assert_client(table, "Authorization", "Bearer ", NULL);
  assert_client(table, "Authorization", "Bearer tid=", NULL);
  assert_client(table, "Authorization", "Bearer gho_the-real-one", NULL);
  assert_client(table, "x-api-key", "", NULL);
  assert_client(table, "Accept", "nothing", NULL);
}

/* A client that is added while the agent runs is known at once, and one whose
 * file is gone is not. */
static void
test_added_and_removed(void)
{
  g_autoptr(Table) table = held_table();
  g_autofree char *path = g_build_filename(table->dir, "clients.json", NULL);

  for (unsigned i = 0; i < 20; i++) {
    g_autofree char *name = g_strdup_printf("client-%u", i);
    g_autofree char *token = token_for(table, name);

    assert_client(table, "x-api-key", token, name);
    if (i % 5 != 4)
      continue;
    g_assert_cmpint(g_unlink(path), ==, 0);
    assert_client(table, "x-api-key", token, NULL);
  }
}

/* ---- The credential
 * ------------------------------------------------------------------------ */

static void
assert_fails(const char *source, const char *words)
{
  g_autoptr(GError) error = NULL;

  g_assert_null(credential_new(source, &error));
  g_assert_error(error, CONN_ERROR, CONN_ERROR_CREDENTIAL);
  if (!strstr(error->message, words))
    g_error("\"%s\" in \"%s\"", words, error->message);
  g_assert_null(strstr(error->message, "s3cret"));
}

static void
test_environment(void)
{
  static const char *const bad[] = {
      "s3cret two", "s3cret\n", "s3cret\r\nX: y", "s3cr\xc3\xa9t", " s3cret"};
  g_autoptr(Credential) credential = NULL;
  g_autoptr(GError) error = NULL;
  const char *inherited;
  bool changed = false;

  assert_fails("env:HOOP_TEST_CREDENTIAL_UNSET", "not set");
  g_setenv("HOOP_TEST_CREDENTIAL", "", TRUE);
  assert_fails("env:HOOP_TEST_CREDENTIAL", "not set");
  for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_setenv("HOOP_TEST_CREDENTIAL", bad[i], TRUE);
    assert_fails("env:HOOP_TEST_CREDENTIAL", "not one word");
  }
  g_setenv("HOOP_TEST_CREDENTIAL", "gho_s3cret", TRUE);
  inherited = g_getenv("HOOP_TEST_CREDENTIAL");
  credential = credential_new("env:HOOP_TEST_CREDENTIAL", &error);
  g_assert_no_error(error);
  g_assert_null(g_getenv("HOOP_TEST_CREDENTIAL"));
  g_assert_cmpstr(inherited, ==, ""); /* wiped where it stood */
  g_assert_cmpstr(
      credential_get(credential, &changed, &error), ==, "gho_s3cret");
  g_assert_true(changed);
  g_assert_cmpstr(
      credential_get(credential, &changed, &error), ==, "gho_s3cret");
  g_assert_false(changed);
}

static void
test_file(void)
{
  static const struct {
    const char *text, *words; /* NULL: fine */
  } cases[] = {
      {"gho_s3cret", NULL},
      {"gho_s3cret\n", NULL},
      {"", "empty"},
      {"\n", "empty"},
      {"gho_s3cret\r\n", "not one word"},
      {"gho_s3cret\n\n", "not one word"},
      {" gho_s3cret", "not one word"},
      {"gho_s3cret\nX-Evil: 1\n", "not one word"},
  };
  g_autoptr(Table) table = table_new(NULL);

  for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *path = table_file(table, "credential", cases[i].text);
    g_autofree char *source = g_strconcat("file:", path, NULL);
    g_autoptr(Credential) credential = NULL;
    bool changed;

    if (cases[i].words) {
      assert_fails(source, cases[i].words);
      continue;
    }
    credential = credential_new(source, NULL);
    g_assert_nonnull(credential);
    g_assert_cmpstr(
        credential_get(credential, &changed, NULL), ==, "gho_s3cret");
  }
}

static void
test_file_modes(void)
{
  static const int modes[] = {0640, 0604, 0660, 0644, 0620};
  g_autoptr(Table) table = table_new(NULL);
  g_autofree char *path = table_file(table, "credential", "gho_s3cret");
  g_autofree char *source = g_strconcat("file:", path, NULL);
  g_autofree char *link = g_build_filename(table->dir, "link", NULL);
  g_autofree char *link_source = g_strconcat("file:", link, NULL);
  g_autofree char *dir_source = g_strconcat("file:", table->dir, NULL);

  for (unsigned i = 0; i < G_N_ELEMENTS(modes); i++) {
    g_assert_cmpint(g_chmod(path, modes[i]), ==, 0);
    assert_fails(source, "chmod 600");
  }
  g_assert_cmpint(g_chmod(path, 0400), ==, 0);
  credential_free(credential_new(source, NULL));
  g_assert_cmpint(symlink(path, link), ==, 0);
  assert_fails(link_source, "symbolic link");
  assert_fails(dir_source, "not a regular file");
}

/* The next request uses what the file holds then. */
static void
assert_now(Credential *credential, const char *value, bool is_new)
{
  g_autoptr(GError) error = NULL;
  bool changed = false;
  const char *now = credential_get(credential, &changed, &error);

  g_assert_cmpstr(now, ==, value);
  if (value) {
    g_assert_no_error(error);
    g_assert_cmpint(changed, ==, is_new);
  } else {
    g_assert_error(error, CONN_ERROR, CONN_ERROR_CREDENTIAL);
  }
}

static void
test_rotation(void)
{
  g_autoptr(Table) table = table_new(NULL);
  g_autofree char *path = table_file(table, "credential", "one");
  g_autofree char *source = g_strconcat("file:", path, NULL);
  g_autofree char *aside = g_strconcat(path, ".aside", NULL);
  g_autoptr(Credential) credential = credential_new(source, NULL);
  FILE *file;

  assert_now(credential, "one", true);
  assert_now(credential, "one", false);
  /* By rename, many times: inodes are used again. */
  for (unsigned i = 0; i < 30; i++) {
    g_autofree char *value = g_strdup_printf("v%02u", i);

    g_free(table_file(table, "credential", value));
    assert_now(credential, value, true);
    assert_now(credential, value, false);
  }
  /* In place, as an editor or a shell does. */
  file = fopen(path, "w");
  fputs("in-place", file);
  fclose(file);
  assert_now(credential, "in-place", true);
  /* The same again is no change. */
  g_free(table_file(table, "credential", "in-place"));
  assert_now(credential, "in-place", false);
  /* Opened to others: at once of no use, and of use again when closed. */
  g_assert_cmpint(g_chmod(path, 0644), ==, 0);
  assert_now(credential, NULL, false);
  assert_now(credential, NULL, false);
  g_assert_cmpint(g_chmod(path, 0600), ==, 0);
  assert_now(credential, "in-place", true);
  /* Withdrawn, and back. */
  g_assert_cmpint(g_rename(path, aside), ==, 0);
  assert_now(credential, NULL, false);
  g_assert_cmpint(g_rename(aside, path), ==, 0);
  assert_now(credential, "in-place", true);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define ADD(name_, func_) g_test_add_func("/conn/clients/" name_, func_)
  ADD("tokens", test_tokens);
  ADD("names", test_names);
  ADD("processes", test_processes);
  ADD("damaged", test_damaged);
  ADD("full", test_full);
  ADD("recognized", test_recognized);
  ADD("added-and-removed", test_added_and_removed);
  ADD("environment", test_environment);
  ADD("file", test_file);
  ADD("file-modes", test_file_modes);
  ADD("rotation", test_rotation);
#undef ADD
  return g_test_run();
}
