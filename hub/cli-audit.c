/* SPDX-License-Identifier: Apache-2.0 */
/* `hoop-hub audit`: the record of all agents, read where the hub keeps it. */
#include "hub/audit/audit.h"
#include "hub/private.h"
#include "kit/clock.h"
#include "kit/json-put.h"
#include <stdio.h>
#include <string.h>

#define EXPORT_STEP 500

static const char usage[] =
    "Usage: hoop-hub audit list     [FILTER]... [--limit N] [--json]\n"
    "       hoop-hub audit export   [FILTER]... [--format jsonl|csv]\n"
    "       hoop-hub audit alerts   [--limit N] [--json]\n"
    "       hoop-hub audit journals [--limit N] [--json]\n"
    "       hoop-hub audit verify   [--journal ID] [--json]\n\n"
    "  --config FILE, --store URL    as for serve\n"
    "Filters: --user, --machine, --journal, --kind, --rule, --verdict, --model,"
    "\n  --text WORDS, --since and --until TIME (2h, 3d, 2026-01-31, RFC 3339),"
    "\n  --marked (rows that raised alerts)\n";

typedef struct {
  const char *verb, *config, *store, *format, *since, *until;
  AuditQuery query;
  bool json;
} Wanted;

/* ---- arguments ------------------------------------------------------------
 */

/* A moment: so long ago, a day, or a time of RFC 3339. */
static bool
read_time(const char *text, int64_t *us)
{
  static const struct {
    char unit;
    int64_t us;
  } units[] = {{'s', 1000000},
               {'m', INT64_C(60000000)},
               {'h', INT64_C(3600000000)},
               {'d', INT64_C(86400000000)}};
  g_autofree char *whole = NULL;
  g_autoptr(GTimeZone) zone = g_time_zone_new_utc();
  g_autoptr(GDateTime) when = NULL;
  char *end;
  const guint64 n = g_ascii_strtoull(text, &end, 10);

  for (size_t i = 0; i < G_N_ELEMENTS(units); i++)
    if (end != text && end[0] == units[i].unit && !end[1] && n < 100000) {
      *us = clock_wall_us() - (int64_t)n * units[i].us;
      return true;
    }
  whole = strlen(text) == 10 ? g_strconcat(text, "T00:00:00Z", NULL)
                             : g_strdup(text);
  when = g_date_time_new_from_iso8601(whole, zone);
  if (when)
    *us =
        g_date_time_to_unix(when) * 1000000 + g_date_time_get_microsecond(when);
  return when != NULL;
}

static const char **
text_of(Wanted *wanted, const char *name)
{
  const struct {
    const char *name;
    const char **where;
  } options[] = {
      {"--config", &wanted->config},
      {"--store", &wanted->store},
      {"--format", &wanted->format},
      {"--since", &wanted->since},
      {"--until", &wanted->until},
      {"--user", &wanted->query.user},
      {"--machine", &wanted->query.machine},
      {"--journal", &wanted->query.journal},
      {"--kind", &wanted->query.kind},
      {"--rule", &wanted->query.rule},
      {"--verdict", &wanted->query.verdict},
      {"--model", &wanted->query.model},
      {"--text", &wanted->query.text},
  };

  for (size_t i = 0; i < G_N_ELEMENTS(options); i++)
    if (g_str_equal(options[i].name, name))
      return options[i].where;
  return NULL;
}

/* NULL: all is understood. */
static const char *
read_arguments(int argc, char **argv, Wanted *wanted)
{
  guint64 number;

  for (int i = 0; i < argc; i++) {
    const char **where = text_of(wanted, argv[i]);

    if (where && i + 1 < argc)
      *where = argv[++i];
    else if (g_str_equal(argv[i], "--json"))
      wanted->json = true;
    else if (g_str_equal(argv[i], "--marked"))
      wanted->query.marked = true;
    else if (g_str_equal(argv[i], "--limit") && i + 1 < argc &&
             g_ascii_string_to_unsigned(
                 argv[i + 1], 10, 1, AUDIT_MAX_PAGE, &number, NULL)) {
      wanted->query.limit = (unsigned)number;
      i++;
    } else {
      return "an argument is not understood";
    }
  }
  if ((wanted->since && !read_time(wanted->since, &wanted->query.since_us)) ||
      (wanted->until && !read_time(wanted->until, &wanted->query.until_us)))
    return "--since and --until take 2h, 3d, 2026-01-31 or RFC 3339";
  if (wanted->format && !g_str_equal(wanted->format, "csv") &&
      !g_str_equal(wanted->format, "jsonl"))
    return "--format is jsonl or csv";
  return NULL;
}

