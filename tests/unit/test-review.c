/* SPDX-License-Identifier: Apache-2.0 */
/* Requests for review, decisions and their seal: nothing of what was signed can
 * be changed, and nothing that is not as described is taken. */
#include "folder.h"
#include "review/review.h"
#include <string.h>

typedef struct {
  char *folder;
  SigningKey *key, *other;
} Kit;

static SigningKey *
make_key(const char *folder, const char *name)
{
  g_autofree char *path = g_build_filename(folder, name, NULL);
  g_autoptr(GError) error = NULL;
  SigningKey *key = signing_key_load(path, true, &error);

  g_assert_no_error(error);
  return key;
}

static void
setup(Kit *kit, const void *data)
{
  (void)data;
  kit->folder = g_dir_make_tmp("review-XXXXXX", NULL);
  kit->key = make_key(kit->folder, "one.key");
  kit->other = make_key(kit->folder, "other.key");
}

static void
teardown(Kit *kit, const void *data)
{
  (void)data;
  signing_key_free(kit->key);
  signing_key_free(kit->other);
  remove_folder(kit->folder);
  g_free(kit->folder);
}

static ReviewDecision *
make_decision(void)
{
  static const char *const groups[] = {"leads", NULL};
  ReviewDecision *decision = review_decision_new();
  ReviewVoice *voice = g_new0(ReviewVoice, 1);

  memcpy(decision->id, "00112233445566778899aabbccddeeff", REVIEW_ID_SIZE);
  memset(decision->digest, 7, SHA256_LEN);
  decision->policy_revision = g_strdup("r1");
  decision->outcome = REVIEW_APPROVED;
  decision->issued_us = 1000;
  decision->expires_us = 2000;
  *voice = (ReviewVoice){.issuer = g_strdup("https://idp.example"),
                         .subject = g_strdup("s-1"),
                         .user = g_strdup("bob"),
                         .groups = g_strdupv((char **)groups),
                         .answer = REVIEW_APPROVED,
                         .reason = g_strdup("fine \"so\""),
                         .at_us = 999};
  g_ptr_array_add(decision->voices, voice);
  return decision;
}

static void
test_seal(Kit *kit, const void *data)
{
  g_autoptr(ReviewDecision) decision = make_decision();
  g_autofree char *text = review_decision_seal(decision, kit->key);
  g_autoptr(GError) error = NULL;
  g_autoptr(ReviewDecision) opened = review_decision_open(
      text, strlen(text), signing_key_public(kit->key), &error);
  g_autofree char *again = NULL;

  (void)data;
  g_assert_no_error(error);
  again = review_decision_seal(opened, kit->key);
  g_assert_cmpstr(again, ==, text);
  g_assert_null(review_decision_open(
      text, strlen(text), signing_key_public(kit->other), &error));
  g_assert_error(error, REVIEW_ERROR, REVIEW_ERROR_FORGED);
}

/* Every byte of the sealed text that can be another one is signed. */
static void
test_altered(Kit *kit, const void *data)
{
  g_autoptr(ReviewDecision) decision = make_decision();
  g_autofree char *text = review_decision_seal(decision, kit->key);
  const size_t len = strlen(text);

  (void)data;
  for (size_t i = 0; i < len; i++)
    for (unsigned bit = 0; bit < 8; bit++) {
      g_autofree char *changed = g_strdup(text);
      g_autoptr(ReviewDecision) opened = NULL;

      changed[i] = (char)((unsigned char)changed[i] ^ 1u << bit);
      opened = review_decision_open(
          changed, len, signing_key_public(kit->key), NULL);
      if (opened)
        g_error("byte %zu bit %u is not signed: %s", i, bit, changed);
    }
}

/* What would read the same when fields ran into each other. */
static void
test_canonical(void)
{
  g_autoptr(ReviewDecision) a = make_decision();
  g_autoptr(ReviewDecision) b = make_decision();
  ReviewVoice *one = a->voices->pdata[0], *other = b->voices->pdata[0];
  g_autoptr(GByteArray) first = NULL;
  g_autoptr(GByteArray) second = NULL;
  g_autoptr(GByteArray) third = NULL;

  g_free(one->subject);
  g_free(one->user);
  g_free(other->subject);
  g_free(other->user);
  one->subject = g_strdup("ab");
  one->user = g_strdup("c");
  other->subject = g_strdup("a");
  other->user = g_strdup("bc");
  first = review_decision_encode(a);
  second = review_decision_encode(b);
  g_assert_false(first->len == second->len &&
                 memcmp(first->data, second->data, first->len) == 0);
  g_clear_pointer(&other->reason, g_free);
  third = review_decision_encode(b);
  other->reason = g_strdup("");
  g_byte_array_unref(g_steal_pointer(&second));
  second = review_decision_encode(b);
  g_assert_false(third->len == second->len &&
                 memcmp(third->data, second->data, third->len) == 0);
}

