/* SPDX-License-Identifier: Apache-2.0 */
/* Takes the name before a value apart and says what it promises: a name may
 * hold a secret's word and be about something else (password_field,
 * max_tokens, publicKeyToken). */
#include "inspect/value.h"

#include <glib.h>
#include <string.h>

#define MAX_WORDS 16
#define MAX_WORD 24

typedef struct {
  char words[MAX_WORDS][MAX_WORD];
  unsigned n;
} Words;

static const char *const password_words[] = {
    "pass",       "passcode",   "passphrase",  "passwd",     "passwort",
    "password",   "passwords",  "psk",         "psswd",      "pswd",
    "pw",         "pwd",        "userpass",    "passwrd",    "kennwort",
    "contrasena", "bindpw",     "rootpw",      "adminpw",    "passw",
    "senha",      "motdepasse", "requirepass", "masterauth", NULL};
/* Ends of words that are written without a break: dbpassword, ftppwd. */
static const char *const password_ends[] =
    {"password", "passwd", "passwort", "passphrase", "pwd", "passcode", NULL};
/* What "pass" may end without being another word (compass, bypass). */
static const char *const pass_starts[] = {
    "admin", "ap",   "auth", "bind", "cert",  "client", "db",   "email",
    "ftp",   "http", "imap", "key",  "ldap",  "login",  "mail", "my",
    "mysql", "new",  "old",  "pg",   "proxy", "redis",  "root", "rpc",
    "smtp",  "sql",  "ssh",  "sta",  "store", "sudo",   "sys",  "test",
    "user",  "usr",  "vpn",  "web",  "wifi",  "wlan",   NULL};
static const char *const secret_ends[] = {"secret", "secrets", NULL};
static const char *const token_ends[] = {"token",
                                         "apikey",
                                         "secretkey",
                                         "accesskey",
                                         "authkey",
                                         "privatekey",
                                         "masterkey",
                                         "appkey",
                                         "credential",
                                         "credentials",
                                         "authtoken",
                                         "tokens",
                                         NULL};
/* Words that make something else of "key"; the rules know which others make a
 * secret of it. */
static const char *const other_keys[] = {
    "alt",       "arrow",       "bind",        "binding",     "by",
    "cache",     "candidate",   "chord",       "column",      "compare",
    "composite", "config",      "context",     "control",     "ctrl",
    "data",      "dedup",       "default",     "dict",        "down",
    "each",      "entity",      "escape",      "event",       "field",
    "filter",    "fingerprint", "first",       "foreign",     "function",
    "get",       "group",       "has",         "hash",        "header",
    "host",      "hot",         "idempotency", "index",       "invalid",
    "item",      "json",        "keyboard",    "label",       "last",
    "locale",    "lookup",      "map",         "message",     "meta",
    "missing",   "modifier",    "natural",     "next",        "no",
    "node",      "object",      "on",          "option",      "order",
    "other",     "parent",      "partition",   "press",       "primary",
    "pub",       "public",      "query",       "react",       "registry",
    "release",   "root",        "routing",     "row",         "same",
    "search",    "shift",       "site",        "sort",        "state",
    "string",    "tab",         "target",      "template",    "the",
    "theme",     "this",        "to",          "translation", "type",
    "unique",    "unknown",     "up",          "value",       NULL};
