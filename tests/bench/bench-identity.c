/* SPDX-License-Identifier: Apache-2.0 */
/* What a sign-in and a renewal cost here: a token's check under each algorithm,
 * a key set read, a person made. Not part of `make check`. */
#include "identity/claims.h"
#include "identity/id-token.h"
#include "tests/unit/token-kit.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Rounds per sample, and samples of which the best counts: the machine's other
 * work only ever adds. */
#define ROUNDS 50
#define SAMPLES 15

static double
processor_us(void)
{
  struct timespec now;

  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void
measure(const char *name, void (*once)(void *data), void *data)
{
  double best = 1e18;

  for (int sample = 0; sample < SAMPLES; sample++) {
    const double start = processor_us();

    for (int round = 0; round < ROUNDS; round++)
      once(data);
    best = MIN(best, (processor_us() - start) / ROUNDS);
  }
  printf("%-36s %10.1f\n", name, best);
}

typedef struct {
  const KeySet *keys;
  char *token;
} Check;

static void
check(void *data)
{
  const Check *what = data;
  g_autofree char *claims =
      id_token_check(what->keys, what->token, &kit_expect, NULL);

  g_assert_nonnull(claims);
}

static void
refuse(void *data)
{
  const Check *what = data;
  g_autofree char *claims =
      id_token_check(what->keys, what->token, &kit_expect, NULL);

  g_assert_null(claims);
}

static void
read_keys(void *data)
{
  g_autoptr(KeySet) keys = key_set_parse(data, strlen(data), NULL);

  g_assert_nonnull(keys);
}

static void
make_person(void *data)
{
  static const IssuerOptions issuer = {.issuer = TOKEN_ISSUER};
  g_autoptr(PersonRef) person = claims_person(&issuer, data, NULL, 0, NULL);

  g_assert_nonnull(person->groups);
}

int
main(void)
{
  static const char *const rows[][2] = {
      {"rsa", "RS256"},
      {"rsa", "PS256"},
      {"big", "RS512"},
      {"p256", "ES256"},
      {"p384", "ES384"},
      {"p521", "ES512"},
  };
  g_autofree char *jwks = kit_provider();
  g_autofree char *large = kit_jwks(kit_jwk(kit_key("big"), "big", NULL), NULL);
  g_autoptr(KeySet) keys = kit_keys();
  g_autoptr(KeySet) one = key_set_parse(large, strlen(large), NULL);
  g_autoptr(GString) groups = g_string_new("[");
  g_autofree char *claims = NULL;
  g_autofree char *nowhere = kit_good("rsa", "RS256", "nowhere");

  printf("%-36s %10s\n", "", "us");
  for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *token = kit_good(rows[i][0], rows[i][1], rows[i][0]);
    g_autofree char *name =
        g_strdup_printf("check, %s (%s)", rows[i][1], rows[i][0]);

    measure(name,
            check,
            &(Check){strcmp(rows[i][0], "big") == 0 ? one : keys, token});
  }
  measure("refuse, unknown kid", refuse, &(Check){keys, nowhere});
  measure("read a set of 11 keys", read_keys, jwks);
  for (int i = 0; i < 200; i++)
    g_string_append_printf(groups, "%s\"team-%03d\"", i ? "," : "", i);
  g_string_append(groups, "]");
  claims = kit_claims((const Edit[]){{"groups", groups->str}, {NULL, NULL}});
  measure("a person of 200 groups", make_person, claims);
  return 0;
}
