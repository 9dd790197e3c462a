/* SPDX-License-Identifier: Apache-2.0 */
/* A PostgreSQL of the test's own (tests/tools/postgresql.sh), and databases in
 * it. */
#ifndef HOOP_TEST_POSTGRESQL_KIT_H
#define HOOP_TEST_POSTGRESQL_KIT_H

#include "config.h"

#include "folder.h"
#include "hub/store/db.h"
#include <sys/wait.h>
#include <unistd.h>

#define CLUSTER_PASSWORD "correct horse"
#define CLUSTER_SKIPPED 77

typedef struct {
  char *folder; /* its Unix socket's, too */
  char *port;
  unsigned n_databases;
} Cluster;

/* `verb` of the script; its exit status. */
static int
cluster_do(const Cluster *cluster, const char *verb, char **out)
{
  g_autofree char *script =
      g_test_build_filename(G_TEST_DIST, "tools", "postgresql.sh", NULL);
  g_autofree char *pid = g_strdup_printf("%d", (int)getpid());
  const char *argv[] = {script, verb, cluster->folder, pid, NULL};
  g_autoptr(GError) error = NULL;
  int status = 0;

  g_spawn_sync(NULL,
               (char **)argv,
               NULL,
               out ? G_SPAWN_DEFAULT : G_SPAWN_STDOUT_TO_DEV_NULL,
               NULL,
               NULL,
               out,
               NULL,
               &status,
               &error);
  g_assert_no_error(error);
  g_assert_true(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void
cluster_free(Cluster *cluster)
{
  if (!cluster)
    return;
  cluster_do(cluster, "stop", NULL);
  remove_folder(cluster->folder);
  g_free(cluster->folder);
  g_free(cluster->port);
  g_free(cluster);
}

/* NULL: it is not installed, or hoop-hub was built without it. */
static Cluster *
cluster_new(void)
{
#ifdef HAVE_POSTGRESQL
  Cluster *cluster = g_new0(Cluster, 1);
  g_autofree char *out = NULL;
  g_auto(GStrv) words = NULL;
  int status;

  cluster->folder = g_dir_make_tmp("hub-pg-XXXXXX", NULL);
  status = cluster_do(cluster, "start", &out);
  if (status == CLUSTER_SKIPPED) {
    cluster_free(cluster);
    return NULL;
  }
  g_assert_cmpint(status, ==, 0);
  words = g_strsplit(out, " ", 2);
  cluster->port = g_strdup(words[0]);
  return cluster;
#else
  (void)cluster_do;
  (void)cluster_free;
  return NULL;
#endif
}

/* `schema` is where tables are made and looked for. */
static char *
cluster_url(const Cluster *cluster, const char *schema)
{
  return g_strdup_printf("postgresql://hoop@/postgres?host=%s&port=%s"
                         "&options=-c%%20search_path%%3D%s",
                         cluster->folder,
                         cluster->port,
                         schema);
}

/* The URL of a place without any table. g_free. */
static char *
cluster_database(Cluster *cluster)
{
  g_autofree char *all = cluster_url(cluster, "public");
  g_autofree char *name = g_strdup_printf("t%u", cluster->n_databases++);
  g_autofree char *sql = g_strdup_printf("CREATE SCHEMA %s", name);
  g_autoptr(GError) error = NULL;
  g_autoptr(Db) db = db_open(all, &error);

  g_assert_no_error(error);
  db_set_patience(db, 20000);
  db_run(db, NULL, &error, sql);
  g_assert_no_error(error);
  return cluster_url(cluster, name);
}

#endif
