/* SPDX-License-Identifier: Apache-2.0 */
/* Every rule's examples in every disguise, in every place of every API, in
 * requests and in streams cut at every byte: no piece of a secret comes out. */

#define _GNU_SOURCE
#include "disguise-kit.h"
#include "stream-kit.h"
#include "stream-make.h"

/* Content blocks of an answer. */
#define PIECES_MAX 200

static StreamKit kit;
static RulePack *pack;
static DetectorScratch *scratch;
static const RunPlan plan = {.action = ACTION_MASK, .hold_tools = true};

/* A text with a secret, as a client or a model would say it. */
typedef struct {
  const DetectorRule *rule;
  Disguise how;
  char *text;
  GPtrArray *pieces; /* of the secret, none of which may come out */
} Hidden;

static void
hidden_clear(Hidden *hidden)
{
  g_free(hidden->text);
  g_clear_pointer(&hidden->pieces, g_ptr_array_unref);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Hidden, hidden_clear)

/* What a rule finds in its own example. */
static bool
find_secret(const DetectorRule *rule,
            const char *text,
            size_t *start,
            size_t *end)
{
  g_autoptr(GArray) findings = g_array_new(FALSE, FALSE, sizeof(Finding));
  g_autoptr(GError) error = NULL;

  detector_scan(scratch, text, strlen(text), findings, &error);
  g_assert_no_error(error);
  for (guint i = 0; i < findings->len; i++) {
    const Finding *at = &g_array_index(findings, Finding, i);

    if (at->rule != rule && strcmp(at->rule->class_name, rule->class_name) != 0)
      continue;
    *start = at->start;
    *end = at->end;
    return true;
  }
  return false;
}

/* What stands there twice cannot be told from what may. */
static void
drop_doubles(Hidden *hidden)
{
  for (guint i = hidden->pieces->len; i-- > 0;) {
    const char *piece = hidden->pieces->pdata[i];
    const char *at = strstr(hidden->text, piece);

    if (at != NULL && strstr(at + 1, piece) != NULL)
      g_ptr_array_remove_index(hidden->pieces, i);
  }
}

/* False: the example cannot be said so, or says its secret twice. */
static bool
hide(const DetectorRule *rule,
     const char *example,
     Disguise how,
     Hidden *hidden)
{
  size_t start, end;

  *hidden = (Hidden){rule, how, NULL, NULL};
  if (!find_secret(rule, example, &start, &end) ||
      !g_utf8_validate(example, -1, NULL) ||
      (how == AS_BASE64_WIDE && !g_str_is_ascii(example)))
    return false;
  hidden->text = disguise_text(how, example);
  hidden->pieces = disguise_pieces(how, example, start, end, rule->id);
  drop_doubles(hidden);
  return hidden->pieces->len > 0;
}

static const char *
leaked(const Hidden *hidden, const char *bytes, size_t len)
{
  for (guint i = 0; i < hidden->pieces->len; i++) {
    const char *piece = hidden->pieces->pdata[i];

    if (memmem(bytes, len, piece, strlen(piece)) != NULL)
      return piece;
  }
  return NULL;
}

/* ---- Whole texts ------------------------------------------------------- */

static GBytes *
mask_request(Api api, const char *body, size_t len, GError **error)
{
  g_autoptr(GBytes) bytes = g_bytes_new(body, len);
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(MaskSpan));
  g_autoptr(Inspection) inspection =
      inspection_new(scratch,
                     api,
                     DIRECTION_REQUEST,
                     api == API_OTHER ? "text/plain" : "application/json",
                     bytes,
                     NULL,
                     error);
  const Finding *findings;
  unsigned n;

  if (inspection == NULL)
    return NULL;
  findings = inspection_findings(inspection, &n);
  for (unsigned i = 0; i < n; i++) {
    const MaskSpan span = {findings[i].field,
                           findings[i].start,
                           findings[i].end,
                           findings[i].rule->id,
                           RESTORE_NONE};

    g_array_append_val(spans, span);
  }
  return inspection_rewrite(inspection, kit.masker, "scope", spans, error);
}

static void
check_whole(const Hidden *hidden)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) masked =
      mask_request(API_OTHER, hidden->text, strlen(hidden->text), &error);
  const char *piece;

  g_assert_no_error(error);
  piece =
      leaked(hidden, g_bytes_get_data(masked, NULL), g_bytes_get_size(masked));
  if (piece != NULL)
    g_error("%s as %s: %s of\n%s\n-->\n%.*s",
            hidden->rule->id,
            disguise_names[hidden->how],
            piece,
            hidden->text,
            (int)g_bytes_get_size(masked),
            (const char *)g_bytes_get_data(masked, NULL));
}

