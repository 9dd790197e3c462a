/* SPDX-License-Identifier: Apache-2.0 */
/* journal verify and head: whether what was recorded still is what was
 * written, and what to hold elsewhere so that this can be told. */
#include "cli/evidence.h"
#include "cli/show.h"
#include "kit/digest.h"
#include "kit/file.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* "SEQ:" and 64 digits, perhaps with a line end. */
#define MAX_HEAD 256

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

/* --head names a file that holds SEQ:HASH, or is that itself. */
char *
show_head(const Call *call, int *code)
{
  const char *text = call_value(call, "head");
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) bytes = NULL;

  if (g_ascii_isdigit(text[0]) && strchr(text, ':') &&
      !g_file_test(text, G_FILE_TEST_EXISTS))
    return g_strdup(text);
  bytes = file_read(text, MAX_HEAD, &error);
  if (!bytes) {
    *code = complain(call, CLI_USAGE, "--head: %s", error->message);
    return NULL;
  }
  return g_strstrip(
      g_strndup(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes)));
}

/* What no verification of this file alone can know. */
static GPtrArray *
limits_of(const JournalVerification *seen, const char *wanted)
{
  GPtrArray *list = g_ptr_array_new_with_free_func(g_free);

  if (!wanted)
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
                 {"head_seq", seen->head_seq}};

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
  g_autofree char *wanted = NULL;
  g_autofree char *head = NULL;
  g_autoptr(GPtrArray) limits = NULL;
  g_autoptr(GError) error = NULL;
  char hash[SHA256_HEX_SIZE];
  int code = CLI_DONE;

  if (call_has(call, "head")) {
    wanted = show_head(call, &code);
    if (!wanted)
      return code;
  }
  if (!journal_verify(reader,
                      wanted,
                      isatty(STDERR_FILENO) ? progress : NULL,
                      NULL,
                      &seen,
                      &error))
    return complain_error(call, error);
  limits = limits_of(&seen, wanted);
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
