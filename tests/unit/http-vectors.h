/* SPDX-License-Identifier: Apache-2.0 */
/* The table of request heads in http-requests.txt. */
#ifndef HOOP_TESTS_HTTP_VECTORS_H
#define HOOP_TESTS_HTTP_VECTORS_H

#include <glib.h>

typedef struct {
  int line;
  int status;     /* 200: accepted */
  char *expected; /* what was understood, or the reason */
  GByteArray *bytes;
} Vector;

/* All rows, as Vector pointers; fails the test when the table is malformed. */
GPtrArray *vectors_load(void);

#endif
