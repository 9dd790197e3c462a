/* SPDX-License-Identifier: Apache-2.0 */
/* The journal's report. `hoop-agent journal report` writes it, which can take
 * a while: it verifies the whole journal. */
#include "tray/report.h"
#include "tray/launch.h"
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct tray_report {
  char *file;
  void (*failed)(const char *message, void *data);
  void *data;
  GPid writer; /* 0: none */
  guint watch;
};

/* Runs in the child. */
static void
keep_private(gpointer data)
{
  (void)data;
  umask(077);
}

static void
on_written(GPid pid, int status, gpointer data)
{
  TrayReport *report = data;
  g_autoptr(GError) error = NULL;

  (void)status; /* a journal that is not intact has a page that says so */
  g_spawn_close_pid(pid);
  report->writer = 0;
  report->watch = 0;
  if (!g_file_test(report->file, G_FILE_TEST_IS_REGULAR))
    report->failed("The report could not be written. hoop-agent journal report "
                   "tells why.",
                   report->data);
  else if (!launch_show(report->file, &error))
    report->failed(error->message, report->data);
}

void
tray_report_open(TrayReport *report)
{
  g_autofree char *agent = launch_program("hoop-agent");
  char *words[] = {agent,
                   (char *)"journal",
                   (char *)"report",
                   (char *)"--html",
                   report->file,
                   NULL};
  g_autofree char *dir = g_path_get_dirname(report->file);
  g_autoptr(GError) error = NULL;

  if (report->writer)
    return;
  g_mkdir_with_parents(dir, 0700);
  g_remove(report->file); /* with whatever rights it had */
  if (!g_spawn_async(NULL,
                     words,
                     NULL,
                     G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD |
                         G_SPAWN_STDOUT_TO_DEV_NULL,
                     keep_private,
                     NULL,
                     &report->writer,
                     &error)) {
    report->writer = 0;
    report->failed(error->message, report->data);
    return;
  }
  report->watch = g_child_watch_add(report->writer, on_written, report);
}

TrayReport *
tray_report_new(const char *file,
                void (*failed)(const char *message, void *data),
                void *data)
{
  TrayReport *report = g_new0(TrayReport, 1);

  report->file = g_strdup(file);
  report->failed = failed;
  report->data = data;
  return report;
}

void
tray_report_free(TrayReport *report)
{
  if (!report)
    return;
  if (report->watch)
    g_source_remove(report->watch);
  g_free(report->file);
  g_free(report);
}
