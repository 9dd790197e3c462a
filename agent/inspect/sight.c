/* SPDX-License-Identifier: Apache-2.0 */
/* Where an expression may begin is where a few of its first bytes, at certain
 * places, are what they must be. */
#include "inspect/sight.h"

#include "inspect/atom.h"
#include "inspect/tail.h"

#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#define MAX_SIGHTS 32
/* What is longer is not worth reading. */
#define EXPRESSION_MAX 256
/* Places of one expression that are looked at; the first two everywhere, the
 * others only where those two say that one may begin. */
#define MAX_PROBES 5
#define MAX_RANGES 5
#define FAST_RANGES 2
/* How many of a text's bytes may be where one begins: looking on from each
 * costs some 20 ns. */
#define SURE 0.0001
#define NOT_SURE 0.05
/* Of so many kinds of bytes are most texts. */
#define COMMON 64.0
/* Bytes whose beginnings are seen at once. */
#define BLOCK 64
/* Ends are put in order for so much of a text. */
#define SLICE 1024
/* Before the first character: at the beginning of a line, or behind a class. */
#define EDGE "(?:^|["
/* Clearing it would cost more than looking at a short text. */
#define UNCLEARED __attribute__((uninitialized))

/* What stands so far behind the beginning: bytes in these ranges. */
typedef struct {
  uint8_t offset, n;
  uint8_t from[MAX_RANGES], more[MAX_RANGES]; /* and so many behind it */
} Probe;

typedef struct {
  unsigned rule;
  Tail *tail;
  bool bound;
  ByteSet edge; /* what it stands behind, when bound */
  unsigned n;
  Probe probes[MAX_PROBES];
} Sight;

/* Writes where it may begin in each of n blocks, behind which SIGHT_BACK more
 * bytes are; false: nowhere. */
typedef bool (*Look)(const Sight *sight,
                     const uint8_t *bytes,
                     unsigned n,
                     uint64_t *begins);

struct sights {
  Sight all[MAX_SIGHTS];
  uint32_t ending[256]; /* those that may end with a byte, as bits */
  unsigned n;
  Look look;
};

/* ---- Expressions --------------------------------------------------------- */

/* False when the set is no good probe. */
static bool
make_probe(const ByteSet *set, unsigned offset, Probe *probe)
{
  *probe = (Probe){.offset = (uint8_t)offset};
  for (unsigned c = 0; c < 256; c++) {
    if (!byte_set_has(set, c))
      continue;
    if (c > 0 && byte_set_has(set, c - 1)) {
      probe->more[probe->n - 1]++;
      continue;
    }
    if (probe->n == MAX_RANGES)
      return false;
    probe->from[probe->n++] = (uint8_t)c;
  }
  return probe->n > 0;
}

static unsigned
probe_members(const Probe *probe)
{
  unsigned members = 0;

  for (unsigned i = 0; i < probe->n; i++)
    members += probe->more[i] + 1U;
  return members;
}

/* Puts a probe among the others, those that say most first. */
static void
add_probe(const Probe *probe, Probe *probes, unsigned *n)
{
  unsigned at = *n;

  for (; at > 0; at--) {
    if (probe_members(probe) >= probe_members(&probes[at - 1]))
      break;
    probes[at] = probes[at - 1];
  }
  probes[at] = *probe;
  (*n)++;
}

/* The next states, and the bytes that lead to them. */
static void
step_all(const Tail *tail, bool *states, ByteSet *bytes)
{
  g_autofree bool *next = g_new0(bool, tail->n_states);

  for (unsigned i = 0; i < tail->n_states; i++)
    for (unsigned c = 0; states[i] && c < 256; c++) {
      const uint16_t to = tail_step(tail, (uint16_t)i, (char)c);

      if (to == TAIL_DEAD)
        continue;
      next[to] = true;
      bytes->bits[c / 64] |= UINT64_C(1) << c % 64;
    }
  memcpy(states, next, tail->n_states * sizeof(bool));
}

