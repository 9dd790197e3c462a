/* SPDX-License-Identifier: Apache-2.0 */
/* Progress on standard error, for people only. */
#include "cli/progress.h"
#include "kit/clock.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_US (G_USEC_PER_SEC / 2)
#define STEP_US (G_USEC_PER_SEC / 10)

void
progress_init(Progress *progress)
{
  const char *terminal = g_getenv("TERM");

  *progress = (Progress){.began_us = clock_mono_us()};
  progress->next_us = progress->began_us + PATIENCE_US;
  progress->on = isatty(STDERR_FILENO) && g_strcmp0(terminal, "dumb") != 0;
}

/* Whether it is time for the next line; `elapsed_us` then is since when. */
static bool
is_time(const Progress *progress, int64_t *elapsed_us)
{
  const int64_t now = progress->on ? clock_mono_us() : 0;

  *elapsed_us = now - progress->began_us;
  return progress->on && now >= progress->next_us;
}

static void
show(Progress *progress, const char *line, int64_t elapsed_us)
{
  fflush(stdout);
  fprintf(stderr, "\r\033[K%s", line);
  fflush(stderr);
  progress->shown = true;
  progress->next_us = progress->began_us + elapsed_us + STEP_US;
}

void
progress_show(Progress *progress, unsigned files, uint64_t bytes)
{
  g_autofree char *size = NULL;
  g_autofree char *rate = NULL;
  g_autofree char *line = NULL;
  int64_t elapsed_us;

  if (!is_time(progress, &elapsed_us))
    return;
  size = g_format_size(bytes);
  rate = g_format_size(bytes * G_USEC_PER_SEC / (uint64_t)elapsed_us);
  line = g_strdup_printf("%u files, %s, %s/s", files, size, rate);
  show(progress, line, elapsed_us);
}

void
progress_count(Progress *progress, uint64_t count, const char *what)
{
  g_autofree char *line = NULL;
  int64_t elapsed_us;

  if (!is_time(progress, &elapsed_us))
    return;
  line = g_strdup_printf("%" G_GUINT64_FORMAT " %s, %" G_GUINT64_FORMAT "/s",
                         count,
                         what,
                         count * G_USEC_PER_SEC / (uint64_t)elapsed_us);
  show(progress, line, elapsed_us);
}

void
progress_hide(Progress *progress)
{
  if (!progress->shown)
    return;
  fputs("\r\033[K", stderr);
  fflush(stderr);
  progress->shown = false;
}
