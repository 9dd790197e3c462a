/* SPDX-License-Identifier: Apache-2.0 */
/* libfyaml's events become a tree of our own, behind guards: on input that is
 * not clean text libfyaml hangs or silently drops what follows. */
#include "policy/yaml.h"

#include "kit/file.h"
#include "policy/policy.h"
#include <libfyaml.h>
#include <string.h>

/* In a row: libfyaml takes the square of their number behind a block. */
#define MAX_BLANK_LINES 200

/* Names the line and column of `at` within text, from 1, columns in
 * characters. */
static void
place_of(const char *text, const char *at, unsigned *line, unsigned *column)
{
  const char *begin = text;

  *line = 1;
  for (const char *p = text; p < at; p++)
    if (*p == '\n' || (*p == '\r' && (p + 1 == at || p[1] != '\n'))) {
      (*line)++;
      begin = p + 1;
    }
  *column = 1;
  for (const char *p = begin; p < at; p++)
    *column += ((unsigned char)*p & 0xc0) != 0x80;
}

static bool
syntax_error(const char *name,
             unsigned line,
             unsigned column,
             GError **error,
             const char *message)
{
  g_set_error(error,
              POLICY_ERROR,
              POLICY_ERROR_SYNTAX,
              "%s:%u:%u: %s",
              name,
              line,
              column,
              message);
  return false;
}

/* Characters that libfyaml stumbles over, or that show a reader of the file
 * something else than what it says (Unicode's direction overrides). */
