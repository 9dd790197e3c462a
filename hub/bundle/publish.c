/* SPDX-License-Identifier: Apache-2.0 */
/* Checks a folder of policy files and runs its tests, from the very bytes that
 * are packed. */
#include "config.h"

#include "cases/cases.h"
#include "hub/bundle/publish.h"
#include "hub/settings.h"
#include "kit/file.h"
#include <string.h>

/* Cases that are named in one error. */
#define MAX_NAMED 10

void
publish_note_clear(PublishNote *note)
{
  g_strfreev(note->warnings);
  g_strfreev(note->others);
}

/* What stands for the folder in messages, so that paths cannot leave it. */
static const char root[] = "bundle:";

/* The message with the folder's own name. */
static bool
fail(GError **error, const char *dir, const char *message)
{
  g_auto(GStrv) parts = g_strsplit(message, root, -1);
  g_autofree char *text = g_strjoinv(dir, parts);

  g_set_error_literal(error, HUB_ERROR, HUB_ERROR_POLICY, text);
  return false;
}

static char *
rules_dir(void)
{
  const char *base = g_getenv("HOOP_SHARE");

  return g_build_filename(base && *base ? base : HOOP_DATADIR, "rules.d", NULL);
}

/* ---- check ----------------------------------------------------------------
 */

static Policy *
load(const Bundle *bundle, const char *dir, GError **error)
{
  g_autoptr(PolicyMemory) memory = policy_memory_new(root);
  g_autofree char *entry = g_strconcat(root, "/" BUNDLE_POLICY, NULL);
  const PolicySource source = {entry, LAYER_CENTRAL, FILE_ROOTS};
  g_autoptr(GError) why = NULL;
  Policy *policy;

  for (guint i = 0; i < bundle->files->len; i++) {
    const BundleFile *file = bundle->files->pdata[i];

    policy_memory_add(memory, file->path, file->bytes);
  }
  policy = policy_load_beside(memory, &source, 1, NULL, NULL, NULL, &why);
  if (!policy)
    fail(error, dir, why->message);
  return policy;
}

/* A file that no include names says nothing. */
static bool
all_are_used(const Bundle *bundle,
             const Policy *policy,
             const char *dir,
             GError **error)
{
  for (guint i = 0; i < bundle->files->len; i++) {
    const BundleFile *file = bundle->files->pdata[i];
    g_autofree char *path = g_build_filename(root, file->path, NULL);
    g_autofree char *message = NULL;
    PolicyLayer layer;
    const char *name;
    bool used = false;

    for (unsigned j = 0; (name = policy_file(policy, j, &layer)); j++)
      used = used || g_str_equal(name, path);
    if (used)
      continue;
    message = g_strdup_printf(
        "%s:1: no include of " BUNDLE_POLICY " names this file", path);
    return fail(error, dir, message);
  }
  return true;
}

/* ---- tests ----------------------------------------------------------------
 */

typedef struct {
  Bench bench;
  Detector *detector;
  const char *dir;
  PublishNote *note;
  GString *failures;
  unsigned failed;
} Run;

static void
add_failure(Run *run, const PolicyCase *one, const CaseOutcome *out)
{
  run->failed++;
  if (run->failed > MAX_NAMED)
    return;
  g_string_append_printf(run->failures,
                         "%s%s: %s: expects %s%s%s, comes to %s%s%s%s%s",
                         run->failures->len > 0 ? "\n" : "",
                         one->origin,
                         one->name ? one->name : "this differs",
                         action_name(one->expect),
                         one->rule ? " by " : "",
                         one->rule ? one->rule : "",
                         out->error ? "a refusal: " : "",
                         out->error ? out->error : action_name(out->action),
                         out->rule ? " by " : "",
                         out->rule ? out->rule : "",
                         out->left ? ", and does not hide what it should" : "");
}

static bool
run_file(Run *run, const BundleFile *file, GError **error)
{
  g_autofree char *name = g_build_filename(root, file->path, NULL);
  g_autoptr(GError) why = NULL;
  gsize len;
  const char *text = g_bytes_get_data(file->bytes, &len);
  g_autoptr(PolicyCases) cases =
      policy_cases_parse(name, text ? text : "", len, &why);
  const PolicyCase *const *list;
  unsigned n;

  if (!cases)
    return fail(error, run->dir, why->message);
  list = policy_cases_list(cases, &n);
  for (unsigned i = 0; i < n; i++)
    for (char **one = list[i]->texts; *one; one++) {
      g_auto(CaseOutcome) out = {.error = NULL};

      cases_run(&run->bench, list[i], *one, &out);
      if (case_is_right(list[i], &out))
        run->note->passed++;
      else
        add_failure(run, list[i], &out);
    }
  return true;
}

static bool
run_all(Run *run, const Bundle *tests, GError **error)
{
  for (guint i = 0; i < tests->files->len; i++)
    if (!run_file(run, tests->files->pdata[i], error))
      return false;
  if (run->failed == 0)
    return true;
  if (run->failed > MAX_NAMED)
    g_string_append_printf(
        run->failures, "\nand %u more", run->failed - MAX_NAMED);
  return fail(error, run->dir, run->failures->str);
}

static bool
test(Policy *policy,
     const Bundle *tests,
     const char *dir,
     PublishNote *note,
     GError **error)
{
  g_autofree char *rules = rules_dir();
  /* Compiling takes seconds: where `hoop-agent policy test` keeps it, too. */
  g_autofree char *cache =
      g_build_filename(g_get_user_cache_dir(), "hoop-agent", NULL);
  g_auto(GStrv) named = policy_named_findings(policy);
  g_autoptr(Secret) mask = secret_new_random(32);
  g_autoptr(Secret) fingerprint = secret_new_random(32);
  Run run = {.dir = dir, .note = note, .failures = g_string_new(NULL)};
  bool good = false;

  run.detector = detector_load(rules,
                               (const char *const *)named,
                               file_private_dir(cache, NULL) ? cache : NULL,
                               error);
  if (run.detector)
    run.bench.scratch = detector_scratch_new(run.detector, error);
  if (run.bench.scratch) {
    run.bench.policy = policy;
    run.bench.masker = masker_new(mask, fingerprint);
    note->warnings = policy_warnings(policy, detector_pack(run.detector));
    good = run_all(&run, tests, error);
  }
  masker_free(run.bench.masker);
  detector_scratch_free(run.bench.scratch);
  detector_unref(run.detector);
  g_string_free(run.failures, TRUE);
  return good;
}

bool
publish_read(Bundle *bundle, const char *dir, PublishNote *note, GError **error)
{
  g_autoptr(Bundle) tests = NULL;
  g_autoptr(Policy) policy = NULL;

  if (!bundle_read_dir(bundle, dir, &tests, &note->others, error))
    return false;
  policy = load(bundle, dir, error);
  if (!policy || !all_are_used(bundle, policy, dir, error) ||
      !test(policy, tests, dir, note, error))
    return false;
  policy_rules(policy, &note->rules);
  return true;
}