/* Behind the secret's word: then the value is about it. */
static const char *const about_after[] = {
    "action",      "age",          "alg",         "algorithm",
    "alias",       "amount",       "arn",         "arns",
    "attempt",     "attempts",     "attr",        "attribute",
    "audience",    "autocomplete", "balance",     "box",
    "btn",         "bucket",       "budget",      "button",
    "bytes",       "callback",     "category",    "caption",
    "changed",     "char",         "chars",       "check",
    "checker",     "class",        "col",         "color",
    "column",      "command",      "complexity",  "config",
    "context",     "cost",         "count",       "counter",
    "css",         "date",         "days",        "desc",
    "description", "dialog",       "dir",         "directory",
    "element",     "email",        "empty",       "enabled",
    "encoder",     "encoding",     "endpoint",    "entry",
    "env",         "error",        "errors",      "event",
    "exists",      "expiration",   "expired",     "expires",
    "expiry",      "factory",      "failed",      "failure",
    "field",       "fields",       "file",        "filename",
    "files",       "flag",         "flow",        "form",
    "format",      "forgotten",    "frame",       "func",
    "function",    "generator",    "getter",      "grant",
    "group",       "guid",         "handle",      "handler",
    "hashed",      "hasher",       "header",      "headers",
    "help",        "helper",       "hint",        "hours",
    "html",        "icon",         "id",          "identifier",
    "idx",         "img",          "image",       "incorrect",
    "index",       "info",         "input",       "interval",
    "invalid",     "is",           "issuer",      "item",
    "kind",        "label",        "layout",      "len",
    "length",      "level",        "lifetime",    "limit",
    "line",        "link",         "list",        "location",
    "locator",     "logger",       "login",       "lookup",
    "manager",     "map",          "match",       "matches",
    "max",         "message",      "messages",    "meta",
    "metadata",    "method",       "min",         "minimum",
    "minutes",     "mismatch",     "missing",     "mode",
    "model",       "module",       "msg",         "name",
    "names",       "node",         "note",        "nr",
    "num",         "number",       "offset",      "option",
    "options",     "page",         "panel",       "param",
    "parameter",   "params",       "parser",      "path",
    "paths",       "pattern",      "permission",  "placeholder",
    "policies",    "policy",       "pos",         "position",
    "prefix",      "price",        "prompt",      "property",
    "protected",   "protocol",     "provider",    "query",
    "quality",     "rate",         "ref",         "reference",
    "refresh",     "regex",        "regexp",      "repository",
    "request",     "required",     "requirement", "requirements",
    "reset",       "response",     "role",        "row",
    "rule",        "rules",        "schema",      "scope",
    "scopes",      "screen",       "script",      "seconds",
    "section",     "selector",     "service",     "set",
    "setter",      "settings",     "show",        "size",
    "slot",        "sort",         "source",      "span",
    "spec",        "stdin",        "start",       "state",
    "status",      "storage",      "store",       "strategy",
    "strength",    "style",        "submit",      "subject",
    "success",     "suffix",       "symbol",      "tab",
    "table",       "tag",          "target",      "template",
    "textbox",     "textfield",    "thumbprint",  "time",
    "timeout",     "timestamp",    "tip",         "title",
    "toggle",      "tooltip",      "topic",       "transformer",
    "ttl",         "type",         "types",       "updated",
    "uri",         "url",          "urls",        "usage",
    "user",        "username",     "utils",       "valid",
    "with",        "validate",     "validation",  "validator",
    "var",         "variable",     "vault",       "version",
    "view",        "visible",      "warning",     "widget",
    "width",       "window",       "wrong",       "xpath",
    NULL};
/* Before it: then it is no secret, or no value of one. */
static const char *const about_before[] = {
    "allow",        "assert",     "body",       "bos",      "can",
    "check",        "classify",   "close",      "comma",    "completion",
    "continuation", "css",        "cls",        "cursor",   "delimiter",
    "design",       "disable",    "enable",     "end",      "eof",
    "eos",          "error",      "expected",   "fake",     "fips",
    "first",        "for",        "foreign",    "forgot",   "forgotten",
    "format",       "generate",   "has",        "hide",     "id",
    "identifier",   "incorrect",  "input",      "invalid",  "is",
    "keyword",      "last",       "left",       "lexer",    "limit",
    "line",         "lost",       "marker",     "mask",     "max",
    "min",          "mismatched", "missing",    "mock",     "needs",
    "next",         "no",         "node",       "num",      "number",
    "open",         "operator",   "output",     "pad",      "page",
    "pagination",   "parse",      "peek",       "prev",     "previous",
    "prompt",       "public",     "punctuator", "remember", "requires",
    "right",        "sep",        "separator",  "should",   "show",
    "skip",         "special",    "start",      "stop",     "syntax",
    "theme",        "toggle",     "total",      "type",     "unexpected",
    "unk",          "validate",   "wrong",      NULL};

