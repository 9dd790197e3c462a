/* SPDX-License-Identifier: Apache-2.0 */
/* Persons of claims: what each provider sends, as recorded in its documented
 * shape, and what none should. */
#include "identity/claims.h"
#include "tests/unit/token-kit.h"
#include <json-c/json.h>
#include <string.h>

typedef struct json_object Json;

static Json *
member(Json *in, const char *name)
{
  Json *value = NULL;

  json_object_object_get_ex(in, name, &value);
  return value;
}

static const char *
text(Json *in, const char *name)
{
  Json *value = member(in, name);

  return value ? json_object_get_string(value) : NULL;
}

/* ---- Recorded responses ---------------------------------------------------
 */

static void
check_groups(const Person *person, Json *want)
{
  g_assert_cmpuint(
      g_strv_length(person->groups), ==, json_object_array_length(want));
  for (size_t i = 0; i < json_object_array_length(want); i++)
    g_assert_cmpstr(person->groups[i],
                    ==,
                    json_object_get_string(json_object_array_get_idx(want, i)));
}

static void
check_case(Json *file, Json *one)
{
  Json *options = member(one, "options"), *want = member(one, "person");
  const char *fault = text(one, "error");
  const IssuerOptions issuer = {
      .name = "corp",
      .issuer =
          text(one, "issuer") ? text(one, "issuer") : text(file, "issuer"),
      .groups_claim = text(options, "groups-claim"),
      .groups_separator = text(options, "groups-separator"),
      .groups_prefix = text(options, "groups-prefix"),
  };
  g_autoptr(GError) error = NULL;
  g_autoptr(PersonRef) person = NULL;

  g_test_message("%s", text(one, "name"));
  if (member(one, "want_userinfo"))
    g_assert_cmpint(claims_want_userinfo(&issuer, text(one, "claims")),
                    ==,
                    json_object_get_boolean(member(one, "want_userinfo")));
  person = claims_person(
      &issuer, text(one, "claims"), text(one, "userinfo"), 7, &error);
  if (fault) {
    g_assert_null(person);
    g_assert_error(error, IDENTITY_ERROR, IDENTITY_ERROR_TOKEN);
    g_assert_nonnull(strstr(error->message, fault));
    return;
  }
  g_assert_no_error(error);
  g_assert_cmpstr(person->issuer, ==, issuer.issuer);
  g_assert_cmpint(person->expires_us, ==, 7);
  if (text(want, "user"))
    g_assert_cmpstr(person->user, ==, text(want, "user"));
  if (text(want, "subject"))
    g_assert_cmpstr(person->subject, ==, text(want, "subject"));
  g_assert_cmpint(!person->groups, ==, person->groups_unknown != NULL);
  if (member(want, "groups")) {
    g_assert_cmpstr(person->groups_unknown, ==, NULL);
    check_groups(person, member(want, "groups"));
  } else if (text(want, "unknown")) {
    g_assert_nonnull(person->groups_unknown);
    if (!strstr(person->groups_unknown, text(want, "unknown")))
      g_error("%s", person->groups_unknown);
    g_assert_true(g_str_has_suffix(person->groups_unknown, "."));
  }
}

/* The row's words are those of the recorded answers to a poll. */
static void
check_device_error(const ProviderQuirk *quirk, Json *answer)
{
  const char *word = text(member(answer, "body"), "error");
  const char *means = text(answer, "means");

  if (strcmp(means, "declined") == 0)
    g_assert_cmpstr(quirk->declined, ==, word);
  else if (strcmp(means, "bad_code") == 0)
    g_assert_cmpstr(quirk->bad_code, ==, word);
  else if (strcmp(means, "pending") == 0)
    g_assert_cmpstr(
        quirk->pending ? quirk->pending : "authorization_pending", ==, word);
  else
    g_assert_cmpint(quirk->slow_down_carries_interval,
                    ==,
                    member(member(answer, "body"), "interval") != NULL);
  g_assert_cmpint(quirk->errors_with_200,
                  ==,
                  json_object_get_int(member(answer, "status")) == 200);
}

