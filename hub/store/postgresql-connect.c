/* SPDX-License-Identifier: Apache-2.0 */
/* How a connection to PostgreSQL is made: nothing goes in the clear to another
 * machine, and no password is in an error. */
#include "hub/store/db.h"
#include "hub/store/postgresql.h"
#include <libpq-fe.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

/* In all: every address that the name has, TLS, sign-in. */
#define CONNECT_MS 5000
#define US_PER_MS 1000
/* 13 is the oldest that is maintained. */
#define MIN_SERVER 130000
#define MAX_OPTIONS 32

typedef PQconninfoOption Options;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Options, PQconninfoFree)

typedef struct {
  const char *names[MAX_OPTIONS + 1];
  const char *values[MAX_OPTIONS + 1];
  unsigned n;
} Parameters;

/* ---- what the URL says ----------------------------------------------------
 */

static const char *
option(const PQconninfoOption *options, const char *name)
{
  for (; options->keyword; options++)
    if (g_str_equal(options->keyword, name))
      return options->val && *options->val ? options->val : NULL;
  return NULL;
}

static bool
refuse(GError **error, const char *why)
{
  g_set_error(error, DB_ERROR, DB_ERROR_OPEN, "the store's URL: %s", why);
  return false;
}

static bool
one_is_here(const char *host)
{
  return !*host || *host == '/' || *host == '@' ||
         g_str_equal(host, "localhost") || g_str_equal(host, "::1") ||
         g_str_has_prefix(host, "127.");
}

static bool
all_are_here(const char *list)
{
  g_auto(GStrv) parts = g_strsplit(list ? list : "", ",", -1);

  for (unsigned i = 0; parts[i]; i++)
    if (!one_is_here(parts[i]))
      return false;
  return true;
}

/* Whether names and addresses are all this machine's; also those that libpq
 * takes from the environment. */
static bool
is_here(const PQconninfoOption *options)
{
  const char *host = option(options, "host");
  const char *address = option(options, "hostaddr");

  return all_are_here(host ? host : g_getenv("PGHOST")) &&
         all_are_here(address ? address : g_getenv("PGHOSTADDR"));
}

/* The authorities that the system believes: libpq 15 has no word for them. */
static const char *
system_authorities(void)
{
  static const char *const files[] = {"/etc/ssl/certs/ca-certificates.crt",
                                      "/etc/pki/tls/certs/ca-bundle.crt",
                                      "/etc/ssl/ca-bundle.pem",
                                      "/etc/ssl/cert.pem"};

  for (size_t i = 0; i < G_N_ELEMENTS(files); i++)
    if (access(files[i], R_OK) == 0)
      return files[i];
  return NULL;
}

static void
add(Parameters *parameters, const char *name, const char *value)
{
  if (!value || parameters->n >= MAX_OPTIONS)
    return;
  parameters->names[parameters->n] = name;
  parameters->values[parameters->n++] = value;
}

/* What the URL does not say. */
static void
add_default(Parameters *parameters,
            const PQconninfoOption *options,
            const char *name,
            const char *value)
{
  if (!option(options, name))
    add(parameters, name, value);
}

static bool
secure(Parameters *parameters, const PQconninfoOption *options, GError **error)
{
  static const char *const weak[] = {"disable", "allow", "prefer", NULL};
  const char *mode = option(options, "sslmode");

  if (is_here(options))
    return true;
  if (mode && g_strv_contains(weak, mode))
    return refuse(error,
                  "`sslmode` would let the connection to another machine go "
                  "without TLS");
  add_default(parameters, options, "sslmode", "verify-full");
  add_default(parameters, options, "sslrootcert", system_authorities());
  add_default(parameters, options, "ssl_min_protocol_version", "TLSv1.2");
  return true;
}