static bool
accepts_any(const Tail *tail, const bool *states)
{
  for (unsigned i = 0; i < tail->n_states; i++)
    if (states[i] && tail->accepts[i])
      return true;
  return false;
}

/* What every match begins with, as probes by what they say; false when a match
 * may take too much. */
static bool
find_probes(const Tail *tail, Probe probes[SIGHT_BACK], unsigned *n)
{
  g_autofree bool *states = g_new0(bool, tail->n_states);
  bool all = true; /* no match is over yet */
  ByteSet set;

  *n = 0;
  states[tail->start[0]] = states[tail->start[1]] = true;
  states[TAIL_DEAD] = false;
  for (unsigned offset = 0; offset < SIGHT_BACK; offset++) {
    Probe probe;

    all = all && !accepts_any(tail, states);
    set = (ByteSet){0};
    step_all(tail, states, &set);
    if (memchr(states, 1, tail->n_states * sizeof(bool)) == NULL)
      return true;
    if (all && make_probe(&set, offset, &probe))
      add_probe(&probe, probes, n);
  }
  return false;
}

/* The first from `from` on of so many ranges at most; n when there is none. */
static unsigned
next_probe(const Probe *probes, unsigned from, unsigned n, unsigned ranges)
{
  while (from < n && probes[from].n > ranges)
    from++;
  return from;
}

/* Takes a probe unless it is there. */
static void
take_probe(Sight *sight, const Probe *probe)
{
  for (unsigned i = 0; i < sight->n; i++)
    if (sight->probes[i].offset == probe->offset)
      return;
  sight->probes[sight->n++] = *probe;
}

/* Takes two probes, the first one of one range, no more than it needs, and the
 * last one: it keeps out what is too short. */
static bool
choose_probes(const Tail *tail, Sight *sight)
{
  Probe probes[SIGHT_BACK + 1];
  const Probe *last = &probes[0];
  unsigned n, first, second;
  double share;

  if (!find_probes(tail, probes, &n))
    return false;
  first = next_probe(probes, 0, n, 1);
  if (first == n)
    return false;
  second = next_probe(probes, first == 0 ? 1 : 0, n, FAST_RANGES);
  sight->probes[sight->n++] = probes[first];
  sight->probes[sight->n++] = probes[second < n ? second : first];
  share = MIN(probe_members(&probes[first]) / COMMON, 1);
  if (second < n)
    share *= MIN(probe_members(&probes[second]) / COMMON, 1);
  for (unsigned i = 0; i < n; i++) {
    if (probes[i].offset > last->offset)
      last = &probes[i];
    if (i == first || i == second || share <= SURE ||
        sight->n == MAX_PROBES - 1)
      continue;
    share *= MIN(probe_members(&probes[i]) / COMMON, 1);
    take_probe(sight, &probes[i]);
  }
  take_probe(sight, last);
  return share <= NOT_SURE;
}

/* Notes which bytes one may end with. */
static void
add_endings(Sights *sights, const Tail *tail)
{
  for (unsigned i = 0; i < tail->n_states; i++)
    for (unsigned c = 0; c < 256; c++)
      if (tail->accepts[tail_step(tail, (uint16_t)i, (char)c)])
        sights->ending[c] |= UINT32_C(1) << sights->n;
}

bool
sights_add(Sights *sights, const char *expression, unsigned rule)
{
  Sight *sight = &sights->all[sights->n];
  const char *p = expression;
  Tail *tail;

  if (sights->n == MAX_SIGHTS || strlen(expression) > EXPRESSION_MAX)
    return false;
  *sight = (Sight){.rule = rule};
  if (g_str_has_prefix(p, EDGE)) {
    p += strlen(EDGE) - 1;
    if (!byte_set_read(&p, false, false, &sight->edge) || *p++ != ')')
      return false;
    sight->edge.bits[0] |= UINT64_C(1) << '\n';
    sight->bound = true;
  }
  tail = tail_is_possible(p, "") ? tail_new(p, "") : NULL;
  if (tail == NULL || !choose_probes(tail, sight)) {
    tail_free(tail);
    return false;
  }
  sight->tail = tail;
  add_endings(sights, tail);
  sights->n++;
  return true;
}

