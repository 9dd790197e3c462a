/* SPDX-License-Identifier: Apache-2.0 */
/* What judge tests put in the place of room inspect. */
#include "judge-fake.h"

#include <string.h>

struct inspection {
  Api api;
  Direction direction;
  size_t size;
  GArray *fields;   /* InspectField */
  GArray *findings; /* Finding */
};

struct detector_scratch {
  RulePack *pack;
  bool broken;
};

/* ---- Room inspect's functions ------------------------------------------ */

Api
inspection_api(const Inspection *inspection)
{
  return inspection->api;
}

Direction
inspection_direction(const Inspection *inspection)
{
  return inspection->direction;
}

size_t
inspection_size(const Inspection *inspection)
{
  return inspection->size;
}

const InspectField *
inspection_fields(const Inspection *inspection, unsigned *n)
{
  *n = inspection->fields->len;
  return (const InspectField *)(void *)inspection->fields->data;
}

const Finding *
inspection_findings(const Inspection *inspection, unsigned *n)
{
  *n = inspection->findings->len;
  return (const Finding *)(void *)inspection->findings->data;
}

void
inspection_free(Inspection *inspection)
{
  if (inspection == NULL)
    return;
  g_array_unref(inspection->fields);
  g_array_unref(inspection->findings);
  g_free(inspection);
}

void
stream_plan_free(StreamPlan *plan)
{
  if (plan == NULL)
    return;
  g_free(plan->by_rule);
  g_free(plan->by_restored);
  g_free(plan->by_allowed);
  g_strfreev(plan->mask_fields);
  g_strfreev(plan->keep_fields);
  g_free(plan);
}

bool
detector_scan(DetectorScratch *scratch,
              const char *text,
              size_t len,
              GArray *findings,
              GError **error)
{
  unsigned n;
  const DetectorRule *const *rules = rule_pack_rules(scratch->pack, &n);

  (void)error;
  for (unsigned i = 0; i < n; i++) {
    g_autofree char *word = g_strconcat(rules[i]->id, "!", NULL);
    size_t size = strlen(word);

    for (size_t at = 0; at + size <= len; at++) {
      Finding finding = {.rule = rules[i], .start = at, .end = at + size};

      if (memcmp(text + at, word, size) == 0)
        g_array_append_val(findings, finding);
    }
  }
  return !scratch->broken;
}

/* ---- What tests build -------------------------------------------------- */

RulePack *
fake_pack(void)
{
  static const char text[] =
      "version: 1\n"
      "rules:\n"
      "  - {id: aws-key, class: secret, regex: a}\n"
      "  - {id: gh-token, class: secret, regex: b}\n"
      "  - {id: card, class: card, regex: c}\n"
      "  - {id: mail, class: pii, regex: d, enabled: false}\n";
  g_autoptr(GError) error = NULL;
  RulePack *pack = rule_pack_parse("pack.yaml", text, strlen(text), &error);

  g_assert_no_error(error);
  return pack;
}

const DetectorRule *
fake_rule(RulePack *pack, const char *id)
{
  unsigned n;
  const DetectorRule *const *rules = rule_pack_rules(pack, &n);

  for (unsigned i = 0; i < n; i++)
    if (strcmp(rules[i]->id, id) == 0)
      return rules[i];
  g_assert_not_reached();
}

Inspection *
fake_body(Api api, Direction direction)
{
  Inspection *body = g_new0(Inspection, 1);

  body->api = api;
  body->direction = direction;
  body->fields = g_array_new(FALSE, FALSE, sizeof(InspectField));
  body->findings = g_array_new(FALSE, FALSE, sizeof(Finding));
  return body;
}

unsigned
fake_field(Inspection *body, const char *key, FieldRole role, const char *text)
{
  InspectField field = {.key = key != NULL ? key : "",
                        .role = role,
                        .text = (char *)(uintptr_t)text,
                        .len = strlen(text)};

  g_array_append_val(body->fields, field);
  return body->fields->len - 1;
}

void
fake_finding_at(Inspection *body,
                const DetectorRule *rule,
                unsigned field,
                size_t start,
                size_t end)
{
  Finding finding = {.rule = rule, .start = start, .end = end, .field = field};

  g_array_append_val(body->findings, finding);
}

void
fake_finding(Inspection *body, const DetectorRule *rule, unsigned field)
{
  fake_finding_at(body,
                  rule,
                  field,
                  0,
                  g_array_index(body->fields, InspectField, field).len);
}

