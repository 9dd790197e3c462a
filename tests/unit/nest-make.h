/* SPDX-License-Identifier: Apache-2.0 */
/* Makes texts that hold secrets nested and escaped at random: JSON in text and
 * in JSON, encodings in both, glued to what stands beside them. */
#ifndef HOOP_TEST_NEST_MAKE_H
#define HOOP_TEST_NEST_MAKE_H

#include "inspect-kit.h"

#include "kit/json.h"

/* Longer ones are what other tests are for. */
#define NEST_MAX ((size_t)24 * 1024)

static inline unsigned
nest_pick(unsigned n)
{
  return (unsigned)g_test_rand_int_range(0, (gint32)n);
}

static inline void
nest_base64(GString *out, const char *text, unsigned width, const char *end)
{
  g_autofree char *code = g_base64_encode((const guchar *)text, strlen(text));
  const bool url = nest_pick(3) == 0, pad = nest_pick(3) != 0;

  for (size_t i = 0; code[i] != '\0'; i++) {
    char c = code[i];

    if (c == '=' && !pad)
      break;
    if (url && (c == '+' || c == '/'))
      c = c == '+' ? '-' : '_';
    if (width > 0 && i > 0 && i % width == 0)
      g_string_append(out, end);
    g_string_append_c(out, c);
  }
}

static inline void
nest_hex(GString *out, const char *text, const char *before, const char *after)
{
  const bool upper = nest_pick(2) != 0;

  for (; *text != '\0'; text++) {
    const unsigned c = (uint8_t)*text;

    if (upper)
      g_string_append_printf(out, "%s%02X%s", before, c, after);
    else
      g_string_append_printf(out, "%s%02x%s", before, c, after);
  }
}

/* Only some of the characters: what is glued to what is not. */
static inline void
nest_some(GString *out, const char *text, const char *before, const char *after)
{
  const unsigned often = 1 + nest_pick(6);

  for (; *text != '\0'; text++) {
    if (nest_pick(often) == 0 && (uint8_t)*text < 0x80)
      g_string_append_printf(
          out, "%s%02x%s", before, (unsigned)(uint8_t)*text, after);
    else
      g_string_append_c(out, *text);
  }
}

static inline void
nest_string(GString *out, const char *text)
{
  const bool all = nest_pick(8) == 0;

  g_string_append_c(out, '"');
  if (!all)
    json_escape(out, text, -1);
  for (; all && *text != '\0'; text++) {
    if ((uint8_t)*text < 0x80)
      g_string_append_printf(out, "\\u%04x", (unsigned)(uint8_t)*text);
    else
      g_string_append_c(out, *text);
  }
  g_string_append_c(out, '"');
}

/* A document that has the text as one of its strings. */
static inline void
nest_json(GString *out, const char *text)
{
  static const char *const keys[] = {
      "a", "content", "arguments", "note", "password", "x-y", "token", "data"};
  static const char *const beside[] = {
      "1", "\"word\"", "[true, null]", "{\"k\": \"v\\nw\"}", "4.5e3", "\"\""};
  const char *space = nest_pick(2) ? " " : nest_pick(2) ? "\n  " : "";

  if (nest_pick(4) == 0) {
    g_string_append_printf(
        out, "[%s,%s", beside[nest_pick(G_N_ELEMENTS(beside))], space);
    nest_string(out, text);
    g_string_append_c(out, ']');
    return;
  }
  g_string_append_printf(
      out, "{%s\"%s\":%s", space, keys[nest_pick(G_N_ELEMENTS(keys))], space);
  nest_string(out, text);
  if (nest_pick(2) != 0)
    g_string_append_printf(out,
                           ",%s\"z\":%s%s",
                           space,
                           space,
                           beside[nest_pick(G_N_ELEMENTS(beside))]);
  g_string_append_c(out, '}');
}

static inline void
nest_wide(GString *out, const char *text)
{
  for (; *text != '\0'; text++) {
    if (*text > ' ' && *text < 0x7f)
      g_string_append_unichar(out, (gunichar)(uint8_t)*text + 0xfee0);
    else
      g_string_append_c(out, *text);
  }
}

static inline void
nest_between(GString *out, const char *text, const char *between)
{
  for (; *text != '\0'; text++) {
    g_string_append_c(out, *text);
    if (((uint8_t)text[1] & 0xc0) != 0x80 && text[1] != '\0')
      g_string_append(out, between);
  }
}