/* ---- Processors ---------------------------------------------------------- */

typedef uint8_t Bytes __attribute__((vector_size(16)));

/* A bit for each of 16 bytes, which are 0 or 0xff. */
static inline uint32_t
bits_of(Bytes in)
{
#ifdef __SSE2__
  return (uint32_t)_mm_movemask_epi8((__m128i)in);
#else
  uint64_t words[2];

  memcpy(words, &in, sizeof(words));
  for (unsigned i = 0; i < 2; i++)
    words[i] = (words[i] & UINT64_C(0x0101010101010101)) *
                   UINT64_C(0x0102040810204080) >>
               56;
  return (uint32_t)(words[0] | words[1] << 8);
#endif
}

static Bytes
all_are(uint8_t byte)
{
  const Bytes none = {0};

  return none + byte;
}

static uint64_t
probe_plain(const Probe *probe, const uint8_t *bytes)
{
  uint64_t bits = 0;

  for (unsigned at = 0; at < BLOCK; at += sizeof(Bytes)) {
    Bytes text, in = {0};

    memcpy(&text, bytes + probe->offset + at, sizeof(text));
    for (unsigned k = 0; k < probe->n; k++)
      in |= (Bytes)(text - probe->from[k] <= all_are(probe->more[k]));
    bits |= (uint64_t)bits_of(in) << at;
  }
  return bits;
}

static bool
look_plain(const Sight *sight,
           const uint8_t *bytes,
           unsigned n,
           uint64_t *begins)
{
  uint64_t any = 0;

  for (unsigned i = 0; i < n; i++) {
    begins[i] = ~UINT64_C(0);
    for (unsigned k = 0; k < sight->n && begins[i] != 0; k++)
      begins[i] &= probe_plain(&sight->probes[k], bytes + i * BLOCK);
    any |= begins[i];
  }
  return any != 0;
}

#ifdef __x86_64__
#define AVX2 __attribute__((target("avx2")))
#define AVX512 __attribute__((target("avx512bw")))

AVX2 static inline __m256i
in_range_avx2(const uint8_t *bytes, __m256i from, __m256i more)
{
  const __m256i off = _mm256_sub_epi8(
      _mm256_loadu_si256((const __m256i *)(const void *)bytes), from);

  return _mm256_cmpeq_epi8(_mm256_min_epu8(off, more), off);
}

AVX2 static inline __m256i
probe_avx2(const Probe *probe, const uint8_t *bytes)
{
  __m256i in = _mm256_setzero_si256();

  for (unsigned k = 0; k < probe->n; k++)
    in = _mm256_or_si256(in,
                         in_range_avx2(bytes + probe->offset,
                                       _mm256_set1_epi8((char)probe->from[k]),
                                       _mm256_set1_epi8((char)probe->more[k])));
  return in;
}

/* The first two probes leave hardly anything: they are ready in registers. */
AVX2 static bool
look_avx2(const Sight *sight,
          const uint8_t *bytes,
          unsigned n,
          uint64_t *begins)
{
  const Probe *a = &sight->probes[0], *b = &sight->probes[1];
  const __m256i from_a = _mm256_set1_epi8((char)a->from[0]);
  const __m256i more_a = _mm256_set1_epi8((char)a->more[0]);
  const __m256i from_b = _mm256_set1_epi8((char)b->from[0]);
  const __m256i more_b = _mm256_set1_epi8((char)b->more[0]);
  const __m256i from_c = _mm256_set1_epi8((char)b->from[1]);
  const __m256i more_c = _mm256_set1_epi8((char)b->more[1]);
  uint64_t any = 0;

  for (unsigned i = 0; i < 2 * n; i++) {
    const uint8_t *text = bytes + i * 32;
    __m256i in = in_range_avx2(text + b->offset, from_b, more_b);
    uint32_t bits;

    if (b->n > 1)
      in = _mm256_or_si256(in, in_range_avx2(text + b->offset, from_c, more_c));
    in = _mm256_and_si256(in, in_range_avx2(text + a->offset, from_a, more_a));
    bits = (uint32_t)_mm256_movemask_epi8(in);
    for (unsigned k = 2; k < sight->n && bits != 0; k++)
      bits &=
          (uint32_t)_mm256_movemask_epi8(probe_avx2(&sight->probes[k], text));
    begins[i / 2] = i % 2 == 0 ? bits : begins[i / 2] | (uint64_t)bits << 32;
    any |= bits;
  }
  return any != 0;
}

