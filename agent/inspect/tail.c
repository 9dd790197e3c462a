/* SPDX-License-Identifier: Apache-2.0 */
/* From the regex behind a head to its automaton: nodes as in Thompson's
 * construction, then states that are sets of them. */
#include "inspect/tail.h"

#include "inspect/atom.h"

#include <string.h>

/* Of one regex, its repetitions written out. */
#define MAX_NODES 4096U
#define MAX_SETS 64U
/* States; the openers of the rule pack have a few hundred. */
#define MAX_STATES 8192U
#define MAX_DEPTH 16U

typedef enum { NODE_EMPTY, NODE_SPLIT, NODE_SET, NODE_EDGE, NODE_END } NodeKind;

#define NOWHERE UINT16_MAX
typedef struct {
  uint8_t kind, set; /* set: of bytes that it takes */
  uint16_t one, two; /* what follows; SPLIT has two */
} Node;

typedef struct {
  const char *at;
  bool any_case, any_line;
  bool failed;
  unsigned depth;
  GArray *nodes; /* Node */
  GArray *sets;  /* ByteSet */
} Parser;

/* A piece: its first node, and the empty one at its end. */
typedef struct {
  uint16_t first, last;
} Piece;

/* ---- Reading ------------------------------------------------------------- */

static uint16_t
add_node(Parser *parser, NodeKind kind, uint16_t one, uint16_t two)
{
  const Node node = {.kind = (uint8_t)kind, .one = one, .two = two};

  if (parser->nodes->len >= MAX_NODES) {
    parser->failed = true;
    return 0;
  }
  g_array_append_val(parser->nodes, node);
  return (uint16_t)(parser->nodes->len - 1);
}

static Node *
node_at(const Parser *parser, uint16_t node)
{
  return &g_array_index(parser->nodes, Node, node);
}

static Piece
empty_piece(Parser *parser)
{
  const uint16_t node = add_node(parser, NODE_EMPTY, NOWHERE, NOWHERE);

  return (Piece){node, node};
}

static Piece
set_piece(Parser *parser, const ByteSet *set)
{
  Piece piece = empty_piece(parser);
  guint i = 0;

  while (i < parser->sets->len &&
         memcmp(&g_array_index(parser->sets, ByteSet, i), set, sizeof(*set)) !=
             0)
    i++;
  if (i == MAX_SETS) {
    parser->failed = true;
    return piece;
  }
  if (i == parser->sets->len)
    g_array_append_val(parser->sets, *set);
  piece.first = add_node(parser, NODE_SET, piece.last, NOWHERE);
  node_at(parser, piece.first)->set = (uint8_t)i;
  return piece;
}

static Piece
join(Parser *parser, Piece a, Piece b)
{
  node_at(parser, a.last)->one = b.first;
  return (Piece){a.first, b.last};
}

static Piece read_alternatives(Parser *parser);

static Piece
read_atom(Parser *parser)
{
  ByteSet set = {0};
  Piece piece;

  if (*parser->at == '(') {
    if (!g_str_has_prefix(parser->at, "(?:") || parser->depth >= MAX_DEPTH) {
      parser->failed = true;
      return empty_piece(parser);
    }
    parser->at += 3;
    parser->depth++;
    piece = read_alternatives(parser);
    parser->depth--;
    parser->failed = parser->failed || *parser->at != ')';
    parser->at += *parser->at == ')';
    return piece;
  }
  if (g_str_has_prefix(parser->at, "\\b")) {
    parser->at += 2;
    piece = empty_piece(parser);
    piece.first = add_node(parser, NODE_EDGE, piece.last, NOWHERE);
    return piece;
  }
  if (!byte_set_read(&parser->at, parser->any_case, parser->any_line, &set))
    parser->failed = true;
  return set_piece(parser, &set);
}

/* False when there is none. */
static bool
read_times(Parser *parser, unsigned *min, unsigned *max)
{
  const Times times = times_read(&parser->at, min, max);

  parser->failed = parser->failed || times == TIMES_BAD;
  return times != TIMES_NONE;
}

