/* SPDX-License-Identifier: Apache-2.0 */
/* Which decisions an agent believes, what it asks reviewers, and what it keeps
 * of an enrolment. */
#include "folder.h"
#include "kit/clock.h"
#include "relay/private.h"
#include <string.h>

#define S INT64_C(1000000)
#define NOW (1000 * S)
#define ID "00112233445566778899aabbccddeeff"

typedef struct {
  char *folder;
  SigningKey *key, *other;
  ReviewDecision *decision;
  uint8_t digest[SHA256_LEN];
  DecisionExpect expect;
} Kit;

static ReviewVoice *
voice(const char *user, ReviewOutcome answer)
{
  static const char *const groups[] = {"leads", NULL};
  ReviewVoice *made = g_new0(ReviewVoice, 1);

  *made = (ReviewVoice){.issuer = g_strdup("https://idp.example"),
                        .subject = g_strdup(user),
                        .user = g_strdup(user),
                        .groups = g_strdupv((char **)groups),
                        .answer = answer,
                        .at_us = NOW};
  return made;
}

static void
setup(Kit *kit, const void *data)
{
  g_autofree char *one = NULL;
  g_autofree char *two = NULL;

  (void)data;
  kit->folder = g_dir_make_tmp("relay-XXXXXX", NULL);
  one = g_build_filename(kit->folder, "one.key", NULL);
  two = g_build_filename(kit->folder, "two.key", NULL);
  kit->key = signing_key_load(one, true, NULL);
  kit->other = signing_key_load(two, true, NULL);
  kit->decision = review_decision_new();
  memcpy(kit->decision->id, ID, REVIEW_ID_SIZE);
  memset(kit->digest, 3, SHA256_LEN);
  memcpy(kit->decision->digest, kit->digest, SHA256_LEN);
  kit->decision->policy_revision = g_strdup("r1");
  kit->decision->outcome = REVIEW_APPROVED;
  kit->decision->issued_us = NOW;
  kit->decision->expires_us = NOW + 60 * S;
  g_ptr_array_add(kit->decision->voices, voice("bob", REVIEW_APPROVED));
  kit->expect = (DecisionExpect){.id = ID,
                                 .digest = kit->digest,
                                 .policy_revision = "r1",
                                 .posted_us = NOW - S,
                                 .now_us = NOW + S};
}

static void
teardown(Kit *kit, const void *data)
{
  (void)data;
  signing_key_free(kit->key);
  signing_key_free(kit->other);
  review_decision_free(kit->decision);
  remove_folder(kit->folder);
  g_free(kit->folder);
}

/* NULL: believed; else a word of why not. */
static void
check(Kit *kit, const SigningKey *signer, const char *says)
{
  g_autofree char *json = review_decision_seal(kit->decision, signer);
  g_autoptr(GError) error = NULL;
  g_autoptr(ReviewDecision) decision = decision_check(
      json, strlen(json), signing_key_public(kit->key), &kit->expect, &error);

  if (!says) {
    g_assert_no_error(error);
    g_assert_nonnull(decision);
    return;
  }
  g_assert_null(decision);
  g_assert_error(error, RELAY_ERROR, RELAY_ERROR_DECISION);
  if (!strstr(error->message, says))
    g_error("%s", error->message);
}

static void
test_believed(Kit *kit, const void *data)
{
  (void)data;
  check(kit, kit->key, NULL);
}

static void
test_forged(Kit *kit, const void *data)
{
  (void)data;
  check(kit, kit->other, "not that of the hub");
}

static void
test_foreign(Kit *kit, const void *data)
{
  (void)data;
  kit->expect.id = "ffffffffffffffffffffffffffffffff";
  check(kit, kit->key, "another review");
  kit->expect.id = ID;
  kit->digest[0]++;
  check(kit, kit->key, "another text");
  kit->digest[0]--;
  kit->expect.policy_revision = "r2";
  check(kit, kit->key, "another policy");
}

static void
test_times(Kit *kit, const void *data)
{
  (void)data;
  kit->expect.now_us = NOW + 60 * S;
  check(kit, kit->key, "expired");
  kit->expect.now_us = NOW - 61 * S;
  check(kit, kit->key, "future");
  kit->expect.now_us = NOW + S;
  kit->expect.posted_us = NOW + 61 * S;
  check(kit, kit->key, "older than the request");
  kit->expect.posted_us = NOW;
  kit->decision->expires_us = NOW + 301 * S;
  check(kit, kit->key, "too long");
}

static void
test_outcomes(Kit *kit, const void *data)
{
  (void)data;
  kit->expect.masks = true;
  check(kit, kit->key, "only the masked");
  kit->expect.masks = false;
  kit->decision->outcome = REVIEW_APPROVED_MASKED;
  check(kit, kit->key, "nothing to mask");
  kit->decision->outcome = REVIEW_DENIED;
  check(kit, kit->key, "its answers");
  kit->decision->outcome = REVIEW_APPROVED;
  g_ptr_array_add(kit->decision->voices, voice("cyd", REVIEW_DENIED));
  check(kit, kit->key, "its answers");
  kit->decision->outcome = REVIEW_DENIED;
  check(kit, kit->key, NULL);
}