static void
check_file(const char *name, GHashTable *rows)
{
  g_autofree char *path =
      g_test_build_filename(G_TEST_DIST, "unit", "identity", name, NULL);
  Json *file = json_object_from_file(path);
  Json *cases = member(file, "cases"), *also = member(file, "also");
  Json *answers = member(file, "device_errors");
  const ProviderQuirk *quirk;

  g_test_message("%s", path);
  g_assert_nonnull(file);
  quirk = provider_quirk(text(file, "issuer"));
  g_assert_cmpstr(quirk->name, ==, text(file, "row"));
  if (quirk->name)
    g_hash_table_add(rows, (gpointer)quirk);
  for (size_t i = 0; also && i < json_object_array_length(also); i++)
    g_assert_true(provider_quirk(json_object_get_string(
                      json_object_array_get_idx(also, i))) == quirk);
  for (size_t i = 0; answers && i < json_object_array_length(answers); i++)
    check_device_error(quirk, json_object_array_get_idx(answers, i));
  for (size_t i = 0; i < json_object_array_length(cases); i++)
    check_case(file, json_object_array_get_idx(cases, i));
  json_object_put(file);
}

/* Each row of the table has a recorded answer, and each file its row. */
static void
test_recorded(void)
{
  g_autofree char *folder =
      g_test_build_filename(G_TEST_DIST, "unit", "identity", NULL);
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  g_autoptr(GHashTable) rows = g_hash_table_new(NULL, NULL);
  const char *name;
  unsigned n = 0, named = 0;

  g_assert_nonnull(dir);
  for (; (name = g_dir_read_name(dir)); n++)
    check_file(name, rows);
  g_assert_cmpuint(n, >=, 10);
  for (unsigned i = 0; provider_quirk_at(i); i++)
    named += provider_quirk_at(i)->name != NULL;
  g_assert_cmpuint(g_hash_table_size(rows), ==, named);
}

static void
test_no_row(void)
{
  static const char *const others[] = {
      "https://idp.example",
      "https://okta.com.example/",
      "https://corp.okta.com.example",
      "https://idp.example/corp.okta.com/x",
      "https://login.microsoftonline.com.example/t/v2.0",
      "https://login.microsoftonline.com",
      "https://idp.example/a/b/realms/corp",
      "https://notgithub.com",
      "https://accounts.google.com.example",
      "",
      "://",
      "*",
  };

  for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
    g_assert_null(provider_quirk(others[i])->name);
}

/* ---- What the groups can be ------------------------------------------------
 */

typedef struct {
  const char *value; /* of the claim, as JSON; NULL: no claim */
  const char *separator, *prefix;
  const char *groups;  /* joined by bars; NULL: not known … */
  const char *unknown; /* … and what the sentence says */
} GroupsRow;

static void
check_row(const GroupsRow *row, const char *path, const char *claims)
{
  const IssuerOptions issuer = {.issuer = "https://idp.example",
                                .groups_claim = path,
                                .groups_separator = row->separator,
                                .groups_prefix = row->prefix};
  g_autoptr(GError) error = NULL;
  g_autoptr(PersonRef) person = claims_person(&issuer, claims, NULL, 0, &error);
  g_autofree char *joined = NULL;

  g_assert_no_error(error);
  if (!row->groups) {
    if (person->groups || !strstr(person->groups_unknown, row->unknown))
      g_error("%s: %s", claims, person->groups_unknown);
    return;
  }
  if (!person->groups)
    g_error("%s: %s", claims, person->groups_unknown);
  joined = g_strjoinv("|", person->groups);
  g_assert_cmpstr(joined, ==, row->groups);
}

