/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a set of exact values: what is put in is hashed at once and not kept.
 */
#include "inspect/value-set.h"

#include "kit/digest.h"

/* Characters that a value must at least be made of: what repeats one or two
 * stands everywhere, and a text of them would begin a value at each byte. */
#define MIN_DISTINCT 3
/* Bits of a set per member, so that a miss is nearly always seen at once; and
 * the bounds: the least costs nothing, the most (2 MiB) holds VALUES_MAX. */
#define BITS_PER_MEMBER 64
#define MIN_BITS 12
#define MAX_BITS 24

typedef struct {
  uint64_t hash;
  uint16_t len; /* of a value that ends before the next step; 0: goes on */
} Step;

/* What the tables are made of. */
typedef struct entries {
  GArray *steps;                       /* Step */
  GArray *finals;                      /* ValueFinal */
  GArray *words, *short_words, *heads; /* uint64_t products */
} Entries;

/* ---- SipHash-2-4 ------------------------------------------------------- */

static inline uint64_t
rotate(uint64_t x, unsigned n)
{
  return x << n | x >> (64 - n);
}

static inline void
sip_round(SipState *s)
{
  s->v0 += s->v1;
  s->v1 = rotate(s->v1, 13) ^ s->v0;
  s->v0 = rotate(s->v0, 32);
  s->v2 += s->v3;
  s->v3 = rotate(s->v3, 16) ^ s->v2;
  s->v0 += s->v3;
  s->v3 = rotate(s->v3, 21) ^ s->v0;
  s->v2 += s->v1;
  s->v1 = rotate(s->v1, 17) ^ s->v2;
  s->v2 = rotate(s->v2, 32);
}

static inline void
sip_absorb(SipState *s, uint64_t word)
{
  s->v3 ^= word;
  sip_round(s);
  sip_round(s);
  s->v0 ^= word;
}

void
sip_init(SipState *state, const uint64_t key[SIP_KEY])
{
  state->v0 = key[0] ^ UINT64_C(0x736f6d6570736575);
  state->v1 = key[1] ^ UINT64_C(0x646f72616e646f6d);
  state->v2 = key[0] ^ UINT64_C(0x6c7967656e657261);
  state->v3 = key[1] ^ UINT64_C(0x7465646279746573);
  state->absorbed = 0;
}

uint64_t
sip_prefix(SipState *state, const char *bytes, size_t len)
{
  SipState last;

  for (; len - state->absorbed >= 8; state->absorbed += 8)
    sip_absorb(state, GUINT64_FROM_LE(word_at(bytes + state->absorbed, 8)));
  last = *state;
  sip_absorb(
      &last,
      GUINT64_FROM_LE(word_at(bytes + state->absorbed, len - state->absorbed)) |
          (uint64_t)len << 56);
  last.v2 ^= 0xff;
  for (unsigned i = 0; i < 4; i++)
    sip_round(&last);
  return last.v0 ^ last.v1 ^ last.v2 ^ last.v3;
}

/* ---- Filling ----------------------------------------------------------- */

static GArray *
new_words(void)
{
  return g_array_new(FALSE, FALSE, sizeof(uint64_t));
}

ValueSet *
value_set_new(void)
{
  ValueSet *set = g_new0(ValueSet, 1);
  Entries *entries = g_new0(Entries, 1);

  set->refs = 1;
  random_bytes(set->key, sizeof(set->key));
  random_bytes(set->factors, sizeof(set->factors));
  set->factors[0] |= 1;
  set->factors[1] |= 1;
  entries->steps = g_array_new(FALSE, FALSE, sizeof(Step));
  entries->finals = g_array_new(FALSE, FALSE, sizeof(ValueFinal));
  entries->words = new_words();
  entries->short_words = new_words();
  entries->heads = new_words();
  set->entries = entries;
  return set;
}