/* ---- Bodies ------------------------------------------------------------ */

static const struct {
  Api api;
  const char *before, *after;
} bodies[] = {
    {API_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"", "\"}]}"},
    {API_CHAT,
     "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
     "\"text\":\"",
     "\"}]}]}"},
    {API_CHAT,
     "{\"messages\":[{\"role\":\"tool\",\"tool_call_id\":\"c\",\"content\":\"",
     "\"}]}"},
    {API_COMPLETIONS, "{\"prompt\":\"", "\",\"suffix\":\"\"}"},
    {API_COMPLETIONS, "{\"prompt\":\"a\",\"suffix\":\"", "\"}"},
    {API_RESPONSES, "{\"input\":\"", "\"}"},
    {API_RESPONSES,
     "{\"input\":[{\"type\":\"function_call_output\",\"call_id\":\"c\","
     "\"output\":\"",
     "\"}]}"},
    {API_RESPONSES, "{\"instructions\":\"", "\",\"input\":\"a\"}"},
    {API_MESSAGES, "{\"system\":\"", "\",\"messages\":[]}"},
    {API_MESSAGES,
     "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
     "\"tool_result\",\"tool_use_id\":\"t\",\"content\":\"",
     "\"}]}]}"},
    {API_EMBEDDINGS, "{\"input\":[\"", "\"]}"},
    {API_MCP,
     "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":"
     "{\"name\":\"t\",\"arguments\":{\"a\":\"",
     "\"}}}"},
};

/* All of its strings, decoded. */
static char *
strings_of(const char *json, size_t len)
{
  GString *out = g_string_new(NULL);
  JsonReader reader;
  JsonToken token;

  json_reader_init(&reader, json, len);
  do {
    g_autoptr(GError) error = NULL;

    if (!json_next(&reader, &token, &error))
      break;
    if (token.type == JSON_STRING || token.type == JSON_KEY) {
      json_unescape(json, &token, out);
      g_string_append_c(out, '\1');
    }
  } while (token.type != JSON_END);
  return g_string_free(out, FALSE);
}

static void
check_body(const Hidden *hidden, unsigned shape)
{
  g_autoptr(GString) body = g_string_new(bodies[shape].before);
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) masked = NULL;
  g_autofree char *strings = NULL;

  json_escape(body, hidden->text, -1);
  g_string_append(body, bodies[shape].after);
  masked = mask_request(bodies[shape].api, body->str, body->len, &error);
  g_assert_no_error(error);
  strings =
      strings_of(g_bytes_get_data(masked, NULL), g_bytes_get_size(masked));
  if (leaked(hidden, strings, strlen(strings)) != NULL)
    g_error("%s as %s in body %u:\n%s\n-->\n%s",
            hidden->rule->id,
            disguise_names[hidden->how],
            shape,
            body->str,
            strings);
}

/* ---- Streams ----------------------------------------------------------- */

static char *
said_in(Place place, const char *text)
{
  GString *out;

  if (!place_is_call(place))
    return g_strdup(text);
  out = g_string_new("{\"command\":\"");
  json_escape(out, text, -1);
  g_string_append(out, "\"}");
  return g_string_free(out, FALSE);
}

/* A piece that is seen in the text that a client would join, or in the strings
 * of a call's arguments; *seen is that text. */
static const char *
leaked_in(const Hidden *hidden,
          const GString *stream,
          Place place,
          const char *member,
          char **seen)
{
  g_autofree char *joined = NULL;
  const char *piece;

  if (place == PLACE_RAW) {
    g_auto(GStrv) events = g_strsplit(stream->str, "\n\ndata: ", -1);

    joined = g_strjoinv("", events);
  } else {
    joined = kit_text(stream, member);
  }
  piece = leaked(hidden, joined, strlen(joined));
  if (piece == NULL && place_is_call(place)) {
    g_autofree char *inner = strings_of(joined, strlen(joined));

    piece = leaked(hidden, inner, strlen(inner));
  }
  *seen = piece != NULL ? g_steal_pointer(&joined) : NULL;
  return piece;
}

static void
assert_hidden(const Hidden *hidden,
              const GString *stream,
              Place place,
              const char *what)
{
  static const char *const members[] = {"content",
                                        "reasoning_content",
                                        "arguments",
                                        "text",
                                        "delta",
                                        "thinking",
                                        "partial_json"};
  g_autofree char *seen = NULL;
  const char *piece = leaked(hidden, stream->str, stream->len);

  for (unsigned i = 0; piece == NULL && i < G_N_ELEMENTS(members); i++)
    piece = leaked_in(hidden, stream, place, members[i], &seen);
  if (piece == NULL)
    return;
  g_test_message("%s as %s in %s, %s: %s of\n%s\n-->\n%s",
                 hidden->rule->id,
                 disguise_names[hidden->how],
                 place_names[place],
                 what,
                 piece,
                 hidden->text,
                 seen != NULL ? seen : stream->str);
  g_test_fail();
}

