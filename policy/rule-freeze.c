/* SPDX-License-Identifier: Apache-2.0 */
/* A rule pack as one block of bytes for a cache on the same machine: reading
 * YAML takes longer than everything else at a start. */
#include "policy/rule-pack.h"
#include "policy/yaml.h"

#include "kit/file.h"

#include <string.h>

/* Changes with every change of the layout below. */
#define FREEZE_MAGIC "hooprul3"
/* What stands for no list. */
#define NO_LIST UINT32_MAX

/* Whoever gives DetectorRule a member stores it here, too. */
#if __SIZEOF_POINTER__ == 8
_Static_assert(sizeof(DetectorRule) == 112, "a new member must be stored");
#endif

/* ---- Writing ----------------------------------------------------------- */

static void
put_number(GByteArray *out, uint32_t number)
{
  g_byte_array_append(out, (const guint8 *)&number, sizeof(number));
}

/* With its NUL, so that readers can point into the block. */
static void
put_text(GByteArray *out, const char *text)
{
  const uint32_t len = text != NULL ? (uint32_t)strlen(text) : 0;

  put_number(out, len);
  g_byte_array_append(out, (const guint8 *)(text ? text : ""), len + 1);
}

static void
put_list(GByteArray *out, char **list)
{
  put_number(out, list != NULL ? g_strv_length(list) : NO_LIST);
  for (; list != NULL && *list != NULL; list++)
    put_text(out, *list);
}

static void
put_rule(GByteArray *out, const DetectorRule *rule)
{
  put_number(out, (uint32_t)rule->kind);
  put_number(out, (uint32_t)rule->check);
  put_number(out, rule->enabled);
  g_byte_array_append(
      out, (const guint8 *)&rule->entropy, sizeof(rule->entropy));
  put_text(out, rule->id);
  put_text(out, rule->description);
  put_text(out, rule->class_name);
  put_text(out, rule->regex);
  put_text(out, rule->origin);
  put_list(out, rule->keywords);
  put_list(out, rule->allow);
}

GBytes *
rule_pack_freeze(const RulePack *pack)
{
  GByteArray *out = g_byte_array_new();

  g_byte_array_append(out, (const guint8 *)FREEZE_MAGIC, strlen(FREEZE_MAGIC));
  g_byte_array_append(out, (const guint8 *)pack->hash, sizeof(pack->hash));
  put_number(out, pack->rules->len);
  for (guint i = 0; i < pack->rules->len; i++)
    put_rule(out, pack->rules->pdata[i]);
  return g_byte_array_free_to_bytes(out);
}

/* ---- Reading ----------------------------------------------------------- */

typedef struct {
  char *at; /* never written to: DetectorRule has no const members */
  size_t left;
  bool bad;
} Reader;

static char *
take(Reader *reader, size_t len)
{
  char *at = reader->at;

  if (reader->bad || reader->left < len) {
    reader->bad = true;
    return NULL;
  }
  reader->at += len;
  reader->left -= len;
  return at;
}

static uint32_t
take_number(Reader *reader)
{
  uint32_t number = 0;
  const char *at = take(reader, sizeof(number));

  if (at != NULL)
    memcpy(&number, at, sizeof(number));
  return number;
}

static char *
take_text(Reader *reader)
{
  const uint32_t len = take_number(reader);
  char *text = take(reader, (size_t)len + 1);

  reader->bad = reader->bad || text[len] != '\0' || strlen(text) != len;
  return reader->bad ? NULL : text;
}

static char **
take_list(Reader *reader)
{
  const uint32_t n = take_number(reader);
  char **list;

  if (reader->bad || n == NO_LIST)
    return NULL;
  /* Each text takes its length and its NUL at least. */
  if (n > reader->left / (sizeof(uint32_t) + 1)) {
    reader->bad = true;
    return NULL;
  }
  list = g_new0(char *, (gsize)n + 1);
  for (uint32_t i = 0; i < n && !reader->bad; i++)
    list[i] = take_text(reader);
  return list;
}

