/* SPDX-License-Identifier: Apache-2.0 */
/* What each person sent and used lately, by connection and model and minute,
 * for budgets. */
#include "judge/judge.h"

#include <string.h>

/* Uses within one slot count as of its end: a budget frees up to a minute
 * late, never early. */
#define SLOT_US (60LL * G_USEC_PER_SEC)
/* Users, connections and models told apart, and slots kept of each. What is
 * beyond counts under less: models that were made up to escape a budget count
 * for every one of the user's, and old slots as if they were younger. */
#define MAX_ACCOUNTS 1024
#define MAX_SLOTS 50000

typedef struct {
  int64_t end_us;
  LedgerSum sum;
} Slot;

typedef struct {
  char *user, *issuer, *sub; /* the latter NULL: not known */
  char *connection, *model;  /* NULL: of any */
  GArray *slots;             /* Slot, oldest first */
} Account;

struct ledger {
  unsigned window; /* s that are kept */
  bool ready;
  GHashTable *accounts; /* key → Account */
};

static void
account_free(gpointer data)
{
  Account *account = data;

  g_free(account->user);
  g_free(account->issuer);
  g_free(account->sub);
  g_free(account->connection);
  g_free(account->model);
  g_array_unref(account->slots);
  g_free(account);
}

Ledger *
ledger_new(unsigned window)
{
  Ledger *ledger = g_new0(Ledger, 1);

  ledger->window = window;
  ledger->accounts =
      g_hash_table_new_full(g_str_hash, g_str_equal, g_free, account_free);
  return ledger;
}

void
ledger_free(Ledger *ledger)
{
  if (ledger == NULL)
    return;
  g_hash_table_unref(ledger->accounts);
  g_free(ledger);
}

unsigned
ledger_window(const Ledger *ledger)
{
  return ledger->window;
}

void
ledger_set_ready(Ledger *ledger, bool ready)
{
  ledger->ready = ready;
}

bool
ledger_is_ready(const Ledger *ledger)
{
  return ledger->ready;
}

static char *
account_key(const LedgerPerson *person,
            const char *connection,
            const char *model)
{
  return g_strjoin("\n",
                   person->user,
                   person->issuer != NULL ? person->issuer : "",
                   person->sub != NULL ? person->sub : "",
                   connection != NULL ? connection : "",
                   model != NULL ? model : "",
                   NULL);
}

static Account *
account_of(Ledger *ledger, const LedgerUse *use)
{
  const char *connection = use->connection, *model = use->model;
  g_autofree char *key = account_key(&use->person, connection, model);
  Account *account = g_hash_table_lookup(ledger->accounts, key);

  if (account == NULL && g_hash_table_size(ledger->accounts) >= MAX_ACCOUNTS) {
    connection = model = NULL;
    g_free(key);
    key = account_key(&use->person, NULL, NULL);
    account = g_hash_table_lookup(ledger->accounts, key);
  }
  if (account != NULL)
    return account;
  account = g_new0(Account, 1);
  account->user = g_strdup(use->person.user);
  account->issuer = g_strdup(use->person.issuer);
  account->sub = g_strdup(use->person.sub);
  account->connection = g_strdup(connection);
  account->model = g_strdup(model);
  account->slots = g_array_new(FALSE, FALSE, sizeof(Slot));
  g_hash_table_insert(ledger->accounts, g_steal_pointer(&key), account);
  return account;
}

static void
add_sum(LedgerSum *to, const LedgerSum *sum)
{
  to->requests += sum->requests;
  to->bytes += sum->bytes;
  to->tokens += sum->tokens;
}

/* Each second slot goes into the one after it: half as many, none earlier. */
static void
halve(GArray *slots)
{
  guint n = slots->len / 2;

  for (guint i = 0; i < n; i++) {
    Slot slot = g_array_index(slots, Slot, 2 * i + 1);

    add_sum(&slot.sum, &g_array_index(slots, Slot, 2 * i).sum);
    g_array_index(slots, Slot, i) = slot;
  }
  if (slots->len % 2 != 0)
    g_array_index(slots, Slot, n) = g_array_index(slots, Slot, slots->len - 1);
  g_array_set_size(slots, n + slots->len % 2);
}

static void
forget_old(const Ledger *ledger, GArray *slots, int64_t now_us)
{
  int64_t since = now_us - (int64_t)ledger->window * G_USEC_PER_SEC;
  guint n = 0;

  while (n < slots->len && g_array_index(slots, Slot, n).end_us <= since)
    n++;
  if (n > 0)
    g_array_remove_range(slots, 0, n);
}

