/* SPDX-License-Identifier: Apache-2.0 */
/* PCRE2 with limits: a regex that takes too long on a text counts as one that
 * matches it, because the policy's writer wanted to know. */
#include "policy/pattern.h"

#include "kit/clock.h"
#include "policy/prefix.h"
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

/* Regexes in policies are lines, not programs. */
#define MAX_SOURCE 8192
/* PCRE2 compiles to 64 KiB at most; JIT code takes many times as much, so
 * what repeats groups hundreds of times does without. */
#define MAX_JIT_SIZE (8 * 1024)
/* Steps from one start: some 50 ms in the interpreter at worst. */
#define MATCH_LIMIT 1000000
#define DEPTH_LIMIT 10000
/* KiB of heap of one match in the interpreter. */
#define HEAP_LIMIT 16384
/* Of a stack for JIT code, made when the machine stack's 32 KiB were too few.
 */
#define JIT_STACK_MIN (32 * 1024)
#define JIT_STACK_MAX (512 * 1024)
/* Not all steps are counted, and a regex that looks far ahead from each start
 * takes the square of the text. So starts are tried in windows (starts times
 * text: a fraction of a second at worst) until the time is up. */
#define WINDOW_WORK (1 << 28)
#define WINDOW_MIN 8
#define WINDOW_MAX (64 * 1024)
#define MAX_TIME_US 250000

/* Shorter texts are searched from every place, and places with no more between
 * them in one go. */
#define FINDER_MIN 128
#define FINDER_GAP 32

struct policy_pattern {
  char *source;
  pcre2_code *code;
  PrefixFinder *finder; /* or NULL */
};

/* What the finder takes for the end of a comment. */
static bool
lines_end_at_lf(void)
{
  uint32_t newline = 0;

  return pcre2_config(PCRE2_CONFIG_NEWLINE, &newline) >= 0 &&
         newline == PCRE2_NEWLINE_LF;
}

PolicyPattern *
pattern_new(const char *source, GError **error)
{
  g_autoptr(PolicyPattern) pattern = g_new0(PolicyPattern, 1);
  int code = 0;
  PCRE2_SIZE at = 0;
  size_t compiled = 0;

  if (strlen(source) > MAX_SOURCE) {
    g_set_error(error,
                POLICY_ERROR,
                POLICY_ERROR_VALUE,
                "longer than %d bytes",
                MAX_SOURCE);
    return NULL;
  }
  /* MATCH_INVALID_UTF: a text that is not UTF-8 is searched all the same. */
  pattern->code =
      pcre2_compile((PCRE2_SPTR)source,
                    PCRE2_ZERO_TERMINATED,
                    PCRE2_UTF | PCRE2_MATCH_INVALID_UTF |
                        PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT,
                    &code,
                    &at,
                    NULL);
  if (pattern->code == NULL) {
    char message[160] = "";

    pcre2_get_error_message(code, (PCRE2_UCHAR *)message, sizeof(message));
    g_set_error(error,
                POLICY_ERROR,
                POLICY_ERROR_VALUE,
                "%s at character %ld",
                message,
                g_utf8_strlen(source, (gssize)MIN(at, strlen(source))) + 1);
    return NULL;
  }
  /* Without JIT it only takes longer. */
  if (pcre2_pattern_info(pattern->code, PCRE2_INFO_SIZE, &compiled) == 0 &&
      compiled <= MAX_JIT_SIZE &&
      pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE) == 0 &&
      lines_end_at_lf())
    pattern->finder = prefix_finder_new(source);
  pattern->source = g_strdup(source);
  return g_steal_pointer(&pattern);
}

void
pattern_free(PolicyPattern *pattern)
{
  if (pattern == NULL)
    return;
  prefix_finder_free(pattern->finder);
  pcre2_code_free(pattern->code);
  g_free(pattern->source);
  g_free(pattern);
}

bool
pattern_has_group(const PolicyPattern *pattern, const char *name)
{
  return pcre2_substring_number_from_name(pattern->code, (PCRE2_SPTR)name) > 0;
}

bool
pattern_matches_empty(const PolicyPattern *pattern)
{
  bool limited;

  return policy_pattern_matches(pattern, "", 0, &limited);
}

