/* SPDX-License-Identifier: Apache-2.0 */
/* The files of a policy as they are read: each layer's, and what they include.
 * For this room's files. */
#ifndef HOOP_POLICY_SOURCE_H
#define HOOP_POLICY_SOURCE_H

#include "policy/policy.h"
#include "policy/yaml.h"

/* Files of a policy, all layers and includes together, and their bytes. */
#define SOURCE_MAX_FILES 256
#define SOURCE_MAX_TOTAL (8 * 1024 * 1024)

/* One file on its way in. */
typedef struct {
  YamlDoc *doc;
  GBytes *text;
  PolicyLayer layer;
} Source;

void source_clear(gpointer source);
/* Of Source; g_array_unref. */
GArray *sources_new(void);

/* Where files come from: the machine's, or a test's. */
typedef struct {
  /* As file_read_trusted(). */
  GBytes *(*read)(const char *path,
                  FileTrust trust,
                  void *data,
                  GError **error);
  /* The names in a folder, in any order; g_strfreev. */
  char **(*list)(const char *folder,
                 FileTrust trust,
                 void *data,
                 GError **error);
  void *data;
  const char *root; /* files below it include none outside; or NULL */
} PolicyReader;
extern const PolicyReader policy_reader; /* the machine's */

/* What one load has read so far. */
typedef struct {
  const PolicyReader *reader;
  GHashTable *names; /* files, each once */
  size_t total;
  GPtrArray *seen; /* files and folders that were looked at; or NULL */
} Reading;
void reading_init(Reading *reading, const PolicyReader *reader);
void reading_clear(Reading *reading);

/* Appends the file and, behind it, what it includes, in the order of the
 * include list and then of the names. */
bool source_read(Reading *reading,
                 const PolicySource *file,
                 GArray *sources,
                 GError **error);

/* policy_load_over() from elsewhere. */
Policy *policy_load_from(const PolicyReader *reader,
                         const PolicySource *files,
                         size_t n_files,
                         Policy *former,
                         char ***seen,
                         char **held,
                         GError **error);

#endif
