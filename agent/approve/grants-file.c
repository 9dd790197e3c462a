/* SPDX-License-Identifier: Apache-2.0 */
/* Grants as the text of their file: a line each, closed by a MAC, and read only
 * when every byte is as it was written. */
#include "approve/private.h"
#include <openssl/crypto.h>
#include <string.h>

#define MAGIC "hoop-agent grants 1"
/* Rules of one request; a policy has no more that could ask. */
#define MAX_RULES 1000
#define MAX_BOOT 64
static const char mac_word[] = "mac ";

/* Fields before the rules, in this order. */
enum {
  FIELD_WORD, /* "grant" */
  FIELD_ID,
  FIELD_KIND,
  FIELD_MASKED,
  FIELD_SINCE,
  FIELD_UNTIL,
  FIELD_UNTIL_BOOT,
  FIELD_USES,
  FIELD_LAST,
  FIELD_WHO,
  FIELD_REASON,
  FIELD_EXCHANGE,
  FIELD_USER,
  FIELD_ISSUER,
  FIELD_SUBJECT,
  FIELD_CLIENT,
  FIELD_CONNECTION,
  N_FIELDS
};

static void
rule_free(void *data)
{
  GrantRule *rule = data;

  g_free(rule->id);
  g_free(rule);
}

Grant *
grant_new(void)
{
  Grant *grant = g_new0(Grant, 1);

  grant->rules = g_ptr_array_new_with_free_func(rule_free);
  return grant;
}

void
grant_free(void *data)
{
  Grant *grant = data;

  g_free(grant->id);
  g_free(grant->who);
  g_free(grant->who_issuer);
  g_free(grant->who_subject);
  g_strfreev(grant->reviews);
  g_free(grant->reason);
  g_free(grant->exchange);
  g_free(grant->user);
  g_free(grant->issuer);
  g_free(grant->subject);
  g_free(grant->client);
  g_free(grant->connection);
  g_free(grant->session);
  g_ptr_array_unref(grant->rules);
  g_free(grant);
}

void
grant_add_rule(Grant *grant, const char *id, const uint8_t digest[SHA256_LEN])
{
  GrantRule *rule = g_new0(GrantRule, 1);

  rule->id = g_strdup(id);
  memcpy(rule->digest, digest, SHA256_LEN);
  g_ptr_array_add(grant->rules, rule);
}

/* ---- Writing -------------------------------------------------------------
 */

/* ":" and the text without blanks and line ends; NULL is nothing at all. */
static void
put_text(GString *out, const char *text)
{
  g_string_append_c(out, ' ');
  if (!text) {
    g_string_append_c(out, '-');
    return;
  }
  g_string_append_c(out, ':');
  for (; *text; text++)
    if (g_ascii_isalnum(*text) || strchr("./_@+,=~-", *text))
      g_string_append_c(out, *text);
    else
      g_string_append_printf(out, "%%%02x", (unsigned)(unsigned char)*text);
}

static void
put_grant(GString *out, const Grant *grant)
{
  g_string_append_printf(out,
                         "grant %s %s %s %" G_GINT64_FORMAT " %" G_GINT64_FORMAT
                         " %" G_GINT64_FORMAT " %" G_GUINT64_FORMAT
                         " %" G_GINT64_FORMAT,
                         grant->id,
                         approver_kind_name(grant->kind),
                         grant->denies   ? "denied"
                         : grant->masked ? "masked"
                                         : "whole",
                         grant->since_us,
                         grant->until_us,
                         grant->until_boot_us,
                         grant->uses,
                         grant->last_us);
  put_text(out, grant->who);
  put_text(out, grant->reason);
  put_text(out, grant->exchange);
  put_text(out, grant->user);
  put_text(out, grant->issuer);
  put_text(out, grant->subject);
  put_text(out, grant->client);
  put_text(out, grant->connection);
  for (unsigned i = 0; i < grant->rules->len; i++) {
    const GrantRule *rule = grant->rules->pdata[i];
    char digest[SHA256_HEX_SIZE];

    hex_encode(rule->digest, SHA256_LEN, digest);
    g_string_append_printf(out, " %s=%s", rule->id, digest);
  }
  g_string_append_c(out, '\n');
}

char *
grants_format_body(const GPtrArray *grants, const char *boot)
{
  GString *out = g_string_new(MAGIC "\n");

  g_string_append_printf(out, "boot %s\n", boot);
  for (unsigned i = 0; i < grants->len; i++)
    put_grant(out, grants->pdata[i]);
  return g_string_free(out, FALSE);
}

char *
grants_format(const GPtrArray *grants,
              const char *boot,
              const uint8_t key[SHA256_LEN])
{
  g_autofree char *body = grants_format_body(grants, boot);
  uint8_t mac[SHA256_LEN];
  char hex[SHA256_HEX_SIZE];

  hmac_sha256(key, SHA256_LEN, body, strlen(body), mac);
  hex_encode(mac, sizeof mac, hex);
  return g_strconcat(body, mac_word, hex, "\n", NULL);
}

/* ---- Reading -------------------------------------------------------------
 */

static bool
get_number(const char *word, int64_t *out)
{
  char again[32];

  if (!g_ascii_string_to_signed(word, 10, 0, G_MAXINT64, out, NULL))
    return false;
  g_snprintf(again, sizeof again, "%" G_GINT64_FORMAT, *out);
  return g_str_equal(word, again);
}

