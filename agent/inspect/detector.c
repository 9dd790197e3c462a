/* SPDX-License-Identifier: Apache-2.0 */
/* The detector: a rule pack compiled once, or loaded from the cache, and the
 * working memory that a thread scans with. */
#include "inspect/detector.h"

#include "kit/digest.h"

#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Steps of one confirmation: some 20 ms in the interpreter at worst. */
#define MATCH_LIMIT 400000
#define DEPTH_LIMIT 10000
/* KiB of heap of one confirmation in the interpreter. */
#define HEAP_LIMIT 4096
#define JIT_STACK_MIN ((size_t)32 * 1024)
#define JIT_STACK_MAX ((size_t)512 * 1024)

G_DEFINE_QUARK(hoop_inspect_error, inspect_error)

static bool
allocate_prototype(Detector *detector, GError **error)
{
  if (detector->rules.n == 0 ||
      hs_alloc_scratch(detector->database, &detector->prototype) == HS_SUCCESS)
    return true;
  g_set_error_literal(error,
                      INSPECT_ERROR,
                      INSPECT_ERROR_ENGINE,
                      "the detector's database does not fit this machine");
  return false;
}

/* A detector whose rules are compiled, or found in the cache, which it takes
 * over (*cached may be NULL). */
static Detector *
detector_make(RulePack *pack, Cached **cached, GError **error)
{
  g_autoptr(Detector) detector = g_new0(Detector, 1);

  detector->refs = 1;
  pthread_mutex_init(&detector->values_lock, NULL);
  detector->pack = rule_pack_ref(pack);
  for (unsigned i = 0; i < N_VALUE_KINDS; i++)
    detector->value_rules[i] = rule_pack_value_rule(pack, (ValueKind)i);
  if (!compiled_rules_init(&detector->rules, pack, error))
    return NULL;
  if (cached != NULL && *cached != NULL &&
      cached_apply(*cached, &detector->rules, &detector->database))
    detector->cached = g_steal_pointer(cached);
  else if (!compiled_rules_build(&detector->rules, &detector->database, error))
    return NULL;
  if (!allocate_prototype(detector, error))
    return NULL;
  detector->shortest = VALUE_MIN;
  for (unsigned i = 0; i < detector->rules.n; i++) {
    const CompiledRule *rule = &detector->rules.rules[i];

    detector->shortest = MIN(detector->shortest, MAX(rule->min_width, 1));
    if (!rule->opened)
      detector->token_width = MAX(detector->token_width, rule->max_width);
  }
  return g_steal_pointer(&detector);
}

Detector *
detector_new(RulePack *pack, const char *cache_dir, GError **error)
{
  g_autoptr(Cached) cached = NULL;
  Detector *detector;
  uint8_t rules[SHA256_LEN], key[SHA256_LEN];

  if (cache_dir != NULL) {
    hex_decode(rule_pack_hash(pack), rules, sizeof(rules));
    cache_key(rules, key);
    cached = cache_open(cache_dir, key, false);
  }
  detector = detector_make(pack, &cached, error);
  if (detector != NULL && cache_dir != NULL && detector->cached == NULL)
    cache_store(
        cache_dir, key, false, pack, &detector->rules, detector->database);
  return detector;
}

/* Reads and compiles; the pack is kept as one that comes from the cache. */
static Detector *
detector_compile_dir(const char *rules_dir,
                     const char *const *named,
                     bool *special,
                     GError **error)
{
  RulePack *whole = rule_pack_load_dir(rules_dir, error);
  g_autoptr(GBytes) frozen = NULL;
  g_autoptr(RulePack) pack = NULL;

  if (whole == NULL)
    return NULL;
  *special = named != NULL && rule_pack_switch_on(whole, named);
  frozen = rule_pack_freeze(whole);
  rule_pack_unref(whole);
  pack = rule_pack_thaw(frozen);
  g_assert(pack != NULL);
  return detector_make(pack, NULL, error);
}

/* What the cache has under this key, unless what is named is off in it. */
static Detector *
detector_open(const char *cache_dir,
              const uint8_t key[32],
              bool special,
              const char *const *named)
{
  g_autoptr(Cached) cached = cache_open(cache_dir, key, special);
  g_autoptr(RulePack) pack = cached != NULL ? cached_pack(cached) : NULL;

  if (pack == NULL || (named != NULL && rule_pack_switch_on(pack, named)))
    return NULL;
  return detector_make(pack, &cached, NULL);
}

