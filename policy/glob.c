/* SPDX-License-Identifier: Apache-2.0 */
/* Wildcards: * is any text, also none, ? is one character; / is nothing
 * special. */
#include "policy/policy.h"

static bool
same(char a, char b, bool fold)
{
  return fold ? g_ascii_tolower(a) == g_ascii_tolower(b) : a == b;
}

/* One character on, not into the middle of one. */
static const char *
next_char(const char *text)
{
  do
    text++;
  while (((unsigned char)*text & 0xc0) == 0x80);
  return text;
}

/* Goes back to the last * only: time is at most len(pattern) × len(text). */
bool
policy_glob(const char *pattern, const char *text, bool fold)
{
  const char *star = NULL, *retry = NULL;

  while (*text != '\0') {
    if (*pattern == '*') {
      star = ++pattern;
      retry = text;
    } else if (*pattern == '?') {
      pattern++;
      text = next_char(text);
    } else if (*pattern != '\0' && same(*pattern, *text, fold)) {
      pattern++;
      text++;
    } else if (star != NULL) {
      pattern = star;
      text = retry = next_char(retry);
    } else {
      return false;
    }
  }
  while (*pattern == '*')
    pattern++;
  return *pattern == '\0';
}
