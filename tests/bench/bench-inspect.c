/* SPDX-License-Identifier: Apache-2.0 */
/* What inspection costs: loading the detector, a 32 KB request, plain text, one
 * delta of each API's stream; and how much of a stream is held. Prints one line
 * a figure; a figure that misses what it must reach makes the exit status 1. */

#define _GNU_SOURCE
#include "inspect/filter.h"
#include "kit/json.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <glib/gstdio.h>
#include <pcre2.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define ROUNDS 5
#define OUT_MAX ((size_t)256 * 1024 * 1024)

static bool missed;

/* Processor time: others work on the machine too. */
static int64_t
cpu_us(void)
{
  struct timespec now;

  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void
figure(const char *name, double value, const char *unit, double must)
{
  const bool good = must <= 0 || value <= must;

  printf("%-44s %10.2f %-10s", name, value, unit);
  if (must > 0)
    printf(" must be <= %g: %s", must, good ? "reached" : "MISSED");
  putchar('\n');
  missed = missed || !good;
}

static int
compare_doubles(const void *a, const void *b)
{
  const double x = *(const double *)a, y = *(const double *)b;

  return x < y ? -1 : x > y;
}

static double
median(double *values, unsigned n)
{
  qsort(values, n, sizeof(double), compare_doubles);
  return values[n / 2];
}

/* ---- Input ------------------------------------------------------------- */

static void
add_file(GString *text, const char *path)
{
  g_autofree char *contents = NULL;
  gsize len;

  if (g_file_get_contents(path, &contents, &len, NULL) &&
      g_utf8_validate(contents, (gssize)len, NULL))
    g_string_append_len(text, contents, (gssize)len);
}

static int
compare_names(const void *a, const void *b)
{
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
add_folder(GString *text, const char *path)
{
  g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL)
    g_ptr_array_add(names, g_build_filename(path, name, NULL));
  g_ptr_array_sort(names, compare_names);
  for (guint i = 0; i < names->len; i++) {
    const char *file = names->pdata[i];

    if (g_str_has_suffix(file, ".c") || g_str_has_suffix(file, ".h") ||
        g_str_has_suffix(file, ".md") || g_str_has_suffix(file, ".5"))
      add_file(text, file);
  }
}

/* Prose and code without secrets: this repository's own. */
static GString *
clean_text(const char *top)
{
  static const char *const folders[] = {
      ".", "man", "agent/kit", "agent/inspect", "agent/http", "policy"};
  GString *text = g_string_new(NULL);

  for (unsigned i = 0; i < G_N_ELEMENTS(folders); i++) {
    g_autofree char *path = g_build_filename(top, folders[i], NULL);

    add_folder(text, path);
  }
  return text;
}

/* ---- Detector ---------------------------------------------------------- */

static Detector *
bench_detector(const char *rules)
{
  g_autofree char *dir = g_dir_make_tmp("bench-inspect-XXXXXX", NULL);
  g_autofree char *file = g_build_filename(dir, "detector.hsdb", NULL);
  double warm[ROUNDS];
  Detector *detector = NULL;
  int64_t start = cpu_us();
  size_t size = 0;

  detector_unref(detector_load(rules, NULL, dir, NULL));
  figure("detector, cold", (double)(cpu_us() - start) / 1e3, "ms", 3000);
  for (unsigned i = 0; i < ROUNDS; i++) {
    detector_unref(detector);
    start = cpu_us();
    detector = detector_load(rules, NULL, dir, NULL);
    warm[i] = (double)(cpu_us() - start) / 1e3;
  }
  figure("detector, warm cache", median(warm, ROUNDS), "ms", 10);
  hs_database_size(detector->database, &size);
  figure("libhs database", (double)size / 1e3, "KB", 0);
  hs_stream_size(detector->database, &size);
  figure("libhs state of one stream", (double)size, "bytes", 8192);
  g_unlink(file);
  g_rmdir(dir);
  return detector;
}

/* ---- Bodies ------------------------------------------------------------ */

/* A chat request of about `size` bytes: a system text, turns, tool results. */
static GString *
chat_body(const GString *text, size_t size)
{
  GString *body = g_string_new("{\"model\":\"gpt-4.1\",\"stream\":true,"
                               "\"messages\":[{\"role\":\"system\","
                               "\"content\":\"You help.\"}");
  static const char *const roles[] = {"user", "assistant", "tool"};
  size_t at = 0;

  for (unsigned i = 0; body->len < size; i++) {
    g_string_append_printf(
        body, ",{\"role\":\"%s\",\"content\":\"", roles[i % 3]);
    json_escape(body, text->str + at, 1500);
    g_string_append(body, "\"}");
    at = (at + 1500) % (text->len - 2000);
    while (((unsigned char)text->str[at] & 0xc0) == 0x80)
      at++;
  }
  g_string_append(body, "]}");
  return body;
}

static void
bench_body(DetectorScratch *scratch, const GString *text)
{
  g_autoptr(GString) body = chat_body(text, 32 * 1024);
  g_autoptr(GBytes) bytes = g_bytes_new_static(body->str, body->len);
  double with[ROUNDS], without[ROUNDS];

  for (unsigned round = 0; round < ROUNDS; round++) {
    const unsigned n = 300;
    int64_t start = cpu_us();

    for (unsigned i = 0; i < n; i++)
      inspection_free(inspection_new(scratch,
                                     API_CHAT,
                                     DIRECTION_REQUEST,
                                     "application/json",
                                     bytes,
                                     NULL,
                                     NULL));
    with[round] = (double)(cpu_us() - start) / n;
    start = cpu_us();
    for (unsigned i = 0; i < n; i++)
      inspection_free(inspection_new(NULL,
                                     API_CHAT,
                                     DIRECTION_REQUEST,
                                     "application/json",
                                     bytes,
                                     NULL,
                                     NULL));
    without[round] = (double)(cpu_us() - start) / n;
  }
  figure(
      "32 KB chat request, read and scanned", median(with, ROUNDS), "us", 250);
  figure("32 KB chat request, read only", median(without, ROUNDS), "us", 0);
}

/* Prose and code in ASCII without escapes: what nothing has to be done to. */
static GString *
ascii_text(const GString *text)
{
  GString *out = g_string_sized_new(text->len);

  for (gsize i = 0; i < text->len; i++)
    if (text->str[i] > 0 && strchr("%\\&", text->str[i]) == NULL)
      g_string_append_c(out, text->str[i]);
  return out;
}

/* The same with words in wide and invisible characters and encodings. */
static GString *
hidden_text(const GString *text)
{
  GString *out = g_string_sized_new(2 * text->len);
  unsigned n = 0;

  for (gsize at = 0; at + 1000 < text->len; at += 1000, n++) {
    g_autofree char *once = g_base64_encode((const guchar *)text->str + at, 90);
    g_autofree char *twice =
        g_base64_encode((const guchar *)once, strlen(once));
    g_autofree char *thrice =
        g_base64_encode((const guchar *)twice, strlen(twice));

    g_string_append_len(out, text->str + at, 1000);
    if (n % 4 == 0)
      g_string_append_printf(out, " %s ", thrice);
    else if (n % 4 == 1)
      g_string_append(out, " \xef\xbc\xb7\xef\xbd\x8f\xef\xbd\x92 %20%3d ");
    else if (n % 4 == 2)
      g_string_append(out,
                      " z\xe2\x80\x8b"
                      "e\xe2\x80\x8bro \\x41\\u0042 ");
    else
      g_string_append_printf(out, " data:%s ", once);
  }
  return out;
}

static double
time_scan(DetectorScratch *scratch, const char *text, size_t len, unsigned *n)
{
  g_autoptr(GArray) findings = g_array_new(FALSE, FALSE, sizeof(Finding));
  double times[ROUNDS];

  for (unsigned round = 0; round < ROUNDS; round++) {
    const unsigned times_over = 40;
    const int64_t start = cpu_us();

    for (unsigned i = 0; i < times_over; i++) {
      g_array_set_size(findings, 0);
      detector_scan(scratch, text, len, findings, NULL);
    }
    times[round] = (double)(cpu_us() - start) / times_over;
  }
  *n = findings->len;
  return median(times, ROUNDS);
}

/* What others do: for each rule its keywords, then its regex over the whole
 * text. */
static double
time_one_by_one(const Detector *detector, const char *text, size_t len)
{
  g_autofree char *lower = g_ascii_strdown(text, (gssize)len);
  pcre2_match_data *data = pcre2_match_data_create(32, NULL);
  double times[ROUNDS];

  for (unsigned round = 0; round < ROUNDS; round++) {
    double sum = 0;

    for (unsigned i = 0; i < detector->rules.n; i++) {
      const DetectorRule *rule = detector->rules.rules[i].rule;
      int code;
      PCRE2_SIZE at;
      pcre2_code *regex = pcre2_compile((PCRE2_SPTR)rule->regex,
                                        PCRE2_ZERO_TERMINATED,
                                        PCRE2_MULTILINE,
                                        &code,
                                        &at,
                                        NULL);
      bool near = rule->keywords == NULL || rule->keywords[0] == NULL;
      int64_t start;

      pcre2_jit_compile(regex, PCRE2_JIT_COMPLETE);
      start = cpu_us();
      for (unsigned k = 0; !near && rule->keywords[k] != NULL; k++)
        near =
            memmem(lower, len, rule->keywords[k], strlen(rule->keywords[k])) !=
            NULL;
      for (size_t from = 0;
           near &&
           pcre2_match(regex, (PCRE2_SPTR)text, len, from, 0, data, NULL) > 0;)
        from = MAX(pcre2_get_ovector_pointer(data)[1], from + 1);
      sum += (double)(cpu_us() - start);
      pcre2_code_free(regex);
    }
    times[round] = sum;
  }
  pcre2_match_data_free(data);
  return median(times, ROUNDS);
}

static void
bench_text(DetectorScratch *scratch, const GString *text)
{
  const size_t len = 100 * 1024;
  g_autoptr(GString) plain = ascii_text(text);
  g_autoptr(GString) hidden = hidden_text(plain);
  g_autoptr(GString) body = chat_body(text, len);
  g_autoptr(GBytes) bytes = g_bytes_new_static(body->str, body->len);
  double ours, theirs;
  unsigned n;
  int64_t start;

  if (plain->len < len || hidden->len < len)
    g_error("there is too little text");
  ours = time_scan(scratch, plain->str, len, &n);
  figure("100 KB of plain text, scanned", ours, "us", 350);
  figure("findings in it", n, "", 0);
  start = cpu_us();
  for (unsigned i = 0; i < 50; i++)
    inspection_free(inspection_new(scratch,
                                   API_CHAT,
                                   DIRECTION_REQUEST,
                                   "application/json",
                                   bytes,
                                   NULL,
                                   NULL));
  figure("100 KB of JSON, decoded and scanned",
         (double)(cpu_us() - start) / 50,
         "us",
         1000);
  figure("100 KB, folded, decoded thrice, scanned",
         time_scan(scratch, hidden->str, len, &n),
         "us",
         2000);
  theirs = time_one_by_one(scratch->detector, plain->str, len);
  figure("100 KB, keywords and regexes one by one", theirs, "us", 0);
  figure("times as long as ours", theirs / ours, "", 0);
}

/* ---- Streams ----------------------------------------------------------- */

static const char *
frame_head(Api api)
{
  switch ((int)api) {
  case API_RESPONSES:
    return "event: response.output_text.delta\ndata: {\"type\":"
           "\"response.output_text.delta\",\"sequence_number\":%u,"
           "\"item_id\":\"msg_1\",\"output_index\":0,\"content_index\":0,"
           "\"delta\":\"";
  case API_MESSAGES:
    return "event: content_block_delta\ndata: {\"type\":"
           "\"content_block_delta\",\"index\":0,\"delta\":{\"type\":"
           "\"text_delta\",\"text\":\"";
  default:
    return "data: {\"id\":\"chatcmpl-123\",\"object\":"
           "\"chat.completion.chunk\",\"created\":1700000000,\"model\":"
           "\"gpt-4.1-2025-04-14\",\"system_fingerprint\":\"fp_44709d6fcb\","
           "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"";
  }
}

static const char *
frame_tail(Api api)
{
  switch ((int)api) {
  case API_RESPONSES:
    return "\"}\n\n";
  case API_MESSAGES:
    return "\"}}\n\n";
  default:
    return "\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";
  }
}

/* The next piece: `size` bytes, or a word with the space before it when 0. */
static size_t
piece_len(const GString *text, size_t at, size_t size)
{
  size_t end = at + MAX(size, 1);

  if (size == 0)
    while (end < text->len && !g_ascii_isspace(text->str[end]))
      end++;
  while (end < text->len && ((unsigned char)text->str[end] & 0xc0) == 0x80)
    end++;
  return MIN(end, text->len) - at;
}

typedef struct {
  ResponseFilter *filter;
  Buf out;
} Stream;

static void
stream_open(Stream *stream, Detector *detector, Masker *masker, Api api)
{
  unsigned n;
  StreamPlan *plan = g_new0(StreamPlan, 1);

  rule_pack_rules(detector_pack(detector), &n);
  plan->n_rules = n;
  plan->by_rule = g_new(Action, n);
  for (unsigned i = 0; i < n; i++)
    plan->by_rule[i] = ACTION_MASK;
  plan->hold_tools = true;
  stream->filter =
      response_filter_new(detector, api, true, plan, masker, "s", NULL);
  stream_plan_free(plan);
  buf_init(&stream->out, OUT_MAX);
}

static void
stream_close(Stream *stream)
{
  response_filter_free(stream->filter);
  buf_clear(&stream->out);
}

static double
bench_delta(Detector *detector,
            Masker *masker,
            const GString *text,
            Api api,
            size_t size,
            const char *name)
{
  const size_t len = MIN(text->len, (size_t)1024 * 1024);
  g_autoptr(GPtrArray) frames =
      g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
  double times[ROUNDS];
  unsigned number = 0;

  for (size_t at = 0; at < len;) {
    const size_t n = piece_len(text, at, size);
    GString *frame = g_string_new(NULL);

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
    g_string_append_printf(frame, frame_head(api), number++);
#pragma GCC diagnostic pop
    json_escape(frame, text->str + at, (gssize)n);
    g_string_append(frame, frame_tail(api));
    g_ptr_array_add(frames, g_string_free_to_bytes(frame));
    at += n;
  }
  for (unsigned round = 0; round < ROUNDS; round++) {
    Stream stream;
    FilterState state;
    int64_t start;

    stream_open(&stream, detector, masker, api);
    start = cpu_us();
    for (guint i = 0; i < frames->len; i++) {
      gsize n;
      const char *bytes = g_bytes_get_data(frames->pdata[i], &n);

      if (!response_filter_feed(
              stream.filter, bytes, n, &stream.out, NULL, &state, NULL))
        g_error("a clean stream was refused");
      buf_consume(&stream.out, stream.out.len);
    }
    times[round] = (double)(cpu_us() - start) / frames->len;
    stream_close(&stream);
  }
  figure(name, median(times, ROUNDS), "us/delta", 0);
  return median(times, ROUNDS);
}

static int
compare_sizes(const void *a, const void *b)
{
  const size_t x = *(const size_t *)a, y = *(const size_t *)b;

  return x < y ? -1 : x > y;
}

/* Bytes of text that wait after each delta. */
static void
bench_held(Detector *detector,
           Masker *masker,
           const GString *text,
           size_t size,
           double must_mean,
           double must_p99)
{
  g_autoptr(GArray) held = g_array_new(FALSE, FALSE, sizeof(size_t));
  g_autofree char *name =
      g_strdup_printf("held, %s deltas:", size == 0 ? "one-word" : "20-byte");
  g_autofree char *mean = g_strconcat(name, " mean", NULL);
  g_autofree char *p50 = g_strconcat(name, " p50", NULL);
  g_autofree char *p99 = g_strconcat(name, " p99", NULL);
  double sum = 0;
  Stream stream;

  stream_open(&stream, detector, masker, API_CHAT);
  for (size_t at = 0; at < text->len;) {
    const size_t n = piece_len(text, at, size);
    g_autoptr(GString) frame = g_string_new(frame_head(API_CHAT));
    const TextField *field;
    FilterState state;
    size_t waits;

    json_escape(frame, text->str + at, (gssize)n);
    g_string_append(frame, frame_tail(API_CHAT));
    at += n;
    if (!response_filter_feed(stream.filter,
                              frame->str,
                              frame->len,
                              &stream.out,
                              NULL,
                              &state,
                              NULL))
      g_error("a clean stream was refused");
    buf_consume(&stream.out, stream.out.len);
    field = ((TextEntry *)stream.filter->texts->pdata[0])->field;
    waits = text_field_end(field) - field->emitted;
    g_array_append_val(held, waits);
    sum += (double)waits;
  }
  stream_close(&stream);
  qsort(held->data, held->len, sizeof(size_t), compare_sizes);
  figure(mean, sum / held->len, "bytes", must_mean);
  figure(p50, (double)g_array_index(held, size_t, held->len / 2), "bytes", 0);
  figure(p99,
         (double)g_array_index(held, size_t, held->len * 99 / 100),
         "bytes",
         must_p99);
}

static void
bench_open(Detector *detector, Masker *masker)
{
  const unsigned n = 500;
  const int64_t start = cpu_us();

  for (unsigned i = 0; i < n; i++) {
    Stream stream;

    stream_open(&stream, detector, masker, API_CHAT);
    stream_close(&stream);
  }
  figure("a filter, made and freed", (double)(cpu_us() - start) / n, "us", 0);
}

int
main(void)
{
  const char *top = g_getenv("HOOP_SRCDIR") ? g_getenv("HOOP_SRCDIR") : ".";
  g_autofree char *dir = g_build_filename(top, "policy", "rules.d", NULL);
  g_autoptr(GError) error = NULL;
  g_autoptr(RulePack) pack = rule_pack_load_dir(dir, &error);
  g_autoptr(Secret) key = secret_new_random(32);
  g_autoptr(Masker) masker = masker_new(key, key);
  g_autoptr(GString) text = clean_text(top);
  g_autoptr(Detector) detector = NULL;
  g_autoptr(DetectorScratch) scratch = NULL;
  static const struct {
    Api api;
    const char *name;
  } apis[] = {{API_CHAT, "20-byte delta, chat"},
              {API_RESPONSES, "20-byte delta, Responses"},
              {API_MESSAGES, "20-byte delta, Messages"}};
  double sum = 0;
  unsigned n;

  if (pack == NULL) {
    fprintf(stderr, "%s\n", error->message);
    return 2;
  }
  rule_pack_rules(pack, &n);
  figure("rules", n, "", 0);
  detector = bench_detector(dir);
  scratch = detector_scratch_new(detector, NULL);
  bench_body(scratch, text);
  bench_text(scratch, text);
  bench_open(detector, masker);
  bench_delta(detector, masker, text, API_CHAT, 0, "one-word delta, chat");
  for (unsigned i = 0; i < G_N_ELEMENTS(apis); i++)
    sum += bench_delta(detector, masker, text, apis[i].api, 20, apis[i].name);
  figure(
      "20-byte delta, on average", sum / G_N_ELEMENTS(apis), "us/delta", 1.0);
  bench_held(detector, masker, text, 20, 8, 64);
  bench_held(detector, masker, text, 0, 8, 64);
  return missed ? 1 : 0;
}