static bool
is_one_of(const char *word, const char *const *list)
{
  for (; *list != NULL; list++)
    if (**list == *word && strcmp(*list, word) == 0)
      return true;
  return false;
}

static bool
ends_with_one(const char *word, const char *const *list)
{
  const size_t len = strlen(word);

  for (; *list != NULL; list++) {
    const size_t n = strlen(*list);

    if (n <= len && memcmp(word + len - n, *list, n) == 0)
      return true;
  }
  return false;
}

/* Cut at capitals ("APIKey" is "api", "key"), digits and all other bytes. */
static void
split_words(const char *name, size_t len, Words *words)
{
  size_t at = 0;
  unsigned fill = 0;

  words->n = 0;
  for (; at < len && words->n < MAX_WORDS; at++) {
    const char c = name[at];
    const bool alpha = g_ascii_isalpha(c);
    const bool breaks = at > 0 && g_ascii_isupper(c) &&
                        (g_ascii_islower(name[at - 1]) ||
                         (at + 1 < len && g_ascii_islower(name[at + 1]) &&
                          !(at + 2 == len && name[at + 1] == 's')));

    if (fill > 0 && (!alpha || breaks)) {
      words->words[words->n++][fill] = '\0';
      fill = 0;
    }
    if (alpha && words->n < MAX_WORDS && fill + 1 < MAX_WORD)
      words->words[words->n][fill++] = g_ascii_tolower(c);
  }
  if (fill > 0 && words->n < MAX_WORDS)
    words->words[words->n++][fill] = '\0';
}

static bool
is_pass_word(const char *word)
{
  const size_t len = strlen(word);

  if (is_one_of(word, password_words) || ends_with_one(word, password_ends))
    return true;
  if (len > 4 && g_str_has_suffix(word, "pass")) {
    g_autofree char *start = g_strndup(word, len - 4);

    return is_one_of(start, pass_starts);
  }
  return false;
}

/* What the word at i is, with what stands before it. */
static NameKind
kind_of_word(const Words *words, unsigned i)
{
  const char *word = words->words[i];

  if (is_pass_word(word))
    return NAME_PASSWORD;
  if (ends_with_one(word, secret_ends))
    return NAME_SECRET;
  if (ends_with_one(word, token_ends))
    return NAME_KEY;
  if ((strcmp(word, "key") == 0 || strcmp(word, "keys") == 0) && i > 0 &&
      !is_one_of(words->words[i - 1], other_keys))
    return NAME_KEY;
  /* "pass word", "pass phrase" */
  if (i > 0 && strcmp(words->words[i - 1], "pass") == 0 &&
      (strcmp(word, "word") == 0 || strcmp(word, "phrase") == 0))
    return NAME_PASSWORD;
  return NAME_NONE;
}

NameKind
name_kind(const char *name, size_t len)
{
  Words words;
  NameKind kind = NAME_NONE;
  unsigned at;

  split_words(name, len, &words);
  for (at = words.n; at-- > 0;) {
    kind = kind_of_word(&words, at);
    if (kind != NAME_NONE)
      break;
    if (is_one_of(words.words[at], about_after))
      return NAME_NONE;
  }
  if (kind == NAME_NONE)
    return NAME_NONE;
  for (unsigned i = 0; i < at; i++)
    if (is_one_of(words.words[i], about_before))
      return NAME_NONE;
  return kind;
}

bool
names_a_secret(const char *text, size_t len)
{
  static const char *const fillers[] = {
      "access", "admin", "api",   "app",  "auth",  "client", "current", "db",
      "key",    "keys",  "login", "my",   "new",   "old",    "private", "the",
      "user",   "your",  "id",    "name", "field", "value",  "confirm", NULL};
  Words words;
  bool secret = false;

  split_words(text, len, &words);
  for (unsigned i = 0; i < words.n; i++) {
    if (kind_of_word(&words, i) != NAME_NONE)
      secret = true;
    else if (!is_one_of(words.words[i], fillers))
      return false;
  }
  return secret;
}
