/* SPDX-License-Identifier: Apache-2.0 */
/* A baseline is an earlier report: an array of findings, or a SARIF log. */
#include "cli/baseline.h"
#include "cli/member.h"
#include "kit/file.h"
#include <json-c/json.h>
#include <string.h>

/* A report of 100,000 findings and more. */
#define MAX_BASELINE ((size_t)256 * 1024 * 1024)
#define MAX_NESTING 32

struct baseline {
  GHashTable *known; /* "URI\nRULE\nPLACE:NTH" */
};

static char *
key_of(const char *uri, const char *rule, const char *place)
{
  return g_strjoin("\n", uri, rule, place, NULL);
}

static struct json_object *
item(struct json_object *json, size_t i)
{
  return json_object_is_type(json, json_type_array) &&
                 i < json_object_array_length(json)
             ? json_object_array_get_idx(json, i)
             : NULL;
}

static bool
add(Baseline *baseline, const char *uri, const char *rule, const char *place)
{
  if (!uri || !rule || !place)
    return false;
  g_hash_table_add(baseline->known, key_of(uri, rule, place));
  return true;
}

static bool
add_finding(Baseline *baseline, struct json_object *finding)
{
  const char *place = json_member_text(finding, "place");
  g_autofree char *numbered = NULL;

  if (!place)
    return false;
  numbered = g_strdup_printf(
      "%s:%lld",
      place,
      (long long)json_object_get_int64(json_member(finding, "nth")));
  return add(baseline,
             json_member_text(finding, "uri"),
             json_member_text(finding, "rule"),
             numbered);
}

static bool
add_result(Baseline *baseline, struct json_object *result)
{
  struct json_object *location = item(json_member(result, "locations"), 0);
  struct json_object *artifact = json_member(
      json_member(location, "physicalLocation"), "artifactLocation");
  struct json_object *prints = json_member(result, "partialFingerprints");

  return add(baseline,
             json_member_text(artifact, "uri"),
             json_member_text(result, "ruleId"),
             json_member_text(prints, "primaryLocationLineHash"));
}

static bool
add_all(Baseline *baseline, struct json_object *json)
{
  struct json_object *runs = json_member(json, "runs");
  bool fine = json_object_is_type(json, json_type_array) ||
              json_object_is_type(runs, json_type_array);

  for (size_t i = 0; fine && i < json_items(json); i++)
    fine = add_finding(baseline, item(json, i));
  for (size_t i = 0; fine && i < json_items(runs); i++) {
    struct json_object *results = json_member(item(runs, i), "results");

    for (size_t k = 0; fine && k < json_items(results); k++)
      fine = add_result(baseline, item(results, k));
  }
  return fine;
}

Baseline *
baseline_read(const char *path, GError **error)
{
  g_autoptr(GBytes) bytes = file_read(path, MAX_BASELINE, error);
  g_autoptr(Baseline) baseline = NULL;
  struct json_tokener *tokener;
  struct json_object *json;
  bool fine;

  if (!bytes)
    return NULL;
  baseline = g_new0(Baseline, 1);
  baseline->known =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  tokener = json_tokener_new_ex(MAX_NESTING);
  json = json_tokener_parse_ex(
      tokener, g_bytes_get_data(bytes, NULL), (int)g_bytes_get_size(bytes));
  fine = add_all(baseline, json);
  json_object_put(json);
  json_tokener_free(tokener);
  if (fine)
    return g_steal_pointer(&baseline);
  g_set_error(error,
              G_FILE_ERROR,
              G_FILE_ERROR_INVAL,
              "%s is no report that scan --json or scan --sarif wrote",
              path);
  return NULL;
}

void
baseline_free(Baseline *baseline)
{
  if (!baseline)
    return;
  g_hash_table_unref(baseline->known);
  g_free(baseline);
}

bool
baseline_has(const Baseline *baseline, const char *uri, const Hit *hit)
{
  g_autofree char *place = g_strdup_printf("%s:%u", hit->place, hit->nth);
  g_autofree char *key = key_of(uri, hit->rule->id, place);

  return g_hash_table_contains(baseline->known, key);
}
