/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in the write-ahead log is evidence as well: edits there are found,
 * and a log that is gone or of another moment is a journal that was cut. */

#include "tests/unit/journal-kit.h"

#include <glib/gstdio.h>
#include <string.h>

/* Rows at the moments that are looked at. */
#define EARLY 60
#define LATE 150

/* sqlite.org/fileformat2.html#walformat */
#define HEADER_LEN 32
#define FRAME_HEAD_LEN 24
#define PAGE_LEN 4096
#define FRAME_LEN (FRAME_HEAD_LEN + PAGE_LEN)

typedef struct {
  TestJournal *test;
  char *early, *late; /* copies, with their logs */
  char *path;         /* the copy that is altered */
  char *head;         /* of the late one, held elsewhere */
} Base;

static void
put(TestJournal *test, unsigned through)
{
  for (unsigned i = test->answered + 1; i <= through; i++) {
    g_autofree char *id = g_strdup_printf("x%03u", i);

    g_assert_true(test_put(test, test_request(id, id)));
  }
}

static Base *
base_new(void)
{
  Base *base = g_new0(Base, 1);

  base->test = test_journal_new();
  base->early = g_build_filename(base->test->folder, "early.db", NULL);
  base->late = g_build_filename(base->test->folder, "late.db", NULL);
  base->path = g_build_filename(base->test->folder, "edited.db", NULL);
  test_journal_open(base->test);
  put(base->test, EARLY);
  test_copy(base->test->path, base->early);
  put(base->test, LATE);
  test_copy(base->test->path, base->late);
  base->head = test_head(base->test->path);
  g_assert_true(g_str_has_prefix(base->head, "150:")); /* LATE */
  return base;
}

static void
base_free(Base *base)
{
  test_journal_free(base->test);
  g_free(base->early);
  g_free(base->late);
  g_free(base->path);
  g_free(base->head);
  g_free(base);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Base, base_free)

static uint8_t *
read_log(const char *path, size_t *len)
{
  g_autofree char *name = g_strconcat(path, "-wal", NULL);
  char *bytes = NULL;

  g_assert_true(g_file_get_contents(name, &bytes, len, NULL));
  g_assert_cmpint(*len, >, HEADER_LEN + 4 * FRAME_LEN);
  return (uint8_t *)bytes;
}

