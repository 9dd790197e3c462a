/* SPDX-License-Identifier: Apache-2.0 */
/* How usual the letters of a word are, after the triples of letters in
 * ordinary words and identifiers. */
#include "inspect/value.h"
#include "inspect/words-table.h"

#include <glib.h>
#include <stdint.h>

/* Mean bits up to which letters count as a word: of words from sources that
 * were not counted 97 of 100 are below, of random letters 2 of 100 at eight
 * letters and 10 at five. */
#define USUAL_BITS 4.8
#define USUAL_BITS_SHORT 5.0
#define SHORT_WORD 5
/* So many letters tell whether capitals are strewn among them. */
#define JUMBLE_MAX 64
/* Shorter runs of letters say nothing. */
#define LEAST_WORD 3

static unsigned
letter_of(char c)
{
  return (unsigned)(g_ascii_tolower(c) - 'a') + 1;
}

double
word_bits_mean(const char *word, size_t len)
{
  unsigned before = 0, last = 0, sum = 0;

  for (size_t i = 0; i <= len; i++) {
    const unsigned next = i < len ? letter_of(word[i]) : 0;

    sum += (unsigned)(word_bits[before][last * WORD_LETTERS + next] - 'a');
    before = last;
    last = next;
  }
  return (double)sum / (double)(len + 1);
}

bool
word_is_usual(const char *word, size_t len)
{
  return word_bits_mean(word, len) <=
         (len <= SHORT_WORD ? USUAL_BITS_SHORT : USUAL_BITS);
}

/* Where the run of letters at `text` ends: at another character, or where a
 * word in camel case begins. */
static size_t
letters_at(const char *text, size_t len)
{
  size_t n = 0;

  while (n < len && g_ascii_isalpha(text[n])) {
    if (n > 0 && g_ascii_isupper(text[n]) &&
        (g_ascii_islower(text[n - 1]) ||
         (n + 1 < len && g_ascii_islower(text[n + 1]))))
      break;
    n++;
  }
  return n;
}

static void
count_byte(char c, ValueShape *shape)
{
  if (g_ascii_isdigit(c))
    shape->digits++;
  else if (g_ascii_isspace(c))
    shape->spaces++;
  else if (c == '-' || c == '_' || c == '.' || c == ':' || c == '/' || c == ',')
    shape->joints++;
  else
    shape->others++;
}

/* MwqLkz7Tr: capitals that begin no words, perhaps with digits among them. */
static bool
is_jumble(const char *text, size_t len, const ValueShape *shape)
{
  char letters[JUMBLE_MAX];
  size_t n = 0;

  if (shape->letters + shape->digits != len || shape->letters < 6 ||
      shape->pieces < 3 || shape->letters >= shape->pieces * 4 ||
      shape->digits * 3 > len)
    return false;
  for (size_t i = 0; i < len && n < sizeof(letters); i++)
    if (g_ascii_isalpha(text[i]))
      letters[n++] = text[i];
  return word_bits_mean(letters, n) > USUAL_BITS;
}

void
shape_of_value(const char *text, size_t len, ValueShape *shape)
{
  bool seen[256] = {false};

  *shape = (ValueShape){0};
  for (size_t i = 0; i < len;) {
    const size_t n = letters_at(text + i, len - i);

    if (n == 0) {
      count_byte(text[i++], shape);
      continue;
    }
    shape->letters += n;
    shape->pieces++;
    if (n >= LEAST_WORD && word_is_usual(text + i, n))
      shape->usual += n;
    else
      shape->longest = MAX(shape->longest, n);
    i += n;
  }
  for (size_t i = 0; i < len; i++) {
    shape->distinct += !seen[(uint8_t)text[i]];
    seen[(uint8_t)text[i]] = true;
    shape->uppers += g_ascii_isupper(text[i]);
    shape->lowers += g_ascii_islower(text[i]);
  }
  if (is_jumble(text, len, shape)) {
    shape->usual = 0;
    shape->longest = len;
  }
}
