/* SPDX-License-Identifier: Apache-2.0 */
/* Streamed answers: whatever comes, the output is the same fed whole and fed in
 * pieces, tool calls and ends included. The first bytes choose API and plan. */

#define _GNU_SOURCE
#include "inspect/inspect.h"
#include "tests/fuzz/fail.h"

#include <string.h>

#define OUT_MAX ((size_t)64 * 1024 * 1024)
/* Enough for every state; more only makes a fuzzer slow. */
#define INPUT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char rules[] =
    "version: 1\n"
    "rules:\n"
    "  - {id: key, class: secret, regex: '\\bAKIA[A-Z0-9]{16}\\b'}\n"
    "  - {id: word, class: secret, regex: 'sec[a-z]{3,20}'}\n"
    "  - {id: card, class: card, check: luhn,\n"
    "     regex: '[0-9]{4}(?: ?[0-9]{4}){3}'}\n"
    "  - {id: quoted, class: secret, kind: quoted,\n"
    "     regex: 'pw=\"(?<secret>[^\"\\n]{3,60})\"'}\n"
    "  - {id: block, class: secret, kind: block,\n"
    "     regex: 'BEGIN(?<secret>[a-z\\s]{4,99})END'}\n";

typedef struct {
  Detector *detector;
  Masker *masker;
} Fixture;

static Fixture *
fixture(void)
{
  static Fixture made;

  if (made.detector == NULL) {
    g_autoptr(GError) error = NULL;
    g_autoptr(RulePack) pack =
        rule_pack_parse("fuzz", rules, strlen(rules), &error);
    g_autoptr(Secret) key = secret_new("key", 3);

    if (pack == NULL)
      fail("%s", error->message);
    made.detector = detector_new(pack, NULL, &error);
    if (made.detector == NULL)
      fail("%s", error->message);
    made.masker = masker_new(key, key);
  }
  return &made;
}

typedef struct {
  GString *out, *record;
  unsigned calls;
  bool failed;
  FilterState state;
} Result;

typedef struct {
  Api api;
  bool sse, cut, hold, refuse;
  Restore restore;
  Action actions[5];
  char *fields[2];
} Setup;

static Setup
read_setup(const uint8_t *data)
{
  static const Api apis[] = {API_CHAT,
                             API_COMPLETIONS,
                             API_RESPONSES,
                             API_MESSAGES,
                             API_OTHER,
                             API_MCP};
  Setup setup = {.api = apis[data[0] % G_N_ELEMENTS(apis)],
                 .sse = (data[0] & 0x40) == 0,
                 .cut = (data[0] & 0x80) != 0,
                 .hold = (data[1] & 1) != 0,
                 .refuse = (data[1] & 2) != 0,
                 .restore = (Restore)((data[1] >> 2) % 3),
                 .fields = {(data[1] & 0x80) ? (char *)"secret" : NULL, NULL}};

  for (unsigned i = 0; i < 5; i++)
    setup.actions[i] =
        (data[1] >> (i % 4 + 3) & 1) ? ACTION_ALLOW : ACTION_MASK;
  if ((data[1] & 0x40) != 0)
    setup.actions[1] = ACTION_BLOCK;
  return setup;
}

static bool
step(ResponseFilter *filter,
     const Setup *setup,
     const char *bytes,
     size_t len,
     bool last,
     Buf *out,
     Buf *record,
     Result *result)
{
  bool good = last ? response_filter_finish(
                         filter, setup->cut, out, record, &result->state, NULL)
                   : response_filter_feed(
                         filter, bytes, len, out, record, &result->state, NULL);

  while (good && result->state == FILTER_TOOL_CALL) {
    if (response_filter_tool_call(filter) == NULL)
      fail("no call waits");
    good = response_filter_resolve(
        filter,
        setup->refuse && result->calls++ % 2 == 0 ? TOOL_REFUSE : TOOL_RELEASE,
        "refused",
        out,
        record,
        &result->state,
        NULL);
  }
  result->failed = !good;
  return good && result->state == FILTER_MORE;
}

