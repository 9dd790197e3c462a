/* SPDX-License-Identifier: Apache-2.0 */
/* scan: files and folders, several at a time, told in their order. */
#define _GNU_SOURCE
#include "cli/baseline.h"
#include "cli/in-order.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/scan-read.h"
#include "cli/scan.h"
#include "cli/walk.h"
#include "kit/clock.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* More threads than this wait for the disk or for each other. */
#define MAX_THREADS 16
/* Files under way; their findings are kept until it is their turn. */
#define ROOM_PER_THREAD 32
/* How long to wait before looking for signals and at the clock. */
#define WAIT_MS 50

typedef struct {
  Scan *scan;
  ScanReading reading;
  ScanReader *readers;
  unsigned n_readers;
  InOrder *order;
  Report report;
  Baseline *baseline;
  Progress progress;
  ScanTotals totals;
  sigset_t caught, before;
  bool ended; /* interrupted, or nobody reads what is printed */
} Run;

/* ---- Signals -------------------------------------------------------------
 */

/* Ctrl-C and SIGTERM are kept until there is time for them; what was found by
 * then is told. */
static void
signals_hold(Run *run)
{
  sigemptyset(&run->caught);
  sigaddset(&run->caught, SIGINT);
  sigaddset(&run->caught, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &run->caught, &run->before);
}

static void
signals_look(Run *run)
{
  const struct timespec now = {0};
  int signal;

  if (run->totals.signal)
    return;
  signal = sigtimedwait(&run->caught, NULL, &now);
  if (signal <= 0)
    return;
  run->totals.signal = signal;
  run->ended = true;
  g_atomic_int_set(&run->reading.stop, 1);
  /* The second one ends the program at once. */
  pthread_sigmask(SIG_SETMASK, &run->before, NULL);
}

/* ---- Telling -------------------------------------------------------------
 */

static void
tell_unread(Run *run, const char *name, const char *why)
{
  g_autofree char *shown = visible(name, -1, false);

  progress_hide(&run->progress);
  run->totals.unread++;
  complain(run->scan->call, 0, "%s: %s", shown, why);
  run->report.kind->unread(&run->report, name, why);
}

static void
tell_hits(Run *run, const ScanFile *file, const char *name)
{
  g_autofree char *uri = run->baseline ? report_uri(name) : NULL;
  unsigned told = 0;

  for (guint i = 0; i < file->hits->len; i++) {
    const Hit *hit = &g_array_index(file->hits, Hit, i);

    if (run->baseline && baseline_has(run->baseline, uri, hit)) {
      run->totals.known++;
      continue;
    }
    progress_hide(&run->progress);
    run->report.kind->hit(&run->report, name, hit);
    run->totals.by_rule[hit->rule->index]++;
    told++;
  }
  run->totals.findings += told;
  run->totals.found_in += told != 0;
}

static void
tell_binary(Run *run, const ScanFile *file, const char *name)
{
  g_autofree char *shown = visible(name, -1, false);

  run->totals.binary++;
  if (!file->named)
    return;
  progress_hide(&run->progress);
  complain(
      run->scan->call, 0, "%s is binary: passed over, see --binary", shown);
}

static void
tell(Run *run, const ScanFile *file)
{
  const char *name = strcmp(file->name, "-") == 0 ? STDIN_NAME : file->name;

  switch (file->state) {
  case SCAN_READ:
    run->totals.files++;
    run->totals.bytes += file->bytes;
    run->totals.allowed += file->allowed;
    if (file->hits)
      tell_hits(run, file, name);
    break;
  case SCAN_BINARY:
    tell_binary(run, file, name);
    break;
  case SCAN_UNREAD:
    tell_unread(run, name, file->why);
    break;
  case SCAN_GONE:
  case SCAN_STOPPED:
    break;
  }
  if (ferror(stdout))
    run->ended = true;
}

/* ---- Feeding -------------------------------------------------------------
 */

static void
work(void *item, void *local)
{
  ScanReader *reader = local;
  ScanFile *file = item;

  if (g_atomic_int_get(&reader->reading->stop))
    file->state = SCAN_STOPPED;
  else
    scan_read(reader, file);
}

/* Tells the oldest file if it is done within the time. */
static bool
collect(Run *run, unsigned wait_ms)
{
  ScanFile *file = in_order_take(run->order, wait_ms);

  signals_look(run);
  if (file)
    tell(run, file);
  else if (wait_ms)
    fflush(stdout); /* nothing else to do: let people read */
  scan_file_free(file);
  progress_show(&run->progress, run->totals.files, run->totals.bytes);
  return file != NULL;
}

static bool
submit(Run *run, const char *name, bool named)
{
  ScanFile *file = scan_file_new(name, named);

  while (!in_order_put(run->order, file))
    collect(run, WAIT_MS);
  while (collect(run, 0))
    ;
  return !run->ended;
}

