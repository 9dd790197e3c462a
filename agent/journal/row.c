/* SPDX-License-Identifier: Apache-2.0 */
/* Rows in memory: their kinds, their fields, and the bounds that text from
 * outside is cut to. */
#include "journal/row.h"

#include "kit/clock.h"

#include <string.h>

G_DEFINE_QUARK(hoop_journal_error, journal_error)

/* The longest text of each field, in bytes. Host is RFC 1035's limit; the
 * others hold what clients and providers send with room to spare, and keep one
 * row from filling a page cache. */
#define MAX_ID 64
#define MAX_WORD 128
#define MAX_NAME 512
#define MAX_HOST 255
#define MAX_PATH_TEXT 2048
#define MAX_LIST 4096
#define MAX_DETAIL (256 * 1024)

#define FIELD(n, t, member, m)                                                 \
  {                                                                            \
    .number = (n), .type = (t), .name = #member,                               \
    .offset = offsetof(JournalRow, member), .max = (m)                         \
  }

const RowField row_fields[] = {
    FIELD(FIELD_WALL_US, ROW_INT, wall_us, 0),
    FIELD(4, ROW_TEXT, exchange, MAX_ID),
    FIELD(5, ROW_TEXT, user, MAX_NAME),
    FIELD(6, ROW_TEXT, groups, MAX_LIST),
    FIELD(7, ROW_TEXT, issuer, MAX_NAME),
    FIELD(8, ROW_TEXT, client, MAX_NAME),
    FIELD(9, ROW_INT, pid, 0),
    FIELD(10, ROW_TEXT, process, MAX_LIST),
    FIELD(11, ROW_TEXT, connection, MAX_WORD),
    FIELD(12, ROW_TEXT, host, MAX_HOST),
    FIELD(13, ROW_TEXT, method, MAX_WORD),
    FIELD(14, ROW_TEXT, path, MAX_PATH_TEXT),
    FIELD(15, ROW_TEXT, api, MAX_WORD),
    FIELD(16, ROW_TEXT, model, MAX_WORD),
    FIELD(17, ROW_TEXT, conversation, MAX_NAME),
    FIELD(18, ROW_TEXT, verdict, MAX_WORD),
    FIELD(19, ROW_TEXT, rule, MAX_NAME),
    FIELD(FIELD_DETAIL, ROW_TEXT, detail, MAX_DETAIL),
    FIELD(21, ROW_TEXT, policy_revision, MAX_WORD),
    FIELD(22, ROW_INT, status, 0),
    FIELD(23, ROW_INT, bytes_in, 0),
    FIELD(24, ROW_INT, bytes_out, 0),
    FIELD(25, ROW_INT, tokens_in, 0),
    FIELD(26, ROW_INT, tokens_out, 0),
    FIELD(27, ROW_INT, duration_us, 0),
    FIELD(FIELD_FIRST_BYTE_US, ROW_INT, first_byte_us, 0),
    FIELD(FIELD_HELD_US, ROW_INT, held_us, 0),
};
const size_t n_row_fields = G_N_ELEMENTS(row_fields);

static const char *const kind_names[N_ROW_KINDS] = {
    [ROW_START] = "start",
    [ROW_STOP] = "stop",
    [ROW_REQUEST] = "request",
    [ROW_RESPONSE] = "response",
    [ROW_APPROVAL] = "approval",
    [ROW_TOOL] = "tool",
    [ROW_TUNNEL] = "tunnel",
    [ROW_REFUSED] = "refused",
    [ROW_POLICY] = "policy",
    [ROW_PAUSE] = "pause",
    [ROW_ERROR] = "error",
    [ROW_SIGNIN] = "signin",
    [ROW_PRUNE] = "prune",
    [ROW_SHIP] = "ship",
};

/* The columns that are no members of JournalRow. */
static const struct {
  int field;
  const char *name;
} own_columns[] = {
    {FIELD_SEQ, "seq"},
    {FIELD_KIND, "kind"},
    {FIELD_BODY_DIGEST, "body_digest"},
    {FIELD_BODY_LEN, "body_len"},
    {FIELD_KEPT_DIGEST, "kept_digest"},
    {FIELD_KEPT_LEN, "kept_len"},
    {FIELD_CUT, "cut"},
    {FIELD_HASH, "hash"},
    {FIELD_SEALED_DIGEST, "sealed_digest"},
    {FIELD_CONTEXT, "context"},
    {FIELD_SHARED_DETAIL, "shared_detail"},
};

