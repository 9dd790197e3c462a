/* SPDX-License-Identifier: Apache-2.0 */
/* Blind tunnels of an environment. Private to the room. */
#ifndef HOOP_EXCHANGE_TUNNEL_H
#define HOOP_EXCHANGE_TUNNEL_H

#include "exchange/exchange.h"

/* Ends them all. */
void tunnels_end(ExchangeEnv *env);

#endif
