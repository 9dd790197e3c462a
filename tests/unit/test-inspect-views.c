/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets in other characters and encodings: found in whole texts, in bodies
 * and in streams alike, masked where they stand. */

#define _GNU_SOURCE
#include "stream-kit.h"

#include "inspect/views.h"

static StreamKit kit;

/* ---- Folding ----------------------------------------------------------- */

typedef struct {
  const char *text, *folded;
} Fold;

static const Fold folds[] = {
    {"plain \xc3\xa4 text, 100% & more\\n",
     "plain \xc3\xa4 text, 100% & more\\n"},
    {"a\xe2\x80\x8b"
     "b\xc2\xad"
     "c\xef\xbb\xbf"
     "d\xef\xb8\x8f"
     "e\xe1\xa0\x8e"
     "f",
     "abcdef"},
    {"a\xf3\xa0\x81\x81"
     "b\xe2\x81\xa0"
     "c",
     "abc"},
    {"\xef\xbc\xa1\xef\xbc\xab\xef\xbc\xa9\xef\xbc\xa1\xef\xbc\x8d\xef\xbd\x9e",
     "AKIA-~"},
    {"\xf0\x9d\x90\x80\xf0\x9d\x9f\x98\xf0\x9d\x9a\xa3", "A0z"},
    {"\xed\xa0\xb5\xed\xb0\x80|", "A|"}, /* a pair of halves */
    {"\xed\xa0\xb5|", "\xed\xa0\xb5|"},
    {"\xe2\x84\x82\xc2\xb2\xe2\x91\xa2\xef\xac\x81", "C23fi"},
    {"\xc2\xa0\xe3\x80\x80x\xe2\x80\xa6", "  x\xe2\x80\xa6"},
    {"%41%4b%20%0a%zz%4", "AK \n%zz%4"},
    {"%00%7f%c3%a4", "%00%7f\xc3\xa4"},
    {"\\x41\\\\x4B\\u0049\\\\\\\\u0041", "AKIA"},
    {"\\ud835\\udc00 \\ud835x \\x4", "\xf0\x9d\x90\x80 \\ud835x \\x4"},
    /* Short escapes: quotes and slashes at once, ends of lines before a word or
     * the end of a string in JSON; then all. */
    {"a%s\\n\\t\\'c\\d: \\\\n \\r\\n", "a%s\\n\\t\\'c\\d: \\\\n \\r\\n"},
    {"(\"%d\\n\", x); [^\\n]", "(\"%d\\n\", x); [^\\n]"},
    {"\\bword\\b \\bforbidden_", "\\bword\\b \nforbidden_"},
    {"a\\nb\\t\\'c", "a\nb\t'c"},
    {"\"a: b\\n\" }", "\"a: b\n\" }"},
    {"\"a: b\\n\",\n \"c\"", "\"a: b\n\",\n \"c\""},
    {"\\n{\\\"a\\\":\\n\\'b\\d\\\\\\\\t", "\n{\"a\":\n'b\\d\t"},
    {"http:\\/\\/x\\r\\n", "http://x\r\n"},
    {"\\naddress-of_9\\n", "\naddress-of_9\n"},
    {"\\nshort\\n  data: x\\n", "\nshort\n  data: x\n"},
    {"\\nUsage\\n a b: c", "\nUsage\n a b: c"},
    /* Up to sixteen backslashes, the last ones of more. */
    {"\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\"", "\""},
    {"\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\"", "\\\""},
};

/* Cut into pieces as a stream does, each with what the last one left. */
static GString *
fold_in_pieces(const char *text, size_t piece, GArray *steps)
{
  const size_t len = strlen(text);
  GString *out = g_string_new(NULL);
  size_t done = 0, near = 0;

  for (size_t end = piece; done < len || end < len + piece; end += piece) {
    const size_t stop = MIN(end, len);

    done += fold_append(text + done,
                        stop - done,
                        stop == len,
                        done,
                        out->len,
                        &near,
                        out,
                        steps);
    if (stop == len)
      break;
  }
  g_assert_cmpuint(done, ==, len);
  return out;
}

static void
test_folds(void)
{
  for (unsigned i = 0; i < G_N_ELEMENTS(folds); i++) {
    const char *text = folds[i].text;
    const size_t len = strlen(text);
    const bool same = strcmp(text, folds[i].folded) == 0;

    g_assert_cmpuint(fold_find(text, len, true, NULL) == len, ==, same);
    for (size_t piece = 1; piece <= len; piece++) {
      g_autoptr(GArray) steps = g_array_new(FALSE, FALSE, sizeof(FoldStep));
      g_autoptr(GString) out = fold_in_pieces(text, piece, steps);

      g_assert_cmpstr(out->str, ==, folds[i].folded);
      g_assert_cmpuint(fold_start(steps, 0), <=, len);
      g_assert_cmpuint(fold_start(steps, out->len), ==, len);
    }
  }
}