static void
test_values(void)
{
  static const GroupsRow rows[] = {
      {"[\"a\",\"b\"]", .groups = "a|b"},
      {"[\"a\",\"b\",\"a\"]", .groups = "a|b"},
      {"[]", .groups = ""},
      {"\"\"", .groups = ""},
      {"\"a\"", .groups = "a"},
      {"[\"Domain Users\",\"a,b\",\"CN=a,OU=b\"]",
       .groups = "Domain Users|a,b|CN=a,OU=b"},
      {"\"a,b\"", .separator = ",", .groups = "a|b"},
      {"\" a , b ,, \"", .separator = ",", .groups = "a|b"},
      {"\"a b\"", .separator = " ", .groups = "a|b"},
      {"\"a::b:c\"", .separator = "::", .groups = "a|b:c"},
      {"\"Domain Users\"", .separator = "\n", .groups = "Domain Users"},
      {"[\"a,b\"]", .separator = ",", .groups = "a,b"},
      {"[\"x-a\",\"b\",\"x-\",\"x-x-c\"]", .prefix = "x-", .groups = "a|x-c"},
      {"[\"a\"]", .prefix = "x-", .groups = ""},
      {"[\"a\"]", .prefix = "", .groups = "a"},
      {"[\"local\",\"a\"]", .groups = "a"},
      {"[\"x-local\",\"local\"]", .prefix = "x-", .groups = ""},
      {"[\"Ren\xc3\xa9\",\"\xe9\x96\x8b\"]",
       .groups = "Ren\xc3\xa9|\xe9\x96\x8b"},
      {"[\"/a/b\"]", .groups = "/a/b"},
      {NULL, .unknown = "is missing"},
      {"null", .unknown = "is missing"},
      {"1", .unknown = "neither a list nor a text"},
      {"true", .unknown = "neither a list nor a text"},
      {"{}", .unknown = "neither a list nor a text"},
      {"{\"a\":true}", .unknown = "neither a list nor a text"},
      {"\"a,b\"", .unknown = "set groups-separator"},
      {"\"a;b\"", .unknown = "set groups-separator"},
      {"\"a|b\"", .unknown = "set groups-separator"},
      {"\"Domain Users\"", .unknown = "set groups-separator"},
      {"[\"a\",1]", .unknown = "a member that is no text"},
      {"[\"a\",null]", .unknown = "a member that is no text"},
      {"[[\"a\"]]", .unknown = "a member that is no text"},
      {"[{\"name\":\"a\"}]", .unknown = "a member that is no text"},
      {"[\"a\",\"\"]", .unknown = "an empty name"},
      {"[\"a\\nb\"]", .unknown = "cannot be printed"},
      {"\"a\\nb\"", .unknown = "cannot be printed"},
      {"[\"a\\u001b[2J\"]", .unknown = "cannot be printed"},
      {"[\"a\\u202eb\"]", .unknown = "cannot be printed"},
      {"[\"a\\u200bb\"]", .unknown = "cannot be printed"},
      {"[\"\\ud800\"]", .groups = "\xef\xbf\xbd"},
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *claims = kit_object(
        (const Edit[]){
            {"sub", "\"s\""}, {"groups", rows[i].value}, {NULL, NULL}},
        NULL,
        NULL);

    check_row(&rows[i], NULL, claims);
    check_row(&rows[i], "groups", claims);
    check_row(&rows[i], "", claims);
  }
}

