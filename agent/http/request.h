/* SPDX-License-Identifier: Apache-2.0 */
/* What the rest of the room asks of a parsed request. */
#ifndef HOOP_HTTP_REQUEST_H
#define HOOP_HTTP_REQUEST_H

#include "http/http.h"

/* True when bytes of a body follow the head. */
bool request_has_body(const HttpRequest *request);

#endif
