/* SPDX-License-Identifier: Apache-2.0 */
/* What stands where a secret would and is none: references, things to be
 * filled in, addresses, names of techniques. */
#include "inspect/value.h"

#include <glib.h>
#include <string.h>

/* A pair of marks around a placeholder or a reference. */
typedef struct {
  const char *open, *close;
} Marks;

static bool
has_prefix(const char *text, size_t len, const char *prefix)
{
  const size_t n = strlen(prefix);

  return len >= n && g_ascii_strncasecmp(text, prefix, n) == 0;
}

static bool
has_suffix(const char *text, size_t len, const char *suffix)
{
  const size_t n = strlen(suffix);

  return len >= n && g_ascii_strncasecmp(text + len - n, suffix, n) == 0;
}

/* Without case; the parts are short and so is the text. */
static bool
contains(const char *text, size_t len, const char *part)
{
  const size_t n = strlen(part);
  const char lower = g_ascii_tolower(*part), upper = g_ascii_toupper(*part);

  for (size_t i = 0; i + n <= len; i++)
    if ((text[i] == lower || text[i] == upper) &&
        g_ascii_strncasecmp(text + i, part, n) == 0)
      return true;
  return false;
}

static bool
equals(const char *text, size_t len, const char *word)
{
  return strlen(word) == len && g_ascii_strncasecmp(text, word, len) == 0;
}

static bool
is_name_byte(char c)
{
  return g_ascii_isalnum(c) || c == '_';
}

static size_t
name_at(const char *text, size_t len)
{
  size_t n = 0;

  if (len == 0 || (!g_ascii_isalpha(text[0]) && text[0] != '_'))
    return 0;
  while (n < len && is_name_byte(text[n]))
    n++;
  return n;
}

/* a.b, a->b, a::b, a?.b, $a.b: members, two names at least; then it may go on
 * with a call or an index. */
static bool
is_member_path(const char *text, size_t len)
{
  size_t at = len > 0 && (text[0] == '$' || text[0] == '@' || text[0] == '&' ||
                          text[0] == '*' || text[0] == '!');
  unsigned names = 0;
  ValueShape shape;

  while (at < len) {
    const size_t n = name_at(text + at, len - at);

    if (n == 0)
      return false;
    at += n;
    names++;
    if (at == len)
      break;
    if (text[at] == '(' || text[at] == '[')
      return true;
    if (text[at] == '.')
      at++;
    else if (at + 1 < len && (memcmp(text + at, "->", 2) == 0 ||
                              memcmp(text + at, "::", 2) == 0 ||
                              memcmp(text + at, "?.", 2) == 0 ||
                              memcmp(text + at, "!.", 2) == 0))
      at += 2;
    else
      return false;
  }
  shape_of_value(text, len, &shape);
  return names >= 2 && shape.digits * 8 <= len &&
         shape.usual * 2 >= shape.letters;
}

/* $NAME and %NAME% and @NAME@ and __NAME__, with nothing else. */
static bool
is_marked_name(const char *text, size_t len)
{
  static const char marks[] = "%@#";

  if (len >= 2 && text[0] == '$' && name_at(text + 1, len - 1) == len - 1)
    return true;
  if (len >= 2 && text[0] == '$' && g_ascii_isdigit(text[1]) && len == 2)
    return true;
  if (len >= 4 && strchr(marks, text[0]) != NULL && text[len - 1] == text[0] &&
      name_at(text + 1, len - 2) == len - 2)
    return true;
  return len > 4 && memcmp(text, "__", 2) == 0 &&
         memcmp(text + len - 2, "__", 2) == 0 && name_at(text, len) == len;
}

bool
value_is_reference(const char *text, size_t len)
{
  static const char *const parts[] = {"${",
                                      "$(",
                                      "#{",
                                      "{{",
                                      "<%",
                                      "$[",
                                      "@{",
                                      "process.env",
                                      "os.environ",
                                      "getenv",
                                      "%(",
                                      "%s",
                                      "%d",
                                      "%@",
                                      "{}",
                                      "env(",
                                      "env.",
                                      "import.meta",
                                      "secrets.",
                                      "$env:",
                                      "vault:",
                                      "op://",
                                      "secretsmanager",
                                      "keyvault",
                                      "getpass(",
                                      "input(",
                                      "prompt(",
                                      "random",
                                      NULL};

  for (unsigned i = 0; parts[i] != NULL; i++)
    if (contains(text, len, parts[i]))
      return true;
  if (has_prefix(text, len, "arn:") || has_prefix(text, len, "ref:") ||
      has_prefix(text, len, "ssm:") || has_prefix(text, len, "file:") ||
      has_prefix(text, len, "env:") || has_prefix(text, len, "secret/"))
    return true;
  return is_marked_name(text, len) || is_member_path(text, len);
}

