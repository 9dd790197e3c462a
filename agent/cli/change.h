/* SPDX-License-Identifier: Apache-2.0 */
/* Changes to files of the user's, planned, shown, written and taken back; a
 * record of each lies in the state folder until it is undone. Private. */
#ifndef HOOP_CLI_CHANGE_H
#define HOOP_CLI_CHANGE_H

#include "kit/digest.h"
#include <glib.h>
#include <stdbool.h>
#include <sys/stat.h>

#define CHANGE_ERROR (change_error_quark())
GQuark change_error_quark(void);
typedef enum {
  CHANGE_ERROR_PLACE, /* a link out of home, not a file, another's */
  CHANGE_ERROR_TEXT,  /* what is there cannot be edited */
  CHANGE_ERROR_RECORD /* the record cannot be read */
} ChangeErrorCode;

/* How a file is taken back when it was changed by hand meanwhile. */
typedef enum {
  CHANGE_OWN,    /* a file of ours: only when nobody changed it */
  CHANGE_BLOCKS, /* the blocks named `names` are taken out */
  CHANGE_JSONC,  /* the members `names` get their former values */
  N_CHANGE_KINDS
} ChangeKind;

/* One file. Texts never hold NULs. */
typedef struct {
  char *path; /* where it really is */
  ChangeKind kind;
  char **names;  /* of blocks, or paths of members with tabs between */
  char **wrote;  /* CHANGE_JSONC: what each member was set to … */
  char **former; /* … and was before; "" for none */
  bool existed;
  mode_t mode;
  char **made; /* folders that are made for it, outermost first */
  /* of an opened file */
  char *now;    /* as it is; "" when it is not there */
  char *before; /* without any earlier setup of ours */
  char *after;  /* as it shall be */
  /* of a recorded one: SHA-256 of what was written; for CHANGE_JSONC what
   * was put in place of what, and where */
  char hash[SHA256_HEX_SIZE];
  size_t at;
  char *put, *taken;
} Change;

typedef struct {
  char *client;
  char *record; /* path */
  GPtrArray *files;
} ChangeSet;

/* The set of a client, with what its record says (empty without one). */
ChangeSet *change_set_load(const char *state_dir,
                           const char *client,
                           GError **error);
void change_set_free(ChangeSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ChangeSet, change_set_free)
/* True when the client was set up and not undone. */
bool change_set_recorded(const char *state_dir, const char *client);

/* Reads the file at `path` (its link followed inside the home only) as a new
 * Change whose `before` is what stood there before an earlier setup that the
 * set knows; `after` is that too, until the caller replaces it. Owned by the
 * returned set's `files` once change_add()ed. */
Change *change_open(const ChangeSet *earlier,
                    const char *path,
                    ChangeKind kind,
                    GError **error);
void change_free(Change *change);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Change, change_free)

/* The text of a recorded file as it was before, made of what it is now. NULL
 * with an error when that cannot be told. */
char *change_revert(const Change *recorded, const char *now, GError **error);

/* Writes the record, then every file whose text differs; each file whole or
 * not at all, with the mode it had. */
bool change_set_write(ChangeSet *set, GError **error);
/* Puts every file's `before` in its place (or removes it when there was none),
 * then the folders that were made for it, then the record. */
bool change_set_undo(ChangeSet *set, GError **error);

/* ---- record.c: the record itself */
/* Adds the recorded changes to an empty set; none recorded is no error. */
bool record_read(ChangeSet *set, GError **error);
bool record_write(const ChangeSet *set, GError **error);

#endif
