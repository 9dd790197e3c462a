/* SPDX-License-Identifier: Apache-2.0 */
/* The one struct of the hub, and what its files share. Private. */
#ifndef HOOP_HUB_PRIVATE_H
#define HOOP_HUB_PRIVATE_H

#include "http/http.h"
#include "hub/audit/audit.h"
#include "hub/hub.h"
#include "hub/reviews.h"
#include "hub/store/link.h"
#include "kit/secret.h"

typedef struct {
  uint64_t answers[6]; /* by the status' first digit */
  uint64_t refused_tokens, rate_limited;
} HubCount;

typedef struct client Client;
typedef struct page Page;
typedef struct webhook Webhook;
typedef struct bundle_desk BundleDesk;
typedef struct vault_desk VaultDesk;

struct hub {
  Loop *loop;
  const HubConfig *config;
  Store *store;
  StoreLink *link; /* to the other hubs of one database */
  SigningKey *key;
  char *fingerprint;
  Reviews *reviews;
  Audit *audit;
  BundleDesk *bundles;
  VaultDesk *vault;
  AccessGate *gate;
  Secret *metrics_token; /* or NULL */
  Page *page;            /* or NULL: none is configured */
  Webhook *webhook;      /* or NULL */
  SSL_CTX *tls;
  int fd; /* that listens; -1: no more */
  LoopWatch *watch;
  uint16_t port;
  GHashTable *clients; /* Client */
  GHashTable *rates;   /* person → Rate */
  LoopTimer *tick, *drain;
  unsigned turn;  /* of the tick's */
  unsigned begun; /* connections so far */
  int64_t pruned_us;
  bool draining;
  HubCount count;
};

/* ---- page/page.h */
typedef struct page_visit PageVisit;

/* ---- tls.c */
/* A certificate for this name, localhost and 127.0.0.1 with its key, made where
 * neither file is there. */
bool tls_make(const char *certificate,
              const char *key,
              const char *name,
              GError **error);
SSL_CTX *tls_context(const char *certificate, const char *key, GError **error);

/* ---- client.c: connections */
void client_begin(Hub *hub, int fd);
/* Streams end; the rest closes after its answer. */
void client_drain(Client *client);
/* Every now and then: keeps streams alive, ends those whose token ended. */
void client_tick(Client *client, int64_t now_us);
/* Which of the tick's turns is its own: the number of its connection. */
unsigned client_turn(const Client *client);
bool client_is_stream(const Client *client);
/* False: nothing of reviews whose person's subject has this hash is for it. */
bool client_may_hear(const Client *client, unsigned owner);
/* Tells a stream of a change, when its person may see it. */
void client_tell(Client *client, const Review *review, ReviewChange change);

/* The text of an event, when it is an agent's stream. */
void client_event(Client *client, const char *event);

Hub *client_hub(const Client *client);
const Person *client_person(const Client *client);
const HttpRequest *client_request(const Client *client);
/* The request's body. */
const char *client_body(const Client *client, size_t *len);
/* The answer. */
void client_json(Client *client, int status, const char *json);
void client_text(Client *client,
                 int status,
                 const char *type,
                 const char *text);
/* Status 200 with an entity tag. */
void client_bytes(Client *client,
                  const char *type,
                  const char *etag,
                  const void *bytes,
                  size_t len);
/* Without a body; etag may be NULL. */
void client_empty(Client *client, int status, const char *etag);
void client_refuse(Client *client,
                   int status,
                   const char *code,
                   const char *why);
/* The answer becomes a stream of events. */
void client_stream(Client *client);

/* For the page: an answer with headers of its own (type NULL: none), a body of
 * at most `max` bytes first, a stream of its own, and whose request it is. */
void client_reply(Client *client,
                  int status,
                  const HttpHeaders *headers,
                  const char *type,
                  const void *bytes,
                  size_t len);
void client_read_body(Client *client, size_t max);
void client_begin_stream(Client *client, HttpHeaders *headers);
void client_send(Client *client, const char *text);
void client_set_person(Client *client, const Person *person);
void client_set_visit(Client *client, PageVisit *visit);

/* Whose answer comes later: gone() is called when the client leaves before
 * (never after client_work(client, NULL, NULL)), writable() (or NULL) when it
 * takes more again. */
typedef struct {
  void (*gone)(void *data);
  void (*writable)(void *data);
} ClientWork;
void client_work(Client *client, const ClientWork *work, void *data);
/* An answer in pieces, as a file of that name. more: false when the client is
 * slow: wait for writable(). */
void client_start(Client *client, const char *type, const char *name);
bool client_more(Client *client, const char *text, size_t len);
void client_finish(Client *client);
/* Breaks off, so that nobody takes it for the whole. */
void client_abort(Client *client);

/* ---- api.c: what can be asked */
typedef struct {
  const char *method, *path; /* `*` is one part of the path: the id */
  bool open;                 /* nobody needs to be known for it */
  bool body;
  void (*handle)(Client *client, const char *id);
  bool otlp; /* errors have OTLP's form */
} Route;
/* NULL: *status is 404 or 405. `id` (g_free) is the part that `*` stands for.
 */
const Route *api_route(const HttpRequest *request, char **id, int *status);
/* The machine that signed the body, bound to whoever sends it; NULL: answered.
 */
Machine *api_signer(Client *client);

/* ---- api-audit.c: the record of all agents */
void api_post_logs(Client *client, const char *id);
void api_get_audit(Client *client, const char *id);
void api_get_export(Client *client, const char *id);
void api_get_alerts(Client *client, const char *id);
void api_get_journals(Client *client, const char *id);

/* ---- cli-audit.c: `hoop-hub audit`; what is behind these words. The exit
 * status. `config`: the file where none is named. */
int cli_audit(int argc, char **argv, const char *config);

/* ---- rate.c */
/* False: this person asks too often. */
bool rate_take(GHashTable *rates, const Person *person, unsigned per_minute);
void rate_forget(GHashTable *rates, unsigned per_minute);

/* ---- view.c: what is shown of a review. g_free */
char *view_review(const Reviews *reviews,
                  const Review *review,
                  const Person *person,
                  bool whole);

/* ---- metrics.c */
char *metrics_text(const Hub *hub);

#endif
