/* SPDX-License-Identifier: Apache-2.0 */
/* A Person: immutable, counted, read by any thread. */
#include "identity/person.h"

G_DEFINE_QUARK(hoop_identity_error, identity_error)

/* The public struct first: a Person is only ever made here. */
typedef struct {
  Person person;
  gint refs;
} Counted;

const Person *
person_new(const Person *like)
{
  Counted *counted = g_new0(Counted, 1);

  g_assert(like->user && like->subject && like->issuer);
  g_assert(like->groups || like->groups_unknown);
  counted->refs = 1;
  counted->person = (Person){
      .user = g_strdup(like->user),
      .subject = g_strdup(like->subject),
      .issuer = g_strdup(like->issuer),
      .groups = g_strdupv(like->groups),
      .groups_unknown = g_strdup(like->groups_unknown),
      .expires_us = like->expires_us,
  };
  return &counted->person;
}

const Person *
person_ref(const Person *person)
{
  Counted *counted = (Counted *)(void *)person;

  g_atomic_int_inc(&counted->refs);
  return person;
}

void
person_unref(const Person *person)
{
  Counted *counted = (Counted *)(void *)person;

  if (!counted || !g_atomic_int_dec_and_test(&counted->refs))
    return;
  g_free(counted->person.user);
  g_free(counted->person.subject);
  g_free(counted->person.issuer);
  g_strfreev(counted->person.groups);
  g_free(counted->person.groups_unknown);
  g_free(counted);
}

bool
person_same(const Person *a, const Person *b)
{
  bool groups = !a->groups && !b->groups;

  if (a->groups && b->groups)
    groups = g_strv_equal((const gchar *const *)a->groups,
                          (const gchar *const *)b->groups);
  return groups && g_str_equal(a->user, b->user) &&
         g_str_equal(a->subject, b->subject) &&
         g_str_equal(a->issuer, b->issuer);
}
