/* SPDX-License-Identifier: Apache-2.0 */
/* Counts findings by class and rule, decodes paths and tool arguments, and
 * looks up local times: once for each verdict, not once for each rule. */
#include "judge/facts.h"

#include "judge/arguments.h"
#include <string.h>

/* ---- Paths ------------------------------------------------------------- */

/* One more than the last byte of the path's last part. */
static void
drop_last_part(GString *path)
{
  const char *slash = strrchr(path->str, '/');

  g_string_truncate(path, slash != NULL ? (gsize)(slash - path->str) : 0);
}

/* RFC 3986 sections 2.1 and 5.2.4, and empty parts dropped: what a server may
 * make of the path. */
static char *
plain_path(const char *path)
{
  g_autofree char *decoded = g_strdup(path);
  g_autoptr(GString) out = g_string_new(NULL);
  g_auto(GStrv) parts = NULL;
  char *to = decoded;

  for (const char *p = path; *p != '\0'; p++) {
    if (*p == '%' && g_ascii_isxdigit(p[1]) && g_ascii_isxdigit(p[2]) &&
        (p[1] != '0' || p[2] != '0')) {
      *to++ =
          (char)(g_ascii_xdigit_value(p[1]) * 16 + g_ascii_xdigit_value(p[2]));
      p += 2;
    } else {
      *to++ = *p;
    }
  }
  *to = '\0';
  parts = g_strsplit(decoded, "/", -1);
  for (unsigned i = 0; parts[i] != NULL; i++) {
    bool last = parts[i + 1] == NULL;

    if (strcmp(parts[i], "..") == 0)
      drop_last_part(out);
    else if (parts[i][0] != '\0' && strcmp(parts[i], ".") != 0)
      g_string_append_printf(out, "/%s", parts[i]);
    else if (last)
      g_string_append_c(out, '/');
  }
  return g_string_free(g_steal_pointer(&out), FALSE);
}

/* ---- Subject ----------------------------------------------------------- */

static bool
speaks_to_model(const Subject *subject)
{
  if (api_is_generation(subject->api))
    return true;
  return subject->api == API_OTHER &&
         (subject->method == NULL || (strcmp(subject->method, "GET") != 0 &&
                                      strcmp(subject->method, "HEAD") != 0));
}

void
facts_init(Facts *facts,
           const Policy *policy,
           const Subject *subject,
           unsigned phase)
{
  *facts = (Facts){.policy = policy, .subject = subject, .phase = phase};
  facts->groups = policy_groups_of(policy, subject->groups);
  facts->speaks_to_model = speaks_to_model(subject);
  if (subject->path != NULL) {
    facts->path = g_strndup(subject->path, strcspn(subject->path, "?#"));
    facts->plain_path = plain_path(facts->path);
  }
}

void
facts_clear(Facts *facts)
{
  g_free(facts->groups);
  g_free(facts->path);
  g_free(facts->plain_path);
  g_free(facts->finding_rule);
  g_clear_pointer(&facts->rules, g_array_unref);
  g_clear_pointer(&facts->classes, g_array_unref);
  g_clear_pointer(&facts->by_rule, g_hash_table_destroy);
  g_clear_pointer(&facts->named, g_array_unref);
  g_clear_pointer(&facts->by_key, g_hash_table_destroy);
  g_clear_pointer(&facts->tool_texts, g_ptr_array_unref);
  g_clear_pointer(&facts->tool_keys, g_hash_table_destroy);
  g_clear_pointer(&facts->tool_findings, g_array_unref);
  g_clear_pointer(&facts->local, g_time_zone_unref);
}

void
facts_local_time(Facts *facts, GTimeZone *zone)
{
  gint64 seconds, days;
  gint interval;

  if (zone == NULL) {
    if (facts->local == NULL)
      facts->local = g_time_zone_new_local();
    zone = facts->local;
  }
  if (facts->zone == zone)
    return;
  facts->zone = zone;
  seconds = facts->subject->wall_us / G_USEC_PER_SEC;
  interval = g_time_zone_find_interval(zone, G_TIME_TYPE_UNIVERSAL, seconds);
  seconds += g_time_zone_get_offset(zone, interval);
  days = seconds / 86400 - (seconds % 86400 < 0);
  facts->minute = (int)((seconds - days * 86400) / 60);
  /* 1 January 1970 was a Thursday. */
  facts->weekday = (int)(((days + 3) % 7 + 7) % 7);
}

/* ---- Findings ---------------------------------------------------------- */

static unsigned
class_index(Facts *facts, const char *name)
{
  ClassFact fact = {.name = name, .restore = RESTORE_TOOLS};

  for (guint i = 0; i < facts->classes->len; i++)
    if (strcmp(g_array_index(facts->classes, ClassFact, i).name, name) == 0)
      return i;
  g_array_append_val(facts->classes, fact);
  return facts->classes->len - 1;
}

static unsigned
rule_index(Facts *facts, const DetectorRule *rule)
{
  RuleFact fact = {.rule = rule, .restore = RESTORE_TOOLS};
  gpointer found = g_hash_table_lookup(facts->by_rule, rule->id);

  if (found != NULL)
    return GPOINTER_TO_UINT(found) - 1;
  fact.class_index = class_index(facts, rule->class_name);
  g_array_append_val(facts->rules, fact);
  g_hash_table_insert(
      facts->by_rule, rule->id, GUINT_TO_POINTER(facts->rules->len));
  return facts->rules->len - 1;
}

