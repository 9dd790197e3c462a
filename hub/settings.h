/* SPDX-License-Identifier: Apache-2.0 */
/* hoop-hub.conf: one file, every key known and checked. */
#ifndef HOOP_HUB_SETTINGS_H
#define HOOP_HUB_SETTINGS_H

#include "identity/identity.h"
#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HUB_ERROR (hub_error_quark())
GQuark hub_error_quark(void);
typedef enum {
  HUB_ERROR_CONFIG, /* names file, group and key */
  HUB_ERROR_START,  /* a certificate, a port, a key */
  HUB_ERROR_POLICY, /* one that cannot be published */
  HUB_ERROR_VAULT   /* a credential that cannot be sealed or opened */
} HubErrorCode;

/* [reviewers "NAME"]: who is meant when a policy says reviewer:NAME. */
typedef struct {
  char *name;
  char **groups;    /* of the issuers' */
  char *escalation; /* the NAME that may answer in their place; or NULL */
  unsigned escalate_after; /* s */
} HubReviewers;

/* [identity "NAME"] */
typedef struct {
  char *name, *issuer, *groups_claim;
  char *groups_separator, *groups_prefix, *ca_file; /* or NULL */
  char *client_id;          /* of the page; NULL: nobody of it signs in there */
  char *client_secret_file; /* or NULL: a public client */
  char *scopes;
} HubIssuer;

typedef struct {
  char *path;
  /* [hub] */
  char *address, *certificate, *key, *state_dir, *audience;
  char *store; /* postgresql://…, or NULL: a file in state_dir */
  char *store_password_file; /* or NULL */
  char *vault_key_file;      /* or NULL */
  char *metrics_token_file;  /* or NULL: no metrics */
  uint16_t port;             /* 0: any */
  /* [limits] */
  size_t max_body, max_header;
  unsigned connections, rate, max_pending, retain_days;
  /* [page] */
  char *page_url; /* https://host[:port]; NULL: no page */
  unsigned page_idle, page_lifetime, page_hsts; /* s */
  /* [webhook] */
  char *webhook_url_file; /* or NULL: none is told */
  char *webhook_ca_file;  /* or NULL */
  /* [roles]: groups; "*" is everybody whose groups are known */
  char **requester, **auditor, **admin, **sender;
  /* [audit] */
  unsigned audit_retain_days;
  GPtrArray *reviewers; /* HubReviewers */
  GPtrArray *issuers;   /* HubIssuer; one at least */
} HubConfig;

/* HUB_ERROR_CONFIG. */
HubConfig *hub_config_load(const char *path, GError **error);
void hub_config_free(HubConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HubConfig, hub_config_free)

/* NULL: no section speaks of that name. */
const HubReviewers *hub_config_reviewers(const HubConfig *config,
                                         const char *name);

typedef enum {
  ROLE_REQUESTER,
  ROLE_AUDITOR,
  ROLE_ADMIN,
  ROLE_SENDER /* of logs that no enrolled machine signed */
} HubRole;
/* Whether the person's groups give the role. */
bool hub_has_role(const HubConfig *config, const Person *person, HubRole role);

#endif
