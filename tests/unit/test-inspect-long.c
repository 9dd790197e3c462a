/* SPDX-License-Identifier: Apache-2.0 */
/* What is longer than any window: blocks are masked to their end, tokens are
 * found wherever they stand in a run, and requests, streams and every chunking
 * come to the same. */

#define _GNU_SOURCE
#include "stream-kit.h"
#include "stream-make.h"

#define OPENER "-----BEGIN PGP PRIVATE KEY BLOCK-----"
#define CLOSER "-----END PGP PRIVATE KEY BLOCK-----"
#define MASK_OF_KEY "[pgp-private-key:"

static StreamKit kit;
static DetectorScratch *scratch;
static const RunPlan plan = {.action = ACTION_MASK, .hold_tools = true};

static uint32_t
next_random(uint32_t *state)
{
  *state = *state * 1664525 + 1013904223;
  return *state >> 8;
}

/* Base64 of this many characters in lines that end with `newline`. */
static void
append_body(GString *out, size_t len, const char *newline, uint32_t seed)
{
  static const char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

  for (size_t i = 0; i < len; i++) {
    if (i > 0 && i % 64 == 0)
      g_string_append(out, newline);
    g_string_append_c(out, digits[next_random(&seed) % 64]);
  }
}

static GString *
key_text(size_t len, const char *newline, const char *behind)
{
  GString *text = g_string_new("Here it is:\n" OPENER);

  g_string_append_printf(text, "%s%s", newline, newline);
  append_body(text, len, newline, 7);
  g_string_append_printf(text, "%s%s", newline, behind);
  return text;
}

/* The text as a request's, every finding masked. */
static char *
masked_whole(const GString *text)
{
  g_autoptr(GBytes) body = g_bytes_new(text->str, text->len);
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(MaskSpan));
  g_autoptr(GError) error = NULL;
  g_autoptr(Inspection) inspection = inspection_new(
      scratch, API_OTHER, DIRECTION_REQUEST, "text/plain", body, NULL, &error);
  g_autoptr(GBytes) masked = NULL;
  const Finding *findings;
  unsigned n;

  g_assert_no_error(error);
  findings = inspection_findings(inspection, &n);
  for (unsigned i = 0; i < n; i++) {
    const MaskSpan span = {findings[i].field,
                           findings[i].start,
                           findings[i].end,
                           findings[i].rule->id,
                           RESTORE_NONE};

    g_array_append_val(spans, span);
  }
  masked = inspection_rewrite(inspection, kit.masker, "scope", spans, &error);
  g_assert_no_error(error);
  return g_strndup(g_bytes_get_data(masked, NULL), g_bytes_get_size(masked));
}

static unsigned
count_of(const char *text, const char *what)
{
  unsigned n = 0;

  for (const char *at = text; (at = strstr(at, what)) != NULL; n++)
    at += strlen(what);
  return n;
}

/* Pieces of a fixed size, or (0) of random ones. */
static Run *
run_pieces(const GString *text, size_t size)
{
  g_autofree size_t *cuts = g_new(size_t, text->len + 1);
  size_t at = 0;
  size_t n = 0;

  while (at < text->len) {
    at += size > 0 ? size : (size_t)g_test_rand_int_range(1, 3000);
    cuts[n++] = MIN(at, text->len);
  }
  return kit_run(&kit, API_OTHER, false, &plan, text->str, text->len, cuts, n);
}

static void
check_block(size_t len, const char *newline, const char *behind, bool bytewise)
{
  g_autoptr(GString) text = key_text(len, newline, behind);
  g_autoptr(GString) body = g_string_new(NULL);
  g_autofree char *whole = masked_whole(text);
  const size_t sizes[] = {text->len, 16384, 4096, 1000, 61, 0, 0, 1};

  append_body(body, len, newline, 7);
  if (kit_leaks(whole, strlen(whole), body->str))
    g_error("%zu: leaks in %.300s", len, whole);
  g_assert_cmpuint(count_of(whole, MASK_OF_KEY), ==, 1);
  g_assert_true(g_str_has_prefix(whole, "Here it is:\n" OPENER));
  if (!g_str_has_suffix(whole, behind))
    g_error("%zu: does not end well: %s", len, whole);
  for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
    g_autoptr(Run) run = NULL;

    if (sizes[i] == 1 && !bytewise)
      continue;
    run = run_pieces(text, sizes[i]);
    g_assert_no_error(run->error);
    g_assert_cmpuint(run->findings, ==, 1);
    if (strcmp(run->out->str, whole) != 0)
      g_error(
          "%zu by %zu: %s\n-- and --\n%s", len, sizes[i], run->out->str, whole);
  }
}

