/* SPDX-License-Identifier: Apache-2.0 */
/* What was masked and blocked, in sentences. A timer runs only after something
 * was told, so that an idle tray sleeps. */
#include "tray/news.h"
#include "tray/model.h"
#include <glib/gstdio.h>

/* Who is told more often stops to read. */
#define WINDOW_MS 30000
#define NAME_CHARS 40

typedef struct {
  unsigned times, count;
  bool answers;                     /* in answers alone */
  char *rule, *client, *connection; /* of all of them, or NULL */
} Sum;

enum { MASKED, BLOCKED, N_KINDS };

struct tray_news {
  char *quiet_file;
  bool quiet;
  NewsTell tell;
  void *data;
  unsigned window_ms;
  guint timer; /* one was told within the window */
  Sum sums[N_KINDS];
};

static void
sum_clear(Sum *sum)
{
  g_free(sum->rule);
  g_free(sum->client);
  g_free(sum->connection);
  *sum = (Sum){0};
}

static void
keep(char **text, GVariant *what, const char *key, bool first)
{
  const char *other = NULL;

  g_variant_lookup(what, key, "&s", &other);
  if (first)
    *text = g_strdup(other);
  else if (g_strcmp0(*text, other) != 0)
    g_clear_pointer(text, g_free);
}

static unsigned
more(unsigned sum, GVariant *what, const char *key)
{
  guint32 n = 0;

  g_variant_lookup(what, key, "u", &n);
  return sum + MIN(n, G_MAXUINT - sum);
}

static void
sum_add(Sum *sum, GVariant *what)
{
  const bool first = sum->times == 0;
  gboolean answer = FALSE;

  keep(&sum->rule, what, "rule", first);
  keep(&sum->client, what, "client", first);
  keep(&sum->connection, what, "connection", first);
  g_variant_lookup(what, "answer", "b", &answer);
  sum->answers = answer && (first || sum->answers);
  sum->times = more(sum->times, what, "times");
  sum->count = more(sum->count, what, "count");
}

/* ---- Telling -------------------------------------------------------------
 */

/* "a request", "3 answers" */
static char *
things(const Sum *sum)
{
  if (sum->times == 1)
    return g_strdup(sum->answers ? "an answer" : "a request");
  return g_strdup_printf(
      "%u %s", sum->times, sum->answers ? "answers" : "requests");
}

static void
add_name(GString *out, const char *before, const char *name)
{
  g_autofree char *shown = name ? tray_shown(name, NAME_CHARS) : NULL;

  if (shown && *shown)
    g_string_append_printf(out, "%s%s", before, shown);
}

static void
tell_sum(TrayNews *news, const Sum *sum, bool blocked)
{
  g_autofree char *client =
      sum->client ? g_path_get_basename(sum->client) : NULL;
  g_autofree char *what = things(sum);
  g_autofree char *headline = NULL;
  g_autoptr(GString) body = g_string_new(NULL);

  if (blocked) {
    headline = g_strdup_printf("Blocked %s", what);
    g_string_append(body, "By policy");
  } else {
    headline = g_strdup_printf(
        "Masked %u secret%s", sum->count, sum->count == 1 ? "" : "s");
    g_string_append_printf(body, "In %s", what);
  }
  add_name(body, sum->answers ? " to " : " of ", client);
  add_name(body, ", connection ", sum->connection);
  add_name(body, ": ", sum->rule);
  news->tell(headline, body->str, news->data);
}

static gboolean on_window(gpointer data);

static void
tell_all(TrayNews *news)
{
  for (unsigned i = 0; i < N_KINDS; i++) {
    if (!news->sums[i].times)
      continue;
    if (!news->quiet)
      tell_sum(news, &news->sums[i], i == BLOCKED);
    sum_clear(&news->sums[i]);
    if (!news->timer)
      news->timer = g_timeout_add(news->window_ms, on_window, news);
  }
}

static gboolean
on_window(gpointer data)
{
  TrayNews *news = data;

  news->timer = 0;
  tell_all(news);
  return G_SOURCE_REMOVE;
}

void
tray_news_take(TrayNews *news, const char *kind, GVariant *what)
{
  const bool blocked = g_str_equal(kind, "blocked");

  if (news->quiet || (!blocked && !g_str_equal(kind, "masked")))
    return;
  sum_add(&news->sums[blocked ? BLOCKED : MASKED], what);
  if (!news->timer)
    tell_all(news);
}

void
tray_news_set_window(TrayNews *news, unsigned window_ms)
{
  news->window_ms = window_ms;
}

/* ---- Quiet ---------------------------------------------------------------
 */

bool
tray_news_quiet(const TrayNews *news)
{
  return news->quiet;
}

void
tray_news_set_quiet(TrayNews *news, bool quiet)
{
  g_autofree char *dir = g_path_get_dirname(news->quiet_file);

  news->quiet = quiet;
  if (!quiet) {
    g_remove(news->quiet_file);
    return;
  }
  g_mkdir_with_parents(dir, 0700);
  g_file_set_contents_full(
      news->quiet_file, "", 0, G_FILE_SET_CONTENTS_NONE, 0600, NULL);
}

TrayNews *
tray_news_new(const char *quiet_file, NewsTell tell, void *data)
{
  TrayNews *news = g_new0(TrayNews, 1);

  news->quiet_file = g_strdup(quiet_file);
  news->quiet = g_file_test(quiet_file, G_FILE_TEST_EXISTS);
  news->tell = tell;
  news->data = data;
  news->window_ms = WINDOW_MS;
  return news;
}

void
tray_news_free(TrayNews *news)
{
  if (!news)
    return;
  if (news->timer)
    g_source_remove(news->timer);
  for (unsigned i = 0; i < N_KINDS; i++)
    sum_clear(&news->sums[i]);
  g_free(news->quiet_file);
  g_free(news);
}