static const char *
forbidden(gunichar c)
{
  if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') ||
      (c >= 0x7f && c <= 0x9f))
    return "a control character is not allowed";
  if (c == 0xfeff)
    return "a byte order mark is not allowed";
  if (c == 0x2028 || c == 0x2029)
    return "a Unicode line separator is not allowed";
  if (c == 0x061c || c == 0x200e || c == 0x200f ||
      (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
    return "a character that changes the text's direction is not allowed";
  if ((c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef))
    return "a character that Unicode does not assign is not allowed";
  return NULL;
}

/* What must hold before libfyaml sees a byte. */
static bool
guard_text(const char *name, const char *text, size_t len, GError **error)
{
  const char *bad = NULL, *what = NULL;
  const char *end = text + len;
  unsigned line, column;
  bool line_start = true;
  unsigned blank_lines = 0;

  if (len > YAML_MAX_SIZE) {
    g_set_error(error,
                POLICY_ERROR,
                POLICY_ERROR_READ,
                "%s: longer than %d bytes",
                name,
                YAML_MAX_SIZE);
    return false;
  }
  if (!g_utf8_validate_len(text, len, &bad)) {
    place_of(text, bad, &line, &column);
    return syntax_error(name,
                        line,
                        column,
                        error,
                        bad < end && *bad == '\0' ? forbidden(0)
                                                  : "not valid UTF-8");
  }
  for (const char *p = text; p < end; p = g_utf8_next_char(p)) {
    bool line_end = *p == '\n' || *p == '\r';

    blank_lines = line_end ? blank_lines + 1 : blank_lines;
    if (!line_end && *p != ' ' && *p != '\t')
      blank_lines = 0;
    if (line_start && *p == '%')
      what = "a line must not begin with % (no directives)";
    else if (blank_lines > MAX_BLANK_LINES)
      what = "too many blank lines";
    else
      what = forbidden(g_utf8_get_char(p));
    if (what != NULL) {
      place_of(text, p, &line, &column);
      return syntax_error(name, line, column, error, what);
    }
    line_start = line_end;
  }
  return true;
}

/* ---- The tree ---------------------------------------------------------- */

static void
node_free(gpointer data)
{
  YamlNode *node = data;

  if (node == NULL)
    return;
  g_clear_pointer(&node->keys, g_ptr_array_unref);
  g_clear_pointer(&node->items, g_ptr_array_unref);
  g_free(node->text);
  g_free(node);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(YamlNode, node_free)

static YamlNode *
node_new(YamlKind kind, const struct fy_mark *mark)
{
  YamlNode *node = g_new0(YamlNode, 1);

  node->kind = kind;
  node->line = mark != NULL ? (unsigned)mark->line + 1 : 0;
  node->column = mark != NULL ? (unsigned)mark->column + 1 : 0;
  if (kind == YAML_MAP)
    node->keys = g_ptr_array_new_with_free_func(node_free);
  if (kind != YAML_SCALAR)
    node->items = g_ptr_array_new_with_free_func(node_free);
  return node;
}

typedef struct {
  const char *name;
  struct fy_diag *diag; /* collects, prints nothing */
  struct fy_parser *parser;
  struct fy_event *event; /* the current one; owned */
  const char *block;      /* where the last scalar began, if it was a block */
  const char *text, *end; /* the file */
  GError **error;
} Builder;

static bool
refuse(Builder *b, const struct fy_mark *mark, const char *message)
{
  return syntax_error(b->name,
                      mark != NULL ? (unsigned)mark->line + 1 : 1,
                      mark != NULL ? (unsigned)mark->column + 1 : 1,
                      b->error,
                      message);
}

/* libfyaml's first complaint; it goes on after some, we do not. */
static bool
report(Builder *b, const char *otherwise)
{
  void *iterator = NULL;
  struct fy_diag_error *first = fy_diag_errors_iterate(b->diag, &iterator);
  bool found = false;

  if (first != NULL) {
    g_autofree char *message =
        g_utf8_make_valid(first->msg != NULL ? first->msg : "not YAML", -1);

    found = true;
    syntax_error(b->name,
                 (unsigned)MAX(first->line, 1),
                 (unsigned)MAX(first->column, 1),
                 b->error,
                 g_strchomp(message));
  } else if (otherwise != NULL) {
    found = true;
    syntax_error(b->name, 1, 1, b->error, otherwise);
  }
  return !found;
}

/* Takes the next event; false when there is none or libfyaml complained. */
static bool
advance(Builder *b)
{
  if (b->event != NULL)
    fy_parser_event_free(b->parser, b->event);
  b->event = fy_parser_parse(b->parser);
  if (b->event == NULL)
    return report(b, "the document ends early");
  return report(b, NULL);
}

static bool
expect(Builder *b, enum fy_event_type type, const char *message)
{
  if (!advance(b))
    return false;
  if (b->event->type != type)
    return refuse(b, fy_event_start_mark(b->event), message);
  return true;
}

/* The token's text; false when libfyaml fails. Of its other ways to the text,
 * fy_token_get_text() leaks when there are many escapes, and reading from the
 * iterator by bytes or blocks garbles what is not ASCII. */
static bool
read_token(struct fy_token *token, GString *out)
{
  struct fy_token_iter *iter = fy_token_iter_create(token);
  const struct fy_iter_chunk *chunk = NULL;
  int failed = 0;

  if (iter == NULL)
    return false;
  while ((chunk = fy_token_iter_chunk_next(iter, chunk, &failed)) != NULL)
    g_string_append_len(out, chunk->str, (gssize)chunk->len);
  fy_token_iter_destroy(iter);
  return failed == 0;
}

static bool
text_allowed(const GString *text)
{
  const char *end = text->str + text->len;

  if (!g_utf8_validate_len(text->str, text->len, NULL))
    return false;
  for (const char *p = text->str; p < end; p = g_utf8_next_char(p))
    if (forbidden(g_utf8_get_char(p)) != NULL || *p == '\r')
      return false;
  return true;
}

static YamlNode *
build_scalar(Builder *b)
{
  struct fy_token *token = fy_event_get_token(b->event);
  const struct fy_mark *mark = fy_event_start_mark(b->event);
  g_autoptr(YamlNode) node = node_new(YAML_SCALAR, mark);
  g_autoptr(GString) text = g_string_new(NULL);
  enum fy_scalar_style style;

  if (token != NULL && !read_token(token, text)) {
    refuse(b, mark, "libfyaml gives no text here");
    return NULL;
  }
  if (!text_allowed(text)) {
    refuse(b, mark, "an escape makes a character that is not allowed");
    return NULL;
  }
  node->text = g_string_free(g_steal_pointer(&text), FALSE);
  style = token != NULL ? fy_token_scalar_style(token) : FYSS_PLAIN;
  node->plain = style == FYSS_PLAIN;
  if ((style == FYSS_LITERAL || style == FYSS_FOLDED) && mark != NULL)
    b->block = b->text + mark->input_pos;
  /* The mark of a quoted text stands behind its quote. */
  if (style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED)
    node->column -= node->column > 1;
  return g_steal_pointer(&node);
}

/* libfyaml takes a block (| or >) that is indented no deeper than its key, and
 * so the keys behind an empty one for its text. Not here. `column` is the
 * key's or the dash's, from 1. */
static bool
block_allowed(Builder *b, const YamlNode *value, unsigned column)
{
  const char *line = b->block;
  unsigned indent = 0;

  b->block = NULL;
  if (line == NULL || value->text[0] == '\0')
    return true;
  for (const char *p = line; p < b->end && (*p == ' ' || *p == '\n'); p++)
    indent = *p == ' ' ? indent + 1 : 0;
  if (indent >= column)
    return true;
  return syntax_error(b->name,
                      value->line,
                      value->column,
                      b->error,
                      "a block must be indented deeper than its key");
}

static YamlNode *build_node(Builder *b, unsigned depth);

static bool
build_list(Builder *b, YamlNode *list, unsigned depth)
{
  while (advance(b)) {
    YamlNode *item;

    if (b->event->type == FYET_SEQUENCE_END)
      return true;
    item = build_node(b, depth + 1);
    if (item == NULL)
      return false;
    if (item->line == 0)
      item->line = list->line, item->column = list->column;
    g_ptr_array_add(list->items, item);
    if (!block_allowed(b, item, list->column))
      return false;
  }
  return false;
}

static bool
key_allowed(Builder *b, const YamlNode *key, GHashTable *seen)
{
  g_autofree char *message = NULL;
  const YamlNode *before = g_hash_table_lookup(seen, key->text);

  if (before != NULL)
    message = g_strdup_printf("key \"%s\" is given twice (first on line %u)",
                              key->text,
                              before->line);
  else if (key->plain && strcmp(key->text, "<<") == 0)
    message = g_strdup("merge keys (<<) are not allowed");
  if (message == NULL)
    return true;
  return syntax_error(b->name, key->line, key->column, b->error, message);
}

static bool
build_map(Builder *b, YamlNode *map, unsigned depth)
{
  g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

  while (advance(b)) {
    g_autoptr(YamlNode) key = NULL;
    YamlNode *value;
    unsigned column;

    if (b->event->type == FYET_MAPPING_END)
      return true;
    key = build_node(b, depth + 1);
    if (key == NULL)
      return false;
    if (key->kind != YAML_SCALAR)
      return syntax_error(
          b->name, key->line, key->column, b->error, "a key must be a text");
    if (!key_allowed(b, key, seen) || !advance(b))
      return false;
    value = build_node(b, depth + 1);
    if (value == NULL)
      return false;
    if (value->line == 0)
      value->line = key->line, value->column = key->column;
    column = key->column;
    g_hash_table_insert(seen, key->text, key);
    g_ptr_array_add(map->keys, g_steal_pointer(&key));
    g_ptr_array_add(map->items, value);
    if (!block_allowed(b, value, column))
      return false;
  }
  return false;
}

static YamlNode *
build_node(Builder *b, unsigned depth)
{
  const struct fy_mark *mark = fy_event_start_mark(b->event);
  enum fy_event_type type = b->event->type;
  g_autoptr(YamlNode) node = NULL;
  struct fy_token *extra;

  if (type == FYET_ALIAS) {
    refuse(b, mark, "aliases (*name) are not allowed");
    return NULL;
  }
  extra = fy_event_get_anchor_token(b->event);
  if (extra != NULL) {
    refuse(b, fy_token_start_mark(extra), "anchors (&name) are not allowed");
    return NULL;
  }
  extra = fy_event_get_tag_token(b->event);
  if (extra != NULL) {
    refuse(b, fy_token_start_mark(extra), "tags (!name) are not allowed");
    return NULL;
  }
  if (depth > YAML_MAX_DEPTH) {
    refuse(b, mark, "nested too deep");
    return NULL;
  }
  if (type == FYET_SCALAR)
    return build_scalar(b);
  if (type != FYET_MAPPING_START && type != FYET_SEQUENCE_START) {
    refuse(b, mark, "a value was expected");
    return NULL;
  }
  node = node_new(type == FYET_MAPPING_START ? YAML_MAP : YAML_LIST, mark);
  if (!(node->kind == YAML_MAP ? build_map(b, node, depth)
                               : build_list(b, node, depth)))
    return NULL;
  return g_steal_pointer(&node);
}

/* A second document may begin with no mark of its own: then its first part
 * shows where. */
static bool
expect_end(Builder *b)
{
  const char *message = "a second document is not allowed";

  if (!advance(b))
    return false;
  if (b->event->type == FYET_STREAM_END)
    return true;
  if (fy_event_start_mark(b->event) == NULL && !advance(b))
    return false;
  return refuse(b, fy_event_start_mark(b->event), message);
}

static YamlNode *
build_document(Builder *b)
{
  g_autoptr(YamlNode) root = NULL;

  if (!expect(b, FYET_STREAM_START, "not YAML") ||
      !expect(b, FYET_DOCUMENT_START, "the file holds no document") ||
      !advance(b))
    return NULL;
  root = build_node(b, 1);
  if (root == NULL ||
      !expect(b, FYET_DOCUMENT_END, "something follows the document") ||
      !expect_end(b))
    return NULL;
  if (root->kind != YAML_MAP) {
    syntax_error(b->name,
                 MAX(root->line, 1),
                 MAX(root->column, 1),
                 b->error,
                 "the file must be a mapping (key: value)");
    return NULL;
  }
  return g_steal_pointer(&root);
}

static bool
builder_open(Builder *b, const char *text, size_t len)
{
  struct fy_parse_cfg config = {
      .flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_DEFAULT_VERSION_1_2 |
               FYPCF_JSON_NONE,
  };
  struct fy_diag_cfg diag_config;

  fy_diag_cfg_default(&diag_config);
  diag_config.fp = NULL;
  b->diag = fy_diag_create(&diag_config);
  if (b->diag != NULL) {
    fy_diag_set_collect_errors(b->diag, true);
    config.diag = b->diag;
    b->parser = fy_parser_create(&config);
  }
  if (b->parser != NULL && fy_parser_set_string(b->parser, text, len) == 0)
    return true;
  g_set_error(b->error,
              POLICY_ERROR,
              POLICY_ERROR_READ,
              "%s: libfyaml cannot be used",
              b->name);
  return false;
}

static void
builder_close(Builder *b)
{
  if (b->event != NULL)
    fy_parser_event_free(b->parser, b->event);
  if (b->parser != NULL)
    fy_parser_destroy(b->parser);
  fy_diag_destroy(b->diag);
}

YamlDoc *
yaml_parse(const char *name, const char *text, size_t len, GError **error)
{
  Builder builder = {
      .name = name, .error = error, .text = text, .end = text + len};
  YamlNode *root = NULL;
  YamlDoc *doc;

  if (!guard_text(name, text, len, error))
    return NULL;
  if (builder_open(&builder, text, len))
    root = build_document(&builder);
  builder_close(&builder);
  if (root == NULL)
    return NULL;
  doc = g_new0(YamlDoc, 1);
  doc->name = g_strdup(name);
  doc->root = root;
  return doc;
}

YamlDoc *
yaml_load(const char *path, GBytes **contents, GError **error)
{
  g_autoptr(GError) cause = NULL;
  g_autoptr(GBytes) bytes = file_read(path, YAML_MAX_SIZE, &cause);
  g_autoptr(YamlDoc) doc = NULL;
  const char *text;
  gsize len;

  if (bytes == NULL) {
    g_set_error_literal(error, POLICY_ERROR, POLICY_ERROR_READ, cause->message);
    return NULL;
  }
  text = g_bytes_get_data(bytes, &len);
  doc = yaml_parse(path, text != NULL ? text : "", len, error);
  if (doc != NULL && contents != NULL)
    *contents = g_steal_pointer(&bytes);
  return g_steal_pointer(&doc);
}

void
yaml_doc_free(YamlDoc *doc)
{
  if (doc == NULL)
    return;
  node_free(doc->root);
  g_free(doc->name);
  g_free(doc);
}
