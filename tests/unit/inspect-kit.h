/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of agent/inspect share: the shipped rules as one detector,
 * made-up secrets, a masker with a known key. */
#ifndef HOOP_TEST_INSPECT_KIT_H
#define HOOP_TEST_INSPECT_KIT_H

#include "inspect/inspect.h"

#include <string.h>

#define AWS_KEY "AKIAQ3EGRQ7XKZ5TBLMN"
#define STRIPE_KEY "sk_live_4eC39HqLyjWDarjtT1zdp7dc"
#define SLACK_TOKEN "xoxb-263594206564-2343594206574-FGqddMF8t08v8N7Oq4i57vs1"
/* clang-format off */
#define JWT \
  "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." \
  "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvIn0." \
  "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define PEM_BODY \
  "MIIBOgIBAAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8Qu\n" \
  "KUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQJAIJLixBy2qpFoS4DSmoEm\n" \
  "o3qGy0t6z09AIJtH+5OeRV1be+N4cDYJKffGzDa88vQENZiRm0GRq6a+HPGQMd2k"
#define PEM \
  "-----BEGIN RSA PRIVATE KEY-----\n" PEM_BODY \
  "\n-----END RSA PRIVATE KEY-----"
/* clang-format on */

typedef struct {
  const char *name;
  void (*func)(void);
} KitTest;

static inline void
kit_add(const char *folder, const KitTest *tests, size_t n)
{
  for (size_t i = 0; i < n; i++) {
    g_autofree char *path = g_strconcat(folder, tests[i].name, NULL);

    g_test_add_func(path, tests[i].func);
  }
}

static inline RulePack *
kit_pack(void)
{
  g_autofree char *dir =
      g_test_build_filename(G_TEST_DIST, "..", "policy", "rules.d", NULL);
  g_autoptr(GError) error = NULL;
  RulePack *pack = rule_pack_load_dir(dir, &error);

  g_assert_no_error(error);
  return pack;
}

/* A step costs fifty times as much under valgrind, ten times in a thread
 * build, and what they look for shows in any. */
static inline unsigned
kit_slowness(void)
{
  if (g_getenv("HOOP_VALGRIND") != NULL)
    return 64;
  return g_strcmp0(g_getenv("HOOP_SANITIZER"), "thread") == 0 ? 16 : 1;
}

/* Each so many-th cut or length of a loop over them. */
static inline size_t
kit_step(size_t step)
{
  return kit_slowness() > 1 ? step * kit_slowness() - 1 : step;
}

/* Is this one of many alike, every n-th of which is enough for slow tools? */
static inline bool
kit_spares(unsigned i, unsigned n)
{
  return kit_slowness() > 1 && i % n != 0;
}

/* Compiled once for all tests that do not test compiling. Its rules have no
 * examples. */
static inline Detector *
kit_detector(void)
{
  g_autofree char *dir =
      g_test_build_filename(G_TEST_DIST, "..", "policy", "rules.d", NULL);
  g_autoptr(GError) error = NULL;
  Detector *detector =
      detector_load(dir, NULL, g_getenv("HOOP_COMPILED_RULES"), &error);

  g_assert_no_error(error);
  return detector;
}

static inline DetectorScratch *
kit_scratch(Detector *detector)
{
  g_autoptr(GError) error = NULL;
  DetectorScratch *scratch = detector_scratch_new(detector, &error);

  g_assert_no_error(error);
  return scratch;
}

static inline Masker *
kit_masker(void)
{
  g_autoptr(Secret) mask = secret_new("mask key for the tests", 22);
  g_autoptr(Secret) fingerprint = secret_new("fingerprint key", 15);

  return masker_new(mask, fingerprint);
}

/* True when the bytes hold any 8 bytes in a row of the secret. */
static inline bool
kit_leaks(const void *bytes, size_t len, const char *secret)
{
  const size_t size = strlen(secret);

  for (size_t i = 0; i + 8 <= size; i++)
    if (memmem(bytes, len, secret + i, 8) != NULL)
      return true;
  return false;
}

#endif
