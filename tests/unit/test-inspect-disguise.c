/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets in disguise, said in every place of every API, cut at every byte and
 * one byte at a time: neither they nor their disguises come out. */

#define _GNU_SOURCE
#include "stream-kit.h"
#include "stream-make.h"

static StreamKit kit;
static const RunPlan plan = {.action = ACTION_MASK, .hold_tools = true};

typedef enum {
  AS_BASE64,
  AS_HEX,
  AS_PERCENT,
  AS_ESCAPES,
  AS_REFERENCES,
  AS_ZERO_WIDTH,
  AS_FULL_WIDTH,
  AS_JSON_LINE,
  N_DISGUISES
} Disguise;

static const struct {
  const char *secret, *mask;
} secrets[] = {{AWS_KEY, "[aws-access-key:"},
               {SLACK_TOKEN, "[slack-bot-token:"}};

static char *
disguise(Disguise how, const char *secret)
{
  GString *out = g_string_new(NULL);

  if (how == AS_BASE64) {
    g_string_free(out, TRUE);
    return g_base64_encode((const guchar *)secret, strlen(secret));
  }
  /* Behind an escaped end of a line, whose letter would be part of it. */
  if (how == AS_JSON_LINE)
    g_string_append(out, "\\n");
  for (const char *at = secret; *at != '\0'; at++) {
    const unsigned c = (uint8_t)*at;

    switch (how) {
    case AS_HEX:
      g_string_append_printf(out, "%02x", c);
      break;
    case AS_PERCENT:
      g_string_append_printf(out, "%%%02X", c);
      break;
    case AS_ESCAPES:
      g_string_append_printf(out, "\\u%04x", c);
      break;
    case AS_REFERENCES:
      g_string_append_printf(out, "&#%u;", c);
      break;
    case AS_ZERO_WIDTH:
      g_string_append_printf(out, "%c\xe2\x80\x8b", *at);
      break;
    case AS_FULL_WIDTH:
      g_string_append_unichar(out, c + 0xfee0);
      break;
    case AS_BASE64:
    case AS_JSON_LINE:
    case N_DISGUISES:
      g_string_append_c(out, *at);
      break;
    }
  }
  return g_string_free(out, FALSE);
}

/* Tool arguments hold the text as a JSON string of their own. */
static char *
said_in(Place place, const char *hidden)
{
  g_autofree char *said = g_strdup_printf("use %s, ok", hidden);
  GString *out;

  if (!place_is_call(place))
    return g_steal_pointer(&said);
  out = g_string_new("{\"command\":\"");
  json_escape(out, said, -1);
  g_string_append(out, "\"}");
  return g_string_free(out, FALSE);
}

/* Also decoded, each member's pieces joined: terminal copies are among them. */
static void
assert_hidden(const GString *stream,
              const char *secret,
              const char *hidden,
              const char *where)
{
  static const char *const members[] = {"content",
                                        "reasoning_content",
                                        "arguments",
                                        "text",
                                        "delta",
                                        "thinking",
                                        "partial_json"};

  if (kit_leaks(stream->str, stream->len, secret) ||
      kit_leaks(stream->str, stream->len, hidden))
    g_error("%s: leaks in %s", where, stream->str);
  for (unsigned i = 0; i < G_N_ELEMENTS(members); i++) {
    g_autofree char *joined = kit_text(stream, members[i]);

    if (kit_leaks(joined, strlen(joined), secret) ||
        kit_leaks(joined, strlen(joined), hidden))
      g_error("%s: %s leaks in %s", where, members[i], stream->str);
  }
}

static void
check_cut(Place place,
          const char *text,
          const size_t *cuts,
          unsigned n,
          const char *hidden,
          unsigned secret,
          const char *where)
{
  g_auto(GStrv) pieces = cut_text(text, cuts, n);
  g_autoptr(GString) in = make_stream(
      place, ESCAPE_LEAST, (const char *const *)pieces, g_strv_length(pieces));
  g_autoptr(Run) run = kit_run_whole(&kit, place_api(place), &plan, in->str);

  if (run->error != NULL)
    g_error("%s: %s", where, run->error->message);
  if (strstr(run->out->str, secrets[secret].mask) == NULL)
    g_error("%s: no mask in %s", where, run->out->str);
  assert_hidden(run->out, secrets[secret].secret, hidden, where);
  assert_hidden(run->record, secrets[secret].secret, hidden, where);
}

static void
test_place(gconstpointer data)
{
  const Place place = (Place)GPOINTER_TO_INT(data);

  for (unsigned how = 0; how < N_DISGUISES; how++)
    for (unsigned i = 0; i < G_N_ELEMENTS(secrets); i++) {
      if (kit_spares(how + i + (unsigned)place, 4))
        continue;
      g_autofree char *hidden = disguise((Disguise)how, secrets[i].secret);
      g_autofree char *text = said_in(place, hidden);
      const size_t len = strlen(text);
      /* The second secret's disguises are long, and each cut is a run. */
      const size_t step = kit_step(i == 0 ? 1 : 5);
      g_autofree size_t *all = g_new(size_t, len);
      g_autofree char *where =
          g_strdup_printf("%s, disguise %u", place_names[place], how);

      for (size_t cut = 0; cut <= len; cut += step)
        check_cut(place, text, &cut, 1, hidden, i, where);
      for (size_t k = 0; k < len; k++)
        all[k] = k + 1;
      check_cut(place, text, all, (unsigned)len, hidden, i, where);
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
    g_autofree char *path =
        g_strconcat("/inspect/disguise/", place_names[i], NULL);

    g_test_add_data_func(path, GINT_TO_POINTER(i), test_place);
  }
  result = g_test_run();
  masker_free(kit.masker);
  detector_unref(kit.detector);
  return result;
}
