/* SPDX-License-Identifier: Apache-2.0 */
/* What the tray says: states and sentences from what the daemon tells, nothing
 * of a stranger's text but harmless signs, and icons that differ in shape. */
#include "tray/icon.h"
#include "tray/model.h"
#include <string.h>

static GVariant *
parsed(const char *text)
{
  g_autoptr(GError) error = NULL;
  GVariant *variant = g_variant_parse(NULL, text, NULL, NULL, &error);

  g_assert_no_error(error);
  return variant;
}

static void
take_status(TrayModel *model, const char *text)
{
  g_autoptr(GVariant) status = parsed(text);

  tray_model_take_status(model, status);
}

static void
take_pending(TrayModel *model, const char *text)
{
  g_autoptr(GVariant) pending = parsed(text);

  tray_model_take_pending(model, pending);
}

static void
take_sessions(TrayModel *model, const char *text)
{
  g_autoptr(GVariant) sessions = parsed(text);

  tray_model_take_sessions(model, sessions);
}

#define ONE                                                                    \
  "{'id': <'a1'>, 'rules': <['cards']>, 'approvers': <['developer']>, "        \
  "'process': <'/usr/bin/code'>, 'model': <'gpt-4.1'>, "                       \
  "'findings': <uint32 3>, 'waiting': <uint32 1>, 'can_mask': <true>, "        \
  "'can_grant': <false>, 'deadline_us': <int64 5>}"

static void
test_states(void)
{
  g_autoptr(TrayModel) model = tray_model_new();

  g_assert_cmpint(tray_model_state(model), ==, TRAY_DISCONNECTED);
  take_status(model, "{'journal': <'ok'>}");
  g_assert_cmpint(tray_model_state(model), ==, TRAY_IDLE);
  take_status(model, "{'journal': <'no space left on device'>}");
  g_assert_cmpint(tray_model_state(model), ==, TRAY_BLOCKED);
  take_status(model, "{'journal': <'ok'>, 'paused': <'an administrator'>}");
  g_assert_cmpint(tray_model_state(model), ==, TRAY_PAUSED);
  take_pending(model, "[" ONE "]");
  g_assert_cmpint(tray_model_state(model), ==, TRAY_PENDING);
  tray_model_lost(model, "gone");
  g_assert_cmpint(tray_model_state(model), ==, TRAY_DISCONNECTED);
  g_assert_cmpuint(model->pending->len, ==, 0);
}

static void
test_signed_out(void)
{
  g_autoptr(TrayModel) model = tray_model_new();
  g_autofree char *details = NULL;

  take_status(model, "{'journal': <'ok'>}");
  take_sessions(model,
                "[{'name': <'solo'>, 'issuer': <'local'>, 'user': <'ann'>},"
                " {'name': <'corp'>, 'issuer': <'https://id.example'>,"
                "  'user': <'ann'>}]");
  g_assert_null(tray_model_signed_out(model));
  take_sessions(model,
                "[{'name': <'corp'>, 'issuer': <'https://id.example'>}]");
  g_assert_cmpint(tray_model_state(model), ==, TRAY_BLOCKED);
  details = tray_model_details(model);
  g_assert_cmpstr(details, ==, "Sign in to corp to go on.");
}

static void
test_shipping(void)
{
  g_autoptr(TrayModel) model = tray_model_new();
  g_autofree char *fine = NULL;
  g_autofree char *behind = NULL;

  take_status(model, "{'shipping': <{'behind_rows': <int64 4>}>}");
  fine = tray_model_details(model);
  g_assert_cmpstr(fine, ==, "");
  take_status(model,
              "{'shipping': <{'behind_rows': <int64 4>, 'problem': <'no "
              "answer'>}>}");
  behind = tray_model_details(model);
  g_assert_cmpstr(
      behind, ==, "4 rows of the record wait to be sent: no answer");
}

static void
test_pending(void)
{
  g_autoptr(TrayModel) model = tray_model_new();
  g_autofree char *headline = NULL;
  g_autofree char *details = NULL;
  const TrayPending *pending;

  take_status(model, "{'journal': <'ok'>}");
  take_pending(model, "[" ONE "]");
  pending = tray_model_find(model, "a1");
  g_assert_nonnull(pending);
  g_assert_true(pending->ours && pending->can_mask && !pending->can_grant);
  headline = tray_model_headline(model);
  details = tray_model_details(model);
  g_assert_cmpstr(headline, ==, "A request waits for your answer");
  g_assert_cmpstr(
      details, ==, "cards: 3 findings \xc2\xb7 gpt-4.1 \xc2\xb7 code");
  g_assert_null(tray_model_find(model, "a"));
}

/* Rows without an id, or of other types, are passed over. */
static void
test_odd_rows(void)
{
  g_autoptr(TrayModel) model = tray_model_new();

  take_pending(model,
               "[{'rules': <['x']>}, {'id': <int64 7>}, {'id': <'b'>, "
               "'findings': <'many'>, 'rules': <'one'>}]");
  g_assert_cmpuint(model->pending->len, ==, 1);
  g_assert_false(tray_model_find(model, "b")->ours);
}