/* An atom, written out as often as it stands there. */
static Piece
read_repeated(Parser *parser)
{
  const char *from = parser->at;
  Piece atom = read_atom(parser), all;
  const Piece end = empty_piece(parser);
  unsigned min, max, n = 0;
  const char *behind;

  if (parser->failed || !read_times(parser, &min, &max))
    return atom;
  behind = parser->at;
  all = empty_piece(parser);
  for (;; n++) {
    const bool more = max == UINT_MAX ? n <= min : n < max;

    if (parser->failed || !more)
      break;
    if (n >= min)
      all = join(parser,
                 all,
                 (Piece){add_node(parser, NODE_SPLIT, NOWHERE, end.first), 0});
    if (n >= min)
      all.last = (uint16_t)(parser->nodes->len - 1);
    if (n > 0) {
      parser->at = from;
      atom = read_atom(parser);
    }
    if (max == UINT_MAX && n == min) {
      /* SPLIT takes it as often as it comes. */
      const uint16_t split = all.last;

      all = join(parser, all, atom);
      node_at(parser, all.last)->one = split;
      parser->at = behind;
      return (Piece){all.first, end.last};
    }
    all = join(parser, all, atom);
  }
  parser->at = behind;
  return join(parser, all, end);
}

static Piece
read_row(Parser *parser)
{
  Piece all = empty_piece(parser);

  while (!parser->failed && *parser->at != '\0' && *parser->at != '|' &&
         *parser->at != ')')
    all = join(parser, all, read_repeated(parser));
  return all;
}

static Piece
read_alternatives(Parser *parser)
{
  Piece all = read_row(parser);

  while (!parser->failed && *parser->at == '|') {
    const Piece end = empty_piece(parser);
    Piece other;

    parser->at++;
    other = read_row(parser);
    node_at(parser, all.last)->one = end.first;
    node_at(parser, other.last)->one = end.first;
    all =
        (Piece){add_node(parser, NODE_SPLIT, all.first, other.first), end.last};
  }
  return all;
}

static bool
parse(Parser *parser, const char *regex, const char *options, uint16_t *first)
{
  uint16_t end;
  Piece all;

  parser->nodes = g_array_new(FALSE, FALSE, sizeof(Node));
  parser->sets = g_array_new(FALSE, FALSE, sizeof(ByteSet));
  end = add_node(parser, NODE_END, NOWHERE, NOWHERE);
  parser->at = regex;
  parser->any_case = strchr(options, 'i') != NULL;
  parser->any_line = strchr(options, 's') != NULL;
  parser->failed = strchr(options, 'x') != NULL || strchr(options, '-') != NULL;
  all = read_alternatives(parser);
  node_at(parser, all.last)->one = end;
  *first = all.first;
  return !parser->failed && *parser->at == '\0';
}

static void
parser_clear(Parser *parser)
{
  g_array_unref(parser->nodes);
  g_array_unref(parser->sets);
}

/* ---- States -------------------------------------------------------------- */

/* A state: the nodes that stand behind what was taken, in order, and whether
 * that ended with a letter, a digit or "_". */
typedef struct {
  guint from, n; /* in the builder's nodes */
  bool word;
} State;

/* Places in the table of known states: twice as many as there may be. */
#define PLACES (2 * MAX_STATES)

typedef struct {
  const Parser *parser;
  GArray *states; /* State */
  GArray *nodes;  /* uint16_t */
  guint *marks;   /* by node: seen when */
  guint now;
  uint16_t *reached[2]; /* nodes, without and with "\b" holding … */
  guint n_reached[2];   /* … that take something or end */
  uint16_t *known;      /* by hash: index + 1 */
} Builder;

/* Adds what is reached from a node without taking anything. `edge`: a "\b"
 * holds here. */
