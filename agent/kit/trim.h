/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is given back while nothing happens. */
#ifndef HOOP_KIT_TRIM_H
#define HOOP_KIT_TRIM_H

/* Free heap, and pages of programs and libraries that are as they are on disk:
 * what is needed again comes back from the page cache. Any thread; takes about
 * a millisecond. */
void memory_trim(void);
/* The same between two bursts: free heap, and code that the next may not need
 * at once. Any thread. */
void memory_rest(void);

#endif