static void
test_decided(void)
{
  g_autoptr(TrayModel) model = tray_model_new();
  const TrayDecision *last;

  take_status(model, "{'journal': <'ok'>}");
  take_pending(model, "[" ONE "]");
  tray_model_decided(model, "a1", "approved", "ann");
  g_assert_cmpuint(model->pending->len, ==, 0);
  last = model->decisions->pdata[0];
  g_assert_cmpstr(last->rules, ==, "cards");
  g_assert_cmpstr(last->outcome, ==, "approved");
  for (unsigned i = 0; i < 50; i++)
    tray_model_decided(model, "other", "denied", "");
  g_assert_cmpuint(model->decisions->len, ==, 8);
}

static void
test_shown(void)
{
  static const struct {
    const char *text, *shown;
  } rows[] = {
      {"plain text 1.2", "plain text 1.2"},
      {"<b>bold</b>", "?b?bold?/b?"},
      {"a&amp;b", "a?amp?b"},
      {"line\nend\ttab", "line?end?tab"},
      {"\xe2\x80\xae"
       "txt.exe",
       "?txt.exe"},
      {"\xf0\x9f\x98\x80", "?"},
      {"bad\xff\xfe", "bad??"},
      {"'\"`$;|", "??????"},
      {"", ""},
  };
  g_autofree char *large = g_strnfill(1 << 20, 'x');
  g_autofree char *cut = tray_shown(large, 10);

  for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *shown = tray_shown(rows[i].text, 40);

    g_assert_cmpstr(shown, ==, rows[i].shown);
  }
  g_assert_cmpstr(cut, ==, "xxxxxxxxxx\xe2\x80\xa6");
}

static bool
is_inked(const uint8_t *pixel)
{
  return pixel[0] > 200 && pixel[1] + pixel[2] + pixel[3] > 3 * 70;
}

/* The share of the pixels inked in one of two states that are so in both. */
static double
sameness(TrayState a, TrayState b, unsigned size)
{
  g_autofree uint8_t *one = tray_icon_draw(a, size);
  g_autofree uint8_t *other = tray_icon_draw(b, size);
  unsigned same = 0, drawn = 0;

  for (unsigned i = 0; i < size * size; i++) {
    bool in_one = is_inked(one + 4 * i), in_other = is_inked(other + 4 * i);

    drawn += in_one || in_other;
    same += in_one && in_other;
  }
  return (double)same / drawn;
}

static void
test_icons_differ_in_shape(void)
{
  for (unsigned a = 0; a < N_TRAY_STATES; a++)
    for (unsigned b = a + 1; b < N_TRAY_STATES; b++)
      g_assert_cmpfloat(sameness(a, b, 22), <, 0.9);
}

/* Corners stay clear, and each icon shows on white and on black. */
static void
test_icons_show(void)
{
  for (unsigned state = 0; state < N_TRAY_STATES; state++) {
    g_autofree uint8_t *pixels = tray_icon_draw(state, 32);
    bool dark = false, bright = false;

    g_assert_cmpuint(pixels[0], ==, 0);
    for (unsigned i = 0; i < 32 * 32; i++) {
      const uint8_t *p = pixels + 4 * i;
      unsigned light = (p[1] * 3 + p[2] * 6 + p[3]) / 10;

      dark |= p[0] > 150 && light < 70;
      bright |= p[0] > 200 && light > 70;
    }
    g_assert_true(dark && bright);
  }
}

static void
test_pixmaps(void)
{
  g_autoptr(GVariant) pixmaps =
      g_variant_ref_sink(tray_icon_pixmaps(TRAY_IDLE));
  GVariantIter iter;
  gint32 width, height;
  GVariant *bytes;
  unsigned n = 0;

  g_variant_iter_init(&iter, pixmaps);
  while (g_variant_iter_next(&iter, "(ii@ay)", &width, &height, &bytes)) {
    g_assert_cmpint(width, ==, height);
    g_assert_cmpuint(g_variant_get_size(bytes), ==, 4 * width * height);
    g_variant_unref(bytes);
    n++;
  }
  g_assert_cmpuint(n, >=, 4);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/tray/model/states", test_states);
  g_test_add_func("/tray/model/signed-out", test_signed_out);
  g_test_add_func("/tray/model/shipping", test_shipping);
  g_test_add_func("/tray/model/pending", test_pending);
  g_test_add_func("/tray/model/odd-rows", test_odd_rows);
  g_test_add_func("/tray/model/decided", test_decided);
  g_test_add_func("/tray/model/shown", test_shown);
  g_test_add_func("/tray/icon/differ-in-shape", test_icons_differ_in_shape);
  g_test_add_func("/tray/icon/show-on-both-panels", test_icons_show);
  g_test_add_func("/tray/icon/pixmaps", test_pixmaps);
  return g_test_run();
}