void
facts_set_findings(Facts *facts, const Finding *findings, unsigned n)
{
  facts->findings = findings;
  facts->n_findings = n;
  if (n == 0)
    return;
  facts->finding_rule = g_new(unsigned, n);
  facts->rules = g_array_new(FALSE, FALSE, sizeof(RuleFact));
  facts->classes = g_array_new(FALSE, FALSE, sizeof(ClassFact));
  facts->by_rule = g_hash_table_new(g_str_hash, g_str_equal);
  for (unsigned i = 0; i < n; i++) {
    unsigned index = rule_index(facts, findings[i].rule);
    RuleFact *fact = &g_array_index(facts->rules, RuleFact, index);
    ClassFact *class;

    facts->finding_rule[i] = index;
    class = &g_array_index(facts->classes, ClassFact, fact->class_index);
    fact->count++;
    class->count++;
    fact->allowed += findings[i].allowed;
    class->allowed += findings[i].allowed;
    facts->n_allowed += findings[i].allowed;
  }
}

/* ---- Bodies ------------------------------------------------------------ */

void
facts_set_body(Facts *facts,
               const Inspection *inspection,
               const GArray *recorded)
{
  const Finding *findings;
  unsigned n;

  facts->size = (int64_t)inspection_size(inspection);
  facts->fields = inspection_fields(inspection, &facts->n_fields);
  facts->prompts_other = inspection_api(inspection) == API_OTHER;
  findings = inspection_findings(inspection, &n);
  if (recorded != NULL) {
    findings = (const Finding *)(const void *)recorded->data;
    n = recorded->len;
  }
  facts_set_findings(facts, findings, n);
}

static void
destroy_array(gpointer data)
{
  g_array_unref(data);
}

GHashTable *
facts_fields(Facts *facts)
{
  if (facts->by_key != NULL)
    return facts->by_key;
  facts->by_key =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, destroy_array);
  facts->named = g_array_new(FALSE, FALSE, sizeof(FieldFact));
  for (unsigned i = 0; i < facts->n_fields; i++) {
    const InspectField *field = &facts->fields[i];
    FieldFact fact = {.index = i, .restore = RESTORE_TOOLS};
    g_autofree char *key = NULL;
    GArray *indices;

    if (field->is_key || field->len == 0 || field->key == NULL ||
        field->key[0] == '\0')
      continue;
    key = g_ascii_strdown(field->key, -1);
    indices = g_hash_table_lookup(facts->by_key, key);
    if (indices == NULL) {
      indices = g_array_new(FALSE, FALSE, sizeof(unsigned));
      g_hash_table_insert(facts->by_key, g_steal_pointer(&key), indices);
    }
    g_array_append_val(indices, facts->named->len);
    g_array_append_val(facts->named, fact);
  }
  return facts->by_key;
}

/* ---- Tool calls -------------------------------------------------------- */

static void
free_text(gpointer data)
{
  g_string_free(data, TRUE);
}

/* The same value may show in several texts (decoded, joined): it counts once
 * for each detector rule. */
static void
scan_text(Facts *facts,
          DetectorScratch *scratch,
          const GString *text,
          GHashTable *seen)
{
  g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(Finding));

  if (!detector_scan(scratch, text->str, text->len, found, NULL)) {
    facts->findings_unknown = true;
    return;
  }
  for (guint i = 0; i < found->len; i++) {
    const Finding *finding = &g_array_index(found, Finding, i);
    GString *key = g_string_new(finding->rule->id);

    g_string_append_c(key, ' ');
    g_string_append_len(key,
                        text->str + finding->start,
                        (gssize)(finding->end - finding->start));
    if (g_hash_table_add(seen, g_bytes_new(key->str, key->len)))
      g_array_append_val(facts->tool_findings, *finding);
    g_string_free(key, TRUE);
  }
}

static void
free_bytes(gpointer data)
{
  g_bytes_unref(data);
}

void
facts_set_call(Facts *facts, const ToolCall *call, DetectorScratch *scratch)
{
  const char *arguments = call->arguments != NULL ? call->arguments : "";
  g_autoptr(GHashTable) seen =
      g_hash_table_new_full(g_bytes_hash, g_bytes_equal, free_bytes, NULL);

  facts->call = call;
  facts->tool_texts = g_ptr_array_new_with_free_func(free_text);
  facts->tool_keys =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  facts->tool_findings = g_array_new(FALSE, FALSE, sizeof(Finding));
  facts->tool_unreadable =
      !arguments_decode(arguments, facts->tool_texts, facts->tool_keys);
  facts->findings_unknown = facts->tool_unreadable;
  for (guint i = 0; scratch != NULL && i < facts->tool_texts->len; i++)
    scan_text(facts, scratch, facts->tool_texts->pdata[i], seen);
  facts_set_findings(facts,
                     (const Finding *)(void *)facts->tool_findings->data,
                     facts->tool_findings->len);
}
