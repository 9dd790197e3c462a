/* SPDX-License-Identifier: Apache-2.0 */
/* The promise that memory is bounded on any input: a stream without ends of
 * lines, lines of 10 MB, a 32 MiB prompt, more findings than anybody reads. */

#define _GNU_SOURCE
#include "stream-kit.h"

#define MIB ((size_t)1024 * 1024)
/* What a text in pieces may hold of itself. */
#define HELD_MAX (2 * MIB)

static StreamKit kit;
static const RunPlan plan = {.action = ACTION_MASK, .hold_tools = true};

typedef struct {
  ResponseFilter *filter;
  Buf out;
  size_t given, most; /* bytes that came out, and that were held at once */
  GError *error;
} Feed;

static void
feed_init(Feed *feed, Api api, bool sse)
{
  g_autoptr(StreamPlan) stream_plan = kit_plan(kit.detector, &plan);

  *feed = (Feed){0};
  feed->filter = response_filter_new(
      kit.detector, api, sse, stream_plan, kit.masker, "scope", &feed->error);
  g_assert_no_error(feed->error);
  buf_init(&feed->out, KIT_OUT_MAX);
}

static void
feed_clear(Feed *feed)
{
  response_filter_free(feed->filter);
  buf_clear(&feed->out);
  g_clear_error(&feed->error);
}

static bool
feed_bytes(Feed *feed, const char *bytes, size_t len)
{
  FilterState state;
  const bool good = response_filter_feed(
      feed->filter, bytes, len, &feed->out, NULL, &state, &feed->error);

  feed->most = MAX(feed->most, response_filter_held(feed->filter));
  feed->given = feed->out.len;
  return good;
}

/* Upstream never ends an event: refused, with no more held than one may have.
 */
static void
test_sse_without_newlines(void)
{
  static const char *const begins[] = {"data: {\"choices\":[", "data: ", ""};
  g_autofree char *piece = g_strnfill(64 * 1024, 'a');

  for (unsigned i = 0; i < G_N_ELEMENTS(begins); i++) {
    Feed feed;
    size_t sent = strlen(begins[i]);

    feed_init(&feed, API_CHAT, true);
    g_assert_true(feed_bytes(&feed, begins[i], sent));
    while (sent < 64 * MIB && feed_bytes(&feed, piece, 64 * 1024))
      sent += 64 * 1024;
    g_assert_error(feed.error, INSPECT_ERROR, INSPECT_ERROR_LIMIT);
    g_assert_cmpuint(sent, <, 16 * MIB);
    g_assert_cmpuint(feed.most, <, 20 * MIB);
    g_assert_cmpuint(feed.given, ==, 0);
    feed_clear(&feed);
  }
}

/* One line of 10 MB, of what holds most: a run without an end, escapes, other
 * characters, an encoding; a token in its midst. */
static void
test_long_line(void)
{
  static const char *const units[] = {"x",
                                      "word ",
                                      "\\n",
                                      "\\\"k\\\":",
                                      "%41",
                                      "\xe2\x80\x8b-",
                                      "c29tZSB3b3Jk"};
  const size_t all = kit_slowness() > 1 ? MIB : 10 * MIB;

  for (unsigned i = 0; i < G_N_ELEMENTS(units); i++) {
    g_autoptr(GString) piece = g_string_new(NULL);
    Feed feed;

    while (piece->len < 16 * 1024)
      g_string_append(piece, units[i]);
    feed_init(&feed, API_OTHER, false);
    for (size_t sent = 0; sent < all; sent += piece->len) {
      if (sent / (all / 2) != (sent + piece->len) / (all / 2))
        g_assert_true(feed_bytes(&feed, " " AWS_KEY " ", 22));
      if (!feed_bytes(&feed, piece->str, piece->len))
        g_error("%s: %s", units[i], feed.error->message);
    }
    if (feed.most > HELD_MAX)
      g_error("%s: %zu bytes held", units[i], feed.most);
    g_assert_cmpuint(feed.given + feed.most, >, all / 10 * 9);
    g_assert_false(kit_leaks(buf_bytes(&feed.out), feed.out.len, AWS_KEY));
    g_assert_nonnull(
        memmem(buf_bytes(&feed.out), feed.out.len, "[aws-access-key:", 16));
    feed_clear(&feed);
  }
}