static void
reach(Builder *builder, uint16_t node, bool edge)
{
  const Node *at = node_at(builder->parser, node);

  if (builder->marks[node] == builder->now)
    return;
  builder->marks[node] = builder->now;
  if (at->kind == NODE_SET || at->kind == NODE_END)
    builder->reached[edge][builder->n_reached[edge]++] = node;
  if (at->kind == NODE_EMPTY || at->kind == NODE_SPLIT ||
      (at->kind == NODE_EDGE && edge))
    reach(builder, at->one, edge);
  if (at->kind == NODE_SPLIT)
    reach(builder, at->two, edge);
}

static void
reach_all(Builder *builder, const State *state)
{
  for (unsigned edge = 0; edge < 2; edge++) {
    builder->now++;
    builder->n_reached[edge] = 0;
    for (guint i = 0; i < state->n; i++)
      reach(builder,
            g_array_index(builder->nodes, uint16_t, state->from + i),
            edge == 1);
  }
}

static int
compare_nodes(const void *a, const void *b)
{
  return *(const uint16_t *)a - *(const uint16_t *)b;
}

static bool
same_state(const Builder *builder, guint index, const State *other)
{
  const State *state = &g_array_index(builder->states, State, index);

  return state->n == other->n && state->word == other->word &&
         memcmp(&g_array_index(builder->nodes, uint16_t, state->from),
                &g_array_index(builder->nodes, uint16_t, other->from),
                state->n * sizeof(uint16_t)) == 0;
}

/* The state of these nodes, new or known; MAX_STATES: there are too many. */
static guint
state_of(Builder *builder, uint16_t *nodes, guint n, bool word)
{
  State state = {builder->nodes->len, 0, word};
  guint place = word;

  if (n == 0)
    return TAIL_DEAD;
  if (n > 1)
    qsort(nodes, n, sizeof(*nodes), compare_nodes);
  for (guint i = 0; i < n; i++)
    if (i == 0 || nodes[i] != nodes[i - 1]) {
      g_array_append_val(builder->nodes, nodes[i]);
      place = place * 31 + nodes[i];
    }
  state.n = builder->nodes->len - state.from;
  for (place %= PLACES; builder->known[place] != 0;
       place = (place + 1) % PLACES)
    if (same_state(builder, builder->known[place] - 1U, &state)) {
      g_array_set_size(builder->nodes, state.from);
      return builder->known[place] - 1U;
    }
  if (builder->states->len == MAX_STATES)
    return MAX_STATES;
  g_array_append_val(builder->states, state);
  builder->known[place] = (uint16_t)builder->states->len;
  return builder->states->len - 1;
}

/* Where the state whose nodes were reached goes with a byte. */
static guint
step(Builder *builder, bool word, unsigned byte, uint16_t *to)
{
  const bool edge = word != byte_is_word(byte);
  guint n = 0;

  for (guint i = 0; i < builder->n_reached[edge]; i++) {
    const Node *node = node_at(builder->parser, builder->reached[edge][i]);

    if (node->kind == NODE_SET &&
        byte_set_has(&g_array_index(builder->parser->sets, ByteSet, node->set),
                     byte))
      to[n++] = node->one;
  }
  return state_of(builder, to, n, byte_is_word(byte));
}

static bool
ends(const Builder *builder, bool edge)
{
  for (guint i = 0; i < builder->n_reached[edge]; i++)
    if (node_at(builder->parser, builder->reached[edge][i])->kind == NODE_END)
      return true;
  return false;
}

/* Bytes that every set has, or none of them. */
static void
find_classes(const Parser *parser, Tail *tail, uint8_t *samples)
{
  guint64 seen[256] = {0};

  tail->n_classes = 0;
  for (unsigned c = 0; c < 256; c++) {
    guint64 sets = 0;
    unsigned i = 0;

    for (guint k = 0; k < parser->sets->len; k++)
      sets |= (guint64)byte_set_has(&g_array_index(parser->sets, ByteSet, k), c)
              << k;
    while (i < tail->n_classes &&
           (seen[i] != sets || byte_is_word(samples[i]) != byte_is_word(c)))
      i++;
    if (i == tail->n_classes) {
      seen[i] = sets;
      samples[i] = (uint8_t)c;
      tail->n_classes++;
    }
    tail->classes[c] = (uint8_t)i;
  }
}