static bool
on_file(void *data, const char *path)
{
  return submit(data, path, false);
}

static void
on_skip(void *data, WalkSkip what, const char *path, const char *why)
{
  Run *run = data;

  switch (what) {
  case WALK_LINK:
    run->totals.links++;
    break;
  case WALK_SPECIAL:
    run->totals.special++;
    break;
  case WALK_IGNORED:
    run->totals.ignored++;
    break;
  case WALK_FAILED:
    tell_unread(run, *path ? path : ".", why);
    break;
  }
}

static void
feed(Run *run, const char *name)
{
  const Walk walk = {.all = call_has(run->scan->call, "no-ignore"),
                     .file = on_file,
                     .skip = on_skip,
                     .data = run};
  struct stat st;

  if (strcmp(name, "-") != 0 && stat(name, &st) == 0 && S_ISDIR(st.st_mode))
    walk_tree(&walk, name);
  else
    submit(run, name, true);
}

static void
feed_all(Run *run)
{
  const Call *call = run->scan->call;

  if (!call->n_args && isatty(STDIN_FILENO))
    complain(call,
             0,
             "reading standard input; name files or folders to scan "
             "them");
  if (!call->n_args)
    feed(run, "-");
  for (unsigned i = 0; i < call->n_args && !run->ended; i++)
    feed(run, call->args[i]);
  while (in_order_count(run->order) && !ferror(stdout))
    collect(run, WAIT_MS);
}

/* ---- The run -------------------------------------------------------------
 */

static const ReportKind *
report_kind(const Call *call)
{
  return call_has(call, "json")    ? &report_json
         : call_has(call, "sarif") ? &report_sarif
                                   : &report_people;
}

static bool
run_init(Run *run, Scan *scan, GError **error)
{
  const char *baseline = call_value(scan->call, "baseline");
  unsigned n;

  run->scan = scan;
  rule_pack_all(scan->scanner.pack, &n);
  run->totals.by_rule = g_new0(unsigned, MAX(n, 1));
  run->totals.began_us = clock_mono_us();
  run->reading = (ScanReading){
      .max_size = scan->max_size,
      .binary = call_has(scan->call, "binary"),
      .hits = {.masker = scan->scanner.own_keys ? scan->scanner.masker : NULL,
               .wanted = scan->wanted,
               .marks = !call_has(scan->call, "no-allow")}};
  report_init(
      &run->report, report_kind(scan->call), scan->scanner.pack, scan->wanted);
  if (baseline && !(run->baseline = baseline_read(baseline, error)))
    return false;
  run->n_readers = CLAMP(g_get_num_processors(), 1, MAX_THREADS);
  run->readers = g_new0(ScanReader, run->n_readers);
  for (unsigned i = 0; i < run->n_readers; i++) {
    run->readers[i].reading = &run->reading;
    run->readers[i].scratch =
        detector_scratch_new(scan->scanner.detector, error);
    if (!run->readers[i].scratch)
      return false;
  }
  return true;
}

static void
drop(void *item)
{
  scan_file_free(item);
}

static void
run_clear(Run *run)
{
  for (unsigned i = 0; i < run->n_readers; i++)
    scan_reader_clear(&run->readers[i]);
  g_free(run->readers);
  baseline_free(run->baseline);
  report_clear(&run->report);
  g_free(run->totals.by_rule);
}

static void
run_all(Run *run)
{
  g_autofree void **locals = g_new(void *, run->n_readers);

  for (unsigned i = 0; i < run->n_readers; i++)
    locals[i] = &run->readers[i];
  signals_hold(run);
  progress_init(&run->progress);
  run->order = in_order_new(
      work, locals, run->n_readers, run->n_readers * ROOM_PER_THREAD);
  run->report.kind->begin(&run->report);
  feed_all(run);
  in_order_free(run->order, drop);
  progress_hide(&run->progress);
}

/* Found weighs more than unread: what a pipeline must stop for. */
static int
exit_code(const ScanTotals *totals)
{
  if (totals->signal)
    return 128 + totals->signal;
  return totals->findings ? CLI_FOUND : totals->unread ? CLI_USAGE : CLI_DONE;
}

int
scan_files(Scan *scan)
{
  Run run = {0};
  g_autoptr(GError) error = NULL;
  int code;

  if (!run_init(&run, scan, &error)) {
    code = complain(scan->call, CLI_USAGE, "%s", error->message);
    run_clear(&run);
    return code;
  }
  run_all(&run);
  code = exit_code(&run.totals);
  run.report.kind->end(&run.report, &run.totals, code);
  if (fflush(stdout) != 0 || ferror(stdout))
    code = complain(scan->call,
                    CLI_USAGE,
                    "the findings cannot be written: %s",
                    g_strerror(errno));
  report_summary(scan->scanner.pack, &run.totals);
  pthread_sigmask(SIG_SETMASK, &run.before, NULL);
  run_clear(&run);
  return code;
}
