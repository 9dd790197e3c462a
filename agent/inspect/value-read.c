/* SPDX-License-Identifier: Apache-2.0 */
/* Reads exact values: a dictionary with one a line, and what is secret in a
 * .env file. */
#include "inspect/detector.h"

#include <string.h>

/* Values of .env files that are shorter are words and numbers. */
#define ENV_VALUE_MIN 8
/* A value whose name says nothing must look random. */
#define RANDOM_MIN 16
#define RANDOM_ENTROPY 3.5 /* bits for each character */

/* ---- Dictionaries ------------------------------------------------------ */

static const char *
why_not(ValueFit fit)
{
  switch (fit) {
  case VALUE_TOO_SHORT:
    return "a value has at least " G_STRINGIFY(VALUE_MIN) " bytes";
  case VALUE_TOO_LONG:
    return "a value has at most " G_STRINGIFY(VALUE_MAX) " bytes";
  case VALUE_REPETITIVE:
    return "a value has at least three different bytes";
  case VALUE_TOO_MANY:
    return "there are more than " G_STRINGIFY(VALUES_MAX) " values";
  case VALUE_FITS:
    break;
  }
  return "";
}

/* One line without its end and the blanks around it. */
static bool
read_line(ValueSet *set,
          const char *name,
          unsigned number,
          const char *line,
          size_t len,
          GError **error)
{
  ValueFit fit;

  while (len > 0 && g_ascii_isspace(line[len - 1]))
    len--;
  while (len > 0 && g_ascii_isspace(line[0])) {
    line++;
    len--;
  }
  if (len == 0 || line[0] == '#')
    return true;
  if (line[0] == '\\') {
    line++;
    len--;
  }
  fit = value_set_add(set, VALUE_DICTIONARY, line, len);
  if (fit == VALUE_FITS && g_utf8_validate_len(line, len, NULL))
    return true;
  g_set_error(error,
              INSPECT_ERROR,
              INSPECT_ERROR_UNREADABLE,
              "%s:%u: %s",
              name,
              number,
              fit == VALUE_FITS ? "a value is UTF-8 text" : why_not(fit));
  return false;
}

bool
value_set_read_dictionary(ValueSet *set,
                          const char *name,
                          const char *text,
                          size_t len,
                          GError **error)
{
  static const char mark[] = "\xef\xbb\xbf";
  unsigned number = 0;

  if (len >= strlen(mark) && memcmp(text, mark, strlen(mark)) == 0) {
    text += strlen(mark);
    len -= strlen(mark);
  }
  while (len > 0) {
    const char *end = memchr(text, '\n', len);
    const size_t size = end != NULL ? (size_t)(end - text) : len;
    const size_t step = MIN(size + 1, len);

    if (!read_line(set, name, ++number, text, size, error))
      return false;
    text += step;
    len -= step;
  }
  return true;
}

/* ---- What of a .env file is secret ------------------------------------- */

static bool
is_one_of(const char *word, size_t len, const char *const *list)
{
  for (; *list != NULL; list++)
    if (strlen(*list) == len && g_ascii_strncasecmp(*list, word, len) == 0)
      return true;
  return false;
}

/* By its words: DB_PASSWORD is, TOKEN_TTL and KEY_FILE are not. */
static bool
is_secret_name(const char *name, size_t len)
{
  static const char *const secret[] = {
      "secret",  "secrets",  "token",      "tokens",      "password",
      "passwd",  "pass",     "pwd",        "passphrase",  "passcode",
      "key",     "keys",     "apikey",     "secretkey",   "accesskey",
      "pat",     "auth",     "credential", "credentials", "private",
      "dsn",     "salt",     "pepper",     "webhook",     "jwt",
      "signing", "hmac",     "seed",       "encryption",  "bearer",
      "cookie",  "mnemonic", "connection", "authtoken",   NULL};
  static const char *const about[] = {
      "path",     "file",    "dir",    "host",     "port",    "name",
      "user",     "id",      "region", "username", "ttl",     "expiry",
      "size",     "type",    "length", "version",  "expires", "issuer",
      "audience", "alg",     "header", "prefix",   "count",   "limit",
      "mode",     "timeout", "env",    "enabled",  NULL};
  bool found = false;

  for (size_t at = 0; at < len;) {
    size_t end = at;

    while (end < len && g_ascii_isalnum(name[end]))
      end++;
    found = found || is_one_of(name + at, end - at, secret);
    if (end == len && is_one_of(name + at, end - at, about))
      return false;
    at = end + 1;
  }
  return found;
}

