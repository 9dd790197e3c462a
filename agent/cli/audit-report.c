/* SPDX-License-Identifier: Apache-2.0 */
/* journal report: what an auditor asks of a journal, as one page. */
#include "cli/audit.h"
#include "cli/evidence.h"
#include "cli/progress.h"
#include "cli/show.h"
#include "kit/clock.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
  Audit *audit;
  Progress progress;
  uint64_t rows;
} Counter;

static bool
see(const JournalEntry *entry, void *data)
{
  Counter *counter = data;

  progress_count(&counter->progress, ++counter->rows, "rows counted");
  return audit_row(entry, counter->audit);
}

static void
show_verified(int64_t done, int64_t total, void *data)
{
  (void)total;
  progress_count(data, (uint64_t)done, "rows verified");
}

static void
verify(JournalReader *reader, const Witness *witness, Audit *audit)
{
  const JournalWitness view = witness_view(witness);
  g_autoptr(GError) error = NULL;
  Progress progress;

  progress_init(&progress);
  if (!journal_verify(
          reader, &view, show_verified, &progress, &audit->verified, &error))
    audit->verify_error = g_strdup(error->message);
  progress_hide(&progress);
}

/* To standard output for "-", else to a file that only its owner reads. */
static int
write_page(const Call *call, const char *path, const GString *page)
{
  FILE *out = g_str_equal(path, "-") ? stdout : fopen(path, "we");
  bool good;

  if (!out)
    return complain(
        call, CLI_USAGE, "%s cannot be made: %s", path, g_strerror(errno));
  if (out != stdout && fchmod(fileno(out), S_IRUSR | S_IWUSR) != 0) {
    fclose(out);
    return complain(call, CLI_FOUND, "%s: %s", path, g_strerror(errno));
  }
  good = fwrite(page->str, 1, page->len, out) == page->len;
  good = (out == stdout ? fflush(out) : fclose(out)) == 0 && good;
  if (!good)
    return complain(
        call, CLI_FOUND, "%s cannot be written: %s", path, g_strerror(errno));
  return CLI_DONE;
}

static int
sum_up(const Call *call, const Audit *audit, const char *path)
{
  const JournalVerification *seen = &audit->verified;

  if (!g_str_equal(path, "-"))
    printf("%s: %" G_GUINT64_FORMAT " requests, %u approvals, %u refusals; "
           "%s\n",
           path,
           audit->requests,
           audit->n_approvals,
           audit->n_refusals,
           audit->verify_error ? "the chain could not be verified"
           : seen->intact      ? "the chain is intact"
                               : "the chain is NOT intact");
  (void)call;
  return !audit->verify_error && seen->intact ? CLI_DONE : CLI_FOUND;
}

int
journal_report(const Call *call, JournalReader *reader)
{
  const char *path = call_value(call, "html");
  JournalQuery query = {.kind = -1, .oldest_first = true};
  g_autoptr(Audit) audit = audit_new();
  g_autoptr(GString) page = g_string_new(NULL);
  g_autoptr(GError) error = NULL;
  g_auto(Witness) witness = {0};
  Counter counter = {.audit = audit};
  int code = CLI_DONE;

  if (!path)
    return complain(
        call, CLI_USAGE, "usage: hoop-agent journal report --html FILE");
  if (!rows_times(call, &query))
    return CLI_USAGE;
  if (!witness_take(call, &witness, &code))
    return code;
  audit->made_us = clock_wall_us();
  audit->path = g_strdup(journal_reader_path(reader));
  audit->head = witness.head;
  progress_init(&counter.progress);
  if (!journal_query(reader, &query, see, &counter, &error)) {
    progress_hide(&counter.progress);
    return complain_error(call, error);
  }
  progress_hide(&counter.progress);
  verify(reader, &witness, audit);
  audit_html(audit, page);
  code = write_page(call, path, page);
  return code == CLI_DONE ? sum_up(call, audit, path) : code;
}
