/* SPDX-License-Identifier: Apache-2.0 */
/* What reading and writing JSON strings share: finding the next byte that is
 * not plain, and checking UTF-8. Private to the room. */
#ifndef HOOP_KIT_JSON_SCAN_H
#define HOOP_KIT_JSON_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__) && !defined(JSON_SCAN_PORTABLE)
#include <emmintrin.h>
#endif

/* The length of the well-formed UTF-8 sequence (RFC 3629 section 4) of more
 * than one byte at `s`, or 0. */
static inline size_t
utf8_len(const uint8_t *s, size_t left)
{
  const uint8_t c = s[0];

  if (c < 0xc2 || c > 0xf4)
    return 0;
  if (left < 2 || (s[1] & 0xc0) != 0x80)
    return 0;
  if (c < 0xe0)
    return 2;
  if (left < 3 || (s[2] & 0xc0) != 0x80)
    return 0;
  if (c < 0xf0) {
    if ((c == 0xe0 && s[1] < 0xa0) || (c == 0xed && s[1] > 0x9f))
      return 0;
    return 3;
  }
  if (left < 4 || (s[3] & 0xc0) != 0x80)
    return 0;
  if ((c == 0xf0 && s[1] < 0x90) || (c == 0xf4 && s[1] > 0x8f))
    return 0;
  return 4;
}

static inline bool
is_plain(uint8_t c)
{
  return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* The first position from `pos` whose byte is a quote, a backslash, a control
 * or not ASCII; `len` when there is none. */
static inline size_t
scan_plain(const char *text, size_t pos, size_t len)
{
#if defined(__SSE2__) && !defined(JSON_SCAN_PORTABLE)
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i space = _mm_set1_epi8(0x20);

  while (len - pos >= 16) {
    const __m128i b = _mm_loadu_si128((const __m128i *)(text + pos));
    /* Signed: bytes from 0x80 are below the space as well. */
    const __m128i odd = _mm_or_si128(
        _mm_cmplt_epi8(b, space),
        _mm_or_si128(_mm_cmpeq_epi8(b, quote), _mm_cmpeq_epi8(b, backslash)));
    const unsigned mask = (unsigned)_mm_movemask_epi8(odd);

    if (mask != 0)
      return pos + (size_t)__builtin_ctz(mask);
    pos += 16;
  }
#else
  const uint64_t ones = UINT64_C(0x0101010101010101);

  while (len - pos >= 8) {
    uint64_t b, quote, backslash, odd;

    memcpy(&b, text + pos, 8);
    quote = b ^ ones * '"';
    backslash = b ^ ones * '\\';
    /* A byte's high bit: below 0x20, equal to either, or not ASCII. The exact
     * place is found below, so borrows between bytes do no harm. */
    odd = (b - ones * 0x20) | (quote - ones) | (backslash - ones) | b;
    if ((odd & ones * 0x80) != 0)
      break;
    pos += 8;
  }
#endif
  while (pos < len && is_plain((uint8_t)text[pos]))
    pos++;
  return pos;
}

#endif
