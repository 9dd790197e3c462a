/* SPDX-License-Identifier: Apache-2.0 */
/* Checks that a regex cannot make: entropy, check digits, checksums, and the
 * shape of a JWT. */
#include "inspect/detector.h"

#include "kit/digest.h"
#include "kit/json.h"

#include <math.h>
#include <string.h>

#define CARD_DIGITS_MIN 12
#define CARD_DIGITS_MAX 19
#define IBAN_MIN 15
#define IBAN_MAX 34
/* Least random part, and checksum, of a GitHub token after its prefix. */
#define GITHUB_BODY 30
#define GITHUB_SUM 6
/* A JWT's header that is longer than this is none. */
#define JWT_HEADER_MAX 4096

double
shannon_entropy(const char *text, size_t len)
{
  unsigned count[256] = {0};
  double sum = 0;

  if (len == 0)
    return 0;
  for (size_t i = 0; i < len; i++)
    count[(uint8_t)text[i]]++;
  for (unsigned i = 0; i < 256; i++)
    if (count[i] != 0)
      sum -= count[i] * log2((double)count[i] / (double)len);
  return sum / (double)len;
}

/* ISO/IEC 7812-1 annex B: the Luhn sum of the digits, spaces and hyphens
 * between them ignored. */
static bool
check_luhn(const char *text, size_t len)
{
  unsigned sum = 0, n = 0;
  bool same = true;
  char first = '\0';

  for (size_t i = len; i-- > 0;) {
    unsigned digit;

    if (text[i] == ' ' || text[i] == '-')
      continue;
    if (!g_ascii_isdigit(text[i]))
      return false;
    if (n == 0)
      first = text[i];
    same = same && text[i] == first;
    digit = (unsigned)(text[i] - '0');
    if (n++ % 2 == 1)
      digit = digit * 2 > 9 ? digit * 2 - 9 : digit * 2;
    sum += digit;
  }
  return n >= CARD_DIGITS_MIN && n <= CARD_DIGITS_MAX && !same && sum % 10 == 0;
}

/* Lengths of the IBAN registry (SWIFT, ISO 13616), two letters and a number
 * each; a country that is not listed is judged by its check digits alone. */
static const char iban_lengths[] =
    "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27"
    "DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HN28HR21HU28"
    "IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22"
    "MK19MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24"
    "SC31SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";

/* The registered length, or 0. */
static size_t
iban_length(const char *country)
{
  for (const char *p = iban_lengths; *p != '\0'; p += 4)
    if (p[0] == country[0] && p[1] == country[1])
      return (size_t)((p[2] - '0') * 10 + (p[3] - '0'));
  return 0;
}

/* ISO 13616: moved to the front, letters as 10 to 35, remainder 1 by 97. A
 * word in capitals that follows the number is not part of it. */
static bool
check_iban(const char *text, size_t *len)
{
  char compact[IBAN_MAX];
  const size_t wanted = *len >= 2 ? iban_length(text) : 0;
  size_t n = 0, i;
  unsigned rest = 0;

  for (i = 0; i < *len && n < IBAN_MAX && (wanted == 0 || n < wanted); i++)
    if (g_ascii_isalnum(text[i]))
      compact[n++] = g_ascii_toupper(text[i]);
  if (n < IBAN_MIN || (wanted != 0 && n < wanted) ||
      (i < *len && text[i] != ' '))
    return false;
  for (size_t k = 0; k < n; k++) {
    const char c = compact[(k + 4) % n];

    if (g_ascii_isdigit(c))
      rest = (rest * 10 + (unsigned)(c - '0')) % 97;
    else
      rest = (rest * 100 + (unsigned)(c - 'A') + 10) % 97;
  }
  *len = i;
  return rest == 1;
}

/* GitHub's token format (blog, 5 April 2021): after the prefix random
 * characters and their CRC-32 in base 62 (0-9A-Za-z), six digits. */
static bool
check_github(const char *text, size_t len)
{
  static const char digits[] =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const char *body = g_strrstr_len(text, (gssize)len, "_");
  uint64_t sum = 0;
  size_t size;

  if (body == NULL)
    return false;
  body++;
  size = (size_t)(text + len - body);
  if (size < GITHUB_BODY + GITHUB_SUM)
    return false;
  size -= GITHUB_SUM;
  for (unsigned i = 0; i < GITHUB_SUM; i++) {
    const char *at = strchr(digits, body[size + i]);

    if (at == NULL || *at == '\0')
      return false;
    sum = sum * 62 + (uint64_t)(at - digits);
  }
  return sum == crc32_of(body, size);
}

/* RFC 7519: a header that decodes to a JSON object with "alg". */
static bool
check_jwt(const char *text, size_t len)
{
  const char *dot = memchr(text, '.', len);
  g_autofree char *padded = NULL;
  g_autofree guchar *header = NULL;
  gsize size, header_len = 0;
  g_autoptr(GError) ignored = NULL;
  JsonReader reader;
  JsonToken token;
  bool alg = false;

  if (dot == NULL || dot - text > JWT_HEADER_MAX)
    return false;
  size = (gsize)(dot - text);
  padded = g_malloc(size + 4);
  memcpy(padded, text, size);
  for (gsize i = 0; i < size; i++)
    padded[i] = padded[i] == '-' ? '+' : padded[i] == '_' ? '/' : padded[i];
  while (size % 4 != 0)
    padded[size++] = '=';
  padded[size] = '\0';
  header = g_base64_decode(padded, &header_len);
  json_reader_init(&reader, (const char *)header, header_len);
  do {
    if (!json_next(&reader, &token, &ignored))
      return false;
    if (token.depth == 0 && token.type != JSON_OBJECT_BEGIN &&
        token.type != JSON_OBJECT_END && token.type != JSON_END)
      return false;
    alg = alg || (token.type == JSON_KEY && token.depth == 1 &&
                  json_token_is((const char *)header, &token, "alg"));
  } while (token.type != JSON_END);
  return alg;
}

bool
validate_secret(const DetectorRule *rule,
                const Value *value,
                size_t *len,
                double *confidence)
{
  const char *secret = value->secret;

  if (*len == 0 ||
      (rule->entropy > 0 && shannon_entropy(secret, *len) < rule->entropy))
    return false;
  *confidence = 1.0;
  switch (rule->check) {
  case CHECK_NONE:
    *confidence = rule->entropy > 0 ? 0.8 : 0.9;
    return true;
  case CHECK_LUHN:
    return check_luhn(secret, *len);
  case CHECK_IBAN:
    return check_iban(secret, len);
  case CHECK_GITHUB_CRC32:
    return check_github(secret, *len);
  case CHECK_JWT:
    return check_jwt(secret, *len);
  case CHECK_ASSIGNMENT:
    return assignment_is_secret(value, len, confidence);
  case CHECK_PASSWORD:
    *confidence = 0.8;
    return password_is_secret(secret, *len);
  case CHECK_RANDOM:
    *confidence = 0.8;
    return token_is_secret(secret, *len);
  case CHECK_CHOSEN:
    *confidence = 0.7;
    return chosen_is_secret(secret, *len);
  case CHECK_SETTING:
    *confidence = 0.7;
    return setting_is_secret(value, *len);
  }
  return false;
}
