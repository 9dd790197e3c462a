/* SPDX-License-Identifier: Apache-2.0 */
/* Who the developer is. A provider signs a person in and keeps the session;
 * solo mode is the provider of the local account. */
#ifndef HOOP_IDENTITY_H
#define HOOP_IDENTITY_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define IDENTITY_ERROR (identity_error_quark())
GQuark identity_error_quark(void);
typedef enum {
  IDENTITY_ERROR_SIGNED_OUT, /* the message says what to run */
  IDENTITY_ERROR_PROVIDER
} IdentityErrorCode;

/* An immutable picture of who is signed in; any thread. */
typedef struct {
  char *user;         /* account name or the issuer's preferred user name */
  char *subject;      /* the issuer's stable id; the uid in solo mode */
  char *issuer;       /* "local" in solo mode */
  char **groups;      /* NULL terminated; {"local"} in solo mode */
  int64_t expires_us; /* wall clock; 0: never */
} Person;

const Person *person_ref(const Person *person);
void person_unref(const Person *person);
typedef const Person PersonRef;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(PersonRef, person_unref)

typedef struct identity Identity;

/* The local account of this process, group `local`. */
Identity *identity_new_solo(GError **error);
void identity_free(Identity *identity);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Identity, identity_free)

/* Who is signed in at this issuer (NULL: any), a new reference; NULL with
 * IDENTITY_ERROR_SIGNED_OUT otherwise. Any thread. */
const Person *identity_current(Identity *identity,
                               const char *issuer,
                               GError **error);

#endif
