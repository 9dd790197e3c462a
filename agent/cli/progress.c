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

void
progress_show(Progress *progress, unsigned files, uint64_t bytes)
{
  const int64_t now = progress->on ? clock_mono_us() : 0;
  g_autofree char *size = NULL;
  g_autofree char *rate = NULL;

  if (!progress->on || now < progress->next_us)
    return;
  size = g_format_size(bytes);
  rate = g_format_size(bytes * G_USEC_PER_SEC /
                       (uint64_t)(now - progress->began_us));
  fflush(stdout);
  fprintf(stderr, "\r\033[K%u files, %s, %s/s", files, size, rate);
  fflush(stderr);
  progress->shown = true;
  progress->next_us = now + STEP_US;
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
