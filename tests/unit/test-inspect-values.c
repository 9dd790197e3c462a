/* SPDX-License-Identifier: Apache-2.0 */
/* Exact values: found wherever they stand, in whole texts, in bodies and in
 * streams cut anywhere, and nowhere else. */

#define _GNU_SOURCE
#include "stream-kit.h"
#include "stream-make.h"

static StreamKit kit;
static const RunPlan plan = {.action = ACTION_MASK, .hold_tools = true};

static ValueSet *
set_of(const char *const *values)
{
  ValueSet *set = value_set_new();

  for (; *values != NULL; values++)
    g_assert_cmpint(
        value_set_add(set, VALUE_DICTIONARY, *values, strlen(*values)),
        ==,
        VALUE_FITS);
  value_set_seal(set);
  return set;
}

/* What a search for each value at each byte finds. */
static bool
is_there(const char *const *values, const char *at, size_t left, size_t len)
{
  for (; *values != NULL; values++)
    if (strlen(*values) == len && len <= left && memcmp(at, *values, len) == 0)
      return true;
  return false;
}

static void
check_text(DetectorScratch *scratch,
           const char *const *values,
           const char *text,
           size_t len)
{
  g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(Finding));
  g_autoptr(GError) error = NULL;
  guint k = 0;

  detector_scan(scratch, text, len, found, &error);
  g_assert_no_error(error);
  for (size_t at = 0; at < len; at++)
    for (size_t size = MIN(len - at, VALUE_MAX); size >= VALUE_MIN; size--) {
      const Finding *finding;

      if (!is_there(values, text + at, len - at, size))
        continue;
      while (k < found->len && strcmp(g_array_index(found, Finding, k).rule->id,
                                      "dictionary") != 0)
        k++;
      g_assert_cmpuint(k, <, found->len);
      finding = &g_array_index(found, Finding, k++);
      g_assert_cmpuint(finding->start, ==, at);
      g_assert_cmpuint(finding->end, ==, at + size);
      g_assert_cmpstr(finding->rule->class_name, ==, "secret");
    }
  for (; k < found->len; k++)
    g_assert_cmpstr(
        g_array_index(found, Finding, k).rule->id, !=, "dictionary");
}

static void
test_places(void)
{
  static const char *const values[] = {"zebra",
                                       "Quartz crane",
                                       "Quartz crane under the old bridge",
                                       "blau-grün-7",
                                       "ends. ",
                                       "a\nb c\td",
                                       NULL};
  static const char *const texts[] = {"zebra",
                                      "azebrazebrab",
                                      "zebr",
                                      "Zebra",
                                      "the Quartz crane under the old bridge",
                                      "the Quartz crane under the old bridg",
                                      "Quartz craneQuartz crane",
                                      "blau-gr\xc3\xbcn-7 blau-grun-7",
                                      "ends. ends.",
                                      "1a\nb c\td2",
                                      "",
                                      "abc"};
  g_autoptr(ValueSet) set = set_of(values);
  g_autoptr(DetectorScratch) scratch = kit_scratch(kit.detector);

  detector_set_values(kit.detector, set);
  for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
    check_text(scratch, values, texts[i], strlen(texts[i]));
  detector_set_values(kit.detector, NULL);
  g_assert_cmpuint(value_set_count(set, VALUE_DICTIONARY), ==, 6);
  g_assert_cmpuint(value_set_count(set, VALUE_HELD), ==, 0);
  {
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(Finding));

    detector_scan(scratch, "zebra", 5, found, NULL);
    g_assert_cmpuint(found->len, ==, 0);
  }
}

/* Letters that few words are made of, so that beginnings are often shared. */
static char *
random_text(GRand *rand, size_t len)
{
  static const char letters[] = "ab c\xc3";
  char *text = g_malloc(len + 1);

  for (size_t i = 0; i < len; i++)
    text[i] = letters[g_rand_int_range(rand, 0, (gint)strlen(letters))];
  text[len] = '\0';
  return text;
}