/* The slot that holds this time, or the first one after it. */
static Slot *
find_slot(GArray *slots, int64_t end_us)
{
  Slot *found = NULL;

  for (guint i = slots->len; i-- > 0;) {
    Slot *slot = &g_array_index(slots, Slot, i);

    if (slot->end_us < end_us)
      break;
    found = slot;
  }
  return found;
}

/* What it would take from a slot that holds other uses, it does not. */
static LedgerSum
no_less(LedgerSum sum)
{
  return (LedgerSum){
      MAX(sum.requests, 0), MAX(sum.bytes, 0), MAX(sum.tokens, 0)};
}

static void
add_slot(Ledger *ledger, Account *account, const Slot *added, int64_t now_us)
{
  Slot *there = find_slot(account->slots, added->end_us);
  Slot slot = *added;

  if (there == NULL || there->end_us != slot.end_us)
    slot.sum = no_less(slot.sum);
  /* Also where the clock was set back: a slot does not become older. */
  if (there != NULL) {
    add_sum(&there->sum, &slot.sum);
    return;
  }
  forget_old(ledger, account->slots, now_us);
  if (account->slots->len >= MAX_SLOTS)
    halve(account->slots);
  g_array_append_val(account->slots, slot);
}

void
ledger_add(Ledger *ledger, const LedgerUse *use)
{
  const Slot slot = {.end_us = (use->wall_us / SLOT_US + 1) * SLOT_US,
                     .sum = use->sum};

  if (use->person.user != NULL)
    add_slot(ledger, account_of(ledger, use), &slot, use->wall_us);
}

void
ledger_merge(Ledger *ledger, const Ledger *other)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init(&iter, other->accounts);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    const Account *from = value;
    const LedgerUse use = {.person = {from->user, from->issuer, from->sub},
                           .connection = from->connection,
                           .model = from->model};
    Account *to = account_of(ledger, &use);
    GArray *newer = to->slots;

    to->slots = g_array_copy(from->slots);
    for (guint i = 0; i < newer->len; i++) {
      const Slot *slot = &g_array_index(newer, Slot, i);

      add_slot(ledger, to, slot, slot->end_us);
    }
    g_array_unref(newer);
  }
}

static bool
names(char **patterns, const char *text, bool fold)
{
  if (patterns == NULL || text == NULL)
    return true;
  for (; *patterns != NULL; patterns++)
    if (policy_glob(*patterns, text, fold))
      return true;
  return false;
}

static bool
is_whose(const Account *account, const LedgerPerson *person)
{
  if (account->issuer != NULL && person->issuer != NULL &&
      strcmp(account->issuer, person->issuer) != 0)
    return false;
  if (account->sub != NULL && person->sub != NULL)
    return strcmp(account->sub, person->sub) == 0;
  return strcmp(account->user, person->user) == 0;
}

LedgerSum
ledger_sum(const Ledger *ledger,
           const PolicyBudget *budget,
           const LedgerPerson *person,
           int64_t now_us)
{
  int64_t since = now_us - (int64_t)budget->window * G_USEC_PER_SEC;
  LedgerSum sum = {0};
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init(&iter, ledger->accounts);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    const Account *account = value;

    if (!is_whose(account, person) ||
        !names(budget->connections, account->connection, false) ||
        !names(budget->models, account->model, true))
      continue;
    for (guint i = account->slots->len; i-- > 0;) {
      const Slot *slot = &g_array_index(account->slots, Slot, i);

      if (slot->end_us <= since)
        break;
      add_sum(&sum, &slot->sum);
    }
  }
  return sum;
}

bool
ledger_counts(Api api)
{
  return api != API_MODELS && api != API_TOKEN && api != API_USER &&
         api != API_TELEMETRY;
}

/* ---- Estimates ----------------------------------------------------------- */

/* About what English, code and their JSON come to. */
#define BYTES_PER_TOKEN 4

int64_t
ledger_estimate(int64_t bytes)
{
  return bytes > 0 ? (bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN : 0;
}

int64_t
ledger_tokens(int64_t bytes,
              int64_t tokens_in,
              int64_t tokens_out,
              int64_t answer_bytes)
{
  int64_t in = tokens_in >= 0 ? tokens_in : ledger_estimate(bytes);
  int64_t out = tokens_out >= 0 ? tokens_out : ledger_estimate(answer_bytes);

  return in + out;
}
