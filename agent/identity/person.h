/* SPDX-License-Identifier: Apache-2.0 */
/* How a Person comes to be: the room's own, whoever signed it in. */
#ifndef HOOP_IDENTITY_PERSON_H
#define HOOP_IDENTITY_PERSON_H

#include "identity/identity.h"

/* A copy of all that `like` holds; one reference, the caller's. `user`,
 * `subject` and `issuer` must be there, and either groups or the reason why
 * they are not known. Any thread. */
const Person *person_new(const Person *like);

/* True when both say the same, expiry left out. */
bool person_same(const Person *a, const Person *b);

#endif