/* <x>, [x], {x}, (x), *x*: the whole value between marks. */
static bool
is_between_marks(const char *text, size_t len)
{
  static const Marks marks[] = {
      {"<", ">"}, {"[", "]"}, {"{", "}"}, {"(", ")"}, {"&lt;", "&gt;"}};
  ValueShape shape;

  for (unsigned i = 0; i < G_N_ELEMENTS(marks); i++)
    if (has_prefix(text, len, marks[i].open) &&
        has_suffix(text, len, marks[i].close)) {
      shape_of_value(text, len, &shape);
      return len < 10 || shape.usual * 2 >= shape.letters;
    }
  return false;
}

bool
value_is_placeholder(const char *text, size_t len)
{
  static const char *const parts[] = {
      "your",         "example",
      "placeholder",  "changeme",
      "change-me",    "change_me",
      "changeit",     "change_this",
      "replace",      "insert",
      "redacted",     "removed",
      "dummy",        "sample",
      "xxxx",         "todo",
      "fixme",        "tbd",
      "***",          "...",
      "<pass",        "<secret",
      "<token",       "goes here",
      "goes-here",    "goes_here",
      "here>",        "fill_in",
      "fill-in",      "enter_",
      "enter-",       "some_",
      "some-",        "somepass",
      "somesecret",   "sometoken",
      "notreal",      "not-real",
      "not_real",     "not-a-real",
      "fake",         "foobar",
      "lorem",        "masked",
      "hidden",       "\xe2\x80\xa2\xe2\x80\xa2",
      "\xe2\x80\xa6", "-here",
      "_here",        NULL};
  static const char *const whole[] = {
      "none",      "null",     "nil",     "true",    "false",   "undefined",
      "string",    "str",      "text",    "boolean", "number",  "optional",
      "required",  "unknown",  "default", "empty",   "foo",     "bar",
      "baz",       "qux",      "test",    "value",   "testing", "anything",
      "something", "whatever", "blank",   "any",     "object",  "hash",
      "abc",       "xyz",      "x",       "no",      "yes",     "off",
      "disabled",  "enabled",  "nothing", "n/a",     "asdf",    "bytes",
      "never",     "always",   "ask",     "-",       "invalid", "wrong",
      "valid",     NULL};
  ValueShape shape;

  for (unsigned i = 0; parts[i] != NULL; i++)
    if (contains(text, len, parts[i]))
      return true;
  for (unsigned i = 0; whole[i] != NULL; i++)
    if (equals(text, len, whole[i]))
      return true;
  shape_of_value(text, len, &shape);
  if (shape.distinct <= 2 || (len >= 12 && shape.distinct <= 3))
    return true;
  return is_between_marks(text, len);
}

static bool
is_url(const char *text, size_t len)
{
  const char *colon = g_strstr_len(text, (gssize)len, "://");

  return colon != NULL && colon - text <= 16 &&
         name_at(text, (size_t)(colon - text)) > 0;
}

/* Separate parts between slashes, dots or backslashes that are words. */
static bool
is_path(const char *text, size_t len)
{
  ValueShape shape;
  const bool rooted = text[0] == '/' || text[0] == '~' || text[0] == '.' ||
                      text[0] == '\\' ||
                      (len > 2 && g_ascii_isalpha(text[0]) && text[1] == ':' &&
                       (text[2] == '\\' || text[2] == '/'));

  if (memchr(text, '/', len) == NULL && memchr(text, '\\', len) == NULL)
    return false;
  shape_of_value(text, len, &shape);
  if (shape.others > shape.joints || shape.letters == 0)
    return false;
  return rooted ? shape.usual * 3 >= shape.letters
                : shape.usual * 4 >= shape.letters * 3 && shape.digits < 4;
}

static bool
is_file_name(const char *text, size_t len)
{
  static const char *const ends[] = {
      ".txt", ".json", ".yml",        ".yaml", ".pem",  ".key",   ".crt",
      ".cer", ".p12",  ".pfx",        ".jks",  ".html", ".htm",   ".php",
      ".js",  ".ts",   ".py",         ".rb",   ".java", ".xml",   ".conf",
      ".cfg", ".ini",  ".properties", ".md",   ".sh",   ".png",   ".svg",
      ".gif", ".jpg",  ".css",        ".vue",  ".jsp",  ".aspx",  ".exe",
      ".dll", ".com",  ".org",        ".net",  ".io",   ".local", ".keystore",
      ".gpg", ".asc",  ".env",        ".enc",  ".log",  ".db",    ".cs",
      ".go",  NULL};

  for (unsigned i = 0; ends[i] != NULL; i++)
    if (has_suffix(text, len, ends[i]))
      return true;
  return false;
}

static bool
is_mail(const char *text, size_t len)
{
  const char *at = memchr(text, '@', len);
  const char *dot;

  if (at == NULL || at == text)
    return false;
  dot = memchr(at, '.', (size_t)(text + len - at));
  for (const char *p = at + 1; p < text + len; p++)
    if (!g_ascii_isalnum(*p) && *p != '.' && *p != '-')
      return false;
  return dot != NULL && dot > at + 1 && text + len - dot > 2 &&
         g_ascii_isalpha(text[len - 1]);
}