/* Every folded byte leads back to its character. */
static void
test_fold_map(void)
{
  const char *text =
      "x\xef\xbc\xa1\xef\xbc\xab\xe2\x80\x8b\xe2\x80\x8bI%41y\xc2\xad";
  g_autoptr(GArray) steps = g_array_new(FALSE, FALSE, sizeof(FoldStep));
  g_autoptr(GString) out = fold_in_pieces(text, 1, steps);
  static const size_t starts[] = {0, 1, 4, 13, 14, 17};
  static const size_t ends[] = {1, 4, 7, 14, 17, 18};

  g_assert_cmpstr(out->str, ==, "xAKIAy");
  for (unsigned i = 0; i < 6; i++) {
    g_assert_cmpuint(fold_start(steps, i), ==, starts[i]);
    g_assert_cmpuint(fold_end(steps, i + 1), ==, ends[i]);
  }
}

/* ---- Secrets ----------------------------------------------------------- */

static void
add_wide(GString *out, const char *text)
{
  for (; *text != '\0'; text++)
    g_string_append_unichar(out, (gunichar)(uint8_t)*text + 0xfee0);
}

static void
add_bold(GString *out, const char *text)
{
  for (; *text != '\0'; text++)
    g_string_append_unichar(
        out,
        g_ascii_isupper(*text)   ? 0x1d400 + (gunichar)(*text - 'A')
        : g_ascii_isdigit(*text) ? 0x1d7ce + (gunichar)(*text - '0')
                                 : (gunichar)(uint8_t)*text);
}

static void
add_between(GString *out, const char *text, const char *between)
{
  for (; *text != '\0'; text++) {
    g_string_append_c(out, *text);
    if (text[1] != '\0')
      g_string_append(out, between);
  }
}

static void
add_format(GString *out,
           const char *text,
           const char *before,
           const char *after)
{
  for (; *text != '\0'; text++)
    g_string_append_printf(out, "%s%02x%s", before, (uint8_t)*text, after);
}

static void
add_base64(GString *out, const char *text, size_t len, bool url, bool pad)
{
  g_autofree char *code = g_base64_encode((const guchar *)text, len);

  for (char *at = code; *at != '\0'; at++) {
    if (url && *at == '+')
      *at = '-';
    if (url && *at == '/')
      *at = '_';
    if (!pad && *at == '=')
      *at = '\0';
  }
  g_string_append(out, code);
}

static void
add_wrapped(GString *out, const char *text, unsigned width, const char *end)
{
  g_autofree char *code = g_base64_encode((const guchar *)text, strlen(text));

  for (size_t i = 0; code[i] != '\0'; i++) {
    if (i > 0 && i % width == 0)
      g_string_append(out, end);
    g_string_append_c(out, code[i]);
  }
}

#define N_FORMS 19

/* The secret in one form; `part` is a piece that must not be seen, or NULL. */
static void
add_form(GString *out, unsigned form, const char *secret)
{
  g_autofree char *said = g_strdup_printf("my key is %s, yes", secret);
  g_autofree char *lines = g_strdup_printf(
      "It is written here, long before what matters, in many words.\n"
      "The key: %s\nAnd it goes on and on after that, so there are lines.",
      secret);
  g_autoptr(GString) inner = g_string_new(NULL);

  switch (form) {
  case 0:
    add_wide(out, secret);
    return;
  case 1:
    add_bold(out, secret);
    return;
  case 2:
    add_between(out, secret, "\xe2\x80\x8b");
    return;
  case 3:
    add_between(out, secret, "\xf3\xa0\x81\xa1\xef\xb8\x8f");
    return;
  case 4:
    add_format(out, secret, "%", "");
    return;
  case 5:
    add_format(out, secret, "\\x", "");
    return;
  case 6:
    add_format(out, secret, "&#x", ";");
    return;
  case 7:
    add_format(out, secret, "\\u00", "");
    return;
  case 8:
    add_base64(out, secret, strlen(secret), false, true);
    return;
  case 9:
    add_base64(out, said, strlen(said), true, false);
    return;
  case 10:
    add_wrapped(out, lines, 76, "\r\n");
    return;
  case 11:
    add_wrapped(out, lines, 64, "\n    ");
    return;
  case 12:
    add_format(out, secret, "", "");
    return;
  case 13:
    g_string_append(out, "0x");
    add_format(out, said, "", "");
    return;
  case 14:
    g_string_append(out, "data/path/of_");
    add_base64(out, said, strlen(said), false, true);
    return;
  case 15: /* twice */
    add_base64(inner, said, strlen(said), false, true);
    add_base64(out, inner->str, inner->len, false, true);
    return;
  case 16: /* thrice */
    add_base64(inner, said, strlen(said), false, true);
    add_format(out, inner->str, "%25", "");
    return;
  case 17:
    add_wide(inner, secret);
    add_base64(out, inner->str, inner->len, false, false);
    return;
  default:
    add_base64(inner, said, strlen(said), false, false);
    add_between(out, inner->str, "\xe2\x80\x8d");
    return;
  }
}

