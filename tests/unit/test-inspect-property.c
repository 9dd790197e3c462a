/* SPDX-License-Identifier: Apache-2.0 */
/* The promise: no byte of a masked secret leaves, however the stream is cut.
 * Every secret is cut at every byte, two ways and one byte at a time, in every
 * place of every API, in both JSON escapings; the output is the same for any
 * chunking of the input, and the text is the same for any cut of the text. */

#define _GNU_SOURCE
#include "stream-kit.h"
#include "stream-make.h"

static StreamKit kit;
static const RunPlan plan = {.action = ACTION_MASK, .hold_tools = true};

/* All strings of a stream decoded, each member's pieces joined. */
static void
assert_no_leak(const GString *stream, const char *secret, const char *where)
{
  static const char *const members[] = {"content",
                                        "reasoning_content",
                                        "arguments",
                                        "text",
                                        "delta",
                                        "thinking",
                                        "partial_json"};

  if (kit_leaks(stream->str, stream->len, secret))
    g_error("%s: leaks in %s", where, stream->str);
  for (unsigned i = 0; i < G_N_ELEMENTS(members); i++) {
    g_autofree char *joined = kit_text(stream, members[i]);

    if (kit_leaks(joined, strlen(joined), secret))
      g_error("%s: %s leaks in %s", where, members[i], stream->str);
  }
}

static Run *
run_cut(Place place,
        Escape escape,
        const char *text,
        const size_t *cuts,
        unsigned n)
{
  g_auto(GStrv) pieces = cut_text(text, cuts, n);
  g_autoptr(GString) in = make_stream(
      place, escape, (const char *const *)pieces, g_strv_length(pieces));
  Run *run = kit_run_whole(&kit, place_api(place), &plan, in->str);

  if (run->error != NULL)
    g_error("%s: %s", place_names[place], run->error->message);
  return run;
}

/* What the client reads, whatever the place. */
static char *
client_text(Place place, const Run *run)
{
  GString *out;

  if (place == PLACE_CHAT_SECOND) {
    g_auto(GStrv) lines = g_strsplit(run->out->str, "\n", -1);
    g_autoptr(GString) second = g_string_new(NULL);

    for (unsigned i = 0; lines[i] != NULL; i++)
      if (strstr(lines[i], "\"index\":1") != NULL)
        g_string_append_printf(second, "%s\n", lines[i]);
    return kit_text(second, "content");
  }
  if (place != PLACE_RAW)
    return kit_text(run->out, place_member(place));
  out = g_string_new(NULL);
  for (const char *at = run->out->str; (at = strstr(at, "data: ")) != NULL;) {
    at += strlen("data: ");
    g_string_append_len(out, at, (gssize)strcspn(at, "\n"));
  }
  return g_string_free(out, FALSE);
}

typedef struct {
  const char *secret; /* searched for in pieces of 8 bytes */
  const char *text;   /* what is said */
  const char *mask;   /* the mask's beginning */
} Sample;

static const Sample samples[] = {
    {AWS_KEY, "use " AWS_KEY ", ok", "[aws-access-key:"},
    {SLACK_TOKEN, "\xc3\xa4 " SLACK_TOKEN "\nnext", "[slack-bot-token:"},
    {STRIPE_KEY, "(" STRIPE_KEY ")", "[stripe-key:"},
    {"4111 1111 1111 1111", "card 4111 1111 1111 1111 end", "[card-number:"},
    {PEM_BODY, "key:\n" PEM "\nend", "[private-key:"},
};

/* Tool arguments hold the text as a JSON string of their own. */
static char *
text_for(Place place, const Sample *sample)
{
  GString *out;

  if (!place_is_call(place))
    return g_strdup(sample->text);
  out = g_string_new("{\"command\":\"");
  json_escape(out, sample->text, -1);
  g_string_append(out, "\"}");
  return g_string_free(out, FALSE);
}

