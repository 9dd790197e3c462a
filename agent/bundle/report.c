/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent tells the hub of the policy that it enforces. */
#include "bundle/private.h"
#include "document/document.h"
#include "kit/json-put.h"
#include <string.h>

#define MAX_VERSION 64

void
bundle_report_clear(BundleReport *report)
{
  g_free(report->version);
  g_free(report->problem);
}

char *
bundle_report_format(const BundleReport *report)
{
  GString *out = g_string_new("{");
  g_autofree char *problem =
      report->problem ? g_utf8_substring(report->problem,
                                         0,
                                         MIN(g_utf8_strlen(report->problem, -1),
                                             BUNDLE_MAX_PROBLEM / 4))
                      : NULL;

  json_put_text(out, "version", report->version);
  json_put_text(out, "policy_revision", report->revision);
  json_put_number(out, "bundle", report->bundle);
  json_put_text(out, "problem", problem);
  json_put_number(out, "at_us", report->at_us);
  g_string_append_c(out, '}');
  return g_string_free(out, FALSE);
}

static bool
take_number(const Document *object, const char *name, int64_t *out)
{
  const Document *value = document_member(object, name);

  if (!json_object_is_type(value, json_type_int))
    return false;
  *out = json_object_get_int64(value);
  return *out >= 0;
}

static bool
only_known(const Document *object)
{
  static const char *const names[] = {
      "version", "policy_revision", "bundle", "problem", "at_us", NULL};

  json_object_object_foreach((Document *)object, name, value)
  {
    (void)value;
    if (!g_strv_contains(names, name))
      return false;
  }
  return true;
}

bool
bundle_report_parse(const char *text,
                    size_t len,
                    BundleReport *out,
                    GError **error)
{
  g_autoptr(Document) object = document_parse(text, len, NULL);
  const char *version = object ? document_text(object, "version") : NULL;
  const char *revision =
      object ? document_text(object, "policy_revision") : NULL;
  const char *problem = object ? document_text(object, "problem") : NULL;
  uint8_t digest[SHA256_LEN];

  if (!version || !*version || strlen(version) > MAX_VERSION || !revision ||
      !hex_decode(revision, digest, sizeof digest) || !only_known(object) ||
      (document_has(object, "problem") && !problem) ||
      (problem && strlen(problem) > BUNDLE_MAX_PROBLEM) ||
      !take_number(object, "bundle", &out->bundle) ||
      !take_number(object, "at_us", &out->at_us))
    return bundle_fail(
        error, BUNDLE_ERROR_FORM, "this is no report of a policy");
  out->version = g_strdup(version);
  hex_encode(digest, sizeof digest, out->revision);
  out->problem = g_strdup(problem);
  return true;
}
