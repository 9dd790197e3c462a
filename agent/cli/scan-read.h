/* SPDX-License-Identifier: Apache-2.0 */
/* One file of a scan: read, decoded, searched, on any thread. Private. */
#ifndef HOOP_CLI_SCAN_READ_H
#define HOOP_CLI_SCAN_READ_H

#include "cli/hits.h"

typedef enum {
  SCAN_READ,   /* hits are what it holds */
  SCAN_BINARY, /* passed over */
  SCAN_GONE,   /* vanished before it was opened */
  SCAN_UNREAD, /* `why` says it */
  SCAN_STOPPED /* the scan was interrupted before its end */
} ScanState;

typedef struct {
  char *name; /* as it is opened and printed; "-": standard input */
  bool named; /* on the command line: links are followed, pipes read */
  ScanState state;
  char *why;
  size_t bytes;
  GArray *hits; /* Hit */
  unsigned allowed;
} ScanFile;

ScanFile *scan_file_new(const char *name, bool named);
void scan_file_free(ScanFile *file);

typedef struct {
  HitOptions hits;
  size_t max_size;
  bool binary; /* binary files too */
  int stop;    /* atomic: pipes are read no further */
} ScanReading;

/* What one thread reads with. */
typedef struct {
  ScanReading *reading; /* of all threads */
  DetectorScratch *scratch;
  uint8_t *bytes; /* wiped before it goes */
  size_t capacity;
} ScanReader;
void scan_reader_clear(ScanReader *reader);

/* Fills in the file's state and hits. */
void scan_read(ScanReader *reader, ScanFile *file);

#endif
