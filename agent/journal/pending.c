/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of waiting rows; answers gathered into one post for each loop. */
#include "journal/pending.h"

/* Answers of one group to one loop. */
typedef struct {
  Loop *loop;
  PendingList list;
  GError *error;
} Batch;

void
pending_list_init(PendingList *list)
{
  list->first = NULL;
  list->tail = &list->first;
}

void
pending_list_push(PendingList *list, Pending *pending)
{
  pending->next = NULL;
  *list->tail = pending;
  list->tail = &pending->next;
}

Pending *
pending_list_pop(PendingList *list)
{
  Pending *first = list->first;

  list->first = first->next;
  if (list->first == NULL)
    list->tail = &list->first;
  return first;
}

JournalShipped *
shipped_copy(const JournalShipped *shipped)
{
  JournalShipped *copy = g_memdup2(shipped, sizeof *shipped);

  copy->receiver = g_strdup(shipped->receiver);
  copy->bad_reason = g_strdup(shipped->bad_reason);
  copy->receipt_hash = g_memdup2(shipped->receipt_hash, SHA256_LEN);
  copy->receipt = g_strdup(shipped->receipt);
  return copy;
}

static void
shipped_free(JournalShipped *shipped)
{
  if (shipped == NULL)
    return;
  g_free((char *)shipped->receiver);
  g_free((char *)shipped->bad_reason);
  g_free((uint8_t *)shipped->receipt_hash);
  g_free((char *)shipped->receipt);
  g_free(shipped);
}

void
pending_free(Pending *pending)
{
  journal_row_free(pending->row);
  shipped_free(pending->shipped);
  g_free(pending);
}

/* On the loop that asked. */
static void
run_batch(void *data)
{
  Batch *batch = data;

  while (batch->list.first) {
    Pending *pending = pending_list_pop(&batch->list);
    pending->done(batch->error, pending->data);
    pending_free(pending);
  }
  g_clear_error(&batch->error);
  g_free(batch);
}

static Batch *
batch_new(Loop *loop, const GError *error)
{
  Batch *batch = g_new0(Batch, 1);

  batch->loop = loop;
  batch->error = error ? g_error_copy(error) : NULL;
  pending_list_init(&batch->list);
  return batch;
}

void
pending_answer(PendingList *group, const GError *error)
{
  g_autoptr(GPtrArray) batches = g_ptr_array_new();

  while (group->first) {
    Pending *pending = pending_list_pop(group);
    Batch *batch = NULL;

    g_clear_pointer(&pending->row, journal_row_free);
    g_clear_pointer(&pending->shipped, shipped_free);
    if (pending->done == NULL) {
      pending_free(pending);
      continue;
    }
    for (guint i = 0; batch == NULL && i < batches->len; i++) {
      Batch *one = g_ptr_array_index(batches, i);
      batch = one->loop == pending->loop ? one : NULL;
    }
    if (batch == NULL) {
      batch = batch_new(pending->loop, error);
      g_ptr_array_add(batches, batch);
    }
    pending_list_push(&batch->list, pending);
  }
  for (guint i = 0; i < batches->len; i++) {
    Batch *batch = g_ptr_array_index(batches, i);
    loop_post(batch->loop, run_batch, batch);
  }
}

/* ---- Retention ---------------------------------------------------------- */

struct prune_ask {
  Loop *loop;
  JournalPrunedDone done;
  void *data;
  JournalPruned pruned;
  GError *error;
};

PruneAsk *
prune_ask_new(Loop *loop, JournalPrunedDone done, void *data)
{
  PruneAsk *ask = g_new0(PruneAsk, 1);

  ask->loop = loop;
  ask->done = done;
  ask->data = data;
  return ask;
}

static void
run_ask(void *data)
{
  PruneAsk *ask = data;

  ask->done(&ask->pruned, ask->error, ask->data);
  g_clear_error(&ask->error);
  g_free(ask);
}

void
prune_asks_answer(GPtrArray *asks,
                  const JournalPruned *pruned,
                  const GError *error)
{
  for (guint i = 0; i < asks->len; i++) {
    PruneAsk *ask = asks->pdata[i];

    ask->pruned = *pruned;
    ask->error = error ? g_error_copy(error) : NULL;
    loop_post(ask->loop, run_ask, ask);
  }
  g_ptr_array_set_size(asks, 0);
}