/* A prompt of 32 MiB with a token at its end is read, for no more than a few
 * times its size. */
static void
test_long_prompt(void)
{
  g_autoptr(DetectorScratch) scratch = kit_scratch(kit.detector);
  g_autoptr(GString) body = g_string_sized_new(33 * MIB);
  g_autoptr(Inspection) inspection = NULL;
  g_autoptr(GBytes) bytes = NULL;
  g_autoptr(GError) error = NULL;
  unsigned n;

  g_string_append(body, "{\"messages\":[{\"role\":\"user\",\"content\":\"");
  while (body->len < (kit_slowness() > 1 ? 2 : 32) * MIB)
    g_string_append(body, "several words of prose with code(x, y);\\n");
  g_string_append(body, AWS_KEY "\"}]}");
  bytes = g_bytes_new_static(body->str, body->len);
  inspection = inspection_new(
      scratch, API_CHAT, DIRECTION_REQUEST, NULL, bytes, NULL, &error);
  g_assert_no_error(error);
  inspection_findings(inspection, &n);
  g_assert_cmpuint(n, ==, 1);
  g_assert_cmpuint(inspection_held(inspection), <, 4 * body->len);
}

/* An answer with more findings than may be noted ends with an error, and no
 * finding comes out before it. */
static void
test_many_findings(void)
{
  Feed feed;
  unsigned n = 0;

  feed_init(&feed, API_OTHER, false);
  while (n < 100000 && feed_bytes(&feed, AWS_KEY "\n", strlen(AWS_KEY) + 1))
    n++;
  g_assert_error(feed.error, INSPECT_ERROR, INSPECT_ERROR_LIMIT);
  g_assert_cmpuint(n, >=, 10000);
  g_assert_cmpuint(n, <, 10100);
  g_assert_false(kit_leaks(buf_bytes(&feed.out), feed.out.len, AWS_KEY));
  feed_clear(&feed);
}

static void
assert_refused(Api api, const GString *body, const char *why)
{
  g_autoptr(DetectorScratch) scratch = kit_scratch(kit.detector);
  g_autoptr(GBytes) bytes = g_bytes_new_static(body->str, body->len);
  g_autoptr(GError) error = NULL;
  g_autoptr(Inspection) inspection =
      inspection_new(scratch,
                     api,
                     DIRECTION_REQUEST,
                     api == API_OTHER ? "text/plain" : NULL,
                     bytes,
                     NULL,
                     &error);

  g_assert_null(inspection);
  g_assert_nonnull(error);
  g_assert_true(error->domain == INSPECT_ERROR);
  if (strstr(error->message, why) == NULL)
    g_error("\"%s\" is not in \"%s\"", why, error->message);
}

/* JSON that is nested 10,000 deep is refused, and so is a body with more than
 * 100,000 findings; both say why. */
static void
test_refused_bodies(void)
{
  g_autoptr(GString) deep = g_string_new("{\"messages\":");
  g_autoptr(GString) many = g_string_new(NULL);

  for (unsigned i = 0; i < 10000; i++)
    g_string_append_c(deep, '[');
  for (unsigned i = 0; i < 10000; i++)
    g_string_append_c(deep, ']');
  g_string_append_c(deep, '}');
  assert_refused(API_CHAT, deep, "deep");
  for (unsigned i = 0; i <= 100000; i++)
    g_string_append(many, AWS_KEY "\n");
  assert_refused(API_OTHER, many, "more findings than");
}

int
main(int argc, char **argv)
{
  static const KitTest tests[] = {
      {"sse-without-newlines", test_sse_without_newlines},
      {"long-line", test_long_line},
      {"long-prompt", test_long_prompt},
      {"many-findings", test_many_findings},
      {"refused-bodies", test_refused_bodies},
  };
  int result;

  g_test_init(&argc, &argv, NULL);
  kit.detector = kit_detector();
  kit.masker = kit_masker();
  kit_add("/inspect/bounds/", tests, G_N_ELEMENTS(tests));
  result = g_test_run();
  masker_free(kit.masker);
  detector_unref(kit.detector);
  return result;
}