static void
test_contexts(Kit *kit, const void *data)
{
  uint8_t signature[SIGNATURE_LEN];

  (void)data;
  g_assert_true(
      review_sign(kit->key, REVIEW_CONTEXT_REQUEST, "body", 4, signature));
  g_assert_true(review_verify(signing_key_public(kit->key),
                              REVIEW_CONTEXT_REQUEST,
                              "body",
                              4,
                              signature));
  g_assert_false(review_verify(signing_key_public(kit->key),
                               REVIEW_CONTEXT_MACHINE,
                               "body",
                               4,
                               signature));
}

static ReviewAsk *
make_ask(void)
{
  static const char *const groups[] = {"leads", "security", NULL};
  ReviewAsk *ask = review_ask_new();

  memcpy(ask->id, "00112233445566778899aabbccddeeff", REVIEW_ID_SIZE);
  ask->exchange = g_strdup("x1");
  memset(ask->digest, 9, SHA256_LEN);
  ask->masks = true;
  ask->policy_revision = g_strdup("r1");
  ask->model = g_strdup("gpt");
  ask->text = g_strdup("line\n\"quoted\" \u2603");
  ask->n_findings = 2;
  ask->deadline_us = 12345;
  review_ask_add_rule(ask, "rule", "say why", groups, 2, false);
  return ask;
}

static void
test_ask(void)
{
  g_autoptr(ReviewAsk) ask = make_ask();
  g_autofree char *text = review_ask_format(ask);
  g_autoptr(GError) error = NULL;
  g_autoptr(ReviewAsk) read = review_ask_parse(text, strlen(text), &error);
  g_autofree char *again = NULL;

  g_assert_no_error(error);
  again = review_ask_format(read);
  g_assert_cmpstr(again, ==, text);
  g_assert_cmpstr(read->text, ==, ask->text);
}

/* One place changed: refused, and the message names the member. */
static void
test_ask_refused(void)
{
  static const struct {
    const char *from, *to, *says;
  } rows[] = {
      {"\"masks\":true", "\"masks\":1", "masks"},
      {"\"findings\":2", "\"findings\":-1", "findings"},
      {"\"findings\":2", "\"findings\":2.5", "findings"},
      {"\"exchange\":\"x1\",", "", "exchange"},
      {"\"groups\":[\"leads\",\"security\"]", "\"groups\":[]", "groups"},
      {"\"groups\":[\"leads\",\"security\"]", "\"groups\":[\"\"]", "groups"},
      {"\"count\":2", "\"count\":0", "count"},
      {"\"count\":2", "\"count\":99", "count"},
      {"\"model\":", "\"modell\":", "not known"},
      {"\"deadline_us\":12345", "\"deadline_us\":0", "deadline_us"},
      {"\"id\":\"00", "\"id\":\"0", "id"},
      {"\"id\":\"0011", "\"id\":\"00AA", "id"},
      {"\"exchange\"", "\"model\":\"a\",\"exchange\"", ""},
      {"{\"id\":\"00", "[{\"id\":\"00", ""},
  };
  g_autoptr(ReviewAsk) ask = make_ask();
  g_autofree char *text = review_ask_format(ask);

  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GString) changed = g_string_new(text);
    g_autoptr(GError) error = NULL;

    g_assert_cmpuint(
        g_string_replace(changed, rows[i].from, rows[i].to, 1), ==, 1);
    g_assert_null(review_ask_parse(changed->str, changed->len, &error));
    g_assert_error(error, REVIEW_ERROR, REVIEW_ERROR_FORM);
    g_assert_nonnull(strstr(error->message, rows[i].says));
  }
}

static void
test_machine(Kit *kit, const void *data)
{
  g_autofree char *text =
      review_machine_format(kit->key, "desk", "https://idp.example", "s-1");
  g_auto(ReviewMachine) machine = {.name = NULL};
  g_autoptr(GError) error = NULL;

  (void)data;
  g_assert_true(review_machine_parse(text, strlen(text), &machine, &error));
  g_assert_true(review_machine_is_of(&machine, "https://idp.example", "s-1"));
  g_assert_false(review_machine_is_of(&machine, "https://idp.example", "s-2"));
  g_assert_false(review_machine_is_of(&machine, "https://idp.other", "s-1"));
}