static void
test_random(void)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed(20240);
  g_autoptr(DetectorScratch) scratch = kit_scratch(kit.detector);

  for (unsigned round = 0; round < 60; round++) {
    g_autoptr(GPtrArray) values = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(ValueSet) set = value_set_new();
    const unsigned n = (unsigned)g_rand_int_range(rand, 1, 30);
    g_autofree char *text = random_text(rand, 400);

    while (values->len < n) {
      g_autofree char *value = random_text(
          rand, (size_t)g_rand_int_range(rand, 4, round % 2 ? 9 : 40));

      if (g_rand_boolean(rand) && strlen(value) < 200)
        memcpy(text + g_rand_int_range(rand, 0, 200), value, strlen(value));
      if (value_set_add(set, VALUE_DICTIONARY, value, strlen(value)) ==
          VALUE_FITS)
        g_ptr_array_add(values, g_steal_pointer(&value));
    }
    g_ptr_array_add(values, NULL);
    value_set_seal(set);
    detector_set_values(kit.detector, set);
    check_text(scratch, (const char *const *)values->pdata, text, 400);
  }
  detector_set_values(kit.detector, NULL);
}

static void
test_fits(void)
{
  g_autoptr(ValueSet) set = value_set_new();
  g_autofree char *lasting = g_strnfill(HELD_VALUE_MAX + 1, 'x');

  memcpy(lasting, "abc", 3);
#define FIT(kind, value, len) value_set_add(set, kind, value, len)
  g_assert_cmpint(FIT(VALUE_DICTIONARY, "abc", 3), ==, VALUE_TOO_SHORT);
  g_assert_cmpint(FIT(VALUE_DICTIONARY, "", 0), ==, VALUE_TOO_SHORT);
  g_assert_cmpint(FIT(VALUE_DICTIONARY, "abcd", 4), ==, VALUE_FITS);
  g_assert_cmpint(FIT(VALUE_DICTIONARY, "aaaabbbb", 8), ==, VALUE_REPETITIVE);
  g_assert_cmpint(FIT(VALUE_ENV_FILE, lasting, VALUE_MAX), ==, VALUE_FITS);
  g_assert_cmpint(
      FIT(VALUE_ENV_FILE, lasting, VALUE_MAX + 1), ==, VALUE_TOO_LONG);
  g_assert_cmpint(FIT(VALUE_HELD, lasting, HELD_VALUE_MAX), ==, VALUE_FITS);
  g_assert_cmpint(
      FIT(VALUE_HELD, lasting, HELD_VALUE_MAX + 1), ==, VALUE_TOO_LONG);
  for (unsigned i = 3; i < VALUES_MAX; i++) {
    g_autofree char *value = g_strdup_printf("value-%u", i);

    g_assert_cmpint(
        FIT(VALUE_DICTIONARY, value, strlen(value)), ==, VALUE_FITS);
  }
  g_assert_cmpint(FIT(VALUE_DICTIONARY, "abcde", 5), ==, VALUE_TOO_MANY);
#undef FIT
  value_set_seal(set);
  detector_set_values(kit.detector, set);
  {
    g_autoptr(DetectorScratch) scratch = kit_scratch(kit.detector);
    g_autoptr(GArray) found = g_array_new(FALSE, FALSE, sizeof(Finding));

    /* The longest value, and one of many. */
    detector_scan(scratch, lasting, HELD_VALUE_MAX, found, NULL);
    g_assert_cmpuint(found->len, ==, 2);
    g_array_set_size(found, 0);
    detector_scan(scratch, "a value-99999 b", 15, found, NULL);
    g_assert_cmpuint(found->len, ==, 5); /* value-9 to value-99999 */
  }
  detector_set_values(kit.detector, NULL);
}

/* ---- Streams ----------------------------------------------------------- */

static const char *const spoken[] = {"Quartz crane",
                                     "Quartz crane under the old bridge",
                                     "zebra",
                                     "p4ss w0rd, really",
                                     "first line\nsecond line of a value",
                                     "\xc3\xa4hnlich wie\xc3\xb6 vorher",
                                     NULL};