static bool
holds_any(const char *value, size_t len, const char *const *words)
{
  g_autofree char *lower = g_ascii_strdown(value, (gssize)len);
  bool found = false;

  for (; *words != NULL && !found; words++)
    found = strstr(lower, *words) != NULL;
  secret_wipe(lower, len);
  return found;
}

static bool
is_reference(const char *value, size_t len)
{
  static const char *const forms[] = {"${", "$(", "{{", NULL};

  if (holds_any(value, len, forms))
    return true;
  if (value[0] != '$')
    return false;
  for (size_t i = 1; i < len; i++)
    if (!g_ascii_isupper(value[i]) && !g_ascii_isdigit(value[i]) &&
        value[i] != '_')
      return false;
  return true;
}

/* What stands for a value, and what is none: numbers, switches. */
static bool
is_harmless(const char *value, size_t len)
{
  static const char *const placeholders[] = {"changeme",
                                             "change-me",
                                             "change_me",
                                             "your-",
                                             "your_",
                                             "replace",
                                             "placeholder",
                                             "example",
                                             "<",
                                             "xxxx",
                                             NULL};
  bool number = true;

  for (size_t i = 0; i < len; i++)
    number = number && (g_ascii_isdigit(value[i]) || value[i] == '.' ||
                        value[i] == '-' || value[i] == ':');
  return number || is_reference(value, len) ||
         (len < 40 && holds_any(value, len, placeholders));
}

static bool
is_uuid(const char *value, size_t len)
{
  if (len != 36)
    return false;
  for (size_t i = 0; i < len; i++)
    if (i == 8 || i == 13 || i == 18 || i == 23 ? value[i] != '-'
                                                : !g_ascii_isxdigit(value[i]))
      return false;
  return true;
}

static bool
is_random(const char *value, size_t len)
{
  bool letter = false, digit = false, capital = false;
  unsigned dots = 0;

  if (len < RANDOM_MIN || is_uuid(value, len))
    return false;
  for (size_t i = 0; i < len; i++) {
    if (!g_ascii_isalnum(value[i]) && strchr("+/=_.~-", value[i]) == NULL)
      return false;
    letter = letter || g_ascii_isalpha(value[i]);
    digit = digit || g_ascii_isdigit(value[i]);
    capital = capital || g_ascii_isupper(value[i]);
    dots += value[i] == '.' || value[i] == '/';
  }
  /* A host's name or a path is none. */
  if (!letter || !digit || (dots > 1 && !capital))
    return false;
  return shannon_entropy(value, len) >= RANDOM_ENTROPY;
}

/* The password of scheme://user:password@host. RFC 3986, 3.2.1. */
static bool
url_password(const char *value, size_t len, const char **start, size_t *size)
{
  const char *at = g_strstr_len(value, (gssize)len, "://");
  const char *end = value + len, *colon, *sign = NULL;

  if (at == NULL)
    return false;
  at += strlen("://");
  for (const char *p = at; p < end && *p != '/' && *p != '?'; p++)
    if (*p == '@')
      sign = p;
  colon = sign != NULL ? memchr(at, ':', (size_t)(sign - at)) : NULL;
  if (colon == NULL || colon + 1 == sign)
    return false;
  *start = colon + 1;
  *size = (size_t)(sign - *start);
  return true;
}

static unsigned
take(ValueSet *set, const char *value, size_t len)
{
  if (len < ENV_VALUE_MIN || is_harmless(value, len))
    return 0;
  return value_set_add(set, VALUE_ENV_FILE, value, len) == VALUE_FITS;
}

/* Returns how many values were taken. */
static unsigned
take_if_secret(ValueSet *set,
               const char *name,
               size_t name_len,
               const char *value,
               size_t len)
{
  const char *password;
  size_t size;

  while (len > 0 && g_ascii_isspace(value[len - 1]))
    len--;
  if (len < ENV_VALUE_MIN || !g_utf8_validate_len(value, len, NULL))
    return 0;
  if (url_password(value, len, &password, &size))
    return take(set, password, size);
  if (is_secret_name(name, name_len) || is_random(value, len))
    return take(set, value, len);
  return 0;
}

