/* SPDX-License-Identifier: Apache-2.0 */
/* Scans a text as the daemon would: whole, or through the masker of streamed
 * answers. */
#include "cli/scan.h"
#include "daemon/daemon.h"
#include "kit/file.h"
#include <stdio.h>
#include <string.h>

#define KEY_BYTES 32

/* ---- Making it -----------------------------------------------------------
 */

/* The daemon's key, so that masks are the same; a passing one without it. */
static Secret *
own_key(const Config *config, const char *name, bool *own, GError **error)
{
  g_autofree char *path = g_build_filename(config->state_dir, name, NULL);

  *own = g_file_test(path, G_FILE_TEST_EXISTS);
  return *own ? file_read_secret(path, error) : secret_new_random(KEY_BYTES);
}

static Masker *
make_masker(const Config *config, bool *own, GError **error)
{
  g_autoptr(Secret) mask = own_key(config, "mask.key", own, error);
  g_autoptr(Secret) fingerprint =
      mask ? own_key(config, "fingerprint.key", own, error) : NULL;

  return fingerprint ? masker_new(mask, fingerprint) : NULL;
}

/* Where the daemon keeps the compiled rules: compiling takes seconds. Without
 * such a folder it is done each time. */
static const char *
cache_dir(const Config *config)
{
  return file_private_dir(config->cache_dir, NULL) ? config->cache_dir : NULL;
}

/* The same dictionary and .env files as the daemon's. */
static bool
load_values(const Config *config, Detector *detector, GError **error)
{
  g_autoptr(ValueSet) values = daemon_load_values(config, NULL, error);

  if (!values)
    return false;
  detector_set_values(detector, values);
  return true;
}

bool
scanner_init(const Call *call,
             const Config *config,
             const char *const *named,
             Scanner *scanner,
             int *code)
{
  g_autoptr(GError) error = NULL;

  memset(scanner, 0, sizeof *scanner);
  scanner->detector =
      daemon_load_detector(config, named, cache_dir(config), &error);
  if (scanner->detector)
    scanner->pack = rule_pack_ref(detector_pack(scanner->detector));
  if (scanner->detector)
    scanner->scratch = detector_scratch_new(scanner->detector, &error);
  if (scanner->scratch && load_values(config, scanner->detector, &error))
    scanner->masker = make_masker(config, &scanner->own_keys, &error);
  if (!scanner->masker)
    *code = complain(call, CLI_FOUND, "%s", error->message);
  return scanner->masker != NULL;
}

void
scanner_clear(Scanner *scanner)
{
  g_clear_pointer(&scanner->masker, masker_free);
  g_clear_pointer(&scanner->scratch, detector_scratch_free);
  g_clear_pointer(&scanner->detector, detector_unref);
  g_clear_pointer(&scanner->pack, rule_pack_unref);
}

/* ---- Results -------------------------------------------------------------
 */

static void
found_clear(void *data)
{
  Found *found = data;

  g_free(found->rule);
}

static void
scanned_init(Scanned *scanned)
{
  *scanned = (Scanned){.found = g_array_new(FALSE, FALSE, sizeof(Found))};
  g_array_set_clear_func(scanned->found, found_clear);
}

void
scanned_clear(Scanned *scanned)
{
  g_clear_pointer(&scanned->found, g_array_unref);
  if (scanned->masked)
    secret_wipe(scanned->masked, scanned->masked_len);
  g_clear_pointer(&scanned->masked, g_free);
}

static void
add_found(Scanned *scanned, const Finding *finding)
{
  Found found = {.rule = g_strdup(finding->rule->id),
                 .start = finding->start,
                 .end = finding->end};

  g_array_append_val(scanned->found, found);
}

static bool
is_wanted(const bool *wanted, const Finding *finding)
{
  return !wanted || wanted[finding->rule->index];
}

static void
take_masked(Scanned *scanned, const void *bytes, size_t len)
{
  scanned->masked = g_malloc(len + 1);
  memcpy(scanned->masked, bytes, len);
  scanned->masked[len] = '\0';
  scanned->masked_len = len;
}

/* ---- Whole ---------------------------------------------------------------
 */

