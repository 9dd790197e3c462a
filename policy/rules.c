/* SPDX-License-Identifier: Apache-2.0 */
/* The detectors' rule pack: one YAML entry a rule, checked so far as that can
 * be done without the engine. */
#include "policy/pattern.h"
#include "policy/policy.h"
#include "policy/rule-pack.h"
#include "policy/rule-parse.h"
#include "policy/yaml.h"

#include <string.h>

/* Shannon entropy of a byte. */
#define MAX_ENTROPY 8.0

static const char *const file_keys[] = {"version", "rules", NULL};
static const char *const rule_keys[] = {"id",
                                        "description",
                                        "class",
                                        "kind",
                                        "keywords",
                                        "regex",
                                        "entropy",
                                        "check",
                                        "allow",
                                        "enabled",
                                        "examples",
                                        "counter-examples",
                                        NULL};
static const char *const kind_names[] = {"token", "quoted", "block", NULL};
static const char *const check_names[] = {"none",
                                          "luhn",
                                          "iban",
                                          "github-crc32",
                                          "jwt",
                                          "assignment",
                                          "password",
                                          "random",
                                          "chosen",
                                          "setting",
                                          NULL};

/* By ValueKind. */
static const struct {
  const char *id, *description;
} value_rules[N_VALUE_KINDS] = {
    {"dictionary", "A value of the dictionary"},
    {"env-file", "A secret of one of your .env files"},
    {"held-credential", "The credential that the agent holds"},
};

static void
detector_rule_free(gpointer data)
{
  DetectorRule *rule = data;

  g_free(rule->id);
  g_free(rule->description);
  g_free(rule->class_name);
  g_strfreev(rule->keywords);
  g_free(rule->regex);
  g_strfreev(rule->allow);
  g_strfreev(rule->examples);
  g_strfreev(rule->counter_examples);
  g_free(rule->origin);
  g_free(rule);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DetectorRule, detector_rule_free)

RulePack *
rule_pack_make(GDestroyNotify free_rule)
{
  RulePack *pack = g_new0(RulePack, 1);

  pack->refs = 1;
  pack->rules = g_ptr_array_new_with_free_func(free_rule);
  pack->by_id = g_hash_table_new(g_str_hash, g_str_equal);
  return pack;
}

static bool
check_regex(const YamlDoc *doc,
            const YamlNode *node,
            const char *what,
            const char *source,
            GError **error)
{
  g_autoptr(GError) cause = NULL;
  g_autoptr(PolicyPattern) pattern = pattern_new(source, &cause);

  if (pattern == NULL)
    return yaml_error(
        doc, node, error, "\"%s\" does not compile: %s", what, cause->message);
  if (pattern_matches_empty(pattern))
    return yaml_error(doc, node, error, "\"%s\" matches the empty text", what);
  return true;
}

static bool
read_regex(const YamlDoc *doc,
           const YamlNode *node,
           DetectorRule *rule,
           GError **error)
{
  return yaml_text(doc, node, "regex", &rule->regex, error) &&
         check_regex(doc, node, "regex", rule->regex, error);
}

static bool
read_keywords(const YamlDoc *doc,
              const YamlNode *node,
              DetectorRule *rule,
              GError **error)
{
  if (!yaml_texts(doc, node, "keywords", &rule->keywords, error))
    return false;
  for (unsigned i = 0; rule->keywords[i] != NULL; i++)
    for (const char *p = rule->keywords[i]; *p != '\0'; p++)
      if (g_ascii_isupper(*p))
        return yaml_error(doc, node, error, "\"keywords\" must be lower case");
  return true;
}

static bool
read_entropy(const YamlDoc *doc,
             const YamlNode *node,
             DetectorRule *rule,
             GError **error)
{
  char *end = NULL;

  if (node->kind == YAML_SCALAR && node->plain &&
      g_ascii_isdigit(node->text[0]))
    rule->entropy = g_ascii_strtod(node->text, &end);
  if (end == NULL || *end != '\0' || !(rule->entropy <= MAX_ENTROPY))
    return yaml_error(
        doc, node, error, "\"entropy\" must be a number from 0 to 8");
  return true;
}

static bool
read_allow(const YamlDoc *doc,
           const YamlNode *node,
           DetectorRule *rule,
           GError **error)
{
  if (!yaml_texts(doc, node, "allow", &rule->allow, error))
    return false;
  for (unsigned i = 0; rule->allow[i] != NULL; i++)
    if (!check_regex(doc, node, "allow", rule->allow[i], error))
      return false;
  return true;
}

static bool
read_kind(const YamlDoc *doc,
          const YamlNode *node,
          DetectorRule *rule,
          GError **error)
{
  unsigned kind;

  if (!yaml_choice(doc, node, "kind", kind_names, &kind, error))
    return false;
  rule->kind = (DetectKind)kind;
  return true;
}

static bool
read_check(const YamlDoc *doc,
           const YamlNode *node,
           DetectorRule *rule,
           GError **error)
{
  unsigned check;

  if (!yaml_choice(doc, node, "check", check_names, &check, error))
    return false;
  rule->check = (DetectCheck)check;
  return true;
}