const char *
row_column(int field)
{
  for (size_t i = 0; i < G_N_ELEMENTS(own_columns); i++) {
    if (own_columns[i].field == field)
      return own_columns[i].name;
  }
  for (size_t i = 0; i < n_row_fields; i++) {
    if (row_fields[i].number == field)
      return row_fields[i].name;
  }
  g_assert_not_reached();
}

int
row_column_since(int field)
{
  return field <= FIELD_HASH ? 1 : field <= FIELD_LAST ? 2 : 3;
}

RowShare
row_share(int field)
{
  /* user to client, process to conversation, policy_revision */
  if ((field >= 5 && field <= 8) || (field >= 10 && field <= 17) || field == 21)
    return SHARE_CONTEXT;
  return field == FIELD_DETAIL ? SHARE_DETAIL : SHARE_NOT;
}

const char *
row_kind_name(RowKind kind)
{
  g_return_val_if_fail((unsigned)kind < N_ROW_KINDS, "error");
  return kind_names[kind];
}

int
row_kind_of(const char *name)
{
  for (int kind = 0; kind < N_ROW_KINDS; kind++) {
    if (g_strcmp0(name, kind_names[kind]) == 0)
      return kind;
  }
  return -1;
}

char **
row_text(JournalRow *row, const RowField *field)
{
  return (char **)(void *)((char *)row + field->offset);
}

int64_t *
row_int(JournalRow *row, const RowField *field)
{
  return (int64_t *)(void *)((char *)row + field->offset);
}

JournalRow *
journal_row_new(RowKind kind)
{
  JournalRow *row = g_new0(JournalRow, 1);

  row->kind = kind;
  for (size_t i = 0; i < n_row_fields; i++) {
    if (row_fields[i].type == ROW_INT)
      *row_int(row, &row_fields[i]) = -1;
  }
  row->wall_us = clock_wall_us();
  return row;
}

void
journal_row_free(JournalRow *row)
{
  if (row == NULL)
    return;
  for (size_t i = 0; i < n_row_fields; i++) {
    if (row_fields[i].type == ROW_TEXT)
      g_free(*row_text(row, &row_fields[i]));
  }
  g_clear_pointer(&row->body, g_bytes_unref);
  g_clear_pointer(&row->original, g_bytes_unref);
  g_free(row);
}

size_t
row_size(const JournalRow *row)
{
  size_t size = sizeof *row;

  for (size_t i = 0; i < n_row_fields; i++) {
    if (row_fields[i].type == ROW_TEXT) {
      const char *text = *row_text((JournalRow *)row, &row_fields[i]);
      size += text ? strlen(text) + 1 : 0;
    }
  }
  size += row->body ? g_bytes_get_size(row->body) : 0;
  return size + (row->original ? g_bytes_get_size(row->original) : 0);
}

/* A JSON object cannot be cut and stay one: what is too long is replaced by
 * its length and digest. */
static void
replace_detail(char **text, size_t len)
{
  uint8_t digest[SHA256_LEN];
  char hex[SHA256_HEX_SIZE];

  sha256(*text, len, digest);
  hex_encode(digest, sizeof digest, hex);
  g_free(*text);
  *text = g_strdup_printf(
      "{\"cut\":true,\"bytes\":%zu,\"sha256\":\"%s\"}", len, hex);
}

uint64_t
row_bound(JournalRow *row)
{
  uint64_t cut = 0;

  for (size_t i = 0; i < n_row_fields; i++) {
    const RowField *field = &row_fields[i];
    char **text = field->type == ROW_TEXT ? row_text(row, field) : NULL;
    size_t len = text && *text ? strlen(*text) : 0;

    if (len > 0 && !g_utf8_validate(*text, (gssize)len, NULL)) {
      char *valid = g_utf8_make_valid(*text, (gssize)len);
      g_free(*text);
      *text = valid;
      len = strlen(valid);
    }
    if (len <= field->max)
      continue;
    cut |= UINT64_C(1) << field->number;
    if (field->number == FIELD_DETAIL)
      replace_detail(text, len);
    else
      *g_utf8_find_prev_char(*text, *text + field->max + 1) = '\0';
  }
  return cut;
}
