/* SPDX-License-Identifier: Apache-2.0 */
/* PCRE2 with limits: a regex that takes too long on a text counts as one that
 * matches it, because the policy's writer wanted to know. */
#include "policy/pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

/* Regexes in policies are lines, not programs. */
#define MAX_SOURCE 8192
/* Steps of one match: some 50 ms in the interpreter at worst, less with JIT;
 * honest regexes over 32 MiB stay below because each start counts anew. */
#define MATCH_LIMIT 1000000
#define DEPTH_LIMIT 10000
/* KiB of heap of one match in the interpreter. */
#define HEAP_LIMIT 16384
/* Of the JIT's own stack; the machine stack's 32 KiB are too few. */
#define JIT_STACK_MIN (32 * 1024)
#define JIT_STACK_MAX (512 * 1024)

struct policy_pattern {
  char *source;
  pcre2_code *code;
  bool jit;
};

PolicyPattern *
pattern_new(const char *source, GError **error)
{
  g_autoptr(PolicyPattern) pattern = g_new0(PolicyPattern, 1);
  int code = 0;
  PCRE2_SIZE at = 0;

  if (strlen(source) > MAX_SOURCE) {
    g_set_error(error,
                POLICY_ERROR,
                POLICY_ERROR_VALUE,
                "longer than %d bytes",
                MAX_SOURCE);
    return NULL;
  }
  /* MATCH_INVALID_UTF: a text that is not UTF-8 is searched all the same. */
  pattern->code = pcre2_compile((PCRE2_SPTR)source,
                                PCRE2_ZERO_TERMINATED,
                                PCRE2_UTF | PCRE2_MATCH_INVALID_UTF |
                                    PCRE2_NEVER_BACKSLASH_C,
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
  pattern->jit = pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE) == 0;
  pattern->source = g_strdup(source);
  return g_steal_pointer(&pattern);
}

void
pattern_free(PolicyPattern *pattern)
{
  if (pattern == NULL)
    return;
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

bool
policy_pattern_matches(const PolicyPattern *pattern,
                       const char *text,
                       size_t len,
                       bool *limited)
{
  pcre2_match_context *context = pcre2_match_context_create(NULL);
  pcre2_match_data *data = pcre2_match_data_create(1, NULL);
  pcre2_jit_stack *stack = NULL;
  int result = PCRE2_ERROR_NOMEMORY;

  *limited = false;
  if (context != NULL && data != NULL) {
    pcre2_set_match_limit(context, MATCH_LIMIT);
    pcre2_set_depth_limit(context, DEPTH_LIMIT);
    pcre2_set_heap_limit(context, HEAP_LIMIT);
    if (pattern->jit)
      stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, NULL);
    if (stack != NULL)
      pcre2_jit_stack_assign(context, NULL, stack);
    result =
        pcre2_match(pattern->code, (PCRE2_SPTR)text, len, 0, 0, data, context);
  }
  pcre2_match_data_free(data);
  pcre2_match_context_free(context);
  pcre2_jit_stack_free(stack);
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