static const struct {
  const char *secret, *mask;
} secrets[] = {{AWS_KEY, "[aws-access-key:"},
               {SLACK_TOKEN, "[slack-bot-token:"},
               {STRIPE_KEY, "[stripe-key:"}};

static const RunPlan plan = {.action = ACTION_MASK, .hold_tools = true};

static GString *
mask_whole(DetectorScratch *scratch, const char *text, size_t len)
{
  g_autoptr(GBytes) body = g_bytes_new_static(text, len);
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(MaskSpan));
  g_autoptr(GError) error = NULL;
  g_autoptr(Inspection) whole = inspection_new(scratch,
                                               API_OTHER,
                                               DIRECTION_REQUEST,
                                               "text/plain",
                                               body,
                                               &(InspectLimits){10, 10000, 0},
                                               &error);
  g_autoptr(GBytes) masked = NULL;
  const Finding *findings;
  unsigned n;

  g_assert_no_error(error);
  findings = inspection_findings(whole, &n);
  for (unsigned i = 0; i < n; i++) {
    const MaskSpan span = {
        0, findings[i].start, findings[i].end, findings[i].rule->id};

    g_assert_cmpuint(span.start, <, span.end);
    g_assert_cmpuint(span.end, <=, len);
    g_array_append_val(spans, span);
  }
  masked = inspection_rewrite(whole, kit.masker, "scope", spans, &error);
  g_assert_no_error(error);
  return g_string_new_len(g_bytes_get_data(masked, NULL),
                          (gssize)g_bytes_get_size(masked));
}

/* As a stream that comes in one piece. */
static GString *
mask_as_stream(const GString *text)
{
  g_autoptr(Run) run =
      kit_run(&kit, API_OTHER, false, &plan, text->str, text->len, NULL, 0);

  g_assert_no_error(run->error);
  return g_string_new_len(run->out->str, (gssize)run->out->len);
}

static void
assert_stream(const GString *whole,
              const GString *text,
              const size_t *cuts,
              size_t n_cuts)
{
  g_autoptr(Run) run = kit_run(
      &kit, API_OTHER, false, &plan, text->str, text->len, cuts, n_cuts);

  g_assert_no_error(run->error);
  if (!g_string_equal(run->out, whole))
    g_error("%s: the stream gives\n%s\nthe whole text\n%s",
            text->str,
            run->out->str,
            whole->str);
}

static void
assert_streams(const GString *whole, const GString *text)
{
  g_autofree size_t *all = g_new(size_t, text->len + 1);

  for (size_t i = 0; i < text->len; i++)
    all[i] = i + 1;
  assert_stream(whole, text, all, text->len);
  for (size_t cut = 1; cut<text->len; cut += text->len> 400 ? 7 : 1)
    assert_stream(whole, text, &cut, 1);
}

static void
test_forms(void)
{
  g_autoptr(DetectorScratch) scratch = kit_scratch(kit.detector);
  static const char *const around[][2] = {
      {"use ", " now"}, {"\"", "\""}, {"x = (", ")\n"}, {"", ""}};

  for (unsigned form = 0; form < N_FORMS; form++)
    for (unsigned i = 0; i < G_N_ELEMENTS(secrets); i++)
      for (unsigned k = 0; k < G_N_ELEMENTS(around); k++) {
        g_autoptr(GString) hidden = g_string_new(NULL);
        g_autoptr(GString) text = g_string_new(around[k][0]);
        g_autoptr(GString) whole = NULL;

        add_form(hidden, form, secrets[i].secret);
        g_string_append(text, hidden->str);
        g_string_append(text, around[k][1]);
        whole = mask_whole(scratch, text->str, text->len);
        if (strstr(whole->str, secrets[i].mask) == NULL)
          g_error("form %u: no mask: %s → %s", form, text->str, whole->str);
        g_assert_true(g_str_has_prefix(whole->str, around[k][0]));
        g_assert_true(g_str_has_suffix(whole->str, around[k][1]));
        assert_streams(whole, text);
      }
}