void
fake_allow(Inspection *body)
{
  for (guint i = 0; i < body->findings->len; i++)
    g_array_index(body->findings, Finding, i).allowed = true;
}

void
fake_size(Inspection *body, size_t size)
{
  body->size = size;
}

DetectorScratch *
fake_scratch(RulePack *pack, bool broken)
{
  DetectorScratch *scratch = g_new0(DetectorScratch, 1);

  scratch->pack = pack;
  scratch->broken = broken;
  return scratch;
}

void
fake_scratch_free(DetectorScratch *scratch)
{
  g_free(scratch);
}

Policy *
fake_policy(const char *text)
{
  g_autoptr(GError) error = NULL;
  Policy *policy = policy_parse("p.yaml", text, strlen(text), &error);

  g_assert_no_error(error);
  return policy;
}

Policy *
fake_rules(const char *const *rules, unsigned n)
{
  g_autoptr(GString) text =
      g_string_new("version: 1\ndefault: allow\n"
                   "groups: {staff: [devs, ops]}\nrules:\n");

  for (unsigned i = 0; i < n; i++)
    g_string_append_printf(text, "  - {%s}\n", rules[i]);
  if (n == 0)
    g_string_append(text, "  []\n");
  return fake_policy(text->str);
}

/* ---- Subjects ---------------------------------------------------------- */

static const char *
keep(FakeSubject *fake, const char *text)
{
  char *copy = g_strdup(text);

  g_ptr_array_add(fake->strings, copy);
  return copy;
}

static const char *const *
keep_list(FakeSubject *fake, const char *text)
{
  g_auto(GStrv) items = g_strsplit(text, ",", -1);
  unsigned n = text[0] != '\0' ? g_strv_length(items) : 0;
  const char **list = g_new0(const char *, n + 1);

  for (unsigned i = 0; i < n; i++)
    list[i] = keep(fake, items[i]);
  g_ptr_array_add(fake->strings, (gpointer)list);
  return list;
}

static int64_t
wall_us(const char *text)
{
  g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(text, NULL);

  g_assert_nonnull(time);
  return g_date_time_to_unix(time) * G_USEC_PER_SEC;
}

static void
set_one(FakeSubject *fake, const char *key, const char *value)
{
  Subject *subject = &fake->subject;
  const struct {
    const char *key;
    const char **out;
  } texts[] = {
      {"user", &subject->user},
      {"connection", &subject->connection},
      {"host", &subject->host},
      {"method", &subject->method},
      {"path", &subject->path},
      {"model", &subject->model},
      {"initiator", &subject->initiator},
      {"repo", &subject->repo},
  };

  for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
    if (strcmp(texts[i].key, key) == 0) {
      *texts[i].out = value != NULL ? keep(fake, value) : NULL;
      return;
    }
  if (strcmp(key, "groups") == 0)
    subject->groups = value != NULL ? keep_list(fake, value) : NULL;
  else if (strcmp(key, "processes") == 0)
    subject->processes = value != NULL ? keep_list(fake, value) : NULL;
  else if (strcmp(key, "api") == 0)
    g_assert_true(api_from_name(value, &subject->api));
  else if (strcmp(key, "time") == 0)
    subject->wall_us = wall_us(value);
  else if (strcmp(key, "first") == 0)
    subject->first_in_session = true;
  else if (strcmp(key, "completions") == 0)
    subject->completions = true;
  else
    g_assert_not_reached();
}

void
fake_subject(FakeSubject *fake, const char *spec)
{
  static const char base[] =
      "user=alice;groups=devs;connection=copilot;"
      "host=api.githubcopilot.com;method=POST;path=/chat/completions;"
      "api=chat;model=gpt-4o;initiator=user;"
      "processes=/usr/bin/node,/usr/bin/code;repo=acme/app;"
      "time=2026-03-04T12:00:00Z";
  g_autofree char *all = g_strconcat(base, ";", spec, NULL);
  g_auto(GStrv) parts = g_strsplit(all, ";", -1);

  *fake = (FakeSubject){.strings = g_ptr_array_new_with_free_func(g_free)};
  for (char **part = parts; *part != NULL; part++) {
    g_auto(GStrv) words = g_strsplit(g_strstrip(*part), "=", 2);

    if (words[0] != NULL && words[0][0] != '\0')
      set_one(fake, words[0], words[1]);
  }
}

void
fake_subject_clear(FakeSubject *fake)
{
  g_clear_pointer(&fake->strings, g_ptr_array_unref);
}
