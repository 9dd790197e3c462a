/* SPDX-License-Identifier: Apache-2.0 */
/* Reads receivers' answers strictly and within bounds. */
#include "ship/answer.h"

#include "kit/json.h"
#include "ship/receipt.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#define MAX_DEPTH 16
/* A receiver that asks for more is asked again all the same. */
#define MAX_RETRY_MS (INT64_C(3600) * 1000)

void
ship_answer_clear(ShipAnswer *answer)
{
  g_clear_pointer(&answer->message, g_free);
  g_clear_pointer(&answer->receipt.text, g_free);
  g_clear_pointer(&answer->receipt_problem, g_free);
}

/* ---- Words --------------------------------------------------------------- */

/* One line, without what a terminal acts on. */
static char *
words(const char *text, size_t len)
{
  g_autofree char *valid =
      g_utf8_make_valid(text, (gssize)MIN(len, ANSWER_MAX_WORDS));
  GString *out = g_string_new(NULL);

  for (const char *c = valid; *c; c = g_utf8_next_char(c)) {
    const gunichar one = g_utf8_get_char(c);

    if (one == '\n' && out->len)
      break;
    g_string_append_unichar(out, g_unichar_isprint(one) ? one : ' ');
  }
  g_strstrip(out->str);
  if (*out->str)
    return g_string_free(out, FALSE);
  g_string_free(out, TRUE);
  return NULL;
}

/* The document as json-c has it, once our own reader has found it sound: the
 * library takes what RFC 8259 forbids. json_object_put() it. */
static struct json_object *
parse(const char *text, size_t len)
{
  struct json_tokener *tokener;
  struct json_object *root;
  JsonReader reader;
  JsonToken token;

  if (len > ANSWER_MAX)
    return NULL;
  json_reader_init(&reader, text, len);
  do {
    if (!json_next(&reader, &token, NULL) || token.depth > MAX_DEPTH)
      return NULL;
  } while (token.type != JSON_END);
  tokener = json_tokener_new_ex(MAX_DEPTH + 2);
  root = json_tokener_parse_ex(tokener, text, (int)len);
  json_tokener_free(tokener);
  return root;
}

static struct json_object *
member(struct json_object *object, const char *name)
{
  struct json_object *value = NULL;

  if (json_object_is_type(object, json_type_object))
    json_object_object_get_ex(object, name, &value);
  return value;
}

static char *
text_words(struct json_object *value)
{
  if (!json_object_is_type(value, json_type_string))
    return NULL;
  return words(json_object_get_string(value),
               (size_t)json_object_get_string_len(value));
}

char *
ship_answer_words(const char *text, size_t len)
{
  struct json_object *root = parse(text, len);
  char *found = text_words(member(root, "message"));

  if (!found)
    found = text_words(member(root, "error"));
  if (!found && !root)
    found = words(text, len);
  json_object_put(root);
  return found;
}

/* ---- Answers ------------------------------------------------------------- */

/* A 64-bit integer: a string in the JSON encoding, but numbers must be taken,
 * too. */
static bool
read_count(struct json_object *value, int64_t *out)
{
  const char *text;
  guint64 number;

  if (!value || json_object_is_type(value, json_type_null)) {
    *out = 0;
    return true;
  }
  if (json_object_is_type(value, json_type_int)) {
    *out = json_object_get_int64(value);
    return *out >= 0;
  }
  text = json_object_is_type(value, json_type_string)
             ? json_object_get_string(value)
             : NULL;
  if (!text ||
      !g_ascii_string_to_unsigned(text, 10, 0, INT64_MAX, &number, NULL))
    return false;
  *out = (int64_t)number;
  return true;
}

bool
ship_answer_read(const char *text,
                 size_t len,
                 ShipAnswer *out,
                 const char **why)
{
  struct json_object *root, *partial, *receipt;
  ShipAnswer answer = {0};
  bool good = false;

  *why = "is not JSON";
  if (len == 0) {
    *out = answer;
    return true;
  }
  root = parse(text, len);
  partial = member(root, "partialSuccess");
  receipt = member(root, "hoop.receipt");
  if (root && !json_object_is_type(root, json_type_object))
    *why = "is no object";
  else if (partial && !json_object_is_type(partial, json_type_object) &&
           !json_object_is_type(partial, json_type_null))
    *why = "has a partialSuccess that is no object";
  else if (root &&
           !read_count(member(partial, "rejectedLogRecords"), &answer.rejected))
    *why = "has a rejectedLogRecords that is no count";
  else
    good = root != NULL;
  if (good) {
    answer.message = text_words(member(partial, "errorMessage"));
    if (receipt)
      receipt_read(receipt, &answer.receipt, &answer.receipt_problem);
    *out = answer;
  }
  json_object_put(root);
  return good;
}

/* ---- Retry-After --------------------------------------------------------- */

static int
month_of(const char *name)
{
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

  for (int i = 0; i < 12; i++)
    if (strncmp(name, months + i * 3, 3) == 0)
      return i + 1;
  return 0;
}

/* The three forms of RFC 9110 section 5.6.7, all in UTC. */
static bool
read_date(const char *text, int64_t *unix_s)
{
  char month[4] = "";
  int day = 0, year = 0, hour = -1, minute = 0, second = 0;
  g_autoptr(GDateTime) when = NULL;

  if (sscanf(text,
             "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT",
             &day,
             month,
             &year,
             &hour,
             &minute,
             &second) != 6 &&
      sscanf(text,
             "%*[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT",
             &day,
             month,
             &year,
             &hour,
             &minute,
             &second) != 6 &&
      sscanf(text,
             "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d",
             month,
             &day,
             &hour,
             &minute,
             &second,
             &year) != 6)
    return false;
  if (year >= 0 && year < 100)
    year += year < 70 ? 2000 : 1900;
  if (year < 1970 || year > 9999 || !month_of(month) || second > 60)
    return false;
  when = g_date_time_new_utc(
      year, month_of(month), day, hour, minute, MIN(second, 59));
  if (!when)
    return false;
  *unix_s = g_date_time_to_unix(when);
  return true;
}

int64_t
ship_retry_after(const char *value, int64_t now_us)
{
  guint64 seconds;
  int64_t date;

  if (!value || strlen(value) > 64)
    return -1;
  if (*value && strspn(value, "0123456789") == strlen(value)) {
    if (!g_ascii_string_to_unsigned(
            value, 10, 0, MAX_RETRY_MS / 1000, &seconds, NULL))
      return MAX_RETRY_MS;
    return (int64_t)seconds * 1000;
  }
  if (!read_date(value, &date))
    return -1;
  return CLAMP(date * 1000 - now_us / 1000, 0, MAX_RETRY_MS);
}
