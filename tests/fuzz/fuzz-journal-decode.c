/* SPDX-License-Identifier: Apache-2.0 */
/* Stored bytes that somebody changed: a body's frame, or a whole journal with
 * edits at any place, is read, searched and verified without harm. */

#include "journal/body.h"
#include "journal/journal.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

/* The longest text that a frame may claim here. */
#define MAX_TEXT (1024 * 1024)
/* Rows of the journal that is edited: past one checkpoint. */
#define ROWS 120

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A journal as it was written, and a file to put an edited one in. */
typedef struct {
  char *bytes;
  size_t len;
  char *path;
} Original;

static JournalRow *
make_row(int i)
{
  JournalRow *row = journal_row_new(i % 2 ? ROW_RESPONSE : ROW_REQUEST);
  g_autofree char *body = g_strdup_printf("{\"n\":%d}", i % 10);

  row->wall_us = 1700000000000000 + i;
  row->exchange = g_strdup_printf("x%d", i / 2);
  row->user = g_strdup("ada@example.com");
  row->detail = g_strdup("{\"findings\":[]}");
  row->body = g_bytes_new(body, strlen(body));
  return row;
}

static void
write_original(Original *original, const char *folder)
{
  g_autofree char *path = g_build_filename(folder, "journal.db", NULL);
  const JournalOptions options = {.path = path,
                                  .durability = DURABILITY_GROUPED,
                                  .bodies = true,
                                  .max_queued = 1024 * 1024};
  g_autoptr(GError) error = NULL;
  Journal *journal = journal_open(&options, &error);
  static const char *const others[] = {".key", ".lock"};

  g_assert_no_error(error);
  for (int i = 0; i < ROWS; i++)
    journal_append(journal, make_row(i), NULL, NULL, NULL);
  journal_close(journal);
  g_file_get_contents(path, &original->bytes, &original->len, &error);
  g_assert_no_error(error);
  for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
    g_autofree char *name = g_strconcat(path, others[i], NULL);
    g_unlink(name);
  }
  original->path = g_steal_pointer(&path);
}

static Original original;

static void
clean_up(void)
{
  g_autofree char *folder = g_path_get_dirname(original.path);
  static const char *const all[] = {"", "-wal", "-shm"};

  for (size_t i = 0; i < G_N_ELEMENTS(all); i++) {
    g_autofree char *name = g_strconcat(original.path, all[i], NULL);
    g_unlink(name);
  }
  g_rmdir(folder);
  g_free(original.bytes);
  g_free(original.path);
}

static void
prepare(void)
{
  const char *where = g_file_test("/dev/shm", G_FILE_TEST_IS_DIR)
                          ? "/dev/shm"
                          : g_get_tmp_dir();
  g_autofree char *folder =
      g_build_filename(where, "hoop-fuzz-journal-XXXXXX", NULL);

  if (original.bytes)
    return;
  g_assert_nonnull(g_mkdtemp(folder));
  write_original(&original, folder);
  atexit(clean_up);
}

static void
try_body(const uint8_t *data, size_t size)
{
  static const uint8_t digest[SHA256_LEN];
  g_autoptr(GBytes) text = NULL;
  size_t len;

  if (size < 3)
    return;
  len = ((size_t)data[0] << 16 | (size_t)data[1] << 8 | data[2]) % MAX_TEXT;
  text = body_unpack(data + 3, size - 3, len, digest, NULL);
  g_assert_null(text); /* nothing has that digest */
}

static bool
look_at(const JournalEntry *entry, void *data)
{
  g_autoptr(GBytes) body = journal_body(data, entry->body_digest, NULL);

  if (body)
    g_assert_cmpint(g_bytes_get_size(body), <=, BODY_MAX);
  return true;
}

/* Edits: offset (3 bytes), length (1 byte), bytes; again and again. */
static void
try_journal(const uint8_t *data, size_t size)
{
  g_autofree char *bytes = NULL;
  g_autoptr(JournalReader) reader = NULL;
  JournalVerification result;

  prepare();
  bytes = g_memdup2(original.bytes, original.len);
  while (size >= 4) {
    size_t at =
        ((size_t)data[0] << 16 | (size_t)data[1] << 8 | data[2]) % original.len;
    size_t len = MIN(MIN(data[3], size - 4), original.len - at);

    memcpy(bytes + at, data + 4, len);
    data += 4 + len;
    size -= 4 + len;
  }
  g_file_set_contents_full(original.path,
                           bytes,
                           (gssize)original.len,
                           G_FILE_SET_CONTENTS_NONE,
                           0600,
                           NULL);
  reader = journal_reader_open(original.path, NULL);
  if (reader == NULL)
    return;
  journal_query(reader, &(JournalQuery){.kind = -1}, look_at, reader, NULL);
  if (journal_verify(reader, NULL, NULL, NULL, &result, NULL))
    journal_verification_clear(&result);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size == 0)
    return 0;
  if (data[0] % 2)
    try_journal(data + 1, size - 1);
  else
    try_body(data + 1, size - 1);
  return 0;
}
