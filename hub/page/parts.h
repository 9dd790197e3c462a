/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the page share. */
#ifndef HOOP_HUB_PAGE_PARTS_H
#define HOOP_HUB_PAGE_PARTS_H

#include "hub/page/form.h"
#include "hub/page/html.h"
#include "hub/page/page.h"
#include "hub/page/session.h"

/* An answer by a form is a reason and a few words. */
#define PAGE_MAX_FORM ((size_t)32 << 10)

struct page {
  Hub *hub;
  Portal *portal;
  GPtrArray *issuers; /* HubIssuer: at whom people sign in; not owned */
  Sessions *sessions;
  LoopTimer *tick;
  char *host; /* that requests must name */
  uint8_t seal[SHA256_LEN];
  unsigned asking; /* sign-ins that wait for a provider */
};

struct page_visit {
  Page *page;
  Client *client;
  Session *session;     /* or NULL: nobody signed in */
  const Person *person; /* the session's when the request came; or NULL */
  PortalCall *call;
  AuditRead *read; /* of the record of all agents */
  unsigned issuer; /* of a sign-in */
  char *to;        /* where it goes on */
  char *cookie;    /* what the browser is to keep meanwhile */
  char *id;        /* of the review that the path names */
  bool stream;
};

/* ---- page.c: answers */
/* A page; every header of its safety is put in. */
void page_answer(PageVisit *visit, int status, const Html *html);
/* The same with these headers, too. */
void page_answer_with(PageVisit *visit,
                      int status,
                      const Html *html,
                      HttpHeaders *headers);
/* Elsewhere: a path of ours, or a provider's URL. */
void page_go(PageVisit *visit, const char *where, HttpHeaders *headers);
/* A page that says why not, in a sentence. */
void page_refuse(PageVisit *visit,
                 int status,
                 const char *title,
                 const char *why);
HttpHeaders *page_headers(const Page *page);

/* ---- frame.c: what is around */
typedef enum { TAB_NONE, TAB_INBOX, TAB_HISTORY, TAB_RECORD, TAB_HELP } PageTab;
/* The head of the page up to its content; `name` is the script's. */
Html *frame_begin(PageVisit *visit,
                  const char *title,
                  const char *name,
                  PageTab tab);
void frame_end(Html *html);
/* How many the person may answer now. */
unsigned frame_waiting(const PageVisit *visit);
/* A form's hidden proof that the page that it stands on was this session's. */
void frame_proof(PageVisit *visit, Html *html);

/* ---- words.c */
const char *words_state(ReviewState state);
/* What a person is told of a time that is left. */
void words_left(Html *html, int64_t deadline_us);
/* "2 people of leads, security". */
void words_need(Html *html, const ReviewRule *rule);
/* Groups behind a word, or nothing. */
void words_groups(Html *html, char *const *groups);

/* ---- signin.c */
void signin_choose(PageVisit *visit, const char *query);
void signin_done(PageVisit *visit, const char *query);
void signin_out(PageVisit *visit);
/* The path when it is one of ours that may follow a sign-in, else "/". */
const char *signin_target(const char *path);

/* ---- what is shown */
void inbox_show(PageVisit *visit);
/* why: a sentence above the form, or NULL; reason: what was typed, or NULL. */
void review_show(PageVisit *visit,
                 int status,
                 const char *why,
                 const char *reason);
void review_take(PageVisit *visit, const Form *form);
void history_show(PageVisit *visit, const char *query);
void record_show(PageVisit *visit, const char *query);
void agents_show(PageVisit *visit, const char *query);
void help_show(PageVisit *visit);

/* ---- assets.c */
typedef struct {
  const char *name, *type;
  const unsigned char *bytes;
  size_t len;
} Asset;
/* Of that path behind /assets/; NULL: none. */
const Asset *asset_find(const char *name);
/* "/assets/" and a name that changes with what is in it; static text. */
const char *asset_path(const char *name);

#endif