static bool
collect(Parameters *parameters,
        const PQconninfoOption *options,
        const char *url,
        const char *password,
        GError **error)
{
  /* It would be seen by whoever lists processes or reads configurations. */
  if (option(options, "password"))
    return refuse(error,
                  "a password is in it; it belongs into "
                  "`store-password-file` or libpq's password file");
  if (option(options, "service") || g_getenv("PGSERVICE"))
    return refuse(error, "a service (service=, PGSERVICE) hides where it is");
  add(parameters, "dbname", url);
  if (!secure(parameters, options, error))
    return false;
  add(parameters, "password", password);
  add(parameters, "client_encoding", "UTF8");
  add(parameters, "fallback_application_name", "hoop-hub");
  add_default(parameters, options, "target_session_attrs", "read-write");
  /* A peer that vanished is found out though nothing is sent to it. */
  add_default(parameters, options, "keepalives_idle", "10");
  add_default(parameters, options, "keepalives_interval", "5");
  add_default(parameters, options, "keepalives_count", "3");
  add_default(parameters, options, "tcp_user_timeout", "10000");
  return true;
}

/* ---- connecting -----------------------------------------------------------
 */

static void
keep_quiet(void *data, const char *message)
{
  (void)data;
  (void)message;
}

static PGconn *
give_up(PGconn *conn, DbErrorCode code, const char *why, GError **error)
{
  g_autofree char *said = g_strdup(why ? why : PQerrorMessage(conn));

  g_set_error(error,
              DB_ERROR,
              code,
              "the hub's database cannot be reached: %s",
              g_strdelimit(g_strstrip(said), "\n\t", ' '));
  PQfinish(conn);
  return NULL;
}

/* True when it is connected, or refused: PQstatus() tells. */
static bool
poll_until(PGconn *conn, int64_t until_us)
{
  PostgresPollingStatusType state = PGRES_POLLING_WRITING;

  while (state == PGRES_POLLING_READING || state == PGRES_POLLING_WRITING) {
    struct pollfd one = {.fd = PQsocket(conn),
                         .events =
                             state == PGRES_POLLING_READING ? POLLIN : POLLOUT};
    const int64_t left = (until_us - g_get_monotonic_time()) / US_PER_MS;

    if (left <= 0 || poll(&one, 1, (int)left) == 0)
      return false;
    state = PQconnectPoll(conn);
  }
  return true;
}

/* A wrong password does not heal by itself; all else may. */
static DbErrorCode
code_of(PGconn *conn)
{
  return PQconnectionNeedsPassword(conn) || PQconnectionUsedPassword(conn)
             ? DB_ERROR_OPEN
             : DB_ERROR_LOST;
}

static PGconn *
check(PGconn *conn, GError **error)
{
  const char *encoding = PQparameterStatus(conn, "server_encoding");

  if (PQserverVersion(conn) < MIN_SERVER)
    return give_up(
        conn, DB_ERROR_OPEN, "PostgreSQL 13 or newer is needed", error);
  if (!encoding || !g_str_equal(encoding, "UTF8"))
    return give_up(
        conn, DB_ERROR_OPEN, "the database's encoding is not UTF8", error);
  return conn;
}

PGconn *
postgresql_connect(const char *url, const char *password, GError **error)
{
  const int64_t until = g_get_monotonic_time() + CONNECT_MS * US_PER_MS;
  char *words = NULL;
  g_autoptr(Options) options = PQconninfoParse(url, &words);
  Parameters parameters = {.n = 0};
  PGconn *conn;

  PQfreemem(words); /* they quote the URL */
  if (!options) {
    refuse(error, "it cannot be understood");
    return NULL;
  }
  if (!collect(&parameters, options, url, password, error))
    return NULL;
  conn = PQconnectStartParams(parameters.names, parameters.values, 1);
  if (!conn) {
    refuse(error, "no memory");
    return NULL;
  }
  PQsetNoticeProcessor(conn, keep_quiet, NULL);
  PQsetErrorVerbosity(conn, PQERRORS_TERSE);
  if (PQstatus(conn) == CONNECTION_BAD)
    return give_up(conn, DB_ERROR_LOST, NULL, error);
  if (!poll_until(conn, until))
    return give_up(conn, DB_ERROR_LOST, "it did not answer in time", error);
  if (PQstatus(conn) != CONNECTION_OK)
    return give_up(conn, code_of(conn), NULL, error);
  return check(conn, error);
}
