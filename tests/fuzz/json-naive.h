/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 8259 read aloud: a slow recursive recogniser that shares no code with
 * agent/kit/json.c, to compare it with. */
#ifndef HOOP_TESTS_JSON_NAIVE_H
#define HOOP_TESTS_JSON_NAIVE_H

#include <ctype.h>
#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct {
  const char *at;
  const char *end;
  unsigned depth;
  unsigned max_depth;
} Naive;

static bool naive_value(Naive *n);

static void
naive_space(Naive *n)
{
  while (n->at < n->end && *n->at != '\0' && strchr(" \t\n\r", *n->at))
    n->at++;
}

static bool
naive_char(Naive *n, char c)
{
  if (n->at == n->end || *n->at != c)
    return false;
  n->at++;
  return true;
}

static bool
naive_digits(Naive *n)
{
  const char *start = n->at;

  while (n->at < n->end && isdigit((unsigned char)*n->at))
    n->at++;
  return n->at > start;
}

/* number = [ minus ] int [ frac ] [ exp ] */
static bool
naive_number(Naive *n)
{
  naive_char(n, '-');
  if (!naive_char(n, '0') && !naive_digits(n))
    return false;
  if (naive_char(n, '.') && !naive_digits(n))
    return false;
  if (naive_char(n, 'e') || naive_char(n, 'E')) {
    if (!naive_char(n, '+'))
      naive_char(n, '-');
    return naive_digits(n);
  }
  return true;
}

static bool
naive_string(Naive *n)
{
  if (!naive_char(n, '"'))
    return false;
  while (n->at < n->end && *n->at != '"') {
    if ((unsigned char)*n->at < 0x20)
      return false;
    if (*n->at++ != '\\')
      continue;
    if (n->at == n->end || *n->at == '\0' || !strchr("\"\\/bfnrtu", *n->at))
      return false;
    if (*n->at++ == 'u') {
      for (int i = 0; i < 4; i++, n->at++)
        if (n->at == n->end || !isxdigit((unsigned char)*n->at))
          return false;
    }
  }
  return naive_char(n, '"');
}

static bool
naive_container(Naive *n, bool object)
{
  const char close = object ? '}' : ']';

  n->at++;
  if (++n->depth > n->max_depth)
    return false;
  naive_space(n);
  if (!naive_char(n, close)) {
    do {
      naive_space(n);
      if (object) {
        if (!naive_string(n))
          return false;
        naive_space(n);
        if (!naive_char(n, ':'))
          return false;
      }
      if (!naive_value(n))
        return false;
      naive_space(n);
    } while (naive_char(n, ','));
    if (!naive_char(n, close))
      return false;
  }
  n->depth--;
  return true;
}

static bool
naive_word(Naive *n, const char *word)
{
  const size_t len = strlen(word);

  if ((size_t)(n->end - n->at) < len || memcmp(n->at, word, len) != 0)
    return false;
  n->at += len;
  return true;
}

static bool
naive_value(Naive *n)
{
  naive_space(n);
  if (n->at == n->end)
    return false;
  switch (*n->at) {
  case '{':
    return naive_container(n, true);
  case '[':
    return naive_container(n, false);
  case '"':
    return naive_string(n);
  case 't':
    return naive_word(n, "true");
  case 'f':
    return naive_word(n, "false");
  case 'n':
    return naive_word(n, "null");
  default:
    return naive_number(n);
  }
}

/* g_utf8_validate_len() stops at NUL, which no JSON text holds anyway. */
static inline bool
naive_json(const char *text, size_t len, unsigned max_depth)
{
  Naive n = {text, text + len, 0, max_depth};

  if (!g_utf8_validate_len(text, len, NULL) || !naive_value(&n))
    return false;
  naive_space(&n);
  return n.at == n.end;
}

#endif
