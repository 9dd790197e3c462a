/* SPDX-License-Identifier: Apache-2.0 */
/* What the window's files share: layout.c builds it, window.c lives in it. */
#ifndef HOOP_WINDOW_PRIVATE_H
#define HOOP_WINDOW_PRIVATE_H

#include "window/page.h"

typedef struct {
  GtkWidget *window, *time, *findings, *next, *previous, *show_masked;
  GtkWidget *search_bar, *search, *left_out, *reason, *term, *scope;
  GtkWidget *status, *more, *deny, *approve, *approve_masked;
} ReviewLayout;

/* How long an answer may count, in the order of the list `term`. */
typedef struct {
  const char *text;
  unsigned seconds; /* 0 with session: as long as one may */
  bool session, once;
} ReviewTerm;
const ReviewTerm *review_term(unsigned index);
/* Tells a screen reader what the list `term` stands at. */
void review_term_name(GtkWidget *term);

/* Fills `layout` with a window that shows the sheet; nothing is connected. */
void review_layout_build(ReviewLayout *layout,
                         Sheet *sheet,
                         GtkWidget *page,
                         int64_t now_us);

#endif
