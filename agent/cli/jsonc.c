/* SPDX-License-Identifier: Apache-2.0 */
/* Finds a member's span in JSON with comments and writes the text again with
 * only that span changed. */
#include "cli/jsonc.h"
#include <string.h>

G_DEFINE_QUARK(hoop_jsonc_error, jsonc_error)

/* Settings nest three or four deep. */
#define MAX_DEPTH 128
/* What editors write by default. */
#define INDENT "    "

/* A cursor over NUL terminated text. */
typedef struct {
  const char *text;
  size_t at;
  const char *wrong; /* what was expected, once something was wrong */
} Cursor;

/* One object: its braces and the member that is looked for. */
typedef struct {
  size_t open, close; /* of { and } */
  size_t members;
  size_t first_key;      /* where the first key begins */
  size_t last_key;       /* where the last key begins */
  size_t last_end;       /* behind the last value */
  bool last_comma;       /* a trailing comma stands behind it */
  size_t last_comma_end; /* behind that comma */
  bool found;
  size_t key, value, value_end; /* of the member that was looked for */
  size_t before_comma;          /* the comma before it, or 0 */
  bool comma;                   /* a comma stands behind it */
  size_t comma_end;
} Object;

/* ---- Reading -------------------------------------------------------------
 */

static bool
wrong(Cursor *cursor, const char *what)
{
  if (!cursor->wrong)
    cursor->wrong = what;
  return false;
}

static char
peek(const Cursor *cursor)
{
  return cursor->text[cursor->at];
}

/* White space and comments. */
static bool
skip_blank(Cursor *cursor)
{
  for (;;) {
    const char *at = cursor->text + cursor->at;

    if (*at && strchr(" \t\r\n", *at)) {
      cursor->at++;
    } else if (at[0] == '/' && at[1] == '/') {
      cursor->at += strcspn(at, "\n");
    } else if (at[0] == '/' && at[1] == '*') {
      const char *end = strstr(at + 2, "*/");

      if (!end)
        return wrong(cursor, "the end of a comment");
      cursor->at = (size_t)(end + 2 - cursor->text);
    } else {
      return true;
    }
  }
}

static bool
skip_string(Cursor *cursor)
{
  if (peek(cursor) != '"')
    return wrong(cursor, "a string");
  for (cursor->at++; peek(cursor) != '"'; cursor->at++) {
    if (peek(cursor) == '\\')
      cursor->at++;
    if (!peek(cursor) || peek(cursor) == '\n')
      return wrong(cursor, "the end of a string");
  }
  cursor->at++;
  return true;
}

/* Numbers, true, false and null are not looked at closely: nothing of them is
 * changed. */
static bool
skip_word(Cursor *cursor)
{
  size_t len = strspn(cursor->text + cursor->at,
                      "+-.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"
                      "OPQRSTUVWXYZ");

  cursor->at += len;
  return len > 0 || wrong(cursor, "a value");
}

static bool skip_value(Cursor *cursor, unsigned depth);

static bool
skip_array(Cursor *cursor, unsigned depth)
{
  cursor->at++;
  for (;;) {
    if (!skip_blank(cursor))
      return false;
    if (peek(cursor) == ']') {
      cursor->at++;
      return true;
    }
    if (!skip_value(cursor, depth) || !skip_blank(cursor))
      return false;
    if (peek(cursor) == ',')
      cursor->at++;
    else if (peek(cursor) != ']')
      return wrong(cursor, "a comma or ]");
  }
}

/* The decoded name equals `name`; names with escapes that no editor writes
 * (anything but the quoted character itself) are other names. */
static bool
key_is(const char *text, size_t start, size_t end, const char *name)
{
  for (size_t at = start + 1; at < end - 1; at++, name++) {
    if (text[at] == '\\')
      at++;
    if (text[at] != *name)
      return false;
  }
  return *name == '\0';
}

static void
note_member(Object *object, size_t key, size_t value, size_t end, bool match)
{
  if (!object->members++)
    object->first_key = key;
  if (match) {
    object->found = true;
    object->key = key;
    object->value = value;
    object->value_end = end;
    object->comma = false;
    object->before_comma = object->last_comma ? object->last_comma_end - 1 : 0;
  }
  object->last_key = key;
  object->last_end = end;
  object->last_comma = false;
}

static void
note_comma(Object *object, size_t end)
{
  object->last_comma = true;
  object->last_comma_end = end;
  if (object->found && object->value_end == object->last_end) {
    object->comma = true;
    object->comma_end = end;
  }
}

