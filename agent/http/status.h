/* SPDX-License-Identifier: Apache-2.0 */
/* Reason phrases of status lines. */
#ifndef HOOP_HTTP_STATUS_H
#define HOOP_HTTP_STATUS_H

#include "http/http.h"

/* "Bad Request" for 400, …; "" for a status without a well-known phrase. */
const char *status_reason(int status);

#endif