static void
test_paths(void)
{
  static const struct {
    const char *path, *claims, *groups;
  } rows[] = {
      {"roles", "{\"sub\":\"s\",\"roles\":[\"a\"]}", "a"},
      {"a.b", "{\"sub\":\"s\",\"a\":{\"b\":[\"x\"]}}", "x"},
      {"a.b", "{\"sub\":\"s\",\"a.b\":[\"y\"],\"a\":{\"b\":[\"x\"]}}", "y"},
      {"a.b.c", "{\"sub\":\"s\",\"a\":{\"b.c\":[\"x\"]}}", "x"},
      {"a.b.c", "{\"sub\":\"s\",\"a.b\":{\"c\":[\"x\"]}}", "x"},
      {"a.b.c", "{\"sub\":\"s\",\"a\":{\"b\":1},\"a.b\":{\"c\":[\"x\"]}}", "x"},
      {"https://c.example/g",
       "{\"sub\":\"s\",\"https://c.example/g\":\"x\"}",
       "x"},
      {"a.b", "{\"sub\":\"s\",\"a\":[\"b\"]}", NULL},
      {"a.b", "{\"sub\":\"s\",\"a\":\"b\"}", NULL},
      {"a.b", "{\"sub\":\"s\",\"a\":{\"b\":null}}", NULL},
      {"a.", "{\"sub\":\"s\",\"a\":{\"\":[\"x\"]}}", "x"},
      {".", "{\"sub\":\"s\",\"a\":[\"x\"]}", NULL},
      {"..........................", "{\"sub\":\"s\",\"a\":[\"x\"]}", NULL},
      {"\x1b[2J", "{\"sub\":\"s\"}", NULL},
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++)
    check_row(&(GroupsRow){.groups = rows[i].groups, .unknown = "is missing"},
              rows[i].path,
              rows[i].claims);
}

static char *
list_of(unsigned n, unsigned width)
{
  GString *out = g_string_new("{\"sub\":\"s\",\"groups\":[");

  for (unsigned i = 0; i < n; i++)
    g_string_append_printf(out, "%s\"%0*u\"", i ? "," : "", (int)width, i);
  g_string_append(out, "]}");
  return g_string_free(out, FALSE);
}

static void
test_limits(void)
{
  static const struct {
    unsigned n, width;
    const char *unknown;
  } rows[] = {{1000, 4, NULL},
              {1001, 4, "holds over 1000 groups"},
              {20000, 4, "holds over 1000 groups"},
              {1, 256, NULL},
              {1, 257, "over 256 bytes"},
              {100, 4, NULL}}; /* no Okta */

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *claims = list_of(rows[i].n, rows[i].width);
    const IssuerOptions issuer = {.issuer = "https://idp.example"};
    g_autoptr(PersonRef) person = claims_person(&issuer, claims, NULL, 0, NULL);

    if (rows[i].unknown)
      g_assert_nonnull(strstr(person->groups_unknown, rows[i].unknown));
    else
      g_assert_cmpuint(g_strv_length(person->groups), ==, rows[i].n);
  }
}

/* A prefix narrows a list that is too long, a separator's too. */
static void
test_narrowed(void)
{
  g_autofree char *claims = list_of(20000, 5);
  IssuerOptions issuer = {.issuer = "https://idp.example",
                          .groups_prefix = "199"};
  g_autoptr(PersonRef) person = claims_person(&issuer, claims, NULL, 0, NULL);
  g_autoptr(GString) joined = g_string_new("{\"sub\":\"s\",\"groups\":\"");
  g_autoptr(PersonRef) split = NULL;

  g_assert_cmpuint(g_strv_length(person->groups), ==, 100);
  for (unsigned i = 0; i < 3000; i++)
    g_string_append_printf(joined, "%04u,", i);
  g_string_append(joined, "\"}");
  issuer.groups_separator = ",";
  issuer.groups_prefix = "299";
  split = claims_person(&issuer, joined->str, NULL, 0, NULL);
  g_assert_cmpuint(g_strv_length(split->groups), ==, 10);
}

/* ---- Who -------------------------------------------------------------------
 */

