/* SPDX-License-Identifier: Apache-2.0 */
/* Files on their way through a scan: several threads and one order; what
 * vanishes, and what is given up. */
#include "cli/in-order.h"
#include "cli/scan-read.h"
#include <glib/gstdio.h>
#include <unistd.h>

/* ---- Order ---------------------------------------------------------------
 */

#define ITEMS 5000
#define THREADS 8

typedef struct {
  unsigned number, result;
  bool dropped;
} Item;

/* Some take longer, so that later ones are done first. */
static void
square(void *data, void *local)
{
  Item *item = data;
  unsigned *done = local;

  if (item->number % 97 == 0)
    g_usleep(500);
  item->result = item->number * item->number;
  (*done)++;
}

static void
drop(void *data)
{
  ((Item *)data)->dropped = true;
}

static void
check_next(InOrder *order, unsigned *next, unsigned wait_ms)
{
  const Item *item = in_order_take(order, wait_ms);

  if (!item)
    return;
  g_assert_cmpuint(item->number, ==, *next);
  g_assert_cmpuint(item->result, ==, *next * *next);
  ++*next;
}

static void
test_order(void)
{
  g_autofree Item *items = g_new0(Item, ITEMS);
  unsigned done[THREADS] = {0}, next = 0, total = 0;
  void *locals[THREADS];
  InOrder *order;

  for (unsigned i = 0; i < THREADS; i++)
    locals[i] = &done[i];
  order = in_order_new(square, locals, THREADS, 16);
  g_assert_null(in_order_take(order, 0));
  for (unsigned i = 0; i < ITEMS; i++) {
    items[i].number = i;
    while (!in_order_put(order, &items[i]))
      check_next(order, &next, 1000);
    g_assert_cmpuint(in_order_count(order), <=, 16);
    check_next(order, &next, 0);
  }
  while (next < ITEMS)
    check_next(order, &next, 1000);
  g_assert_cmpuint(in_order_count(order), ==, 0);
  in_order_free(order, drop);
  for (unsigned i = 0; i < THREADS; i++)
    total += done[i];
  g_assert_cmpuint(total, ==, ITEMS);
}

static void
test_order_given_up(void)
{
  Item items[64] = {0};
  unsigned done[2] = {0}, given = 0;
  void *locals[2] = {&done[0], &done[1]};
  InOrder *order = in_order_new(square, locals, 2, G_N_ELEMENTS(items));

  for (unsigned i = 0; i < G_N_ELEMENTS(items); i++) {
    items[i].number = i;
    g_assert_true(in_order_put(order, &items[i]));
  }
  g_assert_false(in_order_put(order, &items[0]));
  while (given < 3)
    given += in_order_take(order, 1000) != NULL;
  in_order_free(order, drop);
  for (unsigned i = 0; i < G_N_ELEMENTS(items); i++)
    g_assert_true(items[i].dropped == (i >= 3));
}

/* ---- Reading -------------------------------------------------------------
 */

static void
check_read(const char *name, bool named, ScanReading *reading, ScanState state)
{
  ScanReader reader = {.reading = reading};
  ScanFile *file = scan_file_new(name, named);

  scan_read(&reader, file);
  g_assert_cmpint(file->state, ==, state);
  g_assert_true((file->why != NULL) == (state == SCAN_UNREAD));
  scan_file_free(file);
  scan_reader_clear(&reader);
}

static void
test_reading(void)
{
  ScanReading reading = {.max_size = 100};
  g_autofree char *dir = g_dir_make_tmp("hoop-read-XXXXXX", NULL);
  g_autofree char *gone = g_build_filename(dir, "gone", NULL);
  g_autofree char *binary = g_build_filename(dir, "binary", NULL);
  g_autofree char *link = g_build_filename(dir, "link", NULL);

  g_assert_true(g_file_set_contents(binary, "a\0b", 3, NULL));
  g_assert_cmpint(symlink("binary", link), ==, 0);
  check_read(gone, false, &reading, SCAN_GONE);
  check_read(gone, true, &reading, SCAN_UNREAD);
  check_read(binary, false, &reading, SCAN_BINARY);
  /* A folder that became something else, a file that became a link. */
  check_read(dir, false, &reading, SCAN_UNREAD);
  check_read(link, false, &reading, SCAN_UNREAD);
  check_read(link, true, &reading, SCAN_BINARY);
  check_read("/dev/zero", true, &reading, SCAN_UNREAD);
  g_unlink(link);
  g_unlink(binary);
  g_rmdir(dir);
}

/* A pipe that somebody keeps open is left when the scan ends. */
static void
test_reading_stopped(void)
{
  ScanReading reading = {.max_size = 100, .stop = 1};
  g_autofree char *name = NULL;
  int ends[2];

  g_assert_cmpint(pipe(ends), ==, 0);
  name = g_strdup_printf("/dev/fd/%d", ends[0]);
  check_read(name, true, &reading, SCAN_STOPPED);
  g_assert_cmpint(write(ends[1], "a\0b", 3), ==, 3);
  close(ends[1]);
  check_read(name, true, &reading, SCAN_BINARY);
  close(ends[0]);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/files/order", test_order);
  g_test_add_func("/files/order-given-up", test_order_given_up);
  g_test_add_func("/files/reading", test_reading);
  g_test_add_func("/files/reading-stopped", test_reading_stopped);
  return g_test_run();
}
