/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon: everything that `hoop-agent serve` starts, runs and stops. */
#ifndef HOOP_DAEMON_H
#define HOOP_DAEMON_H

#include "config/config.h"
#include "journal/journal.h"

#define DAEMON_ERROR (daemon_error_quark())
GQuark daemon_error_quark(void);
typedef enum {
  DAEMON_ERROR_START,  /* something that it needs is not there */
  DAEMON_ERROR_RUNNING /* another one runs for this user */
} DaemonErrorCode;

/* Serves until SIGTERM or SIGINT, then drains. False when it could not start.
 * Call from the main thread, before any other thread exists, after
 * secret_harden_process(). */
bool daemon_run(const Config *config, GError **error);

/* The policy files that a configuration names, in layer order, or the shipped
 * default, behind the hub's policy where this machine has one; for the daemon
 * and for `policy` and `scan`. g_free the array. */
typedef struct policy Policy;
Policy *daemon_load_policy(const Config *config, GError **error);
/* Where the files of the layers are looked for: central, system, user; the
 * first and the last need not be there. g_strfreev. */
char **daemon_policy_files(const Config *config);
/* The folder of the detector's rules; g_free. */
char *daemon_rules_dir(const Config *config);
typedef struct rule_pack RulePack;
RulePack *daemon_load_rules(const Config *config, GError **error);
/* The same rules as a detector; named and cache_dir as in detector_load(). */
typedef struct detector Detector;
Detector *daemon_load_detector(const Config *config,
                               const char *const *named,
                               const char *cache_dir,
                               GError **error);

/* One place of a connection, tried. */
typedef struct {
  const char *what; /* "models", "account" …; "credential": with what is held */
  const char *url;
  int status;   /* of the answer; 0: none came */
  int64_t us;   /* until its head, or until it failed */
  char *fault;  /* why none came, or NULL */
  bool refused; /* it is that nobody takes the credential */
} Tried;
typedef void (*TriedFunc)(const Tried *tried, void *data);
/* Asks each place that the connection of this name calls for its root, over
 * verified TLS and the configured proxy, and with `credential` for the list of
 * models with what it holds; tells of each as it is done. Blocks, at most 20 s
 * a place. False when nothing could be tried: no such connection, an unreadable
 * credential, proxy or CA file. Any process; nothing is recorded. */
bool daemon_try_connection(const Config *config,
                           const char *name,
                           bool credential,
                           TriedFunc tried,
                           void *data,
                           GError **error);

/* How long rows stay, by the configuration. */
JournalRetention daemon_retention(const Config *config);

/* What was used in the `window` seconds before a time, from the journal. Errors
 * as journal_reader_open() and journal_usage(). */
typedef struct ledger Ledger;
Ledger *daemon_load_ledger(const char *journal,
                           unsigned window,
                           int64_t until_us,
                           GError **error);

/* Where the record goes, with endpoint NULL when nowhere; the configuration's
 * texts. `upstream` is left empty. */
typedef struct ship_options ShipOptions;
struct ship_options daemon_ship_options(const Config *config);

/* The exact values of the configured dictionary and .env files, sealed; empty
 * without such keys. *seen (may be NULL) becomes what the files say of
 * themselves: another text when one of them changed. Errors name file and
 * line, never a value. */
typedef struct value_set ValueSet;
ValueSet *daemon_load_values(const Config *config, char **seen, GError **error);

#endif