static void
check_cuts(Place place, Escape escape, const char *value)
{
  g_autofree char *said = g_strconcat("We say ", value, " and go on.", NULL);
  g_autoptr(GString) text = g_string_new(NULL);
  size_t len;

  if (place == PLACE_RAW && strchr(value, '\n') != NULL)
    return; /* a line of data has no newline */
  if (place_is_call(place)) {
    g_string_append(text, "{\"command\":\"");
    json_escape(text, said, -1);
    g_string_append(text, "\"}");
  } else {
    g_string_append(text, said);
  }
  len = text->len;
  for (size_t cut = 0; cut <= len; cut++) {
    g_autofree size_t *cuts = g_new(size_t, len + 1);
    unsigned n = 1;
    g_auto(GStrv) pieces = NULL;
    g_autoptr(GString) in = NULL;
    g_autoptr(Run) run = NULL;

    cuts[0] = cut;
    for (size_t i = 1; cut == 0 && i < len; i++)
      cuts[n++] = i; /* one byte at a time */
    pieces = cut_text(text->str, cuts, n);
    in = make_stream(
        place, escape, (const char *const *)pieces, g_strv_length(pieces));
    run = kit_run_whole(&kit, place_api(place), &plan, in->str);
    g_assert_no_error(run->error);
    if (strstr(run->out->str, "[dictionary:") == NULL ||
        kit_leaks(run->out->str, run->out->len, value))
      g_error("%s at %zu: %s", place_names[place], cut, run->out->str);
    /* Beside the second choice speaks the first. */
    if (place != PLACE_RAW && place != PLACE_CHAT_SECOND) {
      g_autofree char *seen = kit_text(run->out, place_member(place));

      if (kit_leaks(seen, strlen(seen), value) ||
          strstr(seen, "We say ") == NULL || strstr(seen, "and go on.") == NULL)
        g_error("%s at %zu: %s", place_names[place], cut, seen);
    }
    if (kit_leaks(run->record->str, run->record->len, value))
      g_error("%s records %s", place_names[place], run->record->str);
  }
}

static void
test_streams(void)
{
  g_autoptr(ValueSet) set = set_of(spoken);

  detector_set_values(kit.detector, set);
  for (unsigned place = 0; place < N_PLACES; place++)
    for (unsigned i = 0; spoken[i] != NULL; i++)
      check_cuts((Place)place, i % 2 ? ESCAPE_ALL : ESCAPE_LEAST, spoken[i]);
  detector_set_values(kit.detector, NULL);
}

/* Plain text: the same as a whole text, for any chunking. */
static void
test_chunks(void)
{
  g_autoptr(GRand) rand = g_rand_new_with_seed(7);

  for (unsigned round = 0; round < 300; round++) {
    g_autoptr(ValueSet) set = value_set_new();
    g_autofree char *text = g_strdup("");
    g_autoptr(Run) whole = NULL;
    g_autoptr(Run) bytes = NULL;
    size_t cuts[8];

    for (unsigned n = 0; n < 12; n++) {
      g_autofree char *value =
          random_text(rand, (size_t)g_rand_int_range(rand, 4, n % 2 ? 9 : 70));
      g_autofree char *filler =
          random_text(rand, (size_t)g_rand_int_range(rand, 0, 30));
      g_autofree char *valid = g_utf8_make_valid(value, -1);
      char *longer = NULL;

      (void)value_set_add(set, VALUE_DICTIONARY, valid, strlen(valid));
      longer = g_strconcat(text, filler, valid, NULL);
      g_free(text);
      text = longer;
    }
    {
      char *valid = g_utf8_make_valid(text, -1);

      g_free(text);
      text = valid;
    }
    value_set_seal(set);
    detector_set_values(kit.detector, set);
    for (unsigned i = 0; i < G_N_ELEMENTS(cuts); i++)
      cuts[i] = strlen(text) * (i + 1) / 9;
    whole = kit_run(&kit,
                    API_OTHER,
                    false,
                    &plan,
                    text,
                    strlen(text),
                    round % 2 ? cuts : NULL,
                    round % 2 ? G_N_ELEMENTS(cuts) : 0);
    bytes = kit_run_bytewise(&kit, API_OTHER, false, &plan, text, strlen(text));
    g_assert_no_error(whole->error);
    g_assert_cmpstr(whole->out->str, ==, bytes->out->str);
    g_assert_cmpuint(whole->findings, ==, bytes->findings);
    g_assert_cmpuint(whole->findings, >, 0);
  }
  detector_set_values(kit.detector, NULL);
}

