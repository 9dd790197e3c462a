/* SPDX-License-Identifier: Apache-2.0 */
/* A row or checkpoint that arrives, against what is held of its journal: what
 * is there already, what follows, and what must not be. */
#include "hub/audit/private.h"

#include <string.h>

#define HEX_OF_VARIANT 8 /* bytes of a digest */

typedef struct {
  Turn *turn;
  Chain *chain;
  const TurnSender *sender;
  const AuditRow *row;
  const AuditPlace *place;
  Followed *out;
} Following;

/* ---- alerts ---------------------------------------------------------------
 */

void
audit_alert_free(void *data)
{
  AuditAlert *alert = data;

  g_free(alert->kind);
  g_free(alert->journal);
  g_free(alert->machine);
  g_free(alert->user);
  g_free(alert->detail);
  g_free(alert);
}

/* One alert of a kind for each journal and transaction; it counts the rows. */
G_GNUC_PRINTF(4, 5)
static void
raise_alert(Following *at,
            const char *kind,
            bool breaks,
            const char *format,
            ...)
{
  Turn *turn = at->turn;
  AuditAlert *alert;
  va_list args;

  at->chain->broken |= breaks;
  for (guint i = 0; i < turn->alerts->len; i++) {
    alert = turn->alerts->pdata[i];
    if (g_str_equal(alert->kind, kind) &&
        g_str_equal(alert->journal, at->chain->journal)) {
      alert->rows++;
      return;
    }
  }
  alert = g_new0(AuditAlert, 1);
  *alert = (AuditAlert){.at_us = turn->now_us,
                        .kind = g_strdup(kind),
                        .journal = g_strdup(at->chain->journal),
                        .seq = at->place->seq,
                        .rows = 1,
                        .machine = g_strdup(at->chain->machine),
                        .user = g_strdup(at->chain->user)};
  va_start(args, format);
  alert->detail = g_strdup_vprintf(format, args);
  va_end(args);
  at->chain->alerts++;
  g_ptr_array_add(turn->alerts, alert);
}

/* ---- what is there --------------------------------------------------------
 */

/* What tells one row, or checkpoint, from another at its place. */
static const uint8_t *
identity_of(const AuditPlace *place)
{
  return place->checkpoint && place->has_link ? place->link : place->hash;
}

typedef struct {
  bool found, same;
  AuditContent content;
} Held;

static bool
look_up(Turn *turn,
        const char *key,
        const AuditPlace *place,
        Held *out,
        GError **error)
{
  g_autoptr(GError) why = NULL;
  g_autoptr(DbRows) rows = NULL;
  const void *hash;
  size_t len = 0;

  *out = (Held){0};
  if (!turn_flush(turn, error))
    return false;
  rows = db_query(turn->db,
                  error,
                  "SELECT hash, content FROM audit_row WHERE key=$1",
                  DB_TEXT(key));
  if (!rows)
    return false;
  if (db_next(rows, &why)) {
    hash = db_blob(rows, 0, &len);
    out->found = true;
    out->same = hash && len == SHA256_LEN &&
                memcmp(hash, identity_of(place), SHA256_LEN) == 0;
    out->content = (AuditContent)db_int(rows, 1);
  }
  if (why)
    g_propagate_error(error, g_steal_pointer(&why));
  return !why;
}

/* The key of a row that stands at a place where another one is. */
static char *
variant_key(const AuditRow *row)
{
  g_autoptr(Sha256) digest = sha256_new();
  uint8_t hash[SHA256_LEN];
  char hex[2 * HEX_OF_VARIANT + 1];

  sha256_update(digest, identity_of(&row->place), SHA256_LEN);
  sha256_update(digest, row->attributes, strlen(row->attributes));
  sha256_peek(digest, hash);
  hex_encode(hash, HEX_OF_VARIANT, hex);
  return g_strdup_printf("%s~%s", row->key, hex);
}

/* Under a key of its own, unless it is there under that. */
static bool
set_aside(Following *at, GError **error)
{
  Held held;

  at->out->key = variant_key(at->row);
  if (!look_up(at->turn, at->out->key, at->place, &held, error))
    return false;
  at->out->known = held.found;
  return true;
}