static void
entries_free(Entries *entries)
{
  if (entries == NULL)
    return;
  g_array_unref(entries->steps);
  g_array_unref(entries->finals);
  g_array_unref(entries->words);
  g_array_unref(entries->short_words);
  g_array_unref(entries->heads);
  g_free(entries);
}

ValueSet *
value_set_ref(ValueSet *set)
{
  g_atomic_int_inc(&set->refs);
  return set;
}

void
value_set_unref(ValueSet *set)
{
  if (set == NULL || !g_atomic_int_dec_and_test(&set->refs))
    return;
  entries_free(set->entries);
  g_free(set->begin.words);
  g_free(set->begin_short.words);
  g_free(set->heads.words);
  g_free(set->nodes);
  g_free(set->finals);
  g_free(set->lens);
  secret_wipe(set->key, sizeof(set->key));
  g_free(set);
}

unsigned
value_set_count(const ValueSet *set, ValueKind kind)
{
  return set->counts[kind];
}

static unsigned
distinct(const char *value, size_t len)
{
  bool seen[256] = {false};
  unsigned n = 0;

  for (size_t i = 0; i < len && n < MIN_DISTINCT; i++) {
    bool *at = &seen[(uint8_t)value[i]];

    n += !*at;
    *at = true;
  }
  return n;
}

/* The length tells beginnings of different lengths apart. */
static uint64_t
head_product(const ValueSet *set, const char *bytes, size_t len)
{
  return (word_at(bytes, len) ^ (uint64_t)len << 60) * set->factors[1];
}

static void
add_heads(ValueSet *set, const char *value, size_t n)
{
  for (size_t i = 1; i <= n; i++) {
    const uint64_t product = head_product(set, value, i);

    g_array_append_val(set->entries->heads, product);
  }
}

static void
add_steps(ValueSet *set, const char *value, size_t len)
{
  SipState state;
  size_t level = len < VALUE_ANCHOR ? VALUE_MIN : VALUE_ANCHOR;

  sip_init(&state, set->key);
  for (; level <= len; level *= 2) {
    Step step = {.hash = sip_prefix(&state, value, level)};

    if (len < VALUE_ANCHOR || len < 2 * level)
      step.len = (uint16_t)len;
    g_array_append_val(set->entries->steps, step);
    if (step.len != 0)
      break;
  }
}

ValueFit
value_set_add(ValueSet *set, ValueKind kind, const char *value, size_t len)
{
  Entries *entries = set->entries;
  ValueFinal final = {.kinds = (uint8_t)(1u << kind)};
  uint64_t product = len >= VALUE_MIN ? word_at(value, VALUE_MIN) : 0;
  SipState state;

  if (len < VALUE_MIN)
    return VALUE_TOO_SHORT;
  if (len > (kind == VALUE_HELD ? HELD_VALUE_MAX : VALUE_MAX))
    return VALUE_TOO_LONG;
  if (distinct(value, len) < MIN_DISTINCT)
    return VALUE_REPETITIVE;
  if (set->n >= VALUES_MAX)
    return VALUE_TOO_MANY;
  set->n++;
  set->counts[kind]++;
  sip_init(&state, set->key);
  final.hash = sip_prefix(&state, value, len);
  g_array_append_val(entries->finals, final);
  add_steps(set, value, len);
  if (len < VALUE_ANCHOR) {
    product = (uint64_t)GUINT32_FROM_LE((uint32_t)product) * set->factors[0];
    g_array_append_val(entries->short_words, product);
    set->n_short++;
    add_heads(set, value, VALUE_MIN - 1);
  } else {
    product = word_at(value, VALUE_ANCHOR) * set->factors[0];
    g_array_append_val(entries->words, product);
    add_heads(set, value, VALUE_ANCHOR - 1);
  }
  return VALUE_FITS;
}

/* ---- Tables ------------------------------------------------------------ */

static unsigned
log2_above(size_t n)
{
  unsigned bits = 0;

  while ((size_t)1 << bits < n)
    bits++;
  return bits;
}