/* Each so many-th length or place, a fifth of them unless thorough: each is
 * a long text, cut in eight ways. */
static size_t
often(size_t step)
{
  return kit_step(g_test_thorough() ? step : 5 * step + 2);
}

static void
test_blocks(void)
{
  static const char *const newlines[] = {"\n", "\r\n", "\\n", " ", ""};

  for (unsigned i = 0; i < G_N_ELEMENTS(newlines); i++) {
    if (kit_spares(i, 4))
      continue;
    for (size_t len = 15900; len < 16500; len += often(61))
      check_block(len, newlines[i], CLOSER "\nand words behind.", false);
    for (size_t len = 20100; len < 20900; len += often(113))
      check_block(len, newlines[i], CLOSER " and words behind.", false);
    check_block(24000, newlines[i], CLOSER "\nbehind", false);
    check_block(40000,
                newlines[i],
                CLOSER "\nbehind",
                (i == 0 || i == 4) && kit_slowness() == 1);
    if ((i == 0 && kit_slowness() == 1) || g_test_thorough())
      check_block(300000, newlines[i], CLOSER "\nbehind", false);
  }
}

/* Nobody closes it: up to the text's end, or to what is no key. */
static void
test_unclosed(void)
{
  for (size_t len = 12000; len < 44000; len += kit_step(3001)) {
    check_block(len, "\n", "", len == 12000 && kit_slowness() == 1);
    check_block(len, "\n", "-- \nand words behind.", false);
    check_block(len, "\n", "~ no key", false);
  }
}

/* Several keys in one file, each of them long; what stands between stays. */
static void
test_several(void)
{
  g_autoptr(GString) text = g_string_new(NULL);
  g_autofree char *whole = NULL;
  static const size_t sizes[] = {0, 0, 100000, 5000, 977};

  for (unsigned i = 0; i < 5; i++) {
    g_string_append(text, OPENER "\n\n");
    append_body(text, 17000 + i * 5000, "\n", i);
    g_string_append_printf(text, "\n" CLOSER "\nkey %u\n" AWS_KEY "\n", i);
  }
  whole = masked_whole(text);
  g_assert_cmpuint(count_of(whole, MASK_OF_KEY), ==, 5);
  g_assert_cmpuint(count_of(whole, CLOSER "\nkey "), ==, 5);
  g_assert_cmpuint(count_of(whole, "[aws-access-key:"), ==, 5);
  for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
    g_autoptr(Run) run = run_pieces(text, sizes[i]);

    g_assert_no_error(run->error);
    g_assert_cmpuint(run->findings, ==, 10);
    g_assert_cmpstr(run->out->str, ==, whole);
  }
}

/* What a stream holds of a block does not grow with it. */
static void
test_flows(void)
{
  g_autoptr(GString) line = g_string_new(NULL);
  g_autoptr(StreamPlan) stream_plan = kit_plan(kit.detector, &plan);
  g_autoptr(GError) error = NULL;
  g_autoptr(ResponseFilter) filter = response_filter_new(
      kit.detector, API_CHAT, true, stream_plan, kit.masker, "scope", &error);
  g_auto(Buf) out = {0};
  FilterState state = FILTER_MORE;
  unsigned given = 0;

  buf_init(&out, KIT_OUT_MAX);
  /* 40 MiB of events: more than may ever wait. */
  const unsigned events = 20000 / kit_slowness();

  for (unsigned i = 0; i < events; i++) {
    GString *event = g_string_new("data: {\"choices\":[{\"index\":0,\"delta\":{"
                                  "\"content\":\"");

    if (i == 0)
      g_string_append(event, OPENER "\\n\\n");
    append_body(event, 2048, "\\n", i);
    g_string_append(event, "\\n\"}}]}\n\n");
    response_filter_feed(
        filter, event->str, event->len, &out, NULL, &state, &error);
    g_assert_no_error(error);
    g_assert_cmpint(state, ==, FILTER_MORE);
    g_string_free(event, TRUE);
    g_assert_cmpuint(out.len, <, 64 * 1024);
    if (i > 20)
      g_assert_null(memmem(buf_bytes(&out), out.len, "\\n", 2));
    given += out.len > 0;
    buf_truncate(&out, 0);
  }
  g_assert_cmpuint(given, >, events / 4);
}