Detector *
detector_load(const char *dir,
              const char *const *named,
              const char *cache_dir,
              GError **error)
{
  /* One folder has one name: it stands in each rule's origin. */
  g_autofree char *rules_dir = g_canonicalize_filename(dir, NULL);
  Detector *detector = NULL;
  bool special = false;
  uint8_t before[SHA256_LEN], after[SHA256_LEN];
  uint8_t key[SHA256_LEN], named_key[SHA256_LEN];

  if (cache_dir == NULL)
    return detector_compile_dir(rules_dir, named, &special, error);
  if (!rule_pack_digest_dir(rules_dir, before, error))
    return NULL;
  cache_key(before, key);
  if (named != NULL) {
    cache_key_named(key, named, named_key);
    detector = detector_open(cache_dir, named_key, true, NULL);
  }
  if (detector == NULL)
    detector = detector_open(cache_dir, key, false, named);
  if (detector != NULL)
    return detector;
  detector = detector_compile_dir(rules_dir, named, &special, error);
  /* Files that changed in between would be stored under the wrong name. */
  if (detector != NULL && rule_pack_digest_dir(rules_dir, after, NULL) &&
      memcmp(before, after, sizeof(before)) == 0) {
    const uint8_t *under = special ? named_key : key;
    Detector *stored;

    cache_store(cache_dir,
                under,
                special,
                detector->pack,
                &detector->rules,
                detector->database);
    /* Where the file lies it takes less memory. */
    stored = detector_open(cache_dir, under, special, NULL);
    if (stored != NULL) {
      detector_unref(detector);
      detector = stored;
    }
  }
  return detector;
}

Detector *
detector_ref(Detector *detector)
{
  g_atomic_int_inc(&detector->refs);
  return detector;
}

void
detector_unref(Detector *detector)
{
  if (detector == NULL || !g_atomic_int_dec_and_test(&detector->refs))
    return;
  value_set_unref(detector->values);
  pthread_mutex_destroy(&detector->values_lock);
  hs_free_scratch(detector->prototype);
  if (detector->cached == NULL)
    hs_free_database(detector->database);
  cached_free(detector->cached);
  compiled_rules_clear(&detector->rules);
  rule_pack_unref(detector->pack);
  g_free(detector);
}

void
detector_rest(const Detector *detector)
{
  if (detector->cached != NULL)
    cached_rest(detector->cached);
}

RulePack *
detector_pack(const Detector *detector)
{
  return detector->pack;
}

DetectorScratch *
detector_scratch_new(Detector *detector, GError **error)
{
  g_autoptr(DetectorScratch) scratch = g_new0(DetectorScratch, 1);

  scratch->detector = detector_ref(detector);
  if (detector->prototype != NULL &&
      (hs_clone_scratch(detector->prototype, &scratch->hs) != HS_SUCCESS ||
       hs_open_stream(detector->database, 0, &scratch->stream) != HS_SUCCESS)) {
    g_set_error_literal(error,
                        INSPECT_ERROR,
                        INSPECT_ERROR_ENGINE,
                        "no memory for the detector");
    return NULL;
  }
  /* Two pairs: the whole match and the group "secret" are all we ask. */
  scratch->data = pcre2_match_data_create(16, NULL);
  scratch->context = pcre2_match_context_create(NULL);
  scratch->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
  if (scratch->data == NULL || scratch->context == NULL) {
    g_set_error_literal(error,
                        INSPECT_ERROR,
                        INSPECT_ERROR_ENGINE,
                        "no memory for the detector");
    return NULL;
  }
  pcre2_set_match_limit(scratch->context, MATCH_LIMIT);
  pcre2_set_depth_limit(scratch->context, DEPTH_LIMIT);
  pcre2_set_heap_limit(scratch->context, HEAP_LIMIT);
  if (scratch->stack != NULL)
    pcre2_jit_stack_assign(scratch->context, NULL, scratch->stack);
  scratch->candidates = g_array_new(FALSE, FALSE, sizeof(Candidate));
  scratch->heads = g_array_new(FALSE, FALSE, sizeof(GateHead));
  scratch->ends = g_array_new(FALSE, FALSE, sizeof(RuleEnd));
  scratch->seen = g_array_new(FALSE, FALSE, sizeof(RuleEnd));
  scratch->runs = g_array_new(FALSE, FALSE, sizeof(GateRun));
  scratch->slots = g_new0(unsigned, MAX(detector->rules.n, 1));
  scratch->last = g_new0(LastFinding, MAX(detector->rules.n, 1));
  scratch->text = g_string_new(NULL);
  return g_steal_pointer(&scratch);
}

void
detector_scratch_free(DetectorScratch *scratch)
{
  if (scratch == NULL)
    return;
  if (scratch->stream != NULL)
    hs_close_stream(scratch->stream, NULL, NULL, NULL);
  hs_free_scratch(scratch->hs);
  pcre2_match_data_free(scratch->data);
  pcre2_match_context_free(scratch->context);
  pcre2_jit_stack_free(scratch->stack);
  g_clear_pointer(&scratch->candidates, g_array_unref);
  g_clear_pointer(&scratch->heads, g_array_unref);
  g_clear_pointer(&scratch->ends, g_array_unref);
  g_clear_pointer(&scratch->seen, g_array_unref);
  g_clear_pointer(&scratch->runs, g_array_unref);
  g_free(scratch->slots);
  g_free(scratch->last);
  if (scratch->text != NULL) {
    secret_wipe(scratch->text->str, scratch->text->allocated_len);
    g_string_free(scratch->text, TRUE);
  }
  value_set_unref(scratch->values);
  value_set_unref(scratch->held);
  detector_unref(scratch->detector);
  g_free(scratch);
}