/* `pieces`: 0 whole, else a seed for the lengths. */
static Result
run(const Setup *setup, const char *bytes, size_t len, unsigned pieces)
{
  Fixture *f = fixture();
  const StreamPlan plan = {.by_rule = (Action *)setup->actions,
                           .n_rules = 5,
                           .mask_fields = (char **)setup->fields,
                           .hold_tools = setup->hold,
                           .restore = setup->restore};
  g_autoptr(ResponseFilter) filter = response_filter_new(
      f->detector, setup->api, setup->sse, &plan, f->masker, "scope", NULL);
  Result result = {0};
  g_auto(Buf) out = {0};
  g_auto(Buf) record = {0};
  bool more = true;

  buf_init(&out, OUT_MAX);
  buf_init(&record, OUT_MAX);
  for (size_t at = 0; more && at < len;) {
    const size_t n = pieces == 0 ? len : 1 + (pieces = pieces * 31 + 7) % 11;
    const size_t piece = MIN(n, len - at);

    more =
        step(filter, setup, bytes + at, piece, false, &out, &record, &result);
    at += piece;
  }
  if (more)
    step(filter, setup, NULL, 0, true, &out, &record, &result);
  if (!result.failed && result.state == FILTER_FINAL)
    response_filter_release(filter, &out, &record);
  result.out = g_string_new_len((const char *)buf_bytes(&out), (gssize)out.len);
  result.record =
      g_string_new_len((const char *)buf_bytes(&record), (gssize)record.len);
  if (result.failed || result.state == FILTER_BLOCKED)
    response_filter_end_with_message(filter, "m", "message", &out, &record);
  return result;
}

/* Where `what` stands in the rest of a text that may hold NULs, or NULL; a
 * pointer behind it. */
static char *
find_behind(const GString *text, const char *from, const char *what)
{
  const size_t left = text->len - (size_t)(from - text->str);
  char *at = memmem(from, left, what, strlen(what));

  return at != NULL ? at + strlen(what) : NULL;
}

/* Ids of our own are random, and the time of day stands in our events when the
 * answer told none. */
static void
level(GString *text)
{
  static const char *const prefixes[] = {"msg_", "resp_", "chatcmpl-", "cmpl-"};
  static const char *const times[] = {"\"created\":", "\"created_at\":"};

  for (unsigned i = 0; i < G_N_ELEMENTS(prefixes); i++)
    for (char *at = text->str;
         (at = find_behind(text, at, prefixes[i])) != NULL;)
      if (strspn(at, "0123456789abcdef") >= 24)
        memset(at, '0', 24);
  for (unsigned i = 0; i < G_N_ELEMENTS(times); i++)
    for (char *at = text->str; (at = find_behind(text, at, times[i])) != NULL;)
      memset(at, '0', strspn(at, "0123456789"));
}

static void
compare(const Result *a, const Result *b)
{
  GString *const texts[] = {a->out, a->record, b->out, b->record};

  for (unsigned i = 0; i < 4; i++)
    level(texts[i]);
  if (a->failed != b->failed || (!a->failed && a->state != b->state) ||
      a->calls != b->calls || !g_string_equal(a->out, b->out) ||
      !g_string_equal(a->record, b->record)) {
    fprintf(stderr, "%s\n-- and --\n%s\n", a->out->str, b->out->str);
    fail("the output depends on how the input is cut");
  }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  Setup setup;
  Result whole;

  if (size < 2 || size > INPUT_MAX)
    return 0;
  setup = read_setup(data);
  whole = run(&setup, (const char *)data + 2, size - 2, 0);
  for (unsigned seed = 1; seed < 3; seed++) {
    Result other = run(&setup, (const char *)data + 2, size - 2, seed);

    compare(&whole, &other);
    g_string_free(other.out, TRUE);
    g_string_free(other.record, TRUE);
  }
  g_string_free(whole.out, TRUE);
  g_string_free(whole.record, TRUE);
  return 0;
}
