/* SPDX-License-Identifier: Apache-2.0 */
/* Shipping in words: to whom, how far, what keeps it. */
#include "cli/shipping.h"
#include "kit/clock.h"
#include <stdio.h>

int64_t
shipping_number(GVariant *shipping, const char *key)
{
  gint64 value = 0;

  g_variant_lookup(shipping, key, "x", &value);
  return value;
}

const char *
shipping_text(GVariant *shipping, const char *key)
{
  const char *value = NULL;

  g_variant_lookup(shipping, key, "&s", &value);
  return value;
}

char *
shipping_behind(GVariant *shipping)
{
  const int64_t rows = shipping_number(shipping, "behind_rows");
  g_autofree char *size =
      g_format_size((guint64)shipping_number(shipping, "behind_bytes"));
  g_autofree char *age = span_text(shipping_number(shipping, "behind_us"));

  if (rows == 0)
    return g_strdup("up to date");
  return g_strdup_printf("%" G_GINT64_FORMAT
                         " row%s behind (about %s), the oldest from %s ago",
                         rows,
                         rows == 1 ? "" : "s",
                         size,
                         age);
}

G_GNUC_PRINTF(3, 4)
static void
line(const char *name, Ink colour, const char *format, ...)
{
  g_autofree char *shown = NULL;
  va_list args;

  va_start(args, format);
  shown = visible_format(false, format, args);
  va_end(args);
  printf("%-10s %s%s%s\n", name, ink(colour), shown, ink(INK_PLAIN));
}

static void
say_problem(GVariant *shipping)
{
  const char *problem = shipping_text(shipping, "problem");
  const int64_t since = shipping_number(shipping, "problem_since_us");
  const int64_t retry = shipping_number(shipping, "retry_us");
  const int64_t now = clock_wall_us();

  if (!problem)
    return;
  line("problem", INK_RED, "%s", problem);
  if (since) {
    g_autofree char *when = time_text(since);

    line("", INK_PLAIN, "since %s", when);
  }
  if (retry > now) {
    g_autofree char *wait = span_text(retry - now);

    line("", INK_PLAIN, "next try in %s; hoop-agent ship --now", wait);
  }
}

void
shipping_say(GVariant *shipping)
{
  g_autofree char *behind = shipping_behind(shipping);
  const int64_t shipped = shipping_number(shipping, "shipped_seq");
  const int64_t when = shipping_number(shipping, "shipped_us");
  const int64_t receipt = shipping_number(shipping, "receipt_seq");
  const int64_t quarantined = shipping_number(shipping, "quarantined");

  line("receiver",
       INK_PLAIN,
       "%s (%s)",
       shipping_text(shipping, "receiver") ?: "?",
       shipping_text(shipping, "format") ?: "?");
  line("behind",
       shipping_number(shipping, "behind_rows") ? INK_YELLOW : INK_GREEN,
       "%s",
       behind);
  if (shipped) {
    g_autofree char *time = time_text(when);

    line("shipped",
         INK_PLAIN,
         "up to row %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT ", at %s",
         shipped,
         shipping_number(shipping, "head_seq"),
         time);
  }
  if (receipt)
    line("receipt",
         INK_PLAIN,
         "the receiver signed for row %" G_GINT64_FORMAT,
         receipt);
  if (quarantined)
    line("set aside",
         INK_YELLOW,
         "%" G_GINT64_FORMAT " that the receiver does not take",
         quarantined);
  if (shipping_text(shipping, "notice"))
    line("notice", INK_YELLOW, "%s", shipping_text(shipping, "notice"));
  say_problem(shipping);
}