static void
check_place(Place place, Escape escape, const Sample *sample)
{
  g_autofree char *text = text_for(place, sample);
  const size_t len = strlen(text);
  const bool lines = strchr(text, '\n') != NULL;
  /* Each cut of a long text costs a run. */
  const size_t step = kit_step(len > 80 ? 7 : 1);
  g_autofree size_t *all = g_new(size_t, len + 1);
  g_autofree char *whole = NULL;
  g_autofree char *where =
      g_strdup_printf("%s %d %s", place_names[place], escape, sample->mask);

  if (place == PLACE_RAW && lines)
    return; /* a line of data has no newline */
  for (size_t cut = 0; cut <= len; cut += step) {
    g_autoptr(Run) run = run_cut(place, escape, text, &cut, 1);
    g_autofree char *said = client_text(place, run);

    if (strstr(run->out->str, sample->mask) == NULL)
      g_error("%s cut at %zu: no mask in %s", where, cut, run->out->str);
    assert_no_leak(run->out, sample->secret, where);
    assert_no_leak(run->record, sample->secret, where);
    if (whole == NULL)
      whole = g_steal_pointer(&said);
    else
      g_assert_cmpstr(said, ==, whole);
  }
  for (size_t i = 0; i < len; i++)
    all[i] = i + 1;
  {
    g_autoptr(Run) run = run_cut(place, escape, text, all, (unsigned)len);
    g_autofree char *said = client_text(place, run);

    assert_no_leak(run->out, sample->secret, where);
    assert_no_leak(run->record, sample->secret, where);
    g_assert_cmpstr(said, ==, whole);
  }
}

static void
test_cuts(gconstpointer data)
{
  const Place place = (Place)GPOINTER_TO_INT(data);

  for (unsigned i = 0; i < G_N_ELEMENTS(samples); i++)
    for (unsigned escape = 0; escape < N_ESCAPES; escape++)
      if ((place != PLACE_RAW || escape == ESCAPE_LEAST) &&
          !kit_spares(i + escape + (unsigned)place, G_N_ELEMENTS(samples)))
        check_place(place, (Escape)escape, &samples[i]);
}

/* ---- Chunking ---------------------------------------------------------- */

/* Ids of our own are random. */
static void
level_ids(GString *text)
{
  static const char *const prefixes[] = {"msg_", "resp_", "chatcmpl-", "cmpl-"};

  for (unsigned i = 0; i < G_N_ELEMENTS(prefixes); i++)
    for (char *at = text->str; (at = strstr(at, prefixes[i])) != NULL;) {
      at += strlen(prefixes[i]);
      if (strspn(at, "0123456789abcdef") == 24)
        memset(at, '0', 24);
    }
}

static void
assert_same(const Run *a, const Run *b, const char *where)
{
  level_ids(a->out);
  level_ids(b->out);
  level_ids(a->record);
  level_ids(b->record);
  if (!g_string_equal(a->out, b->out))
    g_error("%s: differs:\n%s\n-- and --\n%s", where, a->out->str, b->out->str);
  g_assert_true(g_string_equal(a->record, b->record));
  g_assert_true(g_string_equal(a->seen, b->seen));
  g_assert_cmpuint(a->findings, ==, b->findings);
  g_assert_cmpint(a->last, ==, b->last);
}

static void
check_chunking(Api api, bool sse, const RunPlan *how, const GString *in)
{
  g_autoptr(Run) whole =
      kit_run(&kit, api, sse, how, in->str, in->len, NULL, 0);
  g_autoptr(Run) bytes =
      kit_run_bytewise(&kit, api, sse, how, in->str, in->len);

  g_assert_no_error(whole->error);
  assert_same(whole, bytes, "bytewise");
  for (size_t cut = 1; cut < in->len;
       cut += kit_step(in->len > 2000 ? 37 : 3)) {
    g_autoptr(Run) two =
        kit_run(&kit, api, sse, how, in->str, in->len, &cut, 1);

    assert_same(whole, two, "two ways");
  }
  for (unsigned round = 0; round < 20; round += (unsigned)kit_step(1)) {
    size_t cuts[64];
    unsigned n = 0;
    size_t at = 0;

    while (n < 64 && at < in->len) {
      at += (size_t)g_test_rand_int_range(1, 60);
      if (at < in->len)
        cuts[n++] = at;
    }
    {
      g_autoptr(Run) random =
          kit_run(&kit, api, sse, how, in->str, in->len, cuts, n);

      assert_same(whole, random, "at random");
    }
  }
}

static void
test_chunking(gconstpointer data)
{
  const Place place = (Place)GPOINTER_TO_INT(data);
  const RunPlan refuse = {
      .action = ACTION_MASK, .hold_tools = true, .refuse = true};
  const RunPlan block = {.action = ACTION_BLOCK, .hold_tools = true};
  const size_t cuts[] = {3, 7, 11, 12, 13, 20, 40};
  g_autofree char *text = text_for(place, &samples[0]);
  g_auto(GStrv) pieces = cut_text(text, cuts, G_N_ELEMENTS(cuts));
  g_autoptr(GString) in = make_stream(
      place, ESCAPE_LEAST, (const char *const *)pieces, g_strv_length(pieces));
  g_autoptr(GString) crlf = g_string_new(NULL);

  check_chunking(place_api(place), true, &plan, in);
  check_chunking(place_api(place), true, &refuse, in);
  check_chunking(place_api(place), true, &block, in);
  /* The same with other ends of lines, a mark at the start, comments. */
  g_string_append(crlf, "\xef\xbb\xbf: hello\r\n\r\n");
  for (const char *p = in->str; *p != '\0'; p++) {
    if (*p == '\n')
      g_string_append(crlf, "\r\n");
    else
      g_string_append_c(crlf, *p);
  }
  check_chunking(place_api(place), true, &plan, crlf);
  for (size_t i = 0; i < in->len; i++)
    if (in->str[i] == '\n')
      in->str[i] = '\r';
  check_chunking(place_api(place), true, &plan, in);
}

