/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies: whatever comes is read or refused; masked, it is still what it was
 * (JSON stays JSON), and masking it again finds nothing more to mask there. */

#include "inspect/inspect.h"
#include "kit/json.h"
#include "tests/fuzz/fail.h"

#include <string.h>

#define INPUT_MAX 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char rules[] =
    "version: 1\n"
    "rules:\n"
    "  - {id: key, class: secret, regex: '\\bAKIA[A-Z0-9]{16}\\b'}\n"
    "  - {id: word, class: secret, regex: 'sec[a-z]{3,20}'}\n"
    "  - {id: iban, class: iban, check: iban,\n"
    "     regex: '[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){3,7}'}\n"
    "  - {id: quoted, class: secret, kind: quoted,\n"
    "     regex: 'pw=\"(?<secret>[^\"\\n]{3,60})\"'}\n"
    "  - {id: block, class: secret, kind: block,\n"
    "     regex: 'BEGIN(?<secret>[a-z\\s]{4,99})END'}\n";

typedef struct {
  DetectorScratch *scratch;
  Masker *masker;
} Fixture;

static Fixture *
fixture(void)
{
  static Fixture made;

  if (made.scratch == NULL) {
    g_autoptr(GError) error = NULL;
    g_autoptr(RulePack) pack =
        rule_pack_parse("fuzz", rules, strlen(rules), &error);
    g_autoptr(Detector) detector =
        pack != NULL ? detector_new(pack, NULL, &error) : NULL;
    g_autoptr(Secret) key = secret_new("key", 3);

    if (detector == NULL)
      fail("%s", error->message);
    made.scratch = detector_scratch_new(detector, &error);
    made.masker = masker_new(key, key);
  }
  return &made;
}

static void
check_fields(const Inspection *inspection)
{
  unsigned n, n_findings;
  const InspectField *fields = inspection_fields(inspection, &n);
  const Finding *findings = inspection_findings(inspection, &n_findings);

  for (unsigned i = 0; i < n; i++)
    if (fields[i].text[fields[i].len] != '\0' || fields[i].path == NULL ||
        fields[i].key == NULL)
      fail("field %u is not whole", i);
  for (unsigned i = 0; i < n_findings; i++)
    if (findings[i].field >= n || findings[i].start >= findings[i].end ||
        findings[i].end > fields[findings[i].field].len)
      fail("finding %u is not in its field", i);
}

static GBytes *
mask_all(const Inspection *inspection)
{
  g_autoptr(GArray) spans = g_array_new(FALSE, FALSE, sizeof(MaskSpan));
  g_autoptr(GError) error = NULL;
  unsigned n;
  const Finding *findings = inspection_findings(inspection, &n);
  GBytes *out;

  for (unsigned i = 0; i < n; i++) {
    const MaskSpan span = {findings[i].field,
                           findings[i].start,
                           findings[i].end,
                           findings[i].rule->id};

    g_array_append_val(spans, span);
  }
  out =
      inspection_rewrite(inspection, fixture()->masker, "scope", spans, &error);
  if (out == NULL)
    fail("%s", error->message);
  return out;
}

static void
refuse_all(const Inspection *inspection, GBytes *body)
{
  unsigned n;
  g_autofree bool *refused = NULL;
  g_autoptr(GBytes) out = NULL;
  g_autoptr(GError) error = NULL;

  inspection_tool_calls(inspection, &n);
  if (n == 0)
    return;
  refused = g_new(bool, n);
  memset(refused, true, n);
  out = inspection_refuse_tools(inspection, body, refused, "no", &error);
  if (out == NULL)
    fail("%s", error->message);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const char *const types[] = {"application/json",
                                      "application/x-www-form-urlencoded",
                                      "text/plain",
                                      "application/x-ndjson",
                                      NULL};
  const char *type;
  g_autoptr(GBytes) body = NULL;
  g_autoptr(GBytes) masked = NULL;
  g_autoptr(Inspection) first = NULL;
  g_autoptr(Inspection) second = NULL;
  g_autoptr(GError) error = NULL;
  Direction direction;
  Api api;

  if (size < 1 || size > INPUT_MAX)
    return 0;
  api = (Api)(data[0] % N_APIS);
  direction = data[0] & 0x80 ? DIRECTION_RESPONSE : DIRECTION_REQUEST;
  type = types[(data[0] >> 4) % G_N_ELEMENTS(types)];
  /* Without a type the first byte decides, which may be masked. */
  if (type == NULL && data[size > 1] != '{')
    type = types[2];
  body = g_bytes_new(data + 1, size - 1);
  first = inspection_new(
      fixture()->scratch, api, direction, type, body, NULL, NULL);
  if (first == NULL)
    return 0;
  check_fields(first);
  masked = mask_all(first);
  second = inspection_new(
      fixture()->scratch, api, direction, type, masked, NULL, &error);
  if (second == NULL)
    fail("masking broke the body: %s", error->message);
  check_fields(second);
  refuse_all(first, masked);
  return 0;
}