/* The one byte that leads to states that accept, or -1. */
static int
find_last(const Tail *tail)
{
  int last = -1;

  for (unsigned c = 0; c < 256; c++)
    for (guint i = 0; i < tail->n_states; i++) {
      if (!tail->accepts[tail_step(tail, (uint16_t)i, (char)c)])
        continue;
      if (last >= 0)
        return -1;
      last = (int)c;
      break;
    }
  return tail->accepts[tail->start[0]] || tail->accepts[tail->start[1]] ? -1
                                                                        : last;
}

/* False when there are too many states, or one ends with "\b". */
static bool
build(Builder *builder, Tail *tail, uint16_t first, const uint8_t *samples)
{
  g_autofree uint16_t *to = g_new(uint16_t, builder->parser->nodes->len + 1);
  g_autoptr(GArray) next = g_array_new(FALSE, FALSE, sizeof(uint16_t));
  g_autoptr(GArray) accepts = g_array_new(FALSE, FALSE, sizeof(bool));
  const State dead = {0};

  g_array_append_val(builder->states, dead);
  for (unsigned word = 0; word < 2; word++) {
    to[0] = first;
    tail->start[word] = (uint16_t)state_of(builder, to, 1, word == 1);
  }
  for (guint i = 0; i < builder->states->len; i++) {
    const State state = g_array_index(builder->states, State, i);
    bool accept;

    reach_all(builder, &state);
    accept = ends(builder, false);
    if (!accept && ends(builder, true))
      return false;
    g_array_append_val(accepts, accept);
    for (unsigned c = 0; c < tail->n_classes; c++) {
      const uint16_t number =
          (uint16_t)step(builder, state.word, samples[c], to);

      if (number == MAX_STATES)
        return false;
      g_array_append_val(next, number);
    }
  }
  tail->accepts = g_memdup2(accepts->data, accepts->len * sizeof(bool));
  tail->next = g_memdup2(next->data, next->len * sizeof(uint16_t));
  tail->n_states = builder->states->len;
  tail->last = find_last(tail);
  return true;
}

bool
tail_is_possible(const char *regex, const char *options)
{
  Parser parser = {0};
  uint16_t first;
  const bool possible = parse(&parser, regex, options, &first);

  parser_clear(&parser);
  return possible;
}

Tail *
tail_new(const char *regex, const char *options)
{
  Parser parser = {0};
  Builder builder = {.parser = &parser};
  Tail *tail = NULL;
  uint8_t samples[256];
  uint16_t first;

  if (parse(&parser, regex, options, &first)) {
    tail = g_new0(Tail, 1);
    find_classes(&parser, tail, samples);
    builder.states = g_array_new(FALSE, FALSE, sizeof(State));
    builder.nodes = g_array_new(FALSE, FALSE, sizeof(uint16_t));
    builder.marks = g_new0(guint, parser.nodes->len);
    for (unsigned edge = 0; edge < 2; edge++)
      builder.reached[edge] = g_new(uint16_t, parser.nodes->len);
    builder.known = g_new0(uint16_t, PLACES);
    if (!build(&builder, tail, first, samples))
      g_clear_pointer(&tail, tail_free);
    g_free(builder.known);
    for (unsigned edge = 0; edge < 2; edge++)
      g_free(builder.reached[edge]);
    g_free(builder.marks);
    g_array_unref(builder.nodes);
    g_array_unref(builder.states);
  }
  parser_clear(&parser);
  return tail;
}

void
tail_free(Tail *tail)
{
  if (tail == NULL)
    return;
  g_free(tail->next);
  g_free(tail->accepts);
  g_free(tail);
}