static void
fill_bits(BitSet *set, const GArray *products)
{
  const unsigned bits = CLAMP(
      log2_above((size_t)products->len * BITS_PER_MEMBER), MIN_BITS, MAX_BITS);

  set->shift = 64 - bits;
  set->words = g_new0(uint64_t, ((size_t)1 << bits) / 64);
  for (guint i = 0; i < products->len; i++) {
    const uint64_t bit = g_array_index(products, uint64_t, i) >> set->shift;

    set->words[bit >> 6] |= UINT64_C(1) << (bit & 63);
  }
}

static int
compare_steps(const void *a, const void *b)
{
  const Step *x = a, *y = b;

  if (x->hash != y->hash)
    return x->hash < y->hash ? -1 : 1;
  return x->len < y->len ? -1 : x->len > y->len;
}

static ValueNode *
node_place(const ValueSet *set, uint64_t hash)
{
  size_t at = hash & set->node_mask;

  while (set->nodes[at].used && set->nodes[at].hash != hash)
    at = (at + 1) & set->node_mask;
  return &set->nodes[at];
}

static void
fill_nodes(ValueSet *set, GArray *steps)
{
  uint32_t n_lens = 0;

  set->node_mask = ((size_t)1 << log2_above(2 * (size_t)steps->len + 1)) - 1;
  set->nodes = g_new0(ValueNode, set->node_mask + 1);
  set->lens = g_new0(uint16_t, MAX(steps->len, 1));
  if (steps->len > 0)
    qsort(steps->data, steps->len, sizeof(Step), compare_steps);
  for (guint i = 0; i < steps->len; i++) {
    const Step *step = &g_array_index(steps, Step, i);
    ValueNode *node = node_place(set, step->hash);

    if (i > 0 && compare_steps(step, step - 1) == 0)
      continue;
    if (!node->used)
      *node = (ValueNode){step->hash, n_lens, 0, false, true};
    if (step->len == 0) {
      node->more = true;
    } else {
      set->lens[n_lens++] = step->len;
      node->n_lens++;
    }
  }
}

static ValueFinal *
final_place(const ValueSet *set, uint64_t hash)
{
  size_t at = hash & set->final_mask;

  while (set->finals[at].kinds != 0 && set->finals[at].hash != hash)
    at = (at + 1) & set->final_mask;
  return &set->finals[at];
}

static void
fill_finals(ValueSet *set, const GArray *finals)
{
  set->final_mask = ((size_t)1 << log2_above(2 * (size_t)finals->len + 1)) - 1;
  set->finals = g_new0(ValueFinal, set->final_mask + 1);
  for (guint i = 0; i < finals->len; i++) {
    const ValueFinal *from = &g_array_index(finals, ValueFinal, i);
    ValueFinal *to = final_place(set, from->hash);

    to->hash = from->hash;
    to->kinds |= from->kinds;
  }
}

void
value_set_seal(ValueSet *set)
{
  Entries *entries = g_steal_pointer(&set->entries);

  fill_bits(&set->begin, entries->words);
  fill_bits(&set->begin_short, entries->short_words);
  fill_bits(&set->heads, entries->heads);
  fill_nodes(set, entries->steps);
  fill_finals(set, entries->finals);
  entries_free(entries);
}

/* ---- Looking up -------------------------------------------------------- */

bool
value_set_may_begin_so(const ValueSet *set, const char *bytes, size_t len)
{
  if (bit_get(&set->heads, head_product(set, bytes, len)))
    return true;
  return len >= VALUE_MIN && set->n_short > 0 &&
         value_set_may_begin_short(set, word_at(bytes, len));
}

const ValueNode *
value_set_node(const ValueSet *set, uint64_t hash)
{
  const ValueNode *node = node_place(set, hash);

  return node->used ? node : NULL;
}

const ValueFinal *
value_set_final(const ValueSet *set, uint64_t hash)
{
  const ValueFinal *final = final_place(set, hash);

  return final->kinds != 0 ? final : NULL;
}