/* The last byte of the window that begins at `start`; windows end where a
 * character does. */
static size_t
window_end(const char *text, size_t len, size_t start)
{
  size_t size = CLAMP(WINDOW_WORK / (len + 1), WINDOW_MIN, WINDOW_MAX);
  size_t end = len - start > size ? start + size : len;

  for (unsigned i = 0; i < 3 && end + 1 < len; i++)
    if (((unsigned char)text[end + 1] & 0xc0) == 0x80)
      end++;
  return end;
}

/* One search under way. */
typedef struct {
  pcre2_match_context *context;
  pcre2_match_data *data;
  pcre2_jit_stack *stack;
} Search;

static int
search_window(Search *search,
              const PolicyPattern *pattern,
              const char *text,
              size_t len,
              size_t start)
{
  int result = pcre2_match(pattern->code,
                           (PCRE2_SPTR)text,
                           len,
                           start,
                           0,
                           search->data,
                           search->context);

  if (result != PCRE2_ERROR_JIT_STACKLIMIT || search->stack != NULL)
    return result;
  search->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
  if (search->stack == NULL)
    return result;
  pcre2_jit_stack_assign(search->context, NULL, search->stack);
  return search_window(search, pattern, text, len, start);
}

/* The first place at or after `from` that has to be tried; beyond the text when
 * there is none. */
static size_t
next_place(const PolicyPattern *pattern,
           const char *text,
           size_t len,
           size_t from)
{
  size_t found;

  if (pattern->finder == NULL || len < FINDER_MIN)
    return from;
  found = prefix_find(pattern->finder, text, len, from);
  return found < len ? found : len + 1;
}

/* The last of the places that are tried in one go from `start` on. */
static size_t
last_place(const PolicyPattern *pattern,
           const char *text,
           size_t len,
           size_t start)
{
  const size_t most = window_end(text, len, start);
  size_t end = start;

  if (pattern->finder == NULL || len < FINDER_MIN)
    return most;
  for (;;) {
    const size_t near = MIN(end + FINDER_GAP, most);
    const size_t next = prefix_find(pattern->finder, text, near, end + 1);

    if (next >= near)
      return end;
    end = next;
  }
}

/* PCRE2's result for the whole text; PCRE2_ERROR_MATCHLIMIT also when the time
 * is up. */
static int
search_text(Search *search,
            const PolicyPattern *pattern,
            const char *text,
            size_t len)
{
  int64_t deadline = 0;
  size_t start = next_place(pattern, text, len, 0);

  while (start <= len) {
    const size_t end = last_place(pattern, text, len, start);
    int result;

    pcre2_set_offset_limit(search->context, end);
    result = search_window(search, pattern, text, len, start);
    if (result != PCRE2_ERROR_NOMATCH)
      return result;
    if (deadline == 0)
      deadline = clock_mono_us() + MAX_TIME_US;
    else if (clock_mono_us() > deadline)
      return PCRE2_ERROR_MATCHLIMIT;
    start = next_place(pattern, text, len, end + 1);
  }
  return PCRE2_ERROR_NOMATCH;
}

bool
policy_pattern_matches(const PolicyPattern *pattern,
                       const char *text,
                       size_t len,
                       bool *limited)
{
  Search search = {
      pcre2_match_context_create(NULL), pcre2_match_data_create(1, NULL), NULL};
  int result = PCRE2_ERROR_NOMEMORY;

  *limited = false;
  if (search.context != NULL && search.data != NULL) {
    pcre2_set_match_limit(search.context, MATCH_LIMIT);
    pcre2_set_depth_limit(search.context, DEPTH_LIMIT);
    pcre2_set_heap_limit(search.context, HEAP_LIMIT);
    result = search_text(&search, pattern, text, len);
  }
  pcre2_match_data_free(search.data);
  pcre2_match_context_free(search.context);
  pcre2_jit_stack_free(search.stack);
  if (result == PCRE2_ERROR_NOMATCH)
    return false;
  *limited = result < 0;
  return true;
}

const char *
policy_pattern_source(const PolicyPattern *pattern)
{
  return pattern->source;
}
