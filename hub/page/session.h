/* SPDX-License-Identifier: Apache-2.0 */
/* Who is signed in at the page: sessions, known to browsers by an id of which
 * the hub keeps the digest alone. */
#ifndef HOOP_HUB_PAGE_SESSION_H
#define HOOP_HUB_PAGE_SESSION_H

#include "hub/settings.h"

typedef struct sessions Sessions;
typedef struct session Session;

/* Over `portal`'s issuers; both outlive it. */
Sessions *sessions_new(Portal *portal, const HubConfig *config);
void sessions_free(Sessions *sessions);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Sessions, sessions_free)

/* A new session of whom the grant names; its id, for the browser alone
 * (g_free). The person's oldest beyond a number ends. */
char *sessions_begin(Sessions *sessions,
                     unsigned issuer,
                     const PortalGrant *grant);
/* The session of this id, a new reference, when it is one that goes on: neither
 * idle for too long, nor too old, nor past the person's own end. `active`: the
 * person does something, which idle time counts from. NULL otherwise. */
Session *sessions_find(Sessions *sessions, const char *id, bool active);
/* Ends it, here and at the provider. */
void sessions_end(Sessions *sessions, Session *session);
/* Now and then: ends those that are over, renews those that are due. */
void sessions_tick(Sessions *sessions);
unsigned sessions_count(const Sessions *sessions);

void session_unref(Session *session);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Session, session_unref)
/* Whether it goes on; without an end it says nothing of the browser. */
bool session_is_alive(const Session *session);
/* As last renewed; a new reference where it is kept. */
const Person *session_person(const Session *session);
/* What forms of this session carry; others cannot know it. */
const char *session_proof(const Session *session);
bool session_proves(const Session *session, const char *proof);

#endif
