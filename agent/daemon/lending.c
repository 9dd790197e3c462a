/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials of the hub, from the relay on the main thread to the connections
 * on the data thread; in locked memory alone. */
#include "daemon/private.h"
#include "kit/log.h"
#include <string.h>

#define SOURCE "hub:"

typedef struct {
  ConnTable *conns;
  char *name, *why;
  Secret *secret; /* NULL: none, and why */
  int64_t until_us;
} Loan;

static void
give(void *data)
{
  Loan *loan = data;

  conn_table_lend(
      loan->conns, loan->name, loan->secret, loan->until_us, loan->why);
  secret_unref(loan->secret);
  g_free(loan->name);
  g_free(loan->why);
  g_free(loan);
}

void
lending_take(const char *name,
             Secret *secret,
             int64_t until_us,
             const char *why,
             void *data)
{
  struct agent *agent = data;
  Loan *loan;

  /* Nothing may wait in the data thread's loop when the connections go. */
  if (agent->stopping || !agent->data_started)
    return;
  loan = g_new0(Loan, 1);
  if (!secret)
    log_warning("hub: credential %s: %s", name, why);
  *loan = (Loan){.conns = agent->conns,
                 .name = g_strdup(name),
                 .why = g_strdup(why),
                 .secret = secret ? secret_ref(secret) : NULL,
                 .until_us = until_us};
  loop_post(agent->data_loop, give, loan);
}

void
lending_start(struct agent *agent)
{
  g_autoptr(GHashTable) asked = g_hash_table_new(g_str_hash, g_str_equal);

  for (guint i = 0; i < agent->config->connections->len; i++) {
    const ConfigConnection *one = agent->config->connections->pdata[i];

    if (one->enabled && one->credential &&
        g_str_has_prefix(one->credential, SOURCE) &&
        g_hash_table_add(asked, one->credential))
      relay_borrow(agent->relay, one->credential + strlen(SOURCE));
  }
}