/* Plain text, the stream masker itself: the same as the whole text scanned. */
static void
test_text(void)
{
  for (unsigned i = 0; i < G_N_ELEMENTS(samples); i++) {
    g_autoptr(GString) in = g_string_new(samples[i].text);
    g_autoptr(Run) run = NULL;

    check_chunking(API_OTHER, false, &plan, in);
    run = kit_run(&kit, API_OTHER, false, &plan, in->str, in->len, NULL, 0);
    g_assert_nonnull(strstr(run->out->str, samples[i].mask));
    assert_no_leak(run->out, samples[i].secret, samples[i].mask);
  }
}

/* Every example of every rule, as text cut anywhere, gives what a scan of the
 * whole text gives. */
static void
test_rules(void)
{
  g_autoptr(DetectorScratch) scratch = kit_scratch(kit.detector);
  unsigned n;
  g_autoptr(RulePack) pack = kit_pack();
  const DetectorRule *const *rules = rule_pack_rules(pack, &n);

  for (unsigned i = 0; i < n; i++)
    for (unsigned k = 0; rules[i]->examples[k] != NULL; k++) {
      if (kit_spares(i + k, 8))
        continue;
      const char *text = rules[i]->examples[k];
      const size_t len = strlen(text);
      g_autoptr(GBytes) body = g_bytes_new_static(text, len);
      g_autoptr(GError) error = NULL;
      g_autoptr(Inspection) whole = inspection_new(scratch,
                                                   API_OTHER,
                                                   DIRECTION_REQUEST,
                                                   "text/plain",
                                                   body,
                                                   &(InspectLimits){10, 100, 0},
                                                   &error);
      g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(MaskSpan));
      g_autoptr(GBytes) masked = NULL;
      g_autoptr(Run) bytes = NULL;
      unsigned found, fields;
      const Finding *findings;

      g_assert_no_error(error);
      inspection_fields(whole, &fields);
      findings = inspection_findings(whole, &found);
      for (unsigned f = 0; f < found; f++) {
        const MaskSpan span = {
            0, findings[f].start, findings[f].end, findings[f].rule->id};

        g_array_append_val(spans, span);
      }
      masked = inspection_rewrite(whole, kit.masker, "scope", spans, &error);
      g_assert_no_error(error);
      bytes = kit_run_bytewise(&kit, API_OTHER, false, &plan, text, len);
      g_assert_no_error(bytes->error);
      if (fields == 1) { /* else JSON in the text was read beside it */
        g_assert_cmpuint(bytes->findings, ==, found);
        g_assert_cmpmem(bytes->out->str,
                        bytes->out->len,
                        g_bytes_get_data(masked, NULL),
                        g_bytes_get_size(masked));
      }
      for (size_t cut = 1; cut < len; cut += kit_step(len > 200 ? 31 : 1)) {
        g_autoptr(Run) two =
            kit_run(&kit, API_OTHER, false, &plan, text, len, &cut, 1);

        assert_same(bytes, two, rules[i]->id);
      }
    }
}

int
main(int argc, char **argv)
{
  int result;

  g_test_init(&argc, &argv, NULL);
  kit.detector = kit_detector();
  kit.masker = kit_masker();
  for (unsigned i = 0; i < N_PLACES; i++) {
    g_autofree char *cuts =
        g_strconcat("/inspect/property/cuts/", place_names[i], NULL);
    g_autofree char *chunks =
        g_strconcat("/inspect/property/chunking/", place_names[i], NULL);

    g_test_add_data_func(cuts, GINT_TO_POINTER(i), test_cuts);
    g_test_add_data_func(chunks, GINT_TO_POINTER(i), test_chunking);
  }
  g_test_add_func("/inspect/property/text", test_text);
  g_test_add_func("/inspect/property/rules", test_rules);
  result = g_test_run();
  masker_free(kit.masker);
  detector_unref(kit.detector);
  return result;
}