/* Texts belong to the block. */
static void
thawed_rule_free(gpointer data)
{
  DetectorRule *rule = data;

  g_free(rule->keywords);
  g_free(rule->allow);
  g_free(rule);
}

static void
take_rule(Reader *reader, RulePack *pack)
{
  DetectorRule *rule = g_new0(DetectorRule, 1);
  const char *entropy;

  rule->index = pack->rules->len;
  g_ptr_array_add(pack->rules, rule);
  rule->kind = (DetectKind)take_number(reader);
  rule->check = (DetectCheck)take_number(reader);
  rule->enabled = take_number(reader) != 0;
  entropy = take(reader, sizeof(rule->entropy));
  if (entropy != NULL)
    memcpy(&rule->entropy, entropy, sizeof(rule->entropy));
  rule->id = take_text(reader);
  rule->description = take_text(reader);
  rule->class_name = take_text(reader);
  rule->regex = take_text(reader);
  rule->origin = take_text(reader);
  rule->keywords = take_list(reader);
  rule->allow = take_list(reader);
  reader->bad = reader->bad || (unsigned)rule->kind > DETECT_BLOCK ||
                (unsigned)rule->check > CHECK_SETTING;
  if (!reader->bad)
    g_hash_table_insert(pack->by_id, rule->id, rule);
}

/* The last rules are those of exact values, as in any pack that was loaded. */
static bool
ends_in_value_rules(const RulePack *pack)
{
  const guint n = pack->rules->len;

  if (n < N_VALUE_KINDS)
    return false;
  for (unsigned kind = 0; kind < N_VALUE_KINDS; kind++) {
    const DetectorRule *rule = pack->rules->pdata[n - N_VALUE_KINDS + kind];

    if (strcmp(rule->id, value_kind_id((ValueKind)kind)) != 0)
      return false;
  }
  return true;
}

RulePack *
rule_pack_thaw(GBytes *bytes)
{
  g_autoptr(RulePack) pack = rule_pack_make(thawed_rule_free);
  gsize len;
  const char *start = g_bytes_get_data(bytes, &len);
  Reader reader = {.at = (char *)(uintptr_t)start, .left = len};
  const char *magic = take(&reader, strlen(FREEZE_MAGIC));
  const char *hash = take(&reader, sizeof(pack->hash));
  uint32_t n = take_number(&reader);

  if (reader.bad || memcmp(magic, FREEZE_MAGIC, strlen(FREEZE_MAGIC)) != 0 ||
      hash[sizeof(pack->hash) - 1] != '\0')
    return NULL;
  memcpy(pack->hash, hash, sizeof(pack->hash));
  pack->bytes = g_bytes_ref(bytes);
  for (; n > 0 && !reader.bad; n--)
    take_rule(&reader, pack);
  if (reader.bad || reader.left > 0 || !ends_in_value_rules(pack))
    return NULL;
  return g_steal_pointer(&pack);
}

bool
rule_pack_digest_dir(const char *dir, uint8_t digest[32], GError **error)
{
  g_autoptr(GPtrArray) files = rule_pack_list_dir(dir, error);
  g_autoptr(Sha256) ctx = sha256_new();
  uint8_t sum[SHA256_LEN];

  if (files == NULL)
    return false;
  for (guint i = 0; i < files->len; i++) {
    const char *path = files->pdata[i];
    g_autoptr(GError) cause = NULL;
    g_autoptr(GBytes) bytes = file_read(path, YAML_MAX_SIZE, &cause);
    uint64_t len;

    if (bytes == NULL) {
      g_set_error_literal(
          error, POLICY_ERROR, POLICY_ERROR_READ, cause->message);
      return false;
    }
    len = g_bytes_get_size(bytes);
    /* The path stands in every rule's origin. */
    sha256_update(ctx, path, strlen(path) + 1);
    sha256_update(ctx, &len, sizeof(len));
    sha256_update(ctx, g_bytes_get_data(bytes, NULL), len);
  }
  sha256_peek(ctx, sum);
  memcpy(digest, sum, sizeof(sum));
  return true;
}