/* A PEM key in lines of base64 whose ends are still escapes, as in a service
 * account's JSON or in an .env value: masked to its last line, cut anywhere. */
static void
test_escaped_lines(void)
{
  static const char *const ends[] = {
      "\\n", "\\r\\n", "\\\\n", "\\\\r\\\\n", "\\n  "};
  static const char *const around[][2] = {
      {"{\"data\":\"", "\"}"}, {"KEY=", " "}, {"", ""}, {"", "\\n"}};
  g_autoptr(DetectorScratch) scratch = kit_scratch(kit.detector);

  for (unsigned i = 0; i < G_N_ELEMENTS(ends); i++)
    for (unsigned width = 64; width <= 76; width += 12)
      for (unsigned k = 0; k < G_N_ELEMENTS(around); k++) {
        g_autoptr(GString) text = g_string_new(around[k][0]);
        g_autoptr(GString) whole = NULL;
        g_autofree char *code =
            g_base64_encode((const guchar *)PEM, strlen(PEM));

        add_wrapped(text, PEM, width, ends[i]);
        g_string_append(text, around[k][1]);
        whole = mask_whole(scratch, text->str, text->len);
        g_assert_nonnull(strstr(whole->str, "[private-key:"));
        /* What stands in every line but the first, which has the opener. */
        for (size_t at = width; at + 16 < strlen(code) - width; at += 8) {
          g_autofree char *part = g_strndup(code + at, 12);

          if (at / width == (at + 11) / width &&
              strstr(whole->str, part) != NULL)
            g_error("%s: leaks %s in %s", ends[i], part, whole->str);
        }
        assert_streams(whole, text);
      }
}

/* ---- At random --------------------------------------------------------- */

static unsigned
pick(unsigned n)
{
  return (unsigned)g_test_rand_int_range(0, (gint32)n);
}

/* Text in one of the forms that may stand inside others. */
static void
add_wrapping(GString *out, const char *text)
{
  switch (pick(7)) {
  case 0:
    add_base64(out, text, strlen(text), pick(2) != 0, pick(2) != 0);
    return;
  case 1:
    add_wrapped(out, text, 32 + 4 * pick(12), pick(2) ? "\n" : "\r\n  ");
    return;
  case 2:
    add_format(out, text, "", "");
    return;
  case 3:
    add_format(out, text, pick(2) ? "%" : "%25", "");
    return;
  case 4:
    add_format(out, text, pick(2) ? "\\x" : "\\\\u00", "");
    return;
  case 5:
    add_between(out, text, pick(2) ? "\xe2\x80\x8b" : "\xc2\xad\xef\xb8\x8e");
    return;
  default:
    add_wide(out, text);
    return;
  }
}

static void
add_noise(GString *out)
{
  static const char *const noise[] = {
      " ",
      "\n",
      "word ",
      "an-identifier_of/some.length ",
      "\xe3\x80\x82\xef\xbc\x8c\xe4\xb8\xad\xe6\x96\x87",
      "100%",
      "%4",
      "\\",
      "\\u00",
      "&am",
      "&lt;b&gt; ",
      "\xf0\x9d",
      "\xed\xa0\xb5",
      "\xe2\x80",
      "\xf0\x9f\x98\x80\xef\xb8\x8f ",
      "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk ",
      "c29tZSB3b3JkcyBhcmUgaGVyZSBhbmQgdGhlcmUsIG5vdCBzZWNyZXQgYXQgYWxs",
      "==",
      "-----BEGIN RSA PRIVATE KEY-----\n",
      "password = \"",
      "4111 1111 ",
      "64656164626565666465616462656566 ",
      "/",
      "=",
      "\"",
      "A"};

  g_string_append(out, noise[pick(G_N_ELEMENTS(noise))]);
}

static void
add_hidden(GString *out)
{
  g_autoptr(GString) inner = g_string_new(NULL);
  unsigned depth = pick(VIEW_LEVELS + 1);

  if (pick(2) != 0)
    add_noise(inner);
  g_string_append(inner, secrets[pick(G_N_ELEMENTS(secrets))].secret);
  if (pick(2) != 0)
    g_string_append(inner, " and more of it");
  for (; depth > 0; depth--) {
    g_autoptr(GString) outer = g_string_new(NULL);

    add_wrapping(outer, inner->str);
    g_string_assign(inner, outer->str);
  }
  g_string_append(out, inner->str);
}