/* ---- Runs -------------------------------------------------------------- */

/* 64 KiB without white space, the token anywhere in it. */
static void
test_runs(void)
{
  static const char *const tokens[] = {AWS_KEY, SLACK_TOKEN, JWT};
  static const char *const masks[] = {"[aws-access-key:", "[slack-", "[jwt:"};
  const size_t size = 65536;

  for (unsigned t = 0; t < G_N_ELEMENTS(tokens); t++)
    for (size_t place = 0; place < size; place += often(1999)) {
      g_autoptr(GString) text = g_string_sized_new(size + 256);
      g_autofree char *whole = NULL;

      while (text->len < size) {
        if (text->len >= place && strstr(text->str, tokens[t]) == NULL)
          g_string_append_printf(text, ";k=\"%s\";", tokens[t]);
        else
          g_string_append_printf(text, "f%x(a,b);", (unsigned)text->len);
      }
      whole = masked_whole(text);
      g_assert_nonnull(strstr(whole, masks[t]));
      g_assert_null(strstr(whole, tokens[t]));
      for (unsigned i = 0; i < 3; i++) {
        g_autoptr(Run) run = run_pieces(text, i == 0 ? 8191 : 0);

        g_assert_no_error(run->error);
        g_assert_cmpstr(run->out->str, ==, whole);
      }
    }
}

/* An image is no secret because it is long. */
static void
test_image(void)
{
  g_autoptr(GString) text = g_string_new("data:image/png;base64,");
  g_autofree char *whole = NULL;

  append_body(text, 2000000 / kit_slowness(), "", 3);
  whole = masked_whole(text);
  g_assert_cmpstr(whole, ==, text->str);
  {
    g_autoptr(Run) run = run_pieces(text, 4096);

    g_assert_cmpstr(run->out->str, ==, text->str);
  }
}

/* ---- API shapes -------------------------------------------------------- */

/* What a place says, without what another choice says between its pieces. */
static char *
said_at(const GString *out, Place place)
{
  g_autoptr(GString) own = g_string_new(NULL);
  g_auto(GStrv) lines = g_strsplit(out->str, "\n", -1);

  for (char **line = lines; *line != NULL; line++)
    if (place != PLACE_CHAT_SECOND || strstr(*line, "\"index\":0") == NULL)
      g_string_append_printf(own, "%s\n", *line);
  return kit_text(own, place_member(place));
}

static void
test_place(gconstpointer data)
{
  const Place place = (Place)GPOINTER_TO_INT(data);
  g_autoptr(GString) body = g_string_new(NULL);
  g_autoptr(GString) said = key_text(40000, "\n", CLOSER "\nbehind");
  g_autoptr(GString) text = g_string_new(NULL);

  append_body(body, 40000, "\n", 7);
  if (place_is_call(place)) {
    g_string_append(text, "{\"command\":\"");
    json_escape(text, said->str, (gssize)said->len);
    g_string_append(text, "\"}");
  } else {
    g_string_append(text, said->str);
  }
  for (unsigned round = 0; round<4; round += kit_step(1)> 1 ? 3 : 1) {
    g_autofree size_t *cuts = g_new(size_t, text->len);
    g_auto(GStrv) pieces = NULL;
    g_autoptr(GString) in = NULL;
    g_autoptr(Run) run = NULL;
    g_autofree char *joined = NULL;
    unsigned n = 0;

    for (size_t at = 0; round > 0 && at < text->len;) {
      at += (size_t)g_test_rand_int_range(1, round == 1 ? 50 : 5000);
      if (at < text->len)
        cuts[n++] = at;
    }
    pieces = cut_text(text->str, cuts, n);
    in = make_stream(place,
                     round == 2 ? ESCAPE_ALL : ESCAPE_LEAST,
                     (const char *const *)pieces,
                     g_strv_length(pieces));
    run = kit_run_whole(&kit, place_api(place), &plan, in->str);
    if (run->error != NULL)
      g_error("%s: %s", place_names[place], run->error->message);
    joined = said_at(run->out, place);
    g_assert_false(kit_leaks(joined, strlen(joined), body->str));
    g_assert_false(kit_leaks(run->out->str, run->out->len, body->str));
    g_assert_false(kit_leaks(run->record->str, run->record->len, body->str));
    g_assert_nonnull(strstr(run->out->str, MASK_OF_KEY));
    g_assert_nonnull(strstr(joined, "behind"));
    if (!place_is_call(place)) {
      g_autofree char *whole = masked_whole(said);
      const char *mask = strstr(whole, MASK_OF_KEY);

      /* The same mask as in a request. */
      g_assert_nonnull(
          memmem(run->out->str, run->out->len, mask, strcspn(mask, "]") + 1));
    }
  }
}

