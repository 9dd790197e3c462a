/* SPDX-License-Identifier: Apache-2.0 */
/* journal verify and head: whether what was recorded still is what was
 * written, and what to hold elsewhere so that this can be told. */
#include "cli/evidence.h"
#include "cli/show.h"
#include "kit/digest.h"
#include <stdio.h>
#include <unistd.h>

/* ---- verify --------------------------------------------------------------
 */

static void
progress(int64_t done, int64_t total, void *data)
{
  (void)data;
  fprintf(stderr,
          "\r%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " rows%s",
          done,
          total,
          done == total ? "\n" : "");
}

/* What no verification of this file alone can know. */
static GPtrArray *
limits_of(const JournalVerification *seen, const Witness *witness)
{
  GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
  const char *wanted = witness->head;

  if (witness->receipts)
    g_ptr_array_add(
        list,
        g_strdup_printf("rows after row %" G_GINT64_FORMAT
                        ", the newest that the receiver signed for, could "
                        "have been rewritten or cut off by somebody who read "
                        "the signing key",
                        seen->receipt_seq));
  else if (!wanted)
    g_ptr_array_add(
        list,
        g_strdup("without a head that is held elsewhere (--head) it cannot "
                 "tell whether the newest rows were cut off, or all of it "
                 "was rewritten by somebody who read its signing key"));
  else
    g_ptr_array_add(list,
                    g_strdup("rows after the head that was given could have "
                             "been rewritten or cut off by somebody who read "
                             "the signing key"));
  if (seen->receipts && !witness->has_key)
    g_ptr_array_add(
        list,
        g_strdup("whose key signed the receipts in it: say which one the "
                 "receiver has ([ship] receiver-key, --receiver-key)"));
  if (seen->signed_seq < seen->head_seq)
    g_ptr_array_add(list,
                    g_strdup_printf("rows %" G_GINT64_FORMAT
                                    " to %" G_GINT64_FORMAT
                                    " are not signed yet",
                                    seen->signed_seq + 1,
                                    seen->head_seq));
  g_ptr_array_add(list, g_strdup("what was never recorded leaves no trace"));
  return list;
}

static void
say_bad(const JournalVerification *seen)
{
  g_autofree char *when =
      seen->bad_wall_us ? time_text(seen->bad_wall_us) : NULL;
  g_autofree char *reason = visible(seen->reason, -1, false);

  printf("%snot intact%s, from row %" G_GINT64_FORMAT " on: %s\n",
         ink(INK_RED),
         ink(INK_PLAIN),
         seen->first_bad_seq,
         reason);
  if (seen->bad_kind)
    say_field("the row now", "%s", seen->bad_kind);
  if (seen->bad_exchange)
    say_field("exchange", "%s", seen->bad_exchange);
  if (when)
    say_field("time", "%s", when);
  if (seen->first_bad_seq > 1)
    say_field("before it",
              "rows %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT
              " are as they were written",
              seen->first_seq,
              seen->first_bad_seq - 1);
}

static void
say_receipts(const JournalVerification *seen)
{
  g_autofree char *when = seen->receipt_us ? time_text(seen->receipt_us) : NULL;

  if (seen->receipt_seq)
    say_field("receipts",
              "%" G_GINT64_FORMAT " by the receiver's key, the newest of %s "
              "for row %" G_GINT64_FORMAT,
              seen->receipts,
              when,
              seen->receipt_seq);
}

static void
say_verification(const JournalVerification *seen,
                 const char *head,
                 const GPtrArray *limits)
{
  if (!seen->intact) {
    say_bad(seen);
    return;
  }
  printf("%sintact%s: %" G_GINT64_FORMAT " rows, %" G_GINT64_FORMAT
         " signed checkpoints, head %s\n",
         ink(INK_GREEN),
         ink(INK_PLAIN),
         seen->rows,
         seen->checkpoints,
         head);
  if (seen->first_seq > 1)
    say_field("pruned",
              "rows 1 to %" G_GINT64_FORMAT ", as signed rows say",
              seen->first_seq - 1);
  say_receipts(seen);
  for (unsigned i = 0; i < limits->len; i++)
    say_field(i ? "" : "but", "%s", (const char *)limits->pdata[i]);
}

static void
say_verification_json(const JournalVerification *seen,
                      const char *head,
                      const GPtrArray *limits)
{
  struct json_object *json = json_object_new_object();
  struct json_object *list = json_object_new_array();
  const struct {
    const char *key;
    int64_t number;
  } numbers[] = {{"rows", seen->rows},
                 {"checkpoints", seen->checkpoints},
                 {"first_seq", seen->first_seq},
                 {"signed_seq", seen->signed_seq},
                 {"first_bad_seq", seen->first_bad_seq},
                 {"head_seq", seen->head_seq},
                 {"receipts", seen->receipts},
                 {"receipt_seq", seen->receipt_seq}};

  json_object_object_add(json, "intact", json_object_new_boolean(seen->intact));
  for (unsigned i = 0; i < G_N_ELEMENTS(numbers); i++)
    json_object_object_add(
        json, numbers[i].key, json_object_new_int64(numbers[i].number));
  json_object_object_add(json, "head", json_object_new_string(head));
  if (seen->reason)
    json_object_object_add(
        json, "reason", json_object_new_string(seen->reason));
  if (seen->bad_kind)
    json_object_object_add(
        json, "bad_kind", json_object_new_string(seen->bad_kind));
  if (seen->bad_exchange)
    json_object_object_add(
        json, "bad_exchange", json_object_new_string(seen->bad_exchange));
  if (seen->receipt_us)
    json_object_object_add(
        json, "receipt_us", json_object_new_int64(seen->receipt_us));
  if (seen->bad_wall_us)
    json_object_object_add(
        json, "bad_wall_us", json_object_new_int64(seen->bad_wall_us));
  for (unsigned i = 0; i < limits->len; i++)
    json_object_array_add(list, json_object_new_string(limits->pdata[i]));
  json_object_object_add(json, "cannot_know", list);
  print_json(json);
}

int
journal_check(const Call *call, JournalReader *reader)
{
  JournalVerification seen = {0};
  g_auto(Witness) witness = {0};
  JournalWitness view;
  g_autofree char *head = NULL;
  g_autoptr(GPtrArray) limits = NULL;
  g_autoptr(GError) error = NULL;
  char hash[SHA256_HEX_SIZE];
  int code = CLI_DONE;

  if (!witness_take(call, &witness, &code))
    return code;
  view = witness_view(&witness);
  if (!journal_verify(reader,
                      &view,
                      isatty(STDERR_FILENO) ? progress : NULL,
                      NULL,
                      &seen,
                      &error))
    return complain_error(call, error);
  limits = limits_of(&seen, &witness);
  hex_encode(seen.head, SHA256_LEN, hash);
  head = g_strdup_printf("%" G_GINT64_FORMAT ":%s", seen.head_seq, hash);
  if (call_has(call, "json"))
    say_verification_json(&seen, head, limits);
  else
    say_verification(&seen, head, limits);
  code = seen.intact ? CLI_DONE : CLI_FOUND;
  journal_verification_clear(&seen);
  return code;
}

/* ---- head ----------------------------------------------------------------
 */

int
journal_show_head(const Call *call, JournalReader *reader)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *head = journal_head(reader, &error);

  if (!head)
    return complain_error(call, error);
  if (call_has(call, "json")) {
    struct json_object *json = json_object_new_object();

    json_object_object_add(json, "head", json_object_new_string(head));
    print_json(json);
  } else {
    puts(head);
  }
  return CLI_DONE;
}