/* ---- output ---------------------------------------------------------------
 */

/* What a terminal would act on is shown as a blank. */
static void
put_plain(GString *out, const char *text, const char *fallback)
{
  g_autofree char *valid = g_utf8_make_valid(text ? text : fallback, -1);

  for (const char *c = valid; *c; c = g_utf8_next_char(c)) {
    const gunichar one = g_utf8_get_char(c);

    g_string_append_unichar(out, g_unichar_isprint(one) ? one : ' ');
  }
}

static void
put_moment(GString *out, int64_t us)
{
  g_autoptr(GDateTime) when = g_date_time_new_from_unix_utc(us / 1000000);
  g_autofree char *text =
      when ? g_date_time_format(when, "%Y-%m-%d %H:%M:%S") : g_strdup("-");

  g_string_append(out, text);
}

static void
put_line(GString *out, const AuditFound *row)
{
  g_autofree const char **marks = audit_mark_names(row->marks);

  put_moment(out, row->at_us);
  g_string_append(out, "  ");
  put_plain(out, row->user ? row->user : row->sender, "-");
  g_string_append(out, "  ");
  put_plain(out, row->said ? row->said : row->event, "-");
  for (unsigned i = 0; marks[i]; i++)
    g_string_append_printf(out, "  !%s", marks[i]);
  g_string_append_c(out, '\n');
}

static bool
show(GString *out)
{
  const bool good = fwrite(out->str, 1, out->len, stdout) == out->len;

  g_string_truncate(out, 0);
  return good;
}

/* ---- verbs ----------------------------------------------------------------
 */

static bool
list(Db *db, Wanted *wanted, GString *out, GError **error)
{
  const unsigned limit = wanted->query.limit ? wanted->query.limit : AUDIT_PAGE;
  unsigned n = 0;

  do {
    g_autoptr(AuditPage) page = NULL;

    wanted->query.limit = limit - n;
    page = audit_find(db, &wanted->query, error);
    if (!page)
      return false;
    for (guint i = 0; i < page->rows->len; i++, n++) {
      if (!wanted->json) {
        put_line(out, page->rows->pdata[i]);
        continue;
      }
      g_string_append(out, n ? "," : "{\"rows\":[");
      audit_put_row(out, page->rows->pdata[i]);
    }
    wanted->query.before = page->next;
  } while (n < limit && wanted->query.before);
  if (wanted->json)
    g_string_append(out, n ? "]}\n" : "{\"rows\":[]}\n");
  return show(out);
}

static bool export(Db *db, Wanted *wanted, GString *out, GError **error)
{
  const bool csv = g_strcmp0(wanted->format, "csv") == 0;

  if (csv)
    audit_put_csv_names(out);
  wanted->query.limit = EXPORT_STEP;
  do {
    g_autoptr(AuditPage) page = audit_find(db, &wanted->query, error);

    if (!page)
      return false;
    for (guint i = 0; i < page->rows->len; i++) {
      if (csv) {
        audit_put_csv(out, page->rows->pdata[i]);
        continue;
      }
      audit_put_row(out, page->rows->pdata[i]);
      g_string_append_c(out, '\n');
    }
    wanted->query.before = page->next;
    if (!show(out))
      return false;
  } while (wanted->query.before);
  return true;
}

static bool
alerts(Db *db, Wanted *wanted, GString *out, GError **error)
{
  g_autoptr(GPtrArray) found = audit_alerts(db, 0, wanted->query.limit, error);

  if (!found)
    return false;
  if (wanted->json)
    g_string_append(out, "{\"alerts\":[");
  for (guint i = 0; i < found->len; i++) {
    const AuditAlert *alert = found->pdata[i];

    if (wanted->json) {
      g_string_append(out, i ? "," : "");
      audit_put_alert(out, alert);
      continue;
    }
    put_moment(out, alert->at_us);
    g_string_append_printf(out, "  %-9s  ", alert->kind);
    put_plain(out, alert->user, "-");
    g_string_append_printf(out, "  %.8s  ", alert->journal);
    put_plain(out, alert->detail, "");
    g_string_append_c(out, '\n');
  }
  if (wanted->json)
    g_string_append(out, "]}\n");
  return show(out);
}