static void
test_pin(Kit *kit, const void *data)
{
  g_autofree char *path = g_build_filename(kit->folder, "hub.pin", NULL);
  g_autofree char *url = NULL;
  g_autoptr(GError) error = NULL;
  uint8_t key[SIGNING_KEY_LEN];

  (void)data;
  g_assert_true(pin_load(kit->folder, &url, key, &error));
  g_assert_null(url);
  g_assert_true(pin_store(kit->folder,
                          "https://hub.example:8790",
                          signing_key_public(kit->key),
                          &error));
  g_assert_true(pin_load(kit->folder, &url, key, &error));
  g_assert_cmpstr(url, ==, "https://hub.example:8790");
  g_assert_cmpmem(
      key, SIGNING_KEY_LEN, signing_key_public(kit->key), SIGNING_KEY_LEN);
  g_assert_true(
      g_file_set_contents(path, "https://hub.example\nab\n", -1, NULL));
  g_free(g_steal_pointer(&url));
  g_assert_false(pin_load(kit->folder, &url, key, &error));
  g_assert_error(error, RELAY_ERROR, RELAY_ERROR_CONFIG);
}

/* ---- what is asked ------------------------------------------------------- */

typedef struct {
  ApproveBy by;
  unsigned needed;
  const char *who; /* "developer leads security" */
  const char *shape;
} AskRow;

static ApproveNeed *
need_of(const AskRow *row)
{
  g_auto(GStrv) names = g_strsplit(row->who, " ", -1);
  const unsigned n = g_strv_length(names);
  ApproveNeed *need = g_new0(ApproveNeed, 1);

  need->rule_id = g_strdup("rule");
  need->by = row->by;
  need->needed = row->needed;
  need->n_approvers = n;
  need->approvers = g_new0(Approver, n);
  for (unsigned i = 0; i < n; i++) {
    const bool own = g_str_equal(names[i], "developer");

    need->approvers[i].kind = own ? APPROVER_DEVELOPER : APPROVER_REVIEWER;
    need->approvers[i].group = own ? NULL : g_strdup(names[i]);
  }
  return need;
}

static void
test_ask(void)
{
  static const AskRow rows[] = {
      {BY_ALL, 0, "leads", "rule\nleads\n1 1\n\n"},
      {BY_ALL, 0, "developer leads", "rule\nleads\n1 1\n\n"},
      {BY_ANY, 0, "developer leads", "rule\nleads\n1 0\n\n"},
      {BY_COUNT, 2, "leads security", "rule\nleads\nsecurity\n2 0\n\n"},
      {BY_COUNT, 2, "developer leads", "rule\nleads\n1 0\n\n"},
      {BY_COUNT, 1, "developer leads", "rule\nleads\n1 0\n\n"},
      {BY_ALL, 0, "developer", NULL},
  };

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(HeldRequest) request = held_request_new();
    PendingView view = {.request = request, .deadline_us = 5};
    g_autoptr(ReviewAsk) ask = NULL;
    g_autofree char *shape = NULL;

    request->exchange = g_strdup("x");
    request->text = g_strdup("with a secret");
    request->masked_text = g_strdup("with [masked]");
    request->can_mask = true;
    request->digest[0] = 1;
    request->masked_digest[0] = 2;
    g_ptr_array_add(request->needs, need_of(&rows[i]));
    ask = ask_make(&view);
    if (!rows[i].shape) {
      g_assert_null(ask);
      continue;
    }
    shape = ask_shape(ask);
    g_assert_cmpstr(shape, ==, rows[i].shape);
    g_assert_cmpstr(ask->text, ==, "with [masked]");
    g_assert_cmpint(ask->digest[0], ==, 2);
    g_assert_true(ask->masks);
  }
}

/* Nobody agrees to what they were not shown. */
static void
test_whole(void)
{
  g_autoptr(HeldRequest) request = held_request_new();
  g_autoptr(ReviewAsk) ask = review_ask_new();
  PendingView view = {.request = request};
  ShownMark mark = {.kind = SHOWN_PART};

  ask->text = g_strdup("all of it");
  g_assert_true(ask_is_whole(&view, ask));
  request->marks = shown_marks_new();
  g_array_append_val(request->marks, mark);
  g_assert_true(ask_is_whole(&view, ask));
  mark.kind = SHOWN_GAP;
  g_array_append_val(request->marks, mark);
  g_assert_false(ask_is_whole(&view, ask));
  g_array_set_size(request->marks, 1);
  g_free(ask->text);
  ask->text = g_strnfill(REVIEW_MAX_TEXT + 1, 'x');
  g_assert_false(ask_is_whole(&view, ask));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define ADD(path, test)                                                        \
  g_test_add("/relay/" path, Kit, NULL, setup, test, teardown)
  ADD("believed", test_believed);
  ADD("forged", test_forged);
  ADD("foreign", test_foreign);
  ADD("times", test_times);
  ADD("outcomes", test_outcomes);
  ADD("pin", test_pin);
  g_test_add_func("/relay/ask", test_ask);
  g_test_add_func("/relay/whole", test_whole);
  return g_test_run();
}