AVX512 static inline uint64_t
in_range_avx512(const uint8_t *bytes, __m512i from, __m512i more)
{
  return _mm512_cmple_epu8_mask(
      _mm512_sub_epi8(_mm512_loadu_si512(bytes), from), more);
}

AVX512 static inline uint64_t
probe_avx512(const Probe *probe, const uint8_t *bytes)
{
  uint64_t in = 0;

  for (unsigned k = 0; k < probe->n; k++)
    in |= in_range_avx512(bytes + probe->offset,
                          _mm512_set1_epi8((char)probe->from[k]),
                          _mm512_set1_epi8((char)probe->more[k]));
  return in;
}

/* As before. */
AVX512 static bool
look_avx512(const Sight *sight,
            const uint8_t *bytes,
            unsigned n,
            uint64_t *begins)
{
  const Probe *a = &sight->probes[0], *b = &sight->probes[1];
  const __m512i from_a = _mm512_set1_epi8((char)a->from[0]);
  const __m512i more_a = _mm512_set1_epi8((char)a->more[0]);
  const __m512i from_b = _mm512_set1_epi8((char)b->from[0]);
  const __m512i more_b = _mm512_set1_epi8((char)b->more[0]);
  const __m512i from_c = _mm512_set1_epi8((char)b->from[1]);
  const __m512i more_c = _mm512_set1_epi8((char)b->more[1]);
  uint64_t any = 0;

  for (unsigned i = 0; i < n; i++) {
    const uint8_t *text = bytes + i * BLOCK;
    uint64_t bits = in_range_avx512(text + b->offset, from_b, more_b);

    if (b->n > 1)
      bits |= in_range_avx512(text + b->offset, from_c, more_c);
    bits &= in_range_avx512(text + a->offset, from_a, more_a);
    for (unsigned k = 2; k < sight->n && bits != 0; k++)
      bits &= probe_avx512(&sight->probes[k], text);
    begins[i] = bits;
    any |= bits;
  }
  return any != 0;
}
#endif

Sights *
sights_new(SightsCpu cpu)
{
  Sights *sights = g_new0(Sights, 1);

  sights->look = look_plain;
#ifdef __x86_64__
  if (cpu != SIGHTS_PLAIN && __builtin_cpu_supports("avx2"))
    sights->look = look_avx2;
  if (cpu == SIGHTS_BEST && __builtin_cpu_supports("avx512bw"))
    sights->look = look_avx512;
#else
  (void)cpu;
#endif
  return sights;
}

void
sights_free(Sights *sights)
{
  if (sights == NULL)
    return;
  for (unsigned i = 0; i < sights->n; i++)
    tail_free(sights->all[i].tail);
  g_free(sights);
}

/* ---- Texts --------------------------------------------------------------- */

/* Ends in (from, to] of a text, as bits by place. */
typedef struct {
  const char *bytes; /* at `from` */
  size_t from, to;
  uint32_t marked; /* sights that have any */
  uint64_t marks[MAX_SIGHTS][SLICE / 64];
} Slice;

static const char *
place(const Slice *slice, size_t at)
{
  return slice->bytes + ((ptrdiff_t)at - (ptrdiff_t)slice->from);
}

