/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of policy files on its way to everybody: checked and tested as
 * `hoop-agent policy check` and `test` do. */
#ifndef HOOP_HUB_PUBLISH_H
#define HOOP_HUB_PUBLISH_H

#include "bundle/bundle.h"

typedef struct {
  unsigned rules, passed;
  char **warnings, **others; /* "file:line: …"; files that are left out */
} PublishNote;
void publish_note_clear(PublishNote *note);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PublishNote, publish_note_clear)

/* Adds the folder's policy to the bundle, when it loads and every case of its
 * *.test.yaml comes out as expected; else an error with file:line. Blocks: the
 * detector's rules are compiled. */
bool publish_read(Bundle *bundle,
                  const char *dir,
                  PublishNote *note,
                  GError **error);

/* hoop-hub policy …; argv[0] is "policy". Exit status. */
int bundle_verb(int argc, char **argv);

#endif