static bool
get_text(const char *word, char **out)
{
  g_autoptr(GString) text = g_string_new(NULL);

  if (g_str_equal(word, "-"))
    return true;
  if (*word++ != ':')
    return false;
  while (*word)
    if (*word != '%') {
      g_string_append_c(text, *word++);
    } else {
      int high = g_ascii_xdigit_value(word[1]);
      int low = high < 0 ? -1 : g_ascii_xdigit_value(word[2]);

      if (low < 0 || high + low == 0)
        return false;
      g_string_append_c(text, (char)(high << 4 | low));
      word += 3;
    }
  *out = g_string_free(g_steal_pointer(&text), FALSE);
  return true;
}

static bool
get_kind(const char *word, ApproverKind *out)
{
  static const ApproverKind kinds[] = {
      APPROVER_DEVELOPER, APPROVER_PRESENCE, APPROVER_REVIEWER};

  for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++)
    if (g_str_equal(word, approver_kind_name(kinds[i]))) {
      *out = kinds[i];
      return true;
    }
  return false;
}

static bool
get_rules(Grant *grant, char **words)
{
  for (unsigned i = 0; words[i]; i++) {
    char *equals = strchr(words[i], '=');
    uint8_t digest[SHA256_LEN];

    if (!equals || equals == words[i] || i >= MAX_RULES ||
        !hex_decode(equals + 1, digest, sizeof digest))
      return false;
    *equals = '\0';
    grant_add_rule(grant, words[i], digest);
  }
  return grant->rules->len > 0;
}

static bool
get_grant(Grant *grant, char **words)
{
  int64_t uses;

  if (g_strv_length(words) <= N_FIELDS ||
      !g_str_equal(words[FIELD_WORD], "grant") ||
      !g_str_has_prefix(words[FIELD_ID], "g-") ||
      !get_kind(words[FIELD_KIND], &grant->kind) ||
      !get_number(words[FIELD_SINCE], &grant->since_us) ||
      !get_number(words[FIELD_UNTIL], &grant->until_us) ||
      !get_number(words[FIELD_UNTIL_BOOT], &grant->until_boot_us) ||
      !get_number(words[FIELD_USES], &uses) ||
      !get_number(words[FIELD_LAST], &grant->last_us) ||
      !get_text(words[FIELD_WHO], &grant->who) ||
      !get_text(words[FIELD_REASON], &grant->reason) ||
      !get_text(words[FIELD_EXCHANGE], &grant->exchange) ||
      !get_text(words[FIELD_USER], &grant->user) ||
      !get_text(words[FIELD_ISSUER], &grant->issuer) ||
      !get_text(words[FIELD_SUBJECT], &grant->subject) ||
      !get_text(words[FIELD_CLIENT], &grant->client) ||
      !get_text(words[FIELD_CONNECTION], &grant->connection))
    return false;
  grant->uses = (uint64_t)uses;
  grant->id = g_strdup(words[FIELD_ID]);
  grant->masked = g_str_equal(words[FIELD_MASKED], "masked");
  grant->denies = g_str_equal(words[FIELD_MASKED], "denied");
  return grant->who && grant->exchange && grant->user && grant->issuer &&
         grant->subject && grant->client && grant->connection &&
         get_rules(grant, words + N_FIELDS);
}

static GPtrArray *
fail(GError **error)
{
  g_set_error_literal(error,
                      APPROVE_ERROR,
                      APPROVE_ERROR_STORE,
                      "it is not as the agent wrote it");
  return NULL;
}

GPtrArray *
grants_parse_body(const char *text, size_t len, char **boot, GError **error)
{
  g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(grant_free);
  g_autofree char *copy = g_strndup(len ? text : "", len);
  g_autofree char *again = NULL;
  g_auto(GStrv) lines = g_strsplit(copy, "\n", -1);
  const char *name;

  if (strlen(copy) != len || g_strv_length(lines) < 2 ||
      !g_str_equal(lines[0], MAGIC) || !g_str_has_prefix(lines[1], "boot "))
    return fail(error);
  name = lines[1] + strlen("boot ");
  if (!*name || strlen(name) > MAX_BOOT)
    return fail(error);
  for (unsigned i = 2; lines[i] && *lines[i]; i++) {
    g_auto(GStrv) words = g_strsplit(lines[i], " ", -1);
    Grant *grant = grant_new();

    g_ptr_array_add(list, grant);
    if (list->len > GRANTS_MAX || !get_grant(grant, words))
      return fail(error);
  }
  /* One text for each meaning: nothing is passed over. */
  again = grants_format_body(list, name);
  if (!g_str_equal(again, copy))
    return fail(error);
  *boot = g_strdup(name);
  return g_steal_pointer(&list);
}

GPtrArray *
grants_parse(const char *text,
             size_t len,
             const uint8_t key[SHA256_LEN],
             char **boot,
             GError **error)
{
  const size_t tail = strlen(mac_word) + 2 * SHA256_LEN + 1;
  uint8_t mac[SHA256_LEN], told[SHA256_LEN];
  g_autofree char *hex = NULL;
  size_t body;

  if (len < tail || text[len - 1] != '\n' ||
      memcmp(text + len - tail, mac_word, strlen(mac_word)) != 0)
    return fail(error);
  body = len - tail;
  hex = g_strndup(text + body + strlen(mac_word), 2 * SHA256_LEN);
  hmac_sha256(key, SHA256_LEN, text, body, mac);
  if (!hex_decode(hex, told, sizeof told) ||
      CRYPTO_memcmp(mac, told, sizeof mac) != 0)
    return fail(error);
  return grants_parse_body(text, body, boot, error);
}
