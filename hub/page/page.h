/* SPDX-License-Identifier: Apache-2.0 */
/* The reviewers' web page, as the hub's connections see it. */
#ifndef HOOP_HUB_PAGE_PAGE_H
#define HOOP_HUB_PAGE_PAGE_H

#include "hub/private.h"

/* The page of a hub whose configuration has one; the hub outlives it. */
Page *page_new(Hub *hub, GError **error);
void page_free(Page *page);

/* Whether a request is the page's to answer: all that is not the API's. */
bool page_serves(const HttpRequest *request);
/* Answers the client's request, at once, when its body is there or when a
 * provider answered. */
PageVisit *page_begin(Page *page, Client *client);
/* The body is whole, in client_body(). */
void page_body(PageVisit *visit);
/* The body is too large. */
void page_too_large(PageVisit *visit);
/* Nothing will be answered any more. Accepts NULL. */
void page_visit_free(PageVisit *visit);

/* A stream of events: tells it of a change that its person may see. */
void page_tell(PageVisit *visit, const Review *review, ReviewChange change);
/* False: its session is over. */
bool page_goes_on(const PageVisit *visit);

#endif