/* 1.2.3, 2019-05-01, 10:30, 127.0.0.1, +49 30 1234, 0x1f, 12px */
static bool
is_number(const char *text, size_t len)
{
  size_t letters = 0, digits = 0;

  if (len > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X') &&
      len <= 10)
    return true;
  for (size_t i = 0; i < len; i++) {
    digits += g_ascii_isdigit(text[i]);
    letters += g_ascii_isalpha(text[i]);
    if (!is_name_byte(text[i]) && strchr(".-:/+ ,%", text[i]) == NULL)
      return false;
  }
  return digits > 0 && letters <= 2 &&
         (digits < len - letters || letters > 0) && digits + letters < len;
}

static bool
is_regex(const char *text, size_t len)
{
  static const char *const parts[] = {"(?",
                                      "[a-z",
                                      "[A-Z",
                                      "[0-9",
                                      "[^",
                                      "\\d",
                                      "\\w",
                                      "\\s",
                                      ".*",
                                      ".+",
                                      "\\b",
                                      "\\S",
                                      "\\(",
                                      "\\|",
                                      "\\<",
                                      "0-9a-z",
                                      "a-zA-Z",
                                      NULL};

  for (unsigned i = 0; parts[i] != NULL; i++)
    if (g_strstr_len(text, (gssize)len, parts[i]) != NULL)
      return true;
  return false;
}

bool
value_is_address(const char *text, size_t len)
{
  static const char *const starts[] = {
      "sha1-",   "sha256-",     "sha384-", "sha512-",     "sha256:",
      "sha512:", "sha1:",       "md5:",    "data:",       "urn:",
      "ssh-rsa", "ssh-ed25519", "ecdsa-",  "AAAAB3NzaC1", "AAAAC3NzaC1",
      "-----",   "mailto:",     "refs/",   "rgb(",        "rgba(",
      "0x00",    "xpath",       "//",      "@",           "#",
      "--",      NULL};

  for (unsigned i = 0; starts[i] != NULL; i++)
    if (has_prefix(text, len, starts[i]) &&
        (strlen(starts[i]) > 2 || name_at(text + 1, len - 1) == len - 1 ||
         starts[i][0] == '/'))
      return true;
  return is_url(text, len) || is_path(text, len) || is_file_name(text, len) ||
         is_mail(text, len) || is_number(text, len) || is_regex(text, len);
}

/* ECDHE-PSK-CHACHA20-POLY1305: words in capitals that name a cipher. */
static bool
is_cipher_suite(const char *text, size_t len)
{
  static const char *const parts[] = {
      "AES", "CHACHA20", "CAMELLIA", "ARIA", "3DES", "RC4", "SHA", NULL};
  bool named = false;

  for (size_t i = 0; i < len; i++)
    if (!g_ascii_isupper(text[i]) && !g_ascii_isdigit(text[i]) &&
        text[i] != '-' && text[i] != '_')
      return false;
  for (unsigned i = 0; parts[i] != NULL; i++)
    named = named || g_strstr_len(text, (gssize)len, parts[i]) != NULL;
  return named && memchr(text, '-', len) != NULL;
}

bool
value_is_technical(const char *text, size_t len)
{
  /* With up to four digits, and with up to one. */
  static const char *const techniques[] = {
      "sha",      "md",    "utf",   "base",   "oauth", "rsa",  "aes",
      "http",     "ipv",   "x",     "v",      "node",  "es",   "int",
      "uint",     "float", "win",   "ed",     "hs",    "rs",   "ps",
      "cp",       "pbkdf", "argon", "iso",    "tls",   "ssl",  "latin",
      "windows",  "utfle", "utfbe", "urllib", "utfmb", "tlsv", "sslv",
      "scramsha", "rfc",   "bit",   "des",    "ascii", NULL};
  static const char *const names[] = {
      "arg",  "param", "var",  "str",    "val",      "key",   "token",
      "pass", "pwd",   "test", "secret", "password", "input", "item",
      "user", "field", "web",  "i",      "p",        "s",     "a",
      "b",    "t",     "n",    "k",      NULL};
  size_t digits = 0;
  char stem[12];
  unsigned n = 0;

  if (is_cipher_suite(text, len))
    return true;
  for (size_t i = 0; i < len; i++) {
    if (g_ascii_isalpha(text[i]) && n + 1 < sizeof(stem))
      stem[n++] = g_ascii_tolower(text[i]);
    else if (g_ascii_isdigit(text[i]))
      digits++;
    else if (text[i] != '-' && text[i] != '_')
      return false;
  }
  stem[n] = '\0';
  return (digits <= 4 && g_strv_contains(techniques, stem)) ||
         (digits <= 1 && g_strv_contains(names, stem));
}

bool
value_is_sequence(const char *text, size_t len)
{
  size_t breaks = 0;
  int step = 0;

  for (size_t i = 1; i < len; i++) {
    const int now = text[i] - text[i - 1];

    if ((now == 1 || now == -1 || (text[i - 1] == '9' && text[i] == '0')) &&
        (step == 0 || now == step || text[i] == '0')) {
      if (step == 0)
        step = now;
      continue;
    }
    breaks++;
    step = 0;
  }
  return len >= 6 && breaks <= len / 8;
}
