/* SPDX-License-Identifier: Apache-2.0 */
/* Records as text: OTLP/HTTP JSON, JSON lines, syslog. Private to the room. */
#ifndef HOOP_SHIP_FORMAT_H
#define HOOP_SHIP_FORMAT_H

#include "ship/record.h"

/* RFC 5425 section 4.3.1: what every receiver should take; rsyslog's default
 * is no more. */
#define SYSLOG_MAX_MESSAGE 8192

/* Who sends: the same in every record. */
typedef struct {
  const char *version;  /* of this program */
  const char *instance; /* 32 hex digits: the journal's id */
  const char *host;
  const char *user; /* the local account */
} ShipSource;

/* Appends one record of an ExportLogsServiceRequest (OTLP 1.x, JSON encoding:
 * 64-bit integers are strings, ids hex). */
void otlp_write(GString *out, const Record *record);
/* What stands before and behind the records, which commas separate. */
void otlp_open(GString *out, const ShipSource *source);
void otlp_close(GString *out);

/* Appends one line: a JSON object with the attributes as its members. */
void jsonl_write(GString *out, const Record *record, const ShipSource *source);

/* Appends one frame of RFC 5425: its length in octets, a blank, and a message
 * of RFC 5424 of at most SYSLOG_MAX_MESSAGE octets. Attributes that do not fit
 * are left out, and the parameter hoop.left_out counts them. */
void syslog_write(GString *out, const Record *record, const ShipSource *source);

#endif