/* The text in one form that may stand inside others. */
static inline void
nest_wrap(GString *out, const char *text)
{
  static const char *const ends[] = {"\n", "\r\n", "\r\n  ", "\\n", "\\r\\n"};

  switch (nest_pick(14)) {
  case 0:
    nest_base64(out, text, 0, "");
    return;
  case 1:
    nest_base64(
        out, text, 32 + 4 * nest_pick(12), ends[nest_pick(G_N_ELEMENTS(ends))]);
    return;
  case 2:
    nest_hex(out, text, "", "");
    return;
  case 3:
    nest_hex(out, text, nest_pick(3) ? "%" : "%25", "");
    return;
  case 4:
    nest_some(out, text, "%", "");
    return;
  case 5:
    nest_some(out, text, nest_pick(2) ? "&#x" : "&#x0", ";");
    return;
  case 6:
    nest_some(out, text, nest_pick(2) ? "\\x" : "\\\\x", "");
    return;
  case 7:
    nest_some(out, text, nest_pick(2) ? "\\u00" : "\\\\u00", "");
    return;
  case 8:
    nest_wide(out, text);
    return;
  case 9:
    nest_between(
        out, text, nest_pick(2) ? "\xe2\x80\x8b" : "\xc2\xad\xef\xb8\x8e");
    return;
  default:
    nest_json(out, text);
    return;
  }
}

static inline void
nest_noise(GString *out)
{
  static const char *const noise[] = {
      " ",
      "\n",
      "\n\n",
      "word ",
      "Here it is: ",
      "an-identifier_of/some.length ",
      "\xe3\x80\x82\xef\xbc\x8c\xe4\xb8\xad\xe6\x96\x87",
      "100%",
      "%4",
      "\\",
      "\\\\",
      "\\n",
      "\\\"",
      "\\u00",
      "&am",
      "&#x41;",
      "&#x4",
      "%41",
      "\\x41",
      "&lt;b&gt; ",
      "\xf0\x9f\x98\x80\xef\xb8\x8f ",
      "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk ",
      "c29tZSB3b3JkcyBhcmUgaGVyZSBhbmQgdGhlcmUsIG5vdCBzZWNyZXQgYXQgYWxs",
      "==",
      "-----BEGIN RSA PRIVATE KEY-----\n",
      "password = \"",
      "\"password\": ",
      "{\"password\": \"",
      "{\"a\": \"",
      "[\"",
      "\"}",
      "}\n",
      "4111 1111 ",
      "64656164626565666465616462656566 ",
      "/",
      "=",
      "\"",
      "'",
      ",",
      ":",
      "printf(\"%s\\n\", x);\n",
      "A"};

  g_string_append(out, noise[nest_pick(G_N_ELEMENTS(noise))]);
}

/* Any text with a secret in it: one of a rule's own examples or a token. */
static inline const char *
nest_secret(const RulePack *pack)
{
  static const char *const tokens[] = {
      AWS_KEY,
      SLACK_TOKEN,
      STRIPE_KEY,
      JWT,
      PEM,
      "4111 1111 1111 1111",
      "{\"password\": \"Kd83hf_q0\"}",
      "password = \"Kd83hf_q0\"",
      "DB_PASS=hunter2x",
      "postgres://app:Kd83hf_q0@db.example.net/x"};
  const DetectorRule *const *rules;
  unsigned n, examples = 0, rule;

  if (nest_pick(2) == 0)
    return tokens[nest_pick(G_N_ELEMENTS(tokens))];
  rules = rule_pack_rules(pack, &n);
  rule = nest_pick(n);
  while (rules[rule]->examples[examples] != NULL)
    examples++;
  return examples > 0 ? rules[rule]->examples[nest_pick(examples)] : AWS_KEY;
}

static inline void
nest_hidden(GString *out, const RulePack *pack)
{
  g_autoptr(GString) inner = g_string_new(NULL);

  if (nest_pick(2) != 0)
    nest_noise(inner);
  g_string_append(inner, nest_secret(pack));
  if (nest_pick(3) == 0)
    nest_noise(inner);
  for (unsigned depth = nest_pick(5); depth > 0; depth--) {
    g_autoptr(GString) outer = g_string_new(NULL);

    if (nest_pick(4) == 0)
      nest_noise(outer);
    nest_wrap(outer, inner->str);
    if (nest_pick(4) == 0)
      nest_noise(outer);
    if (outer->len > NEST_MAX)
      break;
    g_string_assign(inner, outer->str);
  }
  g_string_append(out, inner->str);
}

/* A text with some of them; valid UTF-8 without NUL. */
static inline GString *
nest_text(const RulePack *pack)
{
  g_autoptr(GString) text = g_string_new(NULL);

  for (unsigned i = 1 + nest_pick(8); i > 0; i--) {
    if (nest_pick(3) == 0)
      nest_hidden(text, pack);
    else
      nest_noise(text);
    if (nest_pick(12) == 0) {
      g_autoptr(GString) outer = g_string_new(NULL);

      nest_json(outer, text->str);
      g_string_assign(text, outer->str);
    }
  }
  if (!g_utf8_validate(text->str, (gssize)text->len, NULL))
    return g_string_new("");
  return g_steal_pointer(&text);
}

#endif