/* At a {; `name` NULL looks for nothing. */
static bool
read_object(Cursor *cursor, unsigned depth, const char *name, Object *object)
{
  size_t key, key_end, value;

  memset(object, 0, sizeof *object);
  object->open = cursor->at++;
  for (;;) {
    if (!skip_blank(cursor))
      return false;
    if (peek(cursor) == '}') {
      object->close = cursor->at++;
      return true;
    }
    if (object->members && !object->last_comma)
      return wrong(cursor, "a comma or }");
    key = cursor->at;
    if (!skip_string(cursor))
      return false;
    key_end = cursor->at;
    if (!skip_blank(cursor))
      return false;
    if (peek(cursor) != ':')
      return wrong(cursor, "a colon");
    cursor->at++;
    if (!skip_blank(cursor))
      return false;
    value = cursor->at;
    if (!skip_value(cursor, depth + 1))
      return false;
    note_member(object,
                key,
                value,
                cursor->at,
                name && key_is(cursor->text, key, key_end, name));
    if (!skip_blank(cursor))
      return false;
    if (peek(cursor) == ',')
      note_comma(object, ++cursor->at);
  }
}

static bool
skip_value(Cursor *cursor, unsigned depth)
{
  Object object;

  if (depth > MAX_DEPTH)
    return wrong(cursor, "less nesting");
  switch (peek(cursor)) {
  case '{':
    return read_object(cursor, depth, NULL, &object);
  case '[':
    return skip_array(cursor, depth + 1);
  case '"':
    return skip_string(cursor);
  default:
    return skip_word(cursor);
  }
}

/* ---- Finding -------------------------------------------------------------
 */

static size_t
bom(const char *text)
{
  return g_str_has_prefix(text, "\xef\xbb\xbf") ? 3 : 0;
}

static bool
fail(const Cursor *cursor, GError **error)
{
  unsigned line = 1;

  for (size_t i = 0; i < cursor->at && cursor->text[i]; i++)
    line += cursor->text[i] == '\n';
  g_set_error(error,
              JSONC_ERROR,
              JSONC_ERROR_SYNTAX,
              "line %u: %s was expected",
              line,
              cursor->wrong);
  return false;
}

/* The whole text is read, so that a broken one is never edited. *none: there
 * is no value at all. */
static bool
check_all(const char *text, bool *none, GError **error)
{
  Cursor cursor = {.text = text, .at = bom(text)};

  if (!skip_blank(&cursor))
    return fail(&cursor, error);
  *none = !peek(&cursor);
  if (*none)
    return true;
  if (!skip_value(&cursor, 0) || !skip_blank(&cursor))
    return fail(&cursor, error);
  if (peek(&cursor)) {
    wrong(&cursor, "the end");
    return fail(&cursor, error);
  }
  return true;
}

/* The object that holds path's last name, or the deepest that there is:
 * *depth names of the path lead into it. */
static bool
descend(const char *text,
        const char *const *path,
        unsigned *depth,
        Object *object,
        GError **error)
{
  Cursor cursor = {.text = text, .at = bom(text)};

  *depth = 0;
  skip_blank(&cursor);
  for (;;) {
    if (peek(&cursor) != '{') {
      g_set_error(error,
                  JSONC_ERROR,
                  JSONC_ERROR_TYPE,
                  "%s is not an object",
                  *depth ? path[*depth - 1] : "the whole");
      return false;
    }
    if (!read_object(&cursor, *depth, path[*depth], object))
      return fail(&cursor, error);
    if (!path[*depth + 1] || !object->found)
      return true;
    cursor.at = object->value;
    (*depth)++;
  }
}

/* ---- Writing -------------------------------------------------------------
 */

static const char *
line_end(const char *text)
{
  const char *newline = strchr(text, '\n');

  return newline && newline > text && newline[-1] == '\r' ? "\r\n" : "\n";
}

/* The blanks that a line begins with, when nothing else stands before `at` in
 * it; else NULL. */
static char *
indent_before(const char *text, size_t at)
{
  size_t start = at;

  while (start > 0 && (text[start - 1] == ' ' || text[start - 1] == '\t'))
    start--;
  if (start > bom(text) && text[start - 1] != '\n')
    return NULL;
  return g_strndup(text + start, at - start);
}

/* The blanks of the line in which `at` stands, whatever comes behind them. */
static char *
indent_of_line(const char *text, size_t at)
{
  size_t start = at;

  while (start > bom(text) && text[start - 1] != '\n')
    start--;
  return g_strndup(text + start, strspn(text + start, " \t"));
}

/* Behind the comments that stand in the same line as what ends at `at`. */
static size_t
behind_comments(const char *text, size_t at)
{
  size_t end = at;

  for (;;) {
    size_t next = end + strspn(text + end, " \t");

    if (text[next] == '/' && text[next + 1] == '/') {
      next += strcspn(text + next, "\n");
      return text[next - 1] == '\r' ? next - 1 : next;
    }
    if (text[next] == '/' && text[next + 1] == '*') {
      const char *close = strstr(text + next + 2, "*/");

      if (!close || memchr(text + next, '\n', (size_t)(close - text) - next))
        return end;
      end = (size_t)(close + 2 - text);
    } else {
      return end;
    }
  }
}