/* Whether the place is taken: by the same (known) or by another (*conflict). */
static bool
settle(Following *at, bool *conflict, GError **error)
{
  Held held;

  *conflict = false;
  if (!look_up(at->turn, at->row->key, at->place, &held, error))
    return false;
  if (!held.found)
    return true;
  if (held.same && (at->place->content == held.content ||
                    at->place->content != AUDIT_CONTENT_BAD)) {
    at->out->known = true;
    return true;
  }
  *conflict = !held.same;
  return set_aside(at, error);
}

/* ---- rows -----------------------------------------------------------------
 */

static void
move_tip(Chain *chain, const AuditPlace *place)
{
  chain->tip_seq = place->seq;
  memcpy(chain->tip_hash, place->hash, SHA256_LEN);
  memcpy(chain->tip_link,
         place->checkpoint && place->has_link ? place->link : place->hash,
         SHA256_LEN);
}

/* Journals of older agents never say what a row follows. */
static bool
continues(const Chain *chain, const AuditPlace *place)
{
  return place->seq == chain->tip_seq + 1 &&
         (place->has_link
              ? memcmp(place->link, chain->tip_link, SHA256_LEN) == 0
              : !chain->linked);
}

static void
begin_chain(Following *at)
{
  Chain *chain = at->chain;
  const AuditPlace *place = at->place;

  chain->first_seq = place->seq;
  chain->linked = place->has_link && !place->checkpoint;
  if (chain->linked)
    memcpy(chain->first_link, place->link, SHA256_LEN);
  if (place->seq > 1) {
    at->out->marks |= AUDIT_MARK_GAP;
    raise_alert(at,
                "gap",
                false,
                "the journal begins here with row %" G_GINT64_FORMAT
                ": what was before never came",
                place->seq);
  }
  move_tip(chain, place);
}

static void
follow_new(Following *at)
{
  Chain *chain = at->chain;
  const AuditPlace *place = at->place;

  if (place->seq > chain->tip_seq + 1 && place->seq > chain->head_seq) {
    at->out->marks |= AUDIT_MARK_GAP;
    raise_alert(at,
                "gap",
                true,
                "rows %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT
                " did not come",
                chain->tip_seq + 1,
                place->seq - 1);
  } else if (place->seq != chain->tip_seq + 1) {
    at->out->marks |= AUDIT_MARK_LATE;
    return;
  } else if (!continues(chain, place)) {
    at->out->marks |= AUDIT_MARK_FORK;
    raise_alert(at,
                "fork",
                true,
                "row %" G_GINT64_FORMAT " does not follow row %" G_GINT64_FORMAT
                " that is held: the journal was cut or rewritten before it",
                place->seq,
                chain->tip_seq);
  }
  move_tip(chain, place);
}

static bool
follow_row(Following *at, GError **error)
{
  Chain *chain = at->chain;
  const AuditPlace *place = at->place;
  const bool goes_on = continues(chain, place);
  bool conflict = false;

  if (place->seq <= chain->head_seq && !settle(at, &conflict, error))
    return false;
  if (at->out->known)
    return true;
  if (place->content == AUDIT_CONTENT_BAD) {
    at->out->marks |= AUDIT_MARK_EDIT;
    raise_alert(at,
                "edit",
                true,
                "row %" G_GINT64_FORMAT " is not what its hash covers",
                place->seq);
  } else if (place->content == AUDIT_CONTENT_PARTIAL) {
    at->out->marks |= AUDIT_MARK_PARTIAL;
  }
  if (conflict) {
    at->out->marks |= AUDIT_MARK_FORK;
    if (!goes_on)
      raise_alert(at,
                  "fork",
                  true,
                  "another row %" G_GINT64_FORMAT
                  " is held: the journal was rewritten",
                  place->seq);
    move_tip(chain, place);
  } else if (chain->tip_seq == 0) {
    begin_chain(at);
  } else if (!at->out->key) {
    follow_new(at);
  }
  return true;
}

