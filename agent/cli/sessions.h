/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's sessions for people: login, whoami, status and doctor share it.
 * A session is an a{sv} as the control interface's Sessions tells it. Private.
 */
#ifndef HOOP_CLI_SESSIONS_H
#define HOOP_CLI_SESSIONS_H

#include "cli/verb.h"

/* A member that is text, or NULL. */
const char *session_text(GVariant *session, const char *key);
bool session_signed_in(GVariant *session);
/* True for the local account of solo mode. */
bool session_is_local(GVariant *session);
/* "dev, groups a, b; until 17:05", or why nobody is signed in. g_free. */
char *session_line(GVariant *session);
/* "kept in the keyring" …, or NULL when nothing needs to be said, or its
 * problem says it. */
const char *session_storage(GVariant *session);
/* Whose requests these would be: the first who is signed in, or the local
 * account where no issuer is configured. False after a complaint. */
typedef struct {
  char *user, *issuer, *subject;
  char **groups; /* NULL: not known */
} SessionPerson;
bool session_person(const Call *call,
                    const Config *config,
                    SessionPerson *person,
                    int *code);
void session_person_clear(SessionPerson *person);
/* The exit code of a result of LoginDone or Logout. */
int session_code(const char *result);

#endif