/* One may begin at `at`. */
static void
look_from(Slice *slice, const Sight *sight, unsigned index, size_t at)
{
  const char *bytes = place(slice, at);
  uint16_t state;

  if (sight->bound && at > 0 && !byte_set_has(&sight->edge, (uint8_t)bytes[-1]))
    return;
  state = tail_begin(sight->tail, at > 0 ? bytes[-1] : ' ');
  for (; at < slice->to; at++) {
    state = tail_step(sight->tail, state, *bytes++);
    if (state == TAIL_DEAD)
      return;
    if (at < slice->from || !sight->tail->accepts[state])
      continue;
    if ((slice->marked >> index & 1) == 0)
      memset(slice->marks[index], 0, sizeof(slice->marks[index]));
    slice->marked |= UINT32_C(1) << index;
    slice->marks[index][(at - slice->from) / 64] |= UINT64_C(1)
                                                    << (at - slice->from) % 64;
  }
}

/* Those that may end in a slice, as bits: in a short one few do. */
static uint32_t
may_end(const Sights *sights, const Slice *slice)
{
  uint32_t some = 0;

  if (slice->to - slice->from > BLOCK)
    return UINT32_MAX;
  for (size_t i = 0; i < slice->to - slice->from; i++)
    some |= sights->ending[(uint8_t)slice->bytes[i]];
  return some;
}

/* Looks through all from `from` on, of which `there` bytes are there. */
static void
look_through(const Sights *sights, Slice *slice, size_t from, size_t there)
{
  const size_t len = slice->to - from;
  const unsigned n = (unsigned)((len + BLOCK - 1) / BLOCK);
  const size_t needed = n * (size_t)BLOCK + SIGHT_BACK;
  const uint8_t *bytes = (const uint8_t *)place(slice, from);
  const uint32_t some = may_end(sights, slice);
  uint64_t begins[SLICE / BLOCK + 1] UNCLEARED;
  uint8_t copy[SLICE + 2 * BLOCK] UNCLEARED;

  if (some == 0)
    return;
  if (there < needed) {
    memcpy(copy, bytes, there);
    memset(copy + there, 0, needed - there);
    bytes = copy;
  }
  for (unsigned s = 0; s < sights->n; s++) {
    if ((some >> s & 1) == 0 ||
        !sights->look(&sights->all[s], bytes, n, begins))
      continue;
    for (unsigned i = 0; i < n; i++)
      for (uint64_t left = begins[i]; left != 0; left &= left - 1) {
        const size_t at = i * BLOCK + (unsigned)__builtin_ctzll(left);

        if (at < len)
          look_from(slice, &sights->all[s], s, from + at);
      }
  }
}

static void
report_slice(const Sights *sights, const Slice *slice, GArray *ends)
{
  for (size_t at = 0; at < slice->to - slice->from; at += 64) {
    uint64_t any = 0;

    for (uint32_t left = slice->marked; left != 0; left &= left - 1)
      any |= slice->marks[__builtin_ctz(left)][at / 64];
    for (; any != 0; any &= any - 1) {
      const unsigned bit = (unsigned)__builtin_ctzll(any);

      for (uint32_t left = slice->marked; left != 0; left &= left - 1) {
        const unsigned s = (unsigned)__builtin_ctz(left);
        const RuleEnd end = {sights->all[s].rule, slice->from + at + bit + 1};

        if (slice->marks[s][at / 64] >> bit & 1)
          g_array_append_val(ends, end);
      }
    }
  }
}

void
sights_run(const Sights *sights,
           const char *bytes,
           size_t back,
           size_t from,
           size_t to,
           GArray *ends)
{
  Slice slice UNCLEARED;

  for (size_t at = from; sights->n > 0 && at < to; at = slice.to) {
    const size_t before = MIN(at - from + back, SIGHT_BACK - 1);

    slice.bytes = bytes + (at - from);
    slice.from = at;
    slice.to = MIN(at + SLICE, to);
    slice.marked = 0;
    look_through(sights, &slice, at - before, to - at + before);
    if (slice.marked != 0)
      report_slice(sights, &slice, ends);
  }
}