static void
write_log(const char *path, const void *bytes, size_t len)
{
  g_autofree char *name = g_strconcat(path, "-wal", NULL);
  g_autofree char *index = g_strconcat(path, "-shm", NULL);

  g_unlink(index);
  g_unlink(name);
  g_assert_true(g_file_set_contents_full(
      name, bytes, (gssize)len, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
}

/* As it was, and with what is no part of it behind. */
static void
test_untouched(void)
{
  g_autoptr(Base) base = base_new();
  g_autofree uint8_t *log = NULL;
  g_autoptr(GByteArray) more = g_byte_array_new();
  size_t len;

  g_assert_true(test_verify(base->late, base->head));
  g_assert_true(test_verify(base->early, NULL));
  g_assert_false(test_verify(base->early, base->head));
  log = read_log(base->late, &len);
  g_byte_array_append(more, log, (guint)len);
  g_byte_array_append(more, log + HEADER_LEN, FRAME_LEN);
  test_copy(base->late, base->path);
  write_log(base->path, more->data, more->len);
  g_assert_true(test_verify(base->path, base->head));
}

/* SQLite takes what its checksums cover and drops the rest: rows that were
 * acknowledged, which only a head held elsewhere can tell. */
static void
test_cut(void)
{
  g_autoptr(Base) base = base_new();
  g_autofree uint8_t *log = NULL;
  size_t len;

  log = read_log(base->late, &len);
  for (int eighth = 0; eighth < 8; eighth++) {
    size_t frames = (len - HEADER_LEN) / FRAME_LEN * (size_t)eighth / 8;

    test_copy(base->late, base->path);
    write_log(base->path, log, HEADER_LEN + frames * FRAME_LEN);
    g_assert_false(test_verify(base->path, base->head));

    test_copy(base->late, base->path);
    log[HEADER_LEN + frames * FRAME_LEN + FRAME_HEAD_LEN + 99] ^= 1;
    write_log(base->path, log, len);
    g_assert_false(test_verify(base->path, base->head));
    log[HEADER_LEN + frames * FRAME_LEN + FRAME_HEAD_LEN + 99] ^= 1;
  }
  test_copy(base->late, base->path);
  write_log(base->path, "", 0);
  g_assert_false(test_verify(base->path, base->head));
}

/* The log of one moment beside the database of another. */
static void
test_other_moment(void)
{
  g_autoptr(Base) base = base_new();
  g_autofree uint8_t *early = NULL;
  g_autofree uint8_t *late = NULL;
  size_t early_len, late_len;

  early = read_log(base->early, &early_len);
  late = read_log(base->late, &late_len);
  test_copy(base->late, base->path);
  write_log(base->path, early, early_len);
  g_assert_false(test_verify(base->path, base->head));

  /* all of it in the database, and then the old log again */
  test_journal_close(base->test);
  g_assert_true(test_verify(base->test->path, base->head));
  test_copy(base->test->path, base->path);
  write_log(base->path, early, early_len);
  g_assert_false(test_verify(base->path, base->head));
  test_copy(base->test->path, base->path);
  write_log(base->path, late, late_len / 2);
  g_assert_false(test_verify(base->path, base->head));
}

/* ---- A forger who knows the log's format --------------------------------- */

static uint32_t
big(const uint8_t *bytes)
{
  uint32_t value;

  memcpy(&value, bytes, sizeof value);
  return GUINT32_FROM_BE(value);
}

static void
sum(const uint8_t *bytes, size_t len, bool big_endian, uint32_t sums[2])
{
  for (size_t at = 0; at < len; at += 8) {
    uint32_t one, other;

    memcpy(&one, bytes + at, sizeof one);
    memcpy(&other, bytes + at + 4, sizeof other);
    sums[0] +=
        (big_endian ? GUINT32_FROM_BE(one) : GUINT32_FROM_LE(one)) + sums[1];
    sums[1] += (big_endian ? GUINT32_FROM_BE(other) : GUINT32_FROM_LE(other)) +
               sums[0];
  }
}

/* Makes every frame's checksum that of its bytes. */
static void
sum_again(uint8_t *log, size_t len)
{
  bool big_endian = (big(log) & 1) != 0;
  uint32_t sums[2] = {big(log + 24), big(log + 28)};

  for (size_t at = HEADER_LEN; at + FRAME_LEN <= len; at += FRAME_LEN) {
    sum(log + at, 8, big_endian, sums);
    sum(log + at + FRAME_HEAD_LEN, PAGE_LEN, big_endian, sums);
    for (int i = 0; i < 2; i++) {
      uint32_t value = GUINT32_TO_BE(sums[i]);

      memcpy(log + at + 16 + 4 * i, &value, sizeof value);
    }
  }
}

/* Every place where the text stands, in the log's frames. */
static unsigned
replace(uint8_t *log, size_t len, const char *text, const char *by)
{
  unsigned n = 0;

  for (size_t at = HEADER_LEN; at + strlen(text) <= len; at++) {
    if (memcmp(log + at, text, strlen(text)) == 0) {
      memcpy(log + at, by, strlen(by));
      n++;
    }
  }
  return n;
}

static void
test_forged(void)
{
  static const struct {
    const char *text, *by;
  } edits[] = {
      {"ada@example.com", "bob@example.com"},
      {"x100", "y100"},
      {"developers,local", "developers,admin"},
  };
  g_autoptr(Base) base = base_new();

  for (size_t i = 0; i < G_N_ELEMENTS(edits); i++) {
    g_autofree uint8_t *log = NULL;
    size_t len;

    log = read_log(base->late, &len);
    test_copy(base->late, base->path);
    sum_again(log, len);
    write_log(base->path, log, len);
    g_assert_true(test_verify(base->path, base->head)); /* the sums are right */

    test_copy(base->late, base->path);
    g_assert_cmpint(replace(log, len, edits[i].text, edits[i].by), >, 0);
    sum_again(log, len);
    write_log(base->path, log, len);
    g_assert_false(test_verify(base->path, NULL));
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/journal/wal/untouched", test_untouched);
  g_test_add_func("/journal/wal/cut", test_cut);
  g_test_add_func("/journal/wal/other-moment", test_other_moment);
  g_test_add_func("/journal/wal/forged", test_forged);
  return g_test_run();
}