bool
scanner_scan(Scanner *scanner,
             const bool *wanted,
             const char *text,
             size_t len,
             Scanned *out,
             GError **error)
{
  InspectLimits limits = inspect_default_limits;
  g_autoptr(GBytes) body = g_bytes_new_static(text, len);
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(MaskSpan));
  g_autoptr(Inspection) inspection = NULL;
  g_autoptr(GBytes) masked = NULL;
  const Finding *findings;
  unsigned n;

  scanned_init(out);
  /* As it stands: a stream that is cut anywhere prints the same. */
  limits.max_depth = 0;
  inspection = inspection_new(scanner->scratch,
                              API_OTHER,
                              DIRECTION_REQUEST,
                              "text/plain; charset=utf-8",
                              body,
                              &limits,
                              error);
  if (!inspection)
    return false;
  findings = inspection_findings(inspection, &n);
  for (unsigned i = 0; i < n; i++) {
    MaskSpan span = {.field = findings[i].field,
                     .start = findings[i].start,
                     .end = findings[i].end,
                     .rule_id = findings[i].rule->id};

    if (!is_wanted(wanted, &findings[i]))
      continue;
    g_array_append_val(spans, span);
    add_found(out, &findings[i]);
  }
  masked = inspection_rewrite(inspection, scanner->masker, NULL, spans, error);
  if (!masked)
    return false;
  take_masked(out, g_bytes_get_data(masked, NULL), g_bytes_get_size(masked));
  return true;
}

/* ---- As a stream ---------------------------------------------------------
 */

static StreamPlan
mask_everything(const Scanner *scanner, const bool *wanted)
{
  StreamPlan plan = {0};

  rule_pack_all(scanner->pack, &plan.n_rules);
  plan.by_rule = g_new(Action, plan.n_rules);
  for (unsigned i = 0; i < plan.n_rules; i++)
    plan.by_rule[i] = !wanted || wanted[i] ? ACTION_MASK : ACTION_ALLOW;
  return plan;
}

static bool
feed_all(ResponseFilter *filter,
         const char *text,
         size_t len,
         size_t chunk,
         Buf *out,
         GError **error)
{
  FilterState state = FILTER_MORE;

  for (size_t at = 0; at < len; at += chunk)
    if (!response_filter_feed(
            filter, text + at, MIN(chunk, len - at), out, NULL, &state, error))
      return false;
  if (!response_filter_finish(filter, false, out, NULL, &state, error))
    return false;
  if (state == FILTER_FINAL)
    response_filter_release(filter, out, NULL);
  return true;
}

bool
scanner_stream(Scanner *scanner,
               const bool *wanted,
               const char *text,
               size_t len,
               size_t chunk,
               Scanned *out,
               GError **error)
{
  const char(*fingerprints)[FINGERPRINT_SIZE];
  StreamPlan plan = mask_everything(scanner, wanted);
  g_autoptr(ResponseFilter) filter = response_filter_new(
      scanner->detector, API_OTHER, false, &plan, scanner->masker, NULL, error);
  g_auto(Buf) bytes = {0};
  const Finding *findings;
  unsigned n;

  scanned_init(out);
  /* Masks are longer than the shortest secrets. */
  buf_init(&bytes, 4 * len + 4096);
  g_free(plan.by_rule);
  if (!filter || !feed_all(filter, text, len, chunk, &bytes, error))
    return false;
  findings = response_filter_findings(filter, &fingerprints, &n);
  for (unsigned i = 0; i < n; i++)
    if (is_wanted(wanted, &findings[i]))
      add_found(out, &findings[i]);
  take_masked(out, buf_bytes(&bytes), bytes.len);
  return true;
}

/* ---- What is scanned -----------------------------------------------------
 */

#define READ_STEP ((size_t)64 * 1024)

GBytes *
read_input(const char *name, size_t max, GError **error)
{
  g_auto(Buf) buf = {0};
  size_t step, n;

  if (!g_str_equal(name, "-"))
    return file_read(name, max, error);
  buf_init(&buf, max);
  do {
    uint8_t *room;

    step = MIN(READ_STEP, max - buf.len);
    room = step ? buf_reserve(&buf, step) : NULL;
    n = room ? fread(room, 1, step, stdin) : 0;
    buf_commit(&buf, n);
  } while (n > 0);
  if (feof(stdin) || getc(stdin) == EOF)
    return buf_steal(&buf);
  g_set_error(error,
              G_FILE_ERROR,
              G_FILE_ERROR_FAILED,
              "standard input is longer than %zu bytes, the most that is read",
              max);
  return NULL;
}
