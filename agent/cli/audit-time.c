/* SPDX-License-Identifier: Apache-2.0 */
/* The report's timeline: days (or weeks, or longer) as stacked bars. */
#include "cli/audit.h"
#include <math.h>
#include <string.h>

/* Bars that a page has room for; more days than that share bars. */
#define MAX_BARS 92
/* The drawing, in its own units. */
#define WIDTH 1000
#define HEIGHT 240
#define LEFT 52
#define TOP 12
#define BOTTOM 28

typedef struct {
  GDate first;
  unsigned n, days; /* bars, and days of each */
  AuditDay bars[MAX_BARS];
  uint64_t most; /* of one bar */
  double top;    /* what the highest line stands for */
} Timeline;

static uint64_t
sum(const AuditDay *day)
{
  return day->allowed + day->masked + day->asked + day->blocked;
}

static void
find_span(const Audit *audit, unsigned *first, unsigned *last)
{
  GHashTableIter iter;
  gpointer key;

  *first = UINT_MAX;
  *last = 0;
  g_hash_table_iter_init(&iter, audit->days);
  while (g_hash_table_iter_next(&iter, &key, NULL)) {
    unsigned day = GPOINTER_TO_UINT(key);

    *first = MIN(*first, day);
    *last = MAX(*last, day);
  }
}

static bool
fill(const Audit *audit, Timeline *time)
{
  unsigned first, last;
  GHashTableIter iter;
  gpointer key, value;

  *time = (Timeline){.days = 1};
  find_span(audit, &first, &last);
  if (!last)
    return false;
  /* A lonely day stands among others. */
  if (last - first < 6)
    first = MAX(last, 7) - 6;
  while ((last - first) / time->days + 1 > MAX_BARS)
    time->days = time->days == 1 ? 7 : time->days + 7;
  time->n = (last - first) / time->days + 1;
  g_date_clear(&time->first, 1);
  g_date_set_julian(&time->first, first);
  g_hash_table_iter_init(&iter, audit->days);
  while (g_hash_table_iter_next(&iter, &key, &value)) {
    AuditDay *bar = &time->bars[(GPOINTER_TO_UINT(key) - first) / time->days];
    const AuditDay *day = value;

    bar->allowed += day->allowed;
    bar->masked += day->masked;
    bar->asked += day->asked;
    bar->blocked += day->blocked;
    time->most = MAX(time->most, sum(bar));
  }
  return true;
}

/* The next of 1, 2, 5, 10 … */
static double
nice_step(double rough)
{
  double ten = pow(10, floor(log10(MAX(rough, 1))));

  for (unsigned i = 0; i < 4; i++) {
    static const double steps[] = {1, 2, 5, 10};

    if (steps[i] * ten >= rough)
      return steps[i] * ten;
  }
  return 10 * ten;
}

static double
y_of(const Timeline *time, double value)
{
  return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / time->top);
}

/* A number as SVG writes it, whatever the locale. */
static void
number(GString *out, const char *name, double value)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE];

  g_string_append_printf(out,
                         " %s=\"%s\"",
                         name,
                         g_ascii_formatd(text, sizeof text, "%.1f", value));
}

static void
draw_lines(Timeline *time, GString *out)
{
  double step = nice_step((double)time->most / 4);
  int steps = (int)MAX(ceil((double)time->most / step), 1);

  time->top = step * steps;
  for (int i = 0; i <= steps; i++) {
    double at = step * i;

    g_string_append(out, "<line class=\"grid\"");
    number(out, "x1", LEFT);
    number(out, "x2", WIDTH);
    number(out, "y1", y_of(time, at));
    number(out, "y2", y_of(time, at));
    g_string_append(out, "/><text class=\"axis\" text-anchor=\"end\"");
    number(out, "x", LEFT - 8);
    number(out, "y", y_of(time, at) + 4);
    g_string_append_printf(out, ">%.0f</text>", at);
  }
}

static void
draw_part(const Timeline *time,
          GString *out,
          const char *name,
          double x,
          double width,
          uint64_t below,
          uint64_t count)
{
  double top = y_of(time, (double)(below + count));
  double bottom = y_of(time, (double)below);

  if (!count)
    return;
  g_string_append_printf(out, "<rect class=\"%s\"", name);
  number(out, "x", x);
  number(out, "y", top);
  number(out, "width", width);
  number(out, "height", MAX(bottom - top, 1));
  g_string_append(out, "/>");
}

static void
draw_bar(const Timeline *time, unsigned i, GString *out)
{
  const AuditDay *bar = &time->bars[i];
  double pitch = (double)(WIDTH - LEFT) / time->n;
  double width = MIN(pitch * 0.76, 48);
  double x = LEFT + pitch * i + (pitch - width) / 2;
  GDate date = time->first;
  char label[32];

  g_date_add_days(&date, i * time->days);
  g_date_strftime(label, sizeof label, "%Y-%m-%d", &date);
  g_string_append_printf(out,
                         "<g><title>%s%s: %" G_GUINT64_FORMAT
                         " requests, %" G_GUINT64_FORMAT
                         " masked, %" G_GUINT64_FORMAT
                         " asked, %" G_GUINT64_FORMAT " blocked</title>",
                         time->days > 1 ? "from " : "",
                         label,
                         sum(bar),
                         bar->masked,
                         bar->asked,
                         bar->blocked);
  draw_part(time, out, "allowed", x, width, 0, bar->allowed);
  draw_part(time, out, "masked", x, width, bar->allowed, bar->masked);
  draw_part(
      time, out, "asked", x, width, bar->allowed + bar->masked, bar->asked);
  draw_part(time,
            out,
            "blocked",
            x,
            width,
            bar->allowed + bar->masked + bar->asked,
            bar->blocked);
  g_string_append(out, "</g>");
}

static void
draw_dates(const Timeline *time, GString *out)
{
  unsigned every = (time->n + 9) / 10;
  double pitch = (double)(WIDTH - LEFT) / time->n;

  for (unsigned i = 0; i < time->n; i += every) {
    GDate date = time->first;
    char label[32];

    if (i && LEFT + pitch * (i + 0.5) > WIDTH - 20) /* it would be cut */
      break;
    g_date_add_days(&date, i * time->days);
    g_date_strftime(label, sizeof label, "%m-%d", &date);
    g_string_append(out, "<text class=\"axis\" text-anchor=\"middle\"");
    number(out, "x", LEFT + pitch * (i + 0.5));
    number(out, "y", HEIGHT - 8);
    g_string_append_printf(out, ">%s</text>", label);
  }
}

void
audit_timeline(const Audit *audit, GString *out)
{
  Timeline time;

  if (!fill(audit, &time)) {
    g_string_append(out, "<p class=\"none\">No requests.</p>");
    return;
  }
  g_string_append_printf(out,
                         "<div class=\"scroll\"><svg viewBox=\"0 0 %d %d\" "
                         "role=\"img\" aria-label=\"Requests over time\">",
                         WIDTH,
                         HEIGHT);
  draw_lines(&time, out);
  for (unsigned i = 0; i < time.n; i++)
    draw_bar(&time, i, out);
  draw_dates(&time, out);
  g_string_append(out, "</svg></div>");
  if (time.days > 1)
    g_string_append_printf(
        out, "<p class=\"none\">A bar is %u days.</p>", time.days);
}