/* Streams cut at random give what the whole text gives. */
static void
test_random(void)
{
  g_autoptr(DetectorScratch) scratch = kit_scratch(kit.detector);
  /* Each takes four times as long, or more, under a sanitizer. */
  const bool slow = g_strcmp0(g_getenv("HOOP_SANITIZER") ?: "no", "no") != 0;
  const unsigned rounds =
      g_test_thorough() ? 20000 : (slow ? 100 : 400) / (unsigned)kit_step(1);

  for (unsigned round = 0; round < rounds; round++) {
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GString) whole = NULL;
    g_autofree size_t *cuts = NULL;
    size_t n = 0;

    for (unsigned i = 1 + pick(12); i > 0; i--) {
      if (pick(3) == 0)
        add_hidden(text);
      else
        add_noise(text);
    }
    cuts = g_new(size_t, text->len + 1);
    whole = mask_as_stream(text);
    for (unsigned k = 0; k < 6; k++) {
      const unsigned widest = 1 + pick(k < 3 ? 4 : 200);

      n = 0;
      for (size_t at = 0; at < text->len; n++) {
        at += 1 + pick(widest);
        at = MIN(at, text->len);
        cuts[n] = at;
      }
      assert_stream(whole, text, cuts, n);
    }
    if (g_utf8_validate(text->str, (gssize)text->len, NULL)) {
      g_autoptr(GString) request = mask_whole(scratch, text->str, text->len);

      g_assert_cmpstr(request->str, ==, whole->str);
    }
  }
}

/* ---- Bounds ------------------------------------------------------------ */

/* 256 KiB in which every character folds, or all is encoded, thrice over. */
static void
test_long(void)
{
  static const char *const units[] = {"\xe2\x80\x8b-",
                                      "\xef\xbc\xa1",
                                      "%2541",
                                      "\\\\",
                                      "VkdWNGRDQm9aWEpsSUE",
                                      "6d6f7265",
                                      "&amp;"};
  g_autoptr(DetectorScratch) scratch = kit_scratch(kit.detector);
  const size_t size = 256 * 1024;

  for (unsigned i = 0; i < G_N_ELEMENTS(units); i++) {
    g_autoptr(GString) text = g_string_sized_new(size + 64);
    g_autoptr(GString) whole = NULL;
    g_autofree size_t *cuts = NULL;
    size_t n = 0;

    while (text->len < size)
      g_string_append(text, units[i]);
    g_string_append_printf(text, " %s ", AWS_KEY);
    cuts = g_new(size_t, text->len / 4096 + 1);
    for (size_t at = 4096; at < text->len; at += 4096)
      cuts[n++] = at;
    whole = mask_whole(scratch, text->str, text->len);
    g_assert_nonnull(strstr(whole->str + size - 64, "[aws-access-key:"));
    assert_stream(whole, text, cuts, n);
  }
}

/* What is found in two forms counts once; one more than the limit is refused.
 */
static void
test_many_findings(void)
{
  const size_t limit = inspect_default_limits.max_findings;
  g_autoptr(DetectorScratch) scratch = kit_scratch(kit.detector);
  g_autoptr(GArray) findings = g_array_new(FALSE, FALSE, sizeof(Finding));
  g_autoptr(GString) text = g_string_new("\xe2\x80\x8b");
  g_autoptr(GError) error = NULL;

  for (size_t i = 0; i < limit; i++)
    g_string_append(text, AWS_KEY "\n");
  g_assert_true(detector_scan(scratch, text->str, text->len, findings, &error));
  g_assert_no_error(error);
  g_assert_cmpuint(findings->len, ==, limit);
  g_array_set_size(findings, 0);
  g_string_append(text, AWS_KEY "\n");
  g_assert_false(
      detector_scan(scratch, text->str, text->len, findings, &error));
  g_assert_error(error, INSPECT_ERROR, INSPECT_ERROR_LIMIT);
  g_assert_cmpuint(findings->len, ==, 0);
}

int
main(int argc, char **argv)
{
  int result;

  g_test_init(&argc, &argv, NULL);
  kit.detector = kit_detector();
  kit.masker = kit_masker();
  g_test_add_func("/inspect/views/folds", test_folds);
  g_test_add_func("/inspect/views/fold-map", test_fold_map);
  g_test_add_func("/inspect/views/forms", test_forms);
  g_test_add_func("/inspect/views/escaped-lines", test_escaped_lines);
  g_test_add_func("/inspect/views/random", test_random);
  g_test_add_func("/inspect/views/long", test_long);
  g_test_add_func("/inspect/views/many-findings", test_many_findings);
  result = g_test_run();
  masker_free(kit.masker);
  detector_unref(kit.detector);
  return result;
}