static bool
read_key(const YamlDoc *doc,
         const char *key,
         const YamlNode *node,
         DetectorRule *rule,
         GError **error)
{
  if (strcmp(key, "id") == 0)
    return rule_read_word(doc, node, key, &rule->id, error);
  if (strcmp(key, "class") == 0)
    return rule_read_word(doc, node, key, &rule->class_name, error);
  if (strcmp(key, "description") == 0)
    return yaml_text(doc, node, key, &rule->description, error);
  if (strcmp(key, "kind") == 0)
    return read_kind(doc, node, rule, error);
  if (strcmp(key, "keywords") == 0)
    return read_keywords(doc, node, rule, error);
  if (strcmp(key, "regex") == 0)
    return read_regex(doc, node, rule, error);
  if (strcmp(key, "entropy") == 0)
    return read_entropy(doc, node, rule, error);
  if (strcmp(key, "check") == 0)
    return read_check(doc, node, rule, error);
  if (strcmp(key, "allow") == 0)
    return read_allow(doc, node, rule, error);
  if (strcmp(key, "enabled") == 0)
    return yaml_bool(doc, node, key, &rule->enabled, error);
  if (strcmp(key, "examples") == 0)
    return yaml_texts(doc, node, key, &rule->examples, error);
  return yaml_texts(doc, node, key, &rule->counter_examples, error);
}

static bool
is_value_rule(const char *id)
{
  for (unsigned i = 0; i < N_VALUE_KINDS; i++)
    if (g_strcmp0(id, value_rules[i].id) == 0)
      return true;
  return false;
}

static void
add_value_rules(RulePack *pack)
{
  for (unsigned i = 0; i < N_VALUE_KINDS; i++) {
    DetectorRule *rule = g_new0(DetectorRule, 1);

    rule->index = pack->rules->len;
    rule->id = g_strdup(value_rules[i].id);
    rule->description = g_strdup(value_rules[i].description);
    rule->class_name = g_strdup("secret");
    rule->regex = g_strdup("");
    rule->origin = g_strdup("built in");
    g_hash_table_insert(pack->by_id, rule->id, rule);
    g_ptr_array_add(pack->rules, rule);
  }
}

static bool
read_rule(RulePack *pack,
          const YamlDoc *doc,
          const YamlNode *node,
          GError **error)
{
  g_autoptr(DetectorRule) rule = g_new0(DetectorRule, 1);
  static const char *const needed[] = {"id", "class", "regex"};
  const DetectorRule *same;

  if (!yaml_map_check(doc, node, "a detector rule", rule_keys, error))
    return false;
  rule->enabled = true;
  rule->index = pack->rules->len;
  rule->origin = yaml_place(doc, node);
  for (guint i = 0; i < node->keys->len; i++) {
    const YamlNode *key = node->keys->pdata[i];

    if (!read_key(doc, key->text, node->items->pdata[i], rule, error))
      return false;
  }
  for (unsigned i = 0; i < G_N_ELEMENTS(needed); i++)
    if (yaml_get(node, needed[i]) == NULL)
      return yaml_error(
          doc, node, error, "a detector rule needs \"%s\"", needed[i]);
  same = g_hash_table_lookup(pack->by_id, rule->id);
  if (same != NULL)
    return yaml_error(doc,
                      yaml_get(node, "id"),
                      error,
                      "rule \"%s\" is there already (%s)",
                      rule->id,
                      same->origin);
  if (is_value_rule(rule->id))
    return yaml_error(
        doc, yaml_get(node, "id"), error, "rule \"%s\" is built in", rule->id);
  if (rule->description == NULL)
    rule->description = g_strdup(rule->id);
  g_hash_table_insert(pack->by_id, rule->id, rule);
  g_ptr_array_add(pack->rules, g_steal_pointer(&rule));
  return true;
}

static bool
read_file(RulePack *pack, const YamlDoc *doc, GError **error)
{
  const YamlNode *version, *rules;
  int64_t number;

  if (!yaml_map_check(doc, doc->root, "a rule file", file_keys, error))
    return false;
  version = yaml_get(doc->root, "version");
  rules = yaml_get(doc->root, "rules");
  if (version == NULL || rules == NULL)
    return yaml_error(doc,
                      doc->root,
                      error,
                      "a rule file needs \"%s\"",
                      version == NULL ? "version" : "rules");
  if (!yaml_number(doc, version, "version", 1, 1, &number, error))
    return false;
  if (rules->kind != YAML_LIST)
    return yaml_error(doc, rules, error, "\"rules\" must be a list");
  for (guint i = 0; i < rules->items->len; i++)
    if (!read_rule(pack, doc, rules->items->pdata[i], error))
      return false;
  return true;
}

/* Names the compiled database: ids, kinds and regexes of all rules in order,
 * and which are on; each text with its NUL so that none runs into the next. */