/* `raw` inside objects for the names of the path that are not there yet. */
static void
append_member(GString *out,
              const char *const *path,
              const char *raw,
              const char *eol,
              const char *indent,
              bool one_line)
{
  g_autofree char *name = g_strescape(path[0], NULL);

  g_string_append_printf(out, "\"%s\": ", name);
  if (!path[1]) {
    g_string_append(out, raw);
  } else if (one_line) {
    g_string_append(out, "{ ");
    append_member(out, path + 1, raw, eol, indent, true);
    g_string_append(out, " }");
  } else {
    g_autofree char *deeper = g_strconcat(indent, INDENT, NULL);

    g_string_append_printf(out, "{%s%s", eol, deeper);
    append_member(out, path + 1, raw, eol, deeper, false);
    g_string_append_printf(out, "%s%s}", eol, indent);
  }
}

static char *
add_to_empty(const char *text,
             const Object *object,
             const char *const *path,
             const char *raw)
{
  g_autofree char *outer = indent_of_line(text, object->open);
  g_autofree char *indent = g_strconcat(outer, INDENT, NULL);
  const char *eol = line_end(text);
  GString *out;
  size_t at = object->close;

  /* Behind what stands inside (comments), before the last blanks. */
  while (at > object->open + 1 && strchr(" \t\r\n", text[at - 1]))
    at--;
  out = g_string_new_len(text, (gssize)at);
  g_string_append_printf(out, "%s%s", eol, indent);
  append_member(out, path, raw, eol, indent, false);
  if (memchr(text + at, '\n', object->close - at))
    g_string_append(out, text + at);
  else
    g_string_append_printf(out, "%s%s%s", eol, outer, text + object->close);
  return g_string_free(out, FALSE);
}

static char *
add_behind_last(const char *text,
                const Object *object,
                const char *const *path,
                const char *raw)
{
  g_autofree char *indent = indent_before(text, object->last_key);
  const char *eol = line_end(text);
  size_t end = object->last_comma ? object->last_comma_end : object->last_end;
  size_t at = indent ? behind_comments(text, end) : end;
  GString *out = g_string_new_len(text, (gssize)object->last_end);

  if (!object->last_comma)
    g_string_append_c(out, ',');
  g_string_append_len(
      out, text + object->last_end, (gssize)(at - object->last_end));
  if (indent)
    g_string_append_printf(out, "%s%s", eol, indent);
  else
    g_string_append_c(out, ' ');
  append_member(out, path, raw, eol, indent ? indent : "", !indent);
  if (object->last_comma)
    g_string_append_c(out, ',');
  /* A line comment ends with its line only. */
  g_string_append(out, text + at);
  return g_string_free(out, FALSE);
}

char *
jsonc_set(const char *text,
          const char *const *path,
          const char *raw,
          GError **error)
{
  Object object;
  unsigned depth;
  bool none = false;

  if (!check_all(text, &none, error))
    return NULL;
  if (none) {
    g_autofree char *whole = g_strconcat(text, "{}", line_end(text), NULL);

    return jsonc_set(whole, path, raw, error);
  }
  if (!descend(text, path, &depth, &object, error))
    return NULL;
  if (object.found) {
    g_autofree char *before = g_strndup(text, object.value);

    return g_strconcat(before, raw, text + object.value_end, NULL);
  }
  if (!object.members)
    return add_to_empty(text, &object, path + depth, raw);
  return add_behind_last(text, &object, path + depth, raw);
}

static bool
find(const char *text,
     const char *const *path,
     Object *object,
     bool *found,
     GError **error)
{
  unsigned depth;
  bool none = false;

  *found = false;
  if (!check_all(text, &none, error))
    return false;
  if (none)
    return true;
  if (!descend(text, path, &depth, object, error))
    return false;
  *found = object->found && !path[depth + 1];
  return true;
}

char *
jsonc_get(const char *text, const char *const *path, GError **error)
{
  Object object;
  bool found;

  if (!find(text, path, &object, &found, error) || !found)
    return NULL;
  return g_strndup(text + object.value, object.value_end - object.value);
}

/* Of a member that has its line to itself, the whole line goes. */
static void
widen_to_line(const char *text, size_t *start, size_t *end)
{
  g_autofree char *indent = indent_before(text, *start);
  size_t next = *end + strspn(text + *end, " \t\r");

  if (!indent || text[next] != '\n')
    return;
  *start -= strlen(indent);
  *end = next + 1;
}

char *
jsonc_remove(const char *text, const char *const *path, GError **error)
{
  Object object;
  bool found;
  size_t start, end;
  GString *out;

  if (!find(text, path, &object, &found, error))
    return NULL;
  if (!found)
    return g_strdup(text);
  start = object.key;
  end = object.comma ? object.comma_end : object.value_end;
  widen_to_line(text, &start, &end);
  out = g_string_new_len(text, (gssize)start);
  g_string_append(out, text + end);
  /* The last one went: so does the comma before it. */
  if (!object.comma && object.before_comma)
    g_string_erase(out, (gssize)object.before_comma, 1);
  return g_string_free(out, FALSE);
}
