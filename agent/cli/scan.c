/* SPDX-License-Identifier: Apache-2.0 */
/* scan: findings in files as a linter prints them, or in a batch of JSON
 * lines. Works without the daemon. */
#include "cli/scan.h"
#include <string.h>

/* libhs counts in 32 bits; decoding may make a text twice as long. */
#define MAX_FILE ((size_t)1 << 29)

/* A number of bytes, perhaps with K, M or G behind it. */
static bool
parse_size(const char *text, size_t *size)
{
  static const char units[] = "KMG";
  char *end;
  guint64 value = g_ascii_strtoull(text, &end, 10);
  const char *unit = *end ? strchr(units, *end) : NULL;

  if (!g_ascii_isdigit(*text) || value > MAX_FILE)
    return false;
  if (unit) {
    value <<= 10 * (unsigned)(unit - units + 1);
    end++;
  }
  *size = value;
  return !*end && value && value <= MAX_FILE;
}

/* Options that say nothing to --batch. */
static bool
batch_fits(const Call *call)
{
  static const char *const not_with[] = {"json",
                                         "sarif",
                                         "no-ignore",
                                         "no-allow",
                                         "binary",
                                         "max-size",
                                         "baseline",
                                         "list-rules"};

  if (call->n_args) {
    complain(call,
             CLI_USAGE,
             "--batch reads JSON lines from standard input and writes JSON "
             "lines: no FILE beside it");
    return false;
  }
  for (unsigned i = 0; i < G_N_ELEMENTS(not_with); i++)
    if (call_has(call, not_with[i])) {
      complain(call, CLI_USAGE, "--%s does not go with --batch", not_with[i]);
      return false;
    }
  return true;
}

static bool
options_fit(Scan *scan)
{
  const Call *call = scan->call;
  const char *chunks = call_value(call, "chunks");
  guint64 value = 0;

  if (call_has(call, "batch") && !batch_fits(call))
    return false;
  if (call_has(call, "json") && call_has(call, "sarif")) {
    complain(call, CLI_USAGE, "either --json or --sarif");
    return false;
  }
  if (call_has(call, "list-rules") &&
      (call->n_args || call_has(call, "sarif"))) {
    complain(call, CLI_USAGE, "--list-rules takes --json alone, and no FILE");
    return false;
  }
  if (chunks && !call_has(call, "batch")) {
    complain(call, CLI_USAGE, "--chunks goes with --batch");
    return false;
  }
  if (chunks &&
      !g_ascii_string_to_unsigned(chunks, 10, 1, SCAN_MAX_TEXT, &value, NULL)) {
    complain(call, CLI_USAGE, "--chunks takes a number of bytes, 1 or more");
    return false;
  }
  scan->chunk = value;
  return true;
}

static bool
size_fits(Scan *scan, const Config *config)
{
  const char *text = call_value(scan->call, "max-size");

  scan->max_size = MIN(config->max_body, MAX_FILE);
  if (!text || parse_size(text, &scan->max_size))
    return true;
  complain(scan->call,
           CLI_USAGE,
           "--max-size takes a size such as 64M, 512M at most");
  return false;
}

int
verb_scan(const Call *call)
{
  Scan scan = {.call = call};
  g_autoptr(Config) config = NULL;
  g_auto(GStrv) named = NULL;
  int code = CLI_USAGE;

  if (!options_fit(&scan))
    return CLI_USAGE;
  config = cli_config(call, &code);
  if (!config)
    return code;
  if (!size_fits(&scan, config))
    return CLI_USAGE;
  named = scan_named(call, config, &code);
  if (!named)
    return code;
  if (scanner_init(
          call, config, (const char *const *)named, &scan.scanner, &code)) {
    if (!scan_choose(&scan))
      code = CLI_USAGE;
    else if (call_has(call, "list-rules"))
      code = scan_list_rules(&scan);
    else
      code = call_has(call, "batch") ? scan_batch(&scan) : scan_files(&scan);
  }
  scanner_clear(&scan.scanner);
  g_free(scan.wanted);
  return code;
}