/* ---- checkpoints ----------------------------------------------------------
 */

/* The first checkpoint says whose key it is; it must go with the row that was
 * the first of all. */
static void
learn_key(Following *at)
{
  Chain *chain = at->chain;
  const AuditPlace *place = at->place;

  if (place->content != AUDIT_CONTENT_GOOD)
    return;
  chain->has_key = true;
  memcpy(chain->public_key, place->public_key, sizeof chain->public_key);
  memcpy(chain->genesis, place->genesis, SHA256_LEN);
  if (chain->linked && chain->first_seq == 1 &&
      memcmp(chain->first_link, place->genesis, SHA256_LEN) != 0) {
    at->out->marks |= AUDIT_MARK_KEY;
    raise_alert(at,
                "key",
                true,
                "row 1 does not follow the beginning that the checkpoint "
                "behind row %" G_GINT64_FORMAT " names",
                place->seq);
  }
}

static void
check_key(Following *at)
{
  Chain *chain = at->chain;
  const AuditPlace *place = at->place;

  if (!chain->has_key) {
    learn_key(at);
    return;
  }
  if (memcmp(chain->public_key, place->public_key, sizeof place->public_key) ==
          0 &&
      (place->content == AUDIT_CONTENT_PARTIAL ||
       memcmp(chain->genesis, place->genesis, SHA256_LEN) == 0))
    return;
  at->out->marks |= AUDIT_MARK_KEY;
  raise_alert(at,
              "key",
              true,
              "the checkpoint behind row %" G_GINT64_FORMAT
              " is of another key or beginning than those before",
              place->seq);
}

static void
check_head(Following *at)
{
  Chain *chain = at->chain;
  const AuditPlace *place = at->place;

  if (chain->tip_seq == 0) {
    begin_chain(at);
    return;
  }
  if (place->seq < chain->tip_seq) {
    at->out->marks |= AUDIT_MARK_LATE;
    return;
  }
  if (place->seq > chain->tip_seq) {
    at->out->marks |= AUDIT_MARK_GAP;
    raise_alert(at,
                "gap",
                true,
                "rows %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT
                " did not come, but their checkpoint",
                chain->tip_seq + 1,
                place->seq);
  } else if (memcmp(place->hash, chain->tip_hash, SHA256_LEN) != 0) {
    at->out->marks |= AUDIT_MARK_HEAD;
    raise_alert(at,
                "head",
                true,
                "the checkpoint signs another row %" G_GINT64_FORMAT
                " than is held",
                place->seq);
  }
  move_tip(chain, place);
}

/* What can only be as it should. */
static bool
is_expected(const Chain *chain, const AuditPlace *place)
{
  return place->content == AUDIT_CONTENT_GOOD && chain->has_key &&
         place->seq > chain->signed_seq && place->seq == chain->tip_seq &&
         memcmp(place->hash, chain->tip_hash, SHA256_LEN) == 0 &&
         memcmp(place->genesis, chain->genesis, SHA256_LEN) == 0 &&
         memcmp(place->public_key,
                chain->public_key,
                sizeof place->public_key) == 0;
}

static bool
follow_checkpoint(Following *at, GError **error)
{
  Chain *chain = at->chain;
  const AuditPlace *place = at->place;
  bool conflict = false;

  if (!is_expected(chain, place) && !settle(at, &conflict, error))
    return false;
  if (at->out->known)
    return true;
  if (place->content == AUDIT_CONTENT_BAD) {
    at->out->marks |= AUDIT_MARK_SIGNATURE;
    raise_alert(at,
                "signature",
                true,
                "the checkpoint behind row %" G_GINT64_FORMAT
                " is not signed by the key that it names",
                place->seq);
    return true;
  }
  if (conflict) {
    at->out->marks |= AUDIT_MARK_FORK;
    raise_alert(at,
                "fork",
                true,
                "another checkpoint behind row %" G_GINT64_FORMAT
                " is held: the journal was rewritten",
                place->seq);
  }
  if (place->content == AUDIT_CONTENT_PARTIAL)
    at->out->marks |= AUDIT_MARK_PARTIAL;
  check_key(at);
  check_head(at);
  if (!(at->out->marks & ~(unsigned)AUDIT_MARK_GAP) &&
      chain->tip_seq == place->seq) {
    chain->signed_seq = place->seq;
    memcpy(chain->signed_hash, place->hash, SHA256_LEN);
  }
  return true;
}