static void
check_stream(const Hidden *hidden,
             Place place,
             const char *text,
             const size_t *cuts,
             unsigned n)
{
  g_auto(GStrv) pieces = cut_text(text, cuts, n);
  g_autoptr(GString) in = make_stream(
      place, ESCAPE_LEAST, (const char *const *)pieces, g_strv_length(pieces));
  g_autoptr(Run) run = kit_run_whole(&kit, place_api(place), &plan, in->str);

  if (run->error != NULL)
    g_error("%s as %s in %s: %s",
            hidden->rule->id,
            disguise_names[hidden->how],
            place_names[place],
            run->error->message);
  assert_hidden(hidden, run->out, place, "to the client");
  assert_hidden(hidden, run->record, place, "to the journal");
}

/* One byte at a time, and in two pieces: at `n` places, or at each. */
static void
check_cuts(const Hidden *hidden, Place place, unsigned n)
{
  g_autofree char *text = said_in(place, hidden->text);
  const size_t len = strlen(text);
  g_autofree size_t *all = NULL;

  /* Data that is not JSON has no ends of lines in it. */
  if (place == PLACE_RAW && strpbrk(text, "\r\n") != NULL)
    return;
  all = g_new(size_t, len);
  for (size_t i = 0; i < len; i++)
    all[i] = i + 1;
  /* Where each piece is a text of its own there may not be so many. */
  if (len < PIECES_MAX ||
      (place != PLACE_RESPONSES_PARTS && place != PLACE_MESSAGES_BLOCKS))
    check_stream(hidden, place, text, all, (unsigned)len);
  for (size_t i = 0; i < MIN(n, len); i++) {
    const size_t cut = n >= len ? i : (i + 1) * len / (n + 1);

    check_stream(hidden, place, text, &cut, 1);
  }
}

/* ---- All of it --------------------------------------------------------- */

/* Goes over examples and disguises; every so many-th one. */
static void
each_hidden(unsigned step, void (*check)(const Hidden *, unsigned round))
{
  const DetectorRule *const *rules;
  unsigned n, round = 0;

  rules = rule_pack_rules(pack, &n);
  for (unsigned i = 0; i < n; i++)
    for (unsigned k = 0; rules[i]->examples[k] != NULL; k++)
      for (unsigned how = 0; how < N_DISGUISES; how++) {
        g_auto(Hidden) hidden = {0};

        if (round++ % step == 0 &&
            hide(rules[i], rules[i]->examples[k], (Disguise)how, &hidden))
          check(&hidden, round / step);
      }
}

static void
whole(const Hidden *hidden, unsigned round)
{
  const unsigned shapes = g_test_thorough() ? G_N_ELEMENTS(bodies) : 1;

  check_whole(hidden);
  for (unsigned i = 0; i < shapes; i++)
    check_body(hidden, (round + i) % G_N_ELEMENTS(bodies));
}

static void
test_whole(void)
{
  /* No factor in common with the number of disguises: each run has all. */
  each_hidden(g_test_thorough() ? 1 : 11 * (unsigned)kit_step(1), whole);
}

static void
streams(const Hidden *hidden, unsigned round)
{
  const unsigned places = g_test_thorough() ? N_PLACES : 1;

  for (unsigned i = 0; i < places; i++)
    check_cuts(hidden,
               (Place)((round + i) % N_PLACES),
               !g_test_thorough() ? 2
               : i == 0           ? UINT_MAX
                                  : 1);
}

static void
test_streams(void)
{
  /* No factor in common with the number of disguises: each run has all. */
  each_hidden(g_test_thorough() ? 1 : 101 * (unsigned)kit_step(1), streams);
}

int
main(int argc, char **argv)
{
  int result;

  g_test_init(&argc, &argv, NULL);
  kit.detector = kit_detector();
  kit.masker = kit_masker();
  scratch = kit_scratch(kit.detector);
  pack = kit_pack();
  g_test_add_func("/inspect/matrix/whole", test_whole);
  g_test_add_func("/inspect/matrix/streams", test_streams);
  result = g_test_run();
  rule_pack_unref(pack);
  detector_scratch_free(scratch);
  masker_free(kit.masker);
  detector_unref(kit.detector);
  return result;
}
