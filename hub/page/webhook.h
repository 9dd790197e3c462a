/* SPDX-License-Identifier: Apache-2.0 */
/* Tells a chat that something waits: a link, and nothing of what it is. */
#ifndef HOOP_HUB_PAGE_WEBHOOK_H
#define HOOP_HUB_PAGE_WEBHOOK_H

#include "hub/reviews.h"

typedef struct webhook Webhook;

/* To the URL in the configured file; the configuration outlives it. Fails as
 * the file and upstream_new() do, and for what is no https URL. */
Webhook *webhook_new(Loop *loop, const HubConfig *config, GError **error);
void webhook_free(Webhook *webhook);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Webhook, webhook_free)

/* Of every change; what nobody needs to hear is left out. */
void webhook_tell(Webhook *webhook, const Review *review, ReviewChange change);

typedef struct {
  uint64_t sent, failed, dropped; /* messages */
} WebhookCount;
WebhookCount webhook_count(const Webhook *webhook);

#endif