/* A stream keeps the values that it began with. */
static void
test_pinned(void)
{
  static const char *const values[] = {"Quartz crane", NULL};
  g_autoptr(ValueSet) set = set_of(values);
  g_autoptr(StreamPlan) stream_plan = kit_plan(kit.detector, &plan);
  g_autoptr(GError) error = NULL;
  g_autoptr(ResponseFilter) filter = NULL;
  g_auto(Buf) out = {0};
  FilterState state;

  detector_set_values(kit.detector, set);
  filter = response_filter_new(
      kit.detector, API_OTHER, false, stream_plan, kit.masker, "s", &error);
  g_assert_no_error(error);
  buf_init(&out, KIT_OUT_MAX);
  response_filter_feed(filter, "a Quartz ", 9, &out, NULL, &state, &error);
  g_assert_no_error(error);
  detector_set_values(kit.detector, NULL);
  response_filter_feed(filter, "crane.\n", 7, &out, NULL, &state, &error);
  response_filter_finish(filter, false, &out, NULL, &state, &error);
  g_assert_no_error(error);
  response_filter_release(filter, &out, NULL);
  g_assert_nonnull(memmem(buf_bytes(&out), out.len, "[dictionary:", 12));
}

/* Clean words are not held for values that begin like none of them. */
static void
test_held(void)
{
  static const char words[] =
      "The function reads a file line by line and returns the number of "
      "lines that match. Call it with a path; an error is returned when the "
      "file does not exist. See https://docs.example.org/reading for more. ";
  g_autoptr(ValueSet) set = value_set_new();
  g_autoptr(StreamPlan) stream_plan = kit_plan(kit.detector, &plan);
  g_autoptr(ResponseFilter) filter = NULL;
  g_autoptr(GRand) rand = g_rand_new_with_seed(3);
  g_auto(Buf) out = {0};
  FilterState state;
  size_t held = 0, fed = 0;

  for (unsigned i = 0; i < 10000; i++) {
    g_autoptr(GString) value = g_string_new(i % 10 ? NULL : "https://");

    for (unsigned k = 0; k < 24; k++)
      g_string_append_c(value,
                        k == 11 ? ' ' : (char)g_rand_int_range(rand, 'A', 'z'));
    g_assert_cmpint(value_set_add(set, VALUE_ENV_FILE, value->str, value->len),
                    ==,
                    VALUE_FITS);
  }
  value_set_seal(set);
  detector_set_values(kit.detector, set);
  filter = response_filter_new(
      kit.detector, API_OTHER, false, stream_plan, kit.masker, "s", NULL);
  buf_init(&out, KIT_OUT_MAX);
  for (unsigned round = 0; round < 20; round++)
    for (size_t i = 0; i < strlen(words); i++) {
      response_filter_feed(filter, words + i, 1, &out, NULL, &state, NULL);
      fed++;
      held += fed - out.len;
    }
  g_test_message("held: mean %.1f bytes", (double)held / (double)fed);
  g_assert_cmpuint(held, <=, 8 * fed);
  detector_set_values(kit.detector, NULL);
}

int
main(int argc, char **argv)
{
  int result;

  g_test_init(&argc, &argv, NULL);
  kit.detector = kit_detector();
  kit.masker = kit_masker();
  g_test_add_func("/inspect/values/places", test_places);
  g_test_add_func("/inspect/values/random", test_random);
  g_test_add_func("/inspect/values/fits", test_fits);
  g_test_add_func("/inspect/values/streams", test_streams);
  g_test_add_func("/inspect/values/chunks", test_chunks);
  g_test_add_func("/inspect/values/pinned", test_pinned);
  g_test_add_func("/inspect/values/held", test_held);
  result = g_test_run();
  masker_free(kit.masker);
  detector_unref(kit.detector);
  return result;
}
