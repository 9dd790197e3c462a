/* SPDX-License-Identifier: Apache-2.0 */
/* States, times and needs in words. */
#include "hub/page/parts.h"
#include "kit/clock.h"

#define US_PER_S INT64_C(1000000)
/* Below, seconds are told. The script says the same. */
#define SECONDS_BELOW_S 120

const char *
words_state(ReviewState state)
{
  static const char *const words[] = {"Waiting",
                                      "Approved",
                                      "Approved as masked",
                                      "Denied",
                                      "Expired",
                                      "Withdrawn"};

  return words[state];
}

void
words_left(Html *html, int64_t deadline_us)
{
  const int64_t left = (deadline_us - clock_wall_us()) / US_PER_S;
  g_autofree char *at =
      g_strdup_printf("%" G_GINT64_FORMAT, deadline_us / 1000);

  html_raw(html, "<span class=\"left\"");
  html_attr(html, "data-deadline", at);
  html_raw(html, ">");
  if (left <= 0) {
    html_raw(html, "time is up");
  } else if (left < SECONDS_BELOW_S) {
    html_number(html, left);
    html_raw(html, " s left");
  } else {
    html_number(html, left / 60);
    html_raw(html, " min left");
  }
  html_raw(html, "</span>");
}

static void
put_list(Html *html, char *const *groups)
{
  for (unsigned i = 0; groups && groups[i]; i++) {
    if (i > 0)
      html_raw(html, ", ");
    html_text(html, groups[i]);
  }
}

void
words_need(Html *html, const ReviewRule *rule)
{
  if (rule->each) {
    if (rule->groups[0] && rule->groups[1])
      html_raw(html, "one person from each of ");
    else
      html_raw(html, "one person from ");
  } else {
    html_number(html, rule->count);
    if (rule->count == 1)
      html_raw(html, " person from ");
    else
      html_raw(html, " different people from ");
  }
  put_list(html, rule->groups);
}

void
words_groups(Html *html, char *const *groups)
{
  if (!groups || !groups[0])
    return;
  html_raw(html, " <span class=\"dim\">for ");
  put_list(html, groups);
  html_raw(html, "</span>");
}
