/* SPDX-License-Identifier: Apache-2.0 */
/* Dictionaries and .env files: what of them becomes a value, and what is wrong
 * with those that cannot. */

#define _GNU_SOURCE
#include "inspect-kit.h"

static Detector *detector;

static bool
finds(const ValueSet *set, const char *text)
{
  g_autoptr(DetectorScratch) scratch = kit_scratch(detector);
  g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(Finding));
  bool any = false;

  detector_scratch_hold(scratch, (ValueSet *)set);
  g_assert_true(detector_scan(scratch, text, strlen(text), found, NULL));
  for (guint i = 0; i < found->len; i++)
    any = any || strcmp(g_array_index(found, Finding, i).rule->class_name,
                        "card") != 0;
  return any;
}

static ValueSet *
dictionary(const char *text, GError **error)
{
  g_autoptr(ValueSet) set = value_set_new();

  if (!value_set_read_dictionary(set, "words", text, strlen(text), error))
    return NULL;
  value_set_seal(set);
  return g_steal_pointer(&set);
}

static void
test_dictionary(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(ValueSet) set = dictionary("\xef\xbb\xbf"
                                       "Zebra crossing\r\n"
                                       "# a comment\n"
                                       "\n"
                                       "  blue heron \t\n"
                                       "\\#channel\n"
                                       "\\\\\\server\n"
                                       "gr\xc3\xbcn1\n"
                                       "last one",
                                       &error);

  g_assert_no_error(error);
  g_assert_cmpuint(value_set_count(set, VALUE_DICTIONARY), ==, 6);
  g_assert_true(finds(set, "the Zebra crossing is"));
  g_assert_true(finds(set, "blue heron"));
  g_assert_true(finds(set, "in #channel"));
  g_assert_true(finds(set, "\\\\server"));
  g_assert_true(finds(set, "gr\xc3\xbcn1"));
  g_assert_true(finds(set, "last one"));
  g_assert_false(finds(set, "a comment"));
}

static void
test_dictionary_errors(void)
{
  static const struct {
    const char *text, *error;
  } rows[] = {
      {"abc\n", "words:1: a value has at least 4 bytes"},
      {"fine one\n\n#\n\\\n", "words:4: a value has at least 4 bytes"},
      {"aaaaabbbbb", "words:1: a value has at least three different bytes"},
      {"abcd\n\xff\xff"
       "abcd\n",
       "words:2: a value is UTF-8 text"},
  };
  g_autofree char *lasting = g_strnfill(VALUE_MAX + 1, 'a');

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GError) error = NULL;

    g_assert_null(dictionary(rows[i].text, &error));
    g_assert_error(error, INSPECT_ERROR, INSPECT_ERROR_UNREADABLE);
    g_assert_cmpstr(error->message, ==, rows[i].error);
  }
  {
    g_autoptr(GError) error = NULL;

    g_assert_null(dictionary(lasting, &error));
    g_assert_cmpstr(
        error->message, ==, "words:1: a value has at most 4096 bytes");
  }
}

static void
test_env(void)
{
  static const char text[] =
      "# DB_PASSWORD=in-a-comment-1\n"
      "DB_PASSWORD=heron-Meadow7\n"
      "  export API_KEY = 'quoted #value one'\n"
      "ESCAPED_SECRET=\"first\\nsecond \\\"part\\\"\" # behind\n"
      "SIGNING_KEY=\"-----BEGIN THING-----\n"
      "abc def ghi\n"
      "-----END THING-----\"\n"
      "DATABASE_URL=postgres://app:tern%20Harbour9@db.example.com/x?y=1\n"
      "WIDGET=q8ZrT4mWx2Kp9Lv7Bn3Y\n"
      "PLAIN_TOKEN=lighthouse-9 # not this\n"
      "TICKED_TOKEN=`otter'\"Lagoon`\n"
      "CRLF_TOKEN=walrus-Fjord5\r\n"
      "OPEN_SECRET='never-Closed8\n";
  static const char block[] =
      "-----BEGIN THING-----\nabc def ghi\n-----END THING-----";
  static const char *const values[] = {"heron-Meadow7",
                                       "quoted #value one",
                                       "first\nsecond \"part\"",
                                       "first\\nsecond \\\"part\\\"",
                                       block,
                                       "tern%20Harbour9",
                                       "q8ZrT4mWx2Kp9Lv7Bn3Y",
                                       "lighthouse-9",
                                       "otter'\"Lagoon",
                                       "walrus-Fjord5",
                                       "'never-Closed8"};
  g_autoptr(ValueSet) set = value_set_new();

  g_assert_cmpuint(
      value_set_read_env(set, text, strlen(text)), ==, G_N_ELEMENTS(values));
  value_set_seal(set);
  g_assert_cmpuint(
      value_set_count(set, VALUE_ENV_FILE), ==, G_N_ELEMENTS(values));
  for (unsigned i = 0; i < G_N_ELEMENTS(values); i++) {
    g_autofree char *less = g_strndup(values[i], strlen(values[i]) - 1);

    if (!finds(set, values[i]))
      g_error("not a value: %s", values[i]);
    if (finds(set, less))
      g_error("too short a value: %s", less);
  }
}

static void
test_env_harmless(void)
{
  static const char text[] = "PORT=8080\n"
                             "TOKEN_TTL=864000000\n"
                             "SECRET_KEY=changeme-please\n"
                             "API_TOKEN=<your token here>\n"
                             "PASSWORD=${OTHER_PASSWORD}\n"
                             "PASSWORD2=$OTHER_PASSWORD\n"
                             "TOKEN=short\n"
                             "KEY_FILE=/srv/keys/signing-1.pem\n"
                             "GREETING=hello there, all of you\n"
                             "HOST=db-1.internal.example.com\n"
                             "URL=https://example.com/a/b/c1\n"
                             "TENANT=3f2a8c1e-9b4d-4e7a-8c2f-1d5e6a7b8c9d\n"
                             "SECRET=aaaaaaaaaaaa\n"
                             "SECRET=\n"
                             "=SECRET\n"
                             "no assignment\n"
                             "SECRET";
  g_autoptr(ValueSet) set = value_set_new();

  g_assert_cmpuint(value_set_read_env(set, text, strlen(text)), ==, 0);
  /* And no text makes it read beyond its end. */
  for (size_t len = 0; len <= strlen(text); len++) {
    g_autofree char *copy = g_memdup2(text, MAX(len, 1));

    value_set_read_env(set, copy, len);
  }
}

int
main(int argc, char **argv)
{
  int result;

  g_test_init(&argc, &argv, NULL);
  detector = kit_detector();
  g_test_add_func("/inspect/values/dictionary", test_dictionary);
  g_test_add_func("/inspect/values/dictionary-errors", test_dictionary_errors);
  g_test_add_func("/inspect/values/env", test_env);
  g_test_add_func("/inspect/values/env-harmless", test_env_harmless);
  result = g_test_run();
  detector_unref(detector);
  return result;
}