/* ---- .env files -------------------------------------------------------- */

static size_t
skip_blanks(const char *text, size_t len, size_t at)
{
  while (at < len && (text[at] == ' ' || text[at] == '\t'))
    at++;
  return at;
}

static size_t
line_end(const char *text, size_t len, size_t at)
{
  const char *end = at < len ? memchr(text + at, '\n', len - at) : NULL;

  return end != NULL ? (size_t)(end - text) : len;
}

/* The name before "=", with "export" skipped; false: no assignment. */
static bool
read_name(const char *text, size_t len, size_t *at, size_t *start, size_t *size)
{
  static const char word[] = "export";
  size_t end;

  *at = skip_blanks(text, len, *at);
  if (len - *at > strlen(word) && memcmp(text + *at, word, strlen(word)) == 0 &&
      (text[*at + strlen(word)] == ' ' || text[*at + strlen(word)] == '\t'))
    *at = skip_blanks(text, len, *at + strlen(word));
  *start = end = *at;
  while (end < len && (g_ascii_isalnum(text[end]) || text[end] == '_' ||
                       text[end] == '.' || text[end] == '-'))
    end++;
  *size = end - *start;
  end = skip_blanks(text, len, end);
  if (*size == 0 || end >= len || text[end] != '=')
    return false;
  *at = skip_blanks(text, len, end + 1);
  return true;
}

/* Where the quoted text that begins behind `at` ends; len: nowhere. */
static size_t
quote_end(const char *text, size_t len, size_t at, char quote)
{
  for (; at < len && text[at] != quote; at++)
    if (quote == '"' && text[at] == '\\' && at + 1 < len)
      at++;
  return MIN(at, len);
}

/* What shells and dotenv libraries make of backslashes between ". */
static GString *
unescape(const char *text, size_t len)
{
  GString *out = g_string_sized_new(len);

  for (size_t i = 0; i < len; i++) {
    if (text[i] != '\\' || i + 1 == len) {
      g_string_append_c(out, text[i]);
      continue;
    }
    i++;
    if (text[i] == 'n')
      g_string_append_c(out, '\n');
    else if (text[i] == 't')
      g_string_append_c(out, '\t');
    else if (strchr("\"\\$`", text[i]) != NULL)
      g_string_append_c(out, text[i]);
    else if (text[i] == 'r')
      g_string_append_c(out, '\r');
    else
      g_string_append_printf(out, "\\%c", text[i]);
  }
  return out;
}

static unsigned
read_plain(ValueSet *set,
           const char *name,
           size_t name_len,
           const char *value,
           size_t len)
{
  for (size_t i = 1; i < len; i++)
    if (value[i] == '#' && g_ascii_isspace(value[i - 1]))
      len = i;
  return take_if_secret(set, name, name_len, value, len);
}

static unsigned
read_quoted(ValueSet *set,
            const char *name,
            size_t name_len,
            const char *value,
            size_t len,
            char quote)
{
  g_autoptr(GString) plain = NULL;
  unsigned n = take_if_secret(set, name, name_len, value, len);

  if (quote != '"' || memchr(value, '\\', len) == NULL)
    return n;
  /* As it is written, and as programs read it. */
  plain = unescape(value, len);
  n += take_if_secret(set, name, name_len, plain->str, plain->len);
  secret_wipe(plain->str, plain->len);
  return n;
}

unsigned
value_set_read_env(ValueSet *set, const char *text, size_t len)
{
  unsigned n = 0;

  for (size_t at = 0; at < len; at++) {
    const size_t end = line_end(text, len, at);
    size_t name, name_len, close;
    char quote;

    if (!read_name(text, end, &at, &name, &name_len)) {
      at = end;
      continue;
    }
    quote = at < end ? text[at] : '\0';
    close = quote == '"' || quote == '\'' || quote == '`'
                ? quote_end(text, len, at + 1, quote)
                : len;
    if (close == len) {
      n += read_plain(set, text + name, name_len, text + at, end - at);
      at = end;
      continue;
    }
    n += read_quoted(
        set, text + name, name_len, text + at + 1, close - at - 1, quote);
    at = line_end(text, len, close);
  }
  return n;
}
