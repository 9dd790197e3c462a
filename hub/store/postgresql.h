/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to PostgreSQL: where to, how it is secured. Private to the
 * layer. */
#ifndef HOOP_HUB_POSTGRESQL_H
#define HOOP_HUB_POSTGRESQL_H

#include <glib.h>

/* Connects, within 5 s. TLS with the server's name verified, unless it is on
 * this machine or the URL says `sslmode=` (what would do without TLS is
 * refused). `password` may be NULL: as libpq finds it. PQfinish().
 * DB_ERROR_OPEN or _LOST. */
struct pg_conn *postgresql_connect(const char *url,
                                   const char *password,
                                   GError **error);

#endif