/* ---- whose journal it is --------------------------------------------------
 */

static bool
is_of(const Chain *chain, const TurnSender *sender)
{
  return g_str_equal(chain->issuer, sender->issuer) &&
         g_str_equal(chain->subject, sender->subject);
}

static void
bind(Chain *chain, const TurnSender *sender)
{
  g_free(chain->machine);
  g_free(chain->issuer);
  g_free(chain->subject);
  g_free(chain->user);
  chain->machine = g_strdup(sender->machine);
  chain->issuer = g_strdup(sender->issuer);
  chain->subject = g_strdup(sender->subject);
  chain->user = g_strdup(sender->user);
}

static bool
first_of_journal(Following *at, GError **error)
{
  Chain *chain = at->chain = g_new0(Chain, 1);
  g_autofree char *before = NULL;
  g_autoptr(GError) why = NULL;
  int64_t head = 0;

  g_strlcpy(chain->journal, at->place->journal, sizeof chain->journal);
  chain->since_us = at->turn->now_us;
  bind(chain, at->sender);
  g_hash_table_insert(at->turn->chains, chain->journal, chain);
  if (!at->sender->machine)
    return true;
  before = chain_before(at->turn->db, at->sender->machine, &head, &why);
  if (before)
    raise_alert(at,
                "journal",
                false,
                "the machine began another journal; of the last one, %s, "
                "%" G_GINT64_FORMAT " rows came",
                before,
                head);
  if (why)
    g_propagate_error(error, g_steal_pointer(&why));
  return !why;
}

/* A collector passes on what others recorded; a machine sends its own. */
static void
check_sender(Following *at)
{
  Chain *chain = at->chain;
  const TurnSender *sender = at->sender;

  chain->foreign = false;
  if (!sender->machine || g_strcmp0(chain->machine, sender->machine) == 0)
    return;
  if (!chain->machine) {
    bind(chain, sender);
  } else if (is_of(chain, sender)) {
    raise_alert(at,
                "machine",
                false,
                "the journal is sent by another machine, %s, of the same "
                "person",
                sender->machine);
    bind(chain, sender);
  } else {
    chain->foreign = true;
  }
}

static bool
find_chain(Following *at, GError **error)
{
  at->chain = g_hash_table_lookup(at->turn->chains, at->place->journal);
  if (!at->chain) {
    if (!chain_load(at->turn->db, at->place->journal, &at->chain, error))
      return false;
    if (!at->chain)
      return first_of_journal(at, error);
    g_hash_table_insert(at->turn->chains, at->chain->journal, at->chain);
  }
  check_sender(at);
  return true;
}

bool
follow(Turn *turn,
       const TurnSender *sender,
       const AuditRow *row,
       Followed *out,
       GError **error)
{
  Following at = {.turn = turn,
                  .sender = sender,
                  .row = row,
                  .place = &row->place,
                  .out = out};

  *out = (Followed){0};
  if (!find_chain(&at, error))
    return false;
  if (at.chain->foreign) {
    if (!set_aside(&at, error))
      return false;
    out->marks = AUDIT_MARK_FOREIGN;
    if (!out->known)
      raise_alert(&at,
                  "foreign",
                  false,
                  "%s sent rows of this journal from machine %s",
                  sender->user,
                  sender->machine);
    return true;
  }
  if (row->place.checkpoint ? !follow_checkpoint(&at, error)
                            : !follow_row(&at, error))
    return false;
  at.chain->last_us = turn->now_us;
  at.chain->head_seq = MAX(at.chain->head_seq, row->place.seq);
  return true;
}
