/* SPDX-License-Identifier: Apache-2.0 */
/* agent.conf in its layers: /etc, the user's, managed.conf last. Every key is
 * known, typed and checked here; the rest of the program reads plain fields. */
#ifndef HOOP_CONFIG_H
#define HOOP_CONFIG_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_ERROR (config_error_quark())
GQuark config_error_quark(void);
typedef enum {
  CONFIG_ERROR_READ,   /* file missing or unreadable */
  CONFIG_ERROR_SYNTAX, /* not a key file */
  CONFIG_ERROR_KEY,    /* unknown group or key; the nearest is named */
  CONFIG_ERROR_VALUE
} ConfigErrorCode;

typedef struct {
  char *name;
  char *type;     /* copilot, anthropic, openai */
  bool enabled;   /* anthropic and openai are off until turned on */
  char **hosts;   /* beside the type's own, or NULL */
  char *upstream; /* https://host[:port] that all its requests go to, or NULL */
  char *credential; /* file:PATH, env:NAME, hub: or NULL */
  char *issuer;     /* name of a ConfigIdentity, or NULL */
  char *issuer_set; /* FILE:LINE of that, or NULL */
} ConfigConnection;

/* [identity "NAME"]: a provider that people sign in through. */
typedef struct {
  char *name;
  char *set;    /* FILE:LINE of its first group */
  char *issuer; /* https URL; http for loopback alone */
  char *client_id;
  char *client_secret_file; /* or NULL: a public client */
  char *scopes;
  char *audience;         /* or NULL */
  uint16_t redirect_port; /* 0: any free one */
  char *groups_claim;
  char *groups_separator; /* or NULL: a string is one group */
  char *groups_prefix;    /* or NULL */
  char *ca_file;          /* or NULL */
} ConfigIdentity;

typedef struct {
  /* [listen] */
  char *address; /* 127.0.0.1; other addresses than loopback refused */
  uint16_t port; /* 8788; 0: any, for tests */
  bool plain_base_url;
  char *unix_socket; /* or NULL */
  /* [limits] */
  size_t max_body, max_header, held_bytes;
  unsigned max_connections, first_byte_timeout, idle_timeout; /* s */
  /* [upstream]; the proxy falls back to the environment at start */
  char *proxy, *no_proxy, *proxy_credentials_file, *ca_file;
  unsigned connect_timeout;
  bool http2;
  /* [policy], [detect] */
  char *policy_file; /* NULL: the shipped default */
  bool detect;
  char *dictionary; /* file of exact values, or NULL */
  char **env_files; /* patterns, perhaps none; NULL terminated */
  /* [approval] */
  unsigned approval_timeout, max_pending;
  unsigned grant_time; /* s */
  unsigned max_grants;
  unsigned stream_silence;     /* s that a held stream stays silent: 20 */
  unsigned keepalive_interval; /* s between SSE comments then: 15 */
  /* [desktop] */
  bool notices;
  /* [journal] */
  char *journal_path; /* always set */
  bool journal;
  bool durability_full;
  bool bodies;
  size_t max_recorded_body;
  uint64_t journal_max_size;
  unsigned journal_retain_days; /* 0: for ever */
  char *journal_escrow_key;     /* PEM file, or NULL */
  /* [ship] */
  char *ship_endpoint;                  /* or NULL: nothing is shipped */
  char *ship_format;                    /* otlp, jsonl or syslog */
  char *ship_token_file, *ship_ca_file; /* or NULL */
  char *ship_issuer;                    /* name of a ConfigIdentity, or NULL */
  char *ship_issuer_set;                /* FILE:LINE of that, or NULL */
  char *ship_receiver_key;              /* hex, or NULL */
  unsigned ship_interval;               /* s */
  /* [hub] */
  char *hub_url, *hub_pinned_key, *hub_ca_file; /* or NULL */
  bool hub_require_policy;
  /* [connection "…"] */
  GPtrArray *connections; /* ConfigConnection; "copilot" is always there */
  /* [identity "…"] */
  GPtrArray *identities; /* ConfigIdentity; none: solo mode */
  /* where it came from */
  bool managed; /* managed.conf was there */
  char **files; /* those read, in order */
  char *given;  /* the one that config_load() was given, absolute, or NULL */
  /* folders: XDG base folders + hoop-agent, no trailing slash */
  char *state_dir, *data_dir, *cache_dir, *runtime_dir, *config_dir;
  char *share_dir; /* installed data: policy/, rules.d/ */
} Config;

/* Loads /etc/hoop-agent/agent.conf, then `file` (or the user's agent.conf when
 * NULL; a missing one is fine then, a missing `file` is not), then
 * /etc/hoop-agent/managed.conf. Sizes take K, M, G. Errors name file:line.
 * Unknown groups and keys are refused, never ignored. The identities of
 * managed.conf, where it has any, replace all others: nobody adds a provider of
 * his own beside the company's, or an authority that vouches for it. */
Config *config_load(const char *file, GError **error);
void config_free(Config *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Config, config_free)

/* True when host and port lead to this agent itself: what is named so as proxy
 * or upstream would make each request its own client's. */
bool config_is_agent(const Config *config, const char *host, int port);

/* The folder of the control socket, which no configuration moves. g_free. */
char *config_runtime_dir(void);

/* Every key with group, default and one line of help: man page lint,
 * completion and config_load() share it. */
typedef struct {
  const char *group, *key, *fallback, *help;
} ConfigKey;
const ConfigKey *config_key(unsigned index); /* NULL behind the last */

#endif
