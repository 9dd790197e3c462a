/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is given back while nothing happens. */
#ifndef HOOP_KIT_TRIM_H
#define HOOP_KIT_TRIM_H

/* Once, at the start of a program that stays: a large block, once free, is
 * given back at once, however many came before it. */
void memory_bound(void);
/* Free heap, and pages of programs and libraries that are as they are on disk:
 * what is needed again comes back from the page cache. Any thread; takes about
 * a millisecond. */
void memory_trim(void);
/* The same between two bursts: free heap, and code that the next may not need
 * at once. Any thread. */
void memory_rest(void);

#endif