static void
hash_pack(RulePack *pack)
{
  g_autoptr(Sha256) ctx = sha256_new();
  uint8_t digest[SHA256_LEN];

  for (guint i = 0; i < pack->rules->len; i++) {
    const DetectorRule *rule = pack->rules->pdata[i];
    uint8_t flags[2] = {(uint8_t)rule->kind, rule->enabled};

    sha256_update(ctx, rule->id, strlen(rule->id) + 1);
    sha256_update(ctx, rule->regex, strlen(rule->regex) + 1);
    sha256_update(ctx, flags, sizeof(flags));
  }
  sha256_peek(ctx, digest);
  hex_encode(digest, sizeof(digest), pack->hash);
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

GPtrArray *
rule_pack_list_dir(const char *path, GError **error)
{
  g_autoptr(GError) cause = NULL;
  g_autoptr(GDir) dir = g_dir_open(path, 0, &cause);
  g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_free);
  const char *name;

  if (dir == NULL) {
    g_set_error_literal(error, POLICY_ERROR, POLICY_ERROR_READ, cause->message);
    return NULL;
  }
  while ((name = g_dir_read_name(dir)) != NULL)
    if (name[0] != '.' && g_str_has_suffix(name, ".yaml"))
      g_ptr_array_add(files, g_build_filename(path, name, NULL));
  if (files->len == 0) {
    g_set_error(error,
                POLICY_ERROR,
                POLICY_ERROR_READ,
                "%s: no rule file (*.yaml) in this folder",
                path);
    return NULL;
  }
  g_ptr_array_sort(files, compare_names);
  return g_steal_pointer(&files);
}

RulePack *
rule_pack_load_dir(const char *dir, GError **error)
{
  g_autoptr(GPtrArray) files = rule_pack_list_dir(dir, error);
  g_autoptr(RulePack) pack = NULL;

  if (files == NULL)
    return NULL;
  pack = rule_pack_make(detector_rule_free);
  for (guint i = 0; i < files->len; i++) {
    g_autoptr(YamlDoc) doc = yaml_load(files->pdata[i], NULL, error);

    if (doc == NULL || !read_file(pack, doc, error))
      return NULL;
  }
  add_value_rules(pack);
  hash_pack(pack);
  return g_steal_pointer(&pack);
}

RulePack *
rule_pack_parse(const char *name, const char *text, size_t len, GError **error)
{
  g_autoptr(YamlDoc) doc = yaml_parse(name, text, len, error);
  g_autoptr(RulePack) pack = NULL;

  if (doc == NULL)
    return NULL;
  pack = rule_pack_make(detector_rule_free);
  if (!read_file(pack, doc, error))
    return NULL;
  add_value_rules(pack);
  hash_pack(pack);
  return g_steal_pointer(&pack);
}

RulePack *
rule_pack_ref(RulePack *pack)
{
  g_atomic_int_inc(&pack->refs);
  return pack;
}

void
rule_pack_unref(RulePack *pack)
{
  if (pack == NULL || !g_atomic_int_dec_and_test(&pack->refs))
    return;
  g_hash_table_destroy(pack->by_id);
  g_ptr_array_unref(pack->rules);
  g_clear_pointer(&pack->bytes, g_bytes_unref);
  g_free(pack);
}

const DetectorRule *const *
rule_pack_rules(const RulePack *pack, unsigned *n)
{
  *n = pack->rules->len - N_VALUE_KINDS;
  return (const DetectorRule *const *)pack->rules->pdata;
}

const DetectorRule *const *
rule_pack_all(const RulePack *pack, unsigned *n)
{
  *n = pack->rules->len;
  return (const DetectorRule *const *)pack->rules->pdata;
}

bool
detector_rule_is_on(const DetectorRule *rule)
{
  return rule->enabled || *rule->regex == '\0';
}

const DetectorRule *
rule_pack_value_rule(const RulePack *pack, ValueKind kind)
{
  return pack->rules->pdata[pack->rules->len - N_VALUE_KINDS + kind];
}

const char *
value_kind_id(ValueKind kind)
{
  return value_rules[kind].id;
}

/* "class:NAME" or "rule:ID", with wildcards. */
static bool
is_named(const DetectorRule *rule, const char *name)
{
  static const char of_class[] = "class:", of_rule[] = "rule:";

  if (g_str_has_prefix(name, of_class))
    return policy_glob(name + strlen(of_class), rule->class_name, false);
  return g_str_has_prefix(name, of_rule) &&
         policy_glob(name + strlen(of_rule), rule->id, false);
}

bool
rule_pack_switch_on(RulePack *pack, const char *const *named)
{
  bool changed = false;

  for (guint i = 0; i + N_VALUE_KINDS < pack->rules->len; i++) {
    DetectorRule *rule = pack->rules->pdata[i];

    for (unsigned k = 0; !rule->enabled && named[k] != NULL; k++)
      if (is_named(rule, named[k]))
        changed = rule->enabled = true;
  }
  if (changed)
    hash_pack(pack);
  return changed;
}

const char *
rule_pack_hash(const RulePack *pack)
{
  return pack->hash;
}
