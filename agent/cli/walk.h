/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a folder in a fixed order, without those that git ignores.
 * Private. */
#ifndef HOOP_CLI_WALK_H
#define HOOP_CLI_WALK_H

#include <glib.h>
#include <stdbool.h>

typedef enum {
  WALK_LINK,    /* a symbolic link: not followed */
  WALK_SPECIAL, /* a FIFO, socket or device: not opened */
  WALK_IGNORED, /* a file or a whole folder that git ignores */
  WALK_FAILED   /* a folder that cannot be read; `why` says the reason */
} WalkSkip;

typedef struct {
  bool all; /* what git ignores too */
  /* A regular file; false ends the walk. */
  bool (*file)(void *data, const char *path);
  /* What is passed over; `why` is NULL but for WALK_FAILED. */
  void (*skip)(void *data, WalkSkip what, const char *path, const char *why);
  void *data;
} Walk;

/* Walks everything below `root`, names in byte order. Patterns come from
 * .gitignore in every folder, also in those above up to the top of the work
 * tree that holds root, from its info/exclude and from the user's
 * git/ignore; a work tree inside another one has its own. `.git` is passed
 * over, symbolic links are not followed (root itself may be one). What vanishes
 * meanwhile was not there. False when `file` ended it. */
bool walk_tree(const Walk *walk, const char *root);

#endif