static void
test_names(void)
{
  static const struct {
    const char *claims, *userinfo, *user;
  } rows[] = {
      {"{\"sub\":\"s\"}", NULL, "s"},
      {"{\"sub\":\"s\",\"preferred_username\":\"p\",\"email\":\"e\","
       "\"email_verified\":true,\"upn\":\"u\"}",
       NULL,
       "p"},
      {"{\"sub\":\"s\",\"email\":\"e\",\"email_verified\":true}", NULL, "e"},
      {"{\"sub\":\"s\",\"email\":\"e\",\"email_verified\":\"true\"}",
       NULL,
       "e"},
      {"{\"sub\":\"s\",\"email\":\"e\",\"email_verified\":false}", NULL, "s"},
      {"{\"sub\":\"s\",\"email\":\"e\",\"email_verified\":1}", NULL, "s"},
      {"{\"sub\":\"s\",\"email\":\"e\"}", NULL, "s"},
      {"{\"sub\":\"s\",\"email\":\"e\"}",
       "{\"sub\":\"s\",\"email_verified\":true}",
       "s"},
      {"{\"sub\":\"s\",\"upn\":\"u\"}", NULL, "u"},
      {"{\"sub\":\"s\"}", "{\"sub\":\"s\",\"preferred_username\":\"p\"}", "p"},
      {"{\"sub\":\"s\",\"preferred_username\":\"p\"}",
       "{\"sub\":\"s\",\"preferred_username\":\"q\"}",
       "p"},
      {"{\"sub\":\"s\",\"preferred_username\":\"\",\"upn\":\"u\"}", NULL, "u"},
      {"{\"sub\":\"s\",\"preferred_username\":\" \\u202e \"}", NULL, "s"},
      {"{\"sub\":\"s\",\"preferred_username\":[\"p\"]}", NULL, "s"},
      {"{\"sub\":\"s\",\"preferred_username\":\"a\\nb\\u001b[2J\\u202ec\"}",
       NULL,
       "a b[2Jc"},
      /* userinfo that cannot be used is as good as none */
      {"{\"sub\":\"s\"}", "", "s"},
      {"{\"sub\":\"s\"}", "<html>", "s"},
      {"{\"sub\":\"s\"}", "{\"preferred_username\":\"p\"}", "s"},
      {"{\"sub\":\"s\"}", "{\"sub\":\"s\",\"sub\":\"t\"}", "s"},
  };
  const IssuerOptions issuer = {.issuer = "https://idp.example"};

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(PersonRef) person =
        claims_person(&issuer, rows[i].claims, rows[i].userinfo, 0, &error);

    g_assert_no_error(error);
    g_assert_cmpstr(person->user, ==, rows[i].user);
    g_assert_cmpstr(person->subject, ==, "s");
  }
}

/* By design nobody is in a group: known, whatever a token says, and only where
 * that one word stands. */
static void
test_none(void)
{
  static const char *const claims[] = {
      "{\"sub\":\"s\"}",
      "{\"sub\":\"s\",\"groups\":[\"root\"]}",
      "{\"sub\":\"s\",\"none\":[\"root\"]}",
      "{\"sub\":\"s\",\"groups\":17}",
      "{\"sub\":\"s\",\"hasgroups\":true}",
      "{\"sub\":\"s\",\"_claim_names\":{\"groups\":\"src1\"}}"};
  static const char *const others[] = {
      NULL, "", "None", "NONE", " none", "none ", "nobody", "-", "false"};
  IssuerOptions issuer = {.issuer = "https://idp.example",
                          .groups_claim = "none"};

  for (size_t i = 0; i < G_N_ELEMENTS(claims); i++) {
    g_autoptr(PersonRef) person = claims_person(
        &issuer, claims[i], "{\"sub\":\"s\",\"groups\":[\"a\"]}", 0, NULL);

    g_assert_nonnull(person->groups);
    g_assert_null(person->groups[0]);
    g_assert_null(person->groups_unknown);
    g_assert_false(claims_want_userinfo(&issuer, claims[i]));
  }
  for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
    g_autoptr(PersonRef) person = NULL;

    issuer.groups_claim = others[i];
    person = claims_person(&issuer, claims[0], NULL, 0, NULL);
    g_assert_null(person->groups);
    g_assert_nonnull(person->groups_unknown);
  }
}