static bool
journals(Db *db, Wanted *wanted, GString *out, GError **error)
{
  g_autoptr(GPtrArray) found = audit_journals(db, wanted->query.limit, error);

  if (!found)
    return false;
  if (wanted->json)
    g_string_append(out, "{\"journals\":[");
  for (guint i = 0; i < found->len; i++) {
    const AuditJournal *one = found->pdata[i];

    if (wanted->json) {
      g_string_append(out, i ? "," : "");
      audit_put_journal(out, one);
      continue;
    }
    put_moment(out, one->last_us);
    g_string_append_printf(out, "  %s  ", one->journal);
    put_plain(out, one->user, "-");
    g_string_append_printf(out,
                           "  row %" G_GINT64_FORMAT
                           ", signed %" G_GINT64_FORMAT "%s\n",
                           one->head_seq,
                           one->signed_seq,
                           one->broken ? "  !broken" : "");
  }
  if (wanted->json)
    g_string_append(out, "]}\n");
  return show(out);
}

static void
on_fault(const char *journal, int64_t seq, const char *fault, void *data)
{
  GString *out = data;

  g_string_append_printf(
      out, "%s row %" G_GINT64_FORMAT ": %s\n", journal, seq, fault);
}

static void
on_fault_json(const char *journal, int64_t seq, const char *fault, void *data)
{
  GString *out = data;

  if (out->str[out->len - 1] != '[')
    g_string_append_c(out, ',');
  g_string_append_c(out, '{');
  json_put_text(out, "journal", journal);
  json_put_number(out, "seq", seq);
  json_put_text(out, "fault", fault);
  g_string_append_c(out, '}');
}

static bool
verify(Db *db, Wanted *wanted, GString *out, GError **error)
{
  AuditVerified found;

  if (wanted->json)
    g_string_append(out, "{\"faults\":[");
  if (!audit_verify(db,
                    wanted->query.journal,
                    wanted->json ? on_fault_json : on_fault,
                    out,
                    &found,
                    error))
    return false;
  if (wanted->json)
    g_string_append(out, "]");
  else
    g_string_append_printf(out,
                           "%" G_GINT64_FORMAT " journals, %" G_GINT64_FORMAT
                           " rows, %" G_GINT64_FORMAT
                           " checkpoints: %" G_GINT64_FORMAT " faults\n",
                           found.journals,
                           found.rows,
                           found.checkpoints,
                           found.faults);
  if (wanted->json) {
    json_put_number(out, "journals", found.journals);
    json_put_number(out, "rows", found.rows);
    json_put_number(out, "checkpoints", found.checkpoints);
    g_string_append(out, "}\n");
  }
  return show(out) && found.faults == 0;
}

static const struct {
  const char *name;
  bool (*run)(Db *db, Wanted *wanted, GString *out, GError **error);
} verbs[] = {
    {"list", list},
    {"export", export},
    {"alerts", alerts},
    {"journals", journals},
    {"verify", verify},
};

/* ---- the whole ------------------------------------------------------------
 */

static int
misused(const char *what)
{
  fprintf(stderr, "hoop-hub audit: %s\n%s", what, usage);
  return 2;
}

static Db *
open_record(const Wanted *wanted, GError **error)
{
  g_autoptr(HubConfig) config = hub_config_load(wanted->config, error);
  g_autofree char *file = NULL;
  const char *where;

  if (!config)
    return NULL;
  file = g_build_filename(config->state_dir, "audit.db", NULL);
  where = wanted->store ? wanted->store : config->store;
  if (where || g_file_test(file, G_FILE_TEST_EXISTS))
    return audit_open(where ? where : file, config->store_password_file, error);
  g_set_error(
      error, HUB_ERROR, HUB_ERROR_START, "%s is not there: no row came", file);
  return NULL;
}

int
cli_audit(int argc, char **argv, const char *config)
{
  Wanted wanted = {.config = config};
  g_autoptr(GString) out = g_string_new(NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(Db) db = NULL;
  const char *wrong;

  if (argc < 1)
    return misused("what of it?");
  wrong = read_arguments(argc - 1, argv + 1, &wanted);
  for (size_t i = 0; i < G_N_ELEMENTS(verbs); i++) {
    bool good;

    if (!g_str_equal(verbs[i].name, argv[0]))
      continue;
    if (wrong)
      return misused(wrong);
    db = open_record(&wanted, &error);
    good = db && verbs[i].run(db, &wanted, out, &error);
    if (error)
      fprintf(stderr, "hoop-hub audit: %s\n", error->message);
    return good ? 0 : 1;
  }
  return misused("there is no such verb");
}
