/* SPDX-License-Identifier: Apache-2.0 */
/* Malformed policy files, each refused with exactly the message that stands
 * beside it in policy-errors.txt. */

#include "policy/policy.h"

#include <glib.h>
#include <string.h>

/* A case: "=== KIND: title", its text, "--- message". KIND is how the text
 * becomes a file: file, user (the user's layer), raw (\xNN are bytes), rule
 * (one rule's keys) or match (one rule's match). */
typedef struct {
  char *kind;
  char *title;
  GString *text;
  char *message;
} Case;

static void
case_free(gpointer data)
{
  Case *one = data;

  g_free(one->kind);
  g_free(one->title);
  g_string_free(one->text, TRUE);
  g_free(one->message);
  g_free(one);
}

static GPtrArray *
read_cases(void)
{
  g_autofree char *path =
      g_test_build_filename(G_TEST_DIST, "unit", "policy-errors.txt", NULL);
  g_autofree char *contents = NULL;
  g_autoptr(GError) error = NULL;
  g_auto(GStrv) lines = NULL;
  GPtrArray *cases = g_ptr_array_new_with_free_func(case_free);
  Case *one = NULL;

  g_file_get_contents(path, &contents, NULL, &error);
  g_assert_no_error(error);
  lines = g_strsplit(contents, "\n", -1);
  for (char **line = lines; *line != NULL; line++) {
    if (g_str_has_prefix(*line, "=== ")) {
      g_auto(GStrv) words = g_strsplit(*line + 4, ": ", 2);

      g_assert_nonnull(words[1]);
      one = g_new0(Case, 1);
      one->kind = g_strdup(words[0]);
      one->title = g_strdup(words[1]);
      one->text = g_string_new(NULL);
      g_ptr_array_add(cases, one);
    } else if (g_str_has_prefix(*line, "--- ")) {
      one->message = g_strdup(*line + 4);
    } else if (one != NULL && one->message == NULL) {
      g_string_append_printf(one->text, "%s\n", *line);
    }
  }
  return cases;
}

/* \xNN → byte; the line's end is not part of a raw text. */
static GString *
raw_text(const char *text)
{
  GString *out = g_string_new(NULL);

  for (; *text != '\0' && *text != '\n'; text++) {
    if (text[0] == '\\' && text[1] == 'x') {
      g_string_append_c(out,
                        (char)(g_ascii_xdigit_value(text[2]) * 16 +
                               g_ascii_xdigit_value(text[3])));
      text += 3;
    } else {
      g_string_append_c(out, *text);
    }
  }
  return out;
}

static GString *
file_of(const Case *one)
{
  g_auto(GStrv) lines = NULL;
  GString *out = NULL;

  if (strcmp(one->kind, "raw") == 0)
    return raw_text(one->text->str);
  out = g_string_new(NULL);
  if (strcmp(one->kind, "match") == 0) {
    g_string_printf(out,
                    "version: 1\nrules:\n  - id: r\n    action: block\n"
                    "    match: %s",
                    one->text->str);
    return out;
  }
  if (strcmp(one->kind, "rule") != 0)
    return g_string_append(out, one->text->str);
  g_string_append(out, "version: 1\nrules:\n");
  lines = g_strsplit(one->text->str, "\n", -1);
  for (unsigned i = 0; lines[i] != NULL && lines[i][0] != '\0'; i++)
    g_string_append_printf(out, "%s%s\n", i == 0 ? "  - " : "    ", lines[i]);
  return out;
}

static void
test_case(gconstpointer data)
{
  const Case *one = data;
  GString *file = file_of(one);
  PolicyText text = {.name = "p.yaml",
                     .text = file->str,
                     .len = file->len,
                     .layer = strcmp(one->kind, "user") == 0 ? LAYER_USER
                                                             : LAYER_CENTRAL};
  g_autoptr(GError) error = NULL;
  g_autoptr(Policy) policy = policy_parse_layers(&text, 1, &error);

  g_assert_null(policy);
  g_assert_nonnull(error);
  g_assert_true(error->domain == POLICY_ERROR);
  g_assert_cmpstr(error->message, ==, one->message);
  g_string_free(file, TRUE);
}

/* As an operator meets them: in files. */
static void
test_files(void)
{
  const PolicySource missing = {"/nonexistent/p.yaml", LAYER_CENTRAL};
  g_autoptr(GError) error = NULL;

  g_assert_null(policy_load(&missing, 1, &error));
  g_assert_error(error, POLICY_ERROR, POLICY_ERROR_READ);
  g_assert_nonnull(strstr(error->message, "/nonexistent/p.yaml"));
  g_clear_error(&error);
  g_assert_null(policy_load(NULL, 0, &error));
  g_assert_error(error, POLICY_ERROR, POLICY_ERROR_READ);
}

static void
test_too_long(void)
{
  gsize len = 1024 * 1024 + 1;
  g_autofree char *text = g_malloc(len);
  g_autoptr(GError) error = NULL;

  memset(text, '#', len);
  g_assert_null(policy_parse("p.yaml", text, len, &error));
  g_assert_error(error, POLICY_ERROR, POLICY_ERROR_READ);
  g_assert_cmpstr(error->message, ==, "p.yaml: longer than 1048576 bytes");
}

int
main(int argc, char **argv)
{
  g_autoptr(GPtrArray) cases = NULL;
  int result;

  g_test_init(&argc, &argv, NULL);
  cases = read_cases();
  g_assert_cmpuint(cases->len, >=, 100);
  for (guint i = 0; i < cases->len; i++) {
    const Case *one = cases->pdata[i];
    g_autofree char *title = g_strdelimit(g_strdup(one->title), " /", '-');
    g_autofree char *path =
        g_strdup_printf("/policy/errors/%s/%s", one->kind, title);

    g_test_add_data_func(path, one, test_case);
  }
  g_test_add_func("/policy/errors/files", test_files);
  g_test_add_func("/policy/errors/too-long", test_too_long);
  result = g_test_run();
  return result;
}
