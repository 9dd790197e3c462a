/* SPDX-License-Identifier: Apache-2.0 */
/* Records as syslog messages (RFC 5424) in octet-counted frames (RFC 5425
 * section 4.3). */
#include "ship/format.h"

#include "kit/clock.h"

#include <string.h>

/* RFC 5424 table 1: log audit. */
#define FACILITY 13
/* RFC 5612: the enterprise number kept for documentation, since this program
 * has none of its own. */
#define SD_ID "hoop@32473"
/* One value; process lists and details are longer. */
#define MAX_VALUE 1024
/* HOSTNAME, RFC 5424 section 6. */
#define MAX_HOST 255
/* What follows the parameters: their count, "]", a byte order mark, the text.
 */
#define MAX_SAID 512
#define TAIL (MAX_SAID + 48)

static int
syslog_severity(Severity severity)
{
  switch (severity) {
  case SEVERITY_WARN:
    return 4;
  case SEVERITY_ERROR:
    return 3;
  case SEVERITY_INFO:
    break;
  }
  return 6;
}

/* Printable ASCII without blanks, or "-". */
static void
append_word(GString *out, const char *text, size_t most)
{
  const gsize start = out->len;

  for (const char *c = text; *c && out->len - start < most; c++)
    g_string_append_c(out, *c > ' ' && *c <= '~' ? *c : '_');
  g_string_append(out, out->len == start ? "- " : " ");
}

/* Whole characters only. */
static size_t
bounded(const char *text, size_t most)
{
  size_t len = strlen(text);

  if (len <= most)
    return len;
  for (len = most; len > 0 && ((uint8_t)text[len] & 0xc0) == 0x80; len--)
    ;
  return len;
}

/* RFC 5424 section 6.3.3: '"', '\' and ']' are escaped; control characters are
 * allowed but of no use to anybody. */
static void
append_value(GString *out, const char *text)
{
  g_autofree char *valid =
      g_utf8_make_valid(text, (gssize)bounded(text, MAX_VALUE));

  for (const char *c = valid; *c; c++) {
    if (*c == '"' || *c == '\\' || *c == ']')
      g_string_append_c(out, '\\');
    g_string_append_c(out, (uint8_t)*c < ' ' || *c == 0x7f ? ' ' : *c);
  }
}

static void
append_parameter(GString *out, const Attribute *attribute)
{
  g_autofree char *joined = NULL;

  g_string_append_printf(out, " %s=\"", attribute->name);
  switch (attribute->type) {
  case ATTRIBUTE_TEXT:
    append_value(out, attribute->text);
    break;
  case ATTRIBUTE_NUMBER:
    g_string_append_printf(out, "%lld", (long long)attribute->number);
    break;
  case ATTRIBUTE_LIST:
    joined = g_strjoinv(",", attribute->list);
    append_value(out, joined);
    break;
  }
  g_string_append_c(out, '"');
}

/* The detail is JSON of up to 64 KiB: it does not go into a message. */
static bool
is_for_syslog(const Attribute *attribute)
{
  return !g_str_equal(attribute->name, "hoop.detail");
}

static void
append_data(GString *message, const Record *record)
{
  unsigned left_out = 0;

  g_string_append(message, "[" SD_ID);
  for (unsigned i = 0; i < record->attributes->len; i++) {
    const Attribute *one = &g_array_index(record->attributes, Attribute, i);
    const gsize before = message->len;

    if (!is_for_syslog(one))
      continue;
    append_parameter(message, one);
    if (message->len + TAIL <= SYSLOG_MAX_MESSAGE)
      continue;
    g_string_truncate(message, before);
    left_out++;
  }
  if (left_out)
    g_string_append_printf(message, " hoop.left_out=\"%u\"", left_out);
  g_string_append_c(message, ']');
}

void
syslog_write(GString *out, const Record *record, const ShipSource *source)
{
  g_autoptr(GString) message = g_string_new(NULL);
  g_autofree char *time = clock_rfc3339(record->wall_us);
  g_autofree char *said = g_utf8_make_valid(
      record->said, (gssize)bounded(record->said, MAX_SAID / 2));

  g_string_append_printf(message,
                         "<%d>1 %s ",
                         FACILITY * 8 + syslog_severity(record->severity),
                         time);
  append_word(message, source->host, MAX_HOST);
  g_string_append(message, "hoop-agent - ");
  append_word(message, record->event, 32);
  append_data(message, record);
  g_string_append(message, " \xef\xbb\xbf");
  for (const char *c = said; *c; c++)
    g_string_append_c(message, (uint8_t)*c < ' ' || *c == 0x7f ? ' ' : *c);
  g_string_append_printf(out, "%zu ", message->len);
  g_string_append_len(out, message->str, (gssize)message->len);
}