static void
test_request(Kit *kit, const void *data)
{
  g_autofree char *header = review_request_sign(kit->key, "body", 4);
  g_autofree char *want = review_machine_id(signing_key_public(kit->key));
  g_autofree char *id = NULL;
  g_autofree char *none = NULL;
  uint8_t signature[SIGNATURE_LEN];

  (void)data;
  g_assert_true(review_request_parse(header, &id, signature));
  g_assert_cmpstr(id, ==, want);
  g_assert_false(review_request_parse(header + 1, &none, signature));
  header[strlen(header) - 1] = '\0';
  g_assert_false(review_request_parse(header, &none, signature));
}

static void
test_key_again(Kit *kit, const void *data)
{
  g_autofree char *path = g_build_filename(kit->folder, "one.key", NULL);
  g_autoptr(SigningKey) same = signing_key_load(path, true, NULL);
  g_autoptr(GError) error = NULL;

  (void)data;
  g_assert_cmpmem(signing_key_public(same),
                  SIGNING_KEY_LEN,
                  signing_key_public(kit->key),
                  SIGNING_KEY_LEN);
  g_assert_true(g_file_set_contents_full(
      path, "no key", -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
  g_assert_null(signing_key_load(path, true, &error));
  g_assert_error(error, G_FILE_ERROR, G_FILE_ERROR_INVAL);
}

static ReviewReceipt
make_receipt(const SigningKey *key)
{
  ReviewReceipt receipt = {.machine = "ffeeddccbbaa99887766554433221100",
                           .journal = "00112233445566778899aabbccddeeff",
                           .seq = 4711,
                           .time_us = 1772357400123456};

  memset(receipt.hash, 9, sizeof receipt.hash);
  g_assert_true(review_receipt_sign(&receipt, key));
  return receipt;
}

static bool
believed(const char *text, const SigningKey *key)
{
  ReviewReceipt receipt = {0};

  return review_receipt_parse(text, strlen(text), &receipt, NULL) &&
         review_receipt_is_signed(&receipt, signing_key_public(key));
}

/* No byte of it is free but those of the key that it names, which counts for
 * nothing. */
static void
test_receipt(Kit *kit, const void *data)
{
  const ReviewReceipt receipt = make_receipt(kit->key);
  g_autofree char *text = review_receipt_format(&receipt);
  const char *named = strstr(text, "\"public_key\":\"") + 14;
  const size_t key_at = (size_t)(named - text);

  (void)data;
  g_assert_true(believed(text, kit->key));
  g_assert_false(believed(text, kit->other));
  for (size_t i = 0; text[i]; i++)
    for (unsigned bit = 0; bit < 7; bit++) {
      g_autofree char *changed = g_strdup(text);

      changed[i] = (char)((unsigned char)changed[i] ^ 1u << bit);
      if ((i < key_at || i >= key_at + 64) && believed(changed, kit->key))
        g_error("byte %zu bit %u is not signed: %s", i, bit, changed);
    }
}

static void
test_receipt_form(Kit *kit, const void *data)
{
  ReviewReceipt receipt = make_receipt(kit->key), other = {0};
  g_autofree char *text = review_receipt_format(&receipt);
  g_autofree char *more = g_strdup_printf("{\"a\":1,%s", text + 1);
  g_autofree char *twice = g_strdup_printf("{\"seq\":4711,%s", text + 1);
  g_autofree char *unknown = NULL;
  g_autoptr(GError) error = NULL;

  (void)data;
  g_assert_false(review_receipt_parse(more, strlen(more), &other, &error));
  g_assert_error(error, REVIEW_ERROR, REVIEW_ERROR_FORM);
  g_assert_false(review_receipt_parse(twice, strlen(twice), &other, NULL));
  g_assert_false(review_receipt_parse(text, strlen(text) - 1, &other, NULL));
  g_assert_false(review_receipt_parse("[]", 2, &other, NULL));
  g_assert_cmpint(other.seq, ==, 0);
  receipt.machine[0] = '\0';
  g_assert_true(review_receipt_sign(&receipt, kit->key));
  unknown = review_receipt_format(&receipt);
  g_assert_true(believed(unknown, kit->key));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
#define WITH_KIT(path, test)                                                   \
  g_test_add("/review/" path, Kit, NULL, setup, test, teardown)
  WITH_KIT("seal", test_seal);
  WITH_KIT("altered", test_altered);
  WITH_KIT("contexts", test_contexts);
  WITH_KIT("machine", test_machine);
  WITH_KIT("request", test_request);
  WITH_KIT("key-again", test_key_again);
  WITH_KIT("receipt", test_receipt);
  WITH_KIT("receipt-form", test_receipt_form);
  g_test_add_func("/review/canonical", test_canonical);
  g_test_add_func("/review/ask", test_ask);
  g_test_add_func("/review/ask-refused", test_ask_refused);
  return g_test_run();
}
