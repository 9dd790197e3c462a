/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a request as a page: findings marked, stepped through and noted
 * as seen, words searched. */
#ifndef HOOP_WINDOW_PAGE_H
#define HOOP_WINDOW_PAGE_H

#include "sheet/sheet.h"

typedef struct _GtkWidget GtkWidget;

typedef struct review_page ReviewPage;
/* `sheet` is borrowed and notes what is seen; seen(data) runs when that
 * changed. The widget is the page's as long as it stands in a window. */
ReviewPage *review_page_new(Sheet *sheet, void (*seen)(void *data), void *data);
void review_page_free(ReviewPage *page);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ReviewPage, review_page_free)
GtkWidget *review_page_widget(ReviewPage *page);

/* As it would go, or as "approve masked" would send it: where what was seen of
 * the findings counts for nothing. */
void review_page_show(ReviewPage *page, bool masked);
/* Another finding is brought to the middle: the next, or the one before. */
void review_page_step(ReviewPage *page, bool back);
/* Selects the next place of a text, from the top again behind the last; case
 * does not matter. False: it is nowhere. */
bool review_page_search(ReviewPage *page, const char *text, bool back);
/* Notes what of the findings is on the screen now. */
void review_page_look(ReviewPage *page);

#endif