/* Who allowed one block did not allow another that begins like it, whole or in
 * pieces: fingerprints are of a value's beginning. */
static void
test_allowed(void)
{
  static const char *const ends[] = {"", "AAAABBBBCCCCDDDD"};
  g_autofree Action *let = NULL;
  AllowedFinding allowed = {.until_us = G_MAXINT64,
                            .until_boot_us = G_MAXINT64};

  for (unsigned i = 0; i < G_N_ELEMENTS(ends); i++) {
    g_autoptr(GString) text = key_text(20000, "\n", "");
    g_autoptr(StreamPlan) stream_plan = kit_plan(kit.detector, &plan);
    g_autoptr(ResponseFilter) filter = NULL;
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(Finding));
    g_autoptr(GError) error = NULL;
    g_auto(Buf) out = {0};
    const Finding *key;
    FilterState state;

    g_string_append_printf(text, "%s\n" CLOSER "\n", ends[i]);
    g_assert_true(detector_scan(scratch, text->str, text->len, found, &error));
    g_assert_cmpuint(found->len, ==, 1);
    key = &g_array_index(found, Finding, 0);
    g_assert_cmpuint(key->end - key->start, >, MASK_VALUE_MAX);
    if (i == 0) {
      masker_fingerprint(kit.masker,
                         text->str + key->start,
                         key->end - key->start,
                         allowed.fingerprint);
      masker_set_allowed(kit.masker, &allowed, 1);
      continue;
    }
    g_assert_false(masker_allows_value(
        kit.masker, text->str + key->start, key->end - key->start));
    let = g_new0(Action, stream_plan->n_rules);
    stream_plan->by_allowed = g_steal_pointer(&let);
    filter = response_filter_new(kit.detector,
                                 API_OTHER,
                                 false,
                                 stream_plan,
                                 kit.masker,
                                 "scope",
                                 &error);
    buf_init(&out, KIT_OUT_MAX);
    g_assert_true(response_filter_feed(
        filter, text->str, text->len, &out, NULL, &state, &error));
    g_assert_true(
        response_filter_finish(filter, false, &out, NULL, &state, &error));
    response_filter_release(filter, &out, NULL);
    g_assert_false(kit_leaks((const char *)buf_bytes(&out), out.len, ends[i]));
  }
  masker_set_allowed(kit.masker, NULL, 0);
}

int
main(int argc, char **argv)
{
  static const Place places[] = {PLACE_CHAT,
                                 PLACE_CHAT_SECOND,
                                 PLACE_CHAT_CALL,
                                 PLACE_ENGINES,
                                 PLACE_RESPONSES,
                                 PLACE_RESPONSES_CALL,
                                 PLACE_MESSAGES,
                                 PLACE_MESSAGES_BLOCKS,
                                 PLACE_MESSAGES_CALL,
                                 PLACE_OTHER};
  static const KitTest tests[] = {
      {"blocks", test_blocks},
      {"allowed", test_allowed},
      {"unclosed", test_unclosed},
      {"several", test_several},
      {"flows", test_flows},
      {"runs", test_runs},
      {"image", test_image},
  };
  int result;

  g_test_init(&argc, &argv, NULL);
  kit.detector = kit_detector();
  kit.masker = kit_masker();
  scratch = kit_scratch(kit.detector);
  kit_add("/inspect/long/", tests, G_N_ELEMENTS(tests));
  for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
    g_autofree char *path =
        g_strconcat("/inspect/long/place/", place_names[places[i]], NULL);

    g_test_add_data_func(path, GINT_TO_POINTER(places[i]), test_place);
  }
  result = g_test_run();
  detector_scratch_free(scratch);
  masker_free(kit.masker);
  detector_unref(kit.detector);
  return result;
}