static void
test_nobody(void)
{
  static const struct {
    const char *claims, *userinfo;
  } rows[] = {
      {"{}", NULL},
      {"{\"sub\":\"\"}", NULL},
      {"{\"sub\":null}", NULL},
      {"{\"sub\":1}", NULL},
      {"{\"sub\":\"a\\u202eb\"}", NULL},
      {"{\"sub\":\"a\",\"sub\":\"b\"}", NULL},
      {"", NULL},
      {"[]", NULL},
      {"{\"sub\":\"s\"}", "{\"sub\":\"t\",\"groups\":[\"a\"]}"},
      {"{\"sub\":\"s\"}", "{\"sub\":\"S\"}"},
      {"{\"sub\":\"s\"}", "{\"sub\":\"s \"}"},
  };
  const IssuerOptions issuer = {.issuer = "https://idp.example"};

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GError) error = NULL;

    g_assert_null(
        claims_person(&issuer, rows[i].claims, rows[i].userinfo, 0, &error));
    g_assert_error(error, IDENTITY_ERROR, IDENTITY_ERROR_TOKEN);
  }
  g_assert_false(claims_want_userinfo(&issuer, "nothing"));
}

static void
test_printable(void)
{
  static const struct {
    const char *text;
    size_t max;
    const char *want;
  } rows[] = {
      {"", 10, ""},
      {"plain", 10, "plain"},
      {"plain", 0, ""},
      {"plain", 3, "pla"},
      {"Ren\xc3\xa9", 4, "Ren"},
      {"Ren\xc3\xa9", 5, "Ren\xc3\xa9"},
      {"a\tb\r\nc", 10, "a b  c"},
      {"\x1b]0;title\x07", 20, "]0;title"},
      {"a\x7f\xc2\x9b"
       "b",
       10,
       "ab"}, /* DEL, C1 CSI */
      {"a\xe2\x80\xae"
       "b",
       10,
       "ab"}, /* U+202E */
      {"a\xe2\x81\xa6"
       "b",
       10,
       "ab"}, /* U+2066 */
      {"a\xe2\x80\x8b\xe2\x80\x8d"
       "b",
       10,
       "ab"}, /* zero-width */
      {"a\xef\xbb\xbf"
       "b",
       10,
       "ab"}, /* U+FEFF */
      {"a\xe2\x80\xa8\xe2\x80\xa9"
       "b",
       10,
       "ab"}, /* separators */
      {"a\xf3\xa0\x81\x81"
       "b",
       10,
       "ab"}, /* a tag */
      {"a\xee\x80\x80"
       "b",
       10,
       "ab"}, /* private use */
      {"a\xff"
       "b",
       10,
       "a\xef\xbf\xbd"
       "b"},
      {"a\xc3", 10, "a\xef\xbf\xbd"},
      {"\xed\xa0\x80", 20, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
      {"\xf0\x9f\x98\x80", 3, ""},
      {"\xf0\x9f\x98\x80", 4, "\xf0\x9f\x98\x80"},
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *got = claims_printable(rows[i].text, rows[i].max);

    g_assert_cmpstr(got, ==, rows[i].want);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/identity/claims/recorded", test_recorded);
  g_test_add_func("/identity/claims/no-row", test_no_row);
  g_test_add_func("/identity/claims/values", test_values);
  g_test_add_func("/identity/claims/paths", test_paths);
  g_test_add_func("/identity/claims/limits", test_limits);
  g_test_add_func("/identity/claims/narrowed", test_narrowed);
  g_test_add_func("/identity/claims/names", test_names);
  g_test_add_func("/identity/claims/none", test_none);
  g_test_add_func("/identity/claims/nobody", test_nobody);
  g_test_add_func("/identity/claims/printable", test_printable);
  return g_test_run();
}
