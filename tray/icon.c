/* SPDX-License-Identifier: Apache-2.0 */
/* Icons by distance: a pixel's colour follows from how far it lies from each
 * stroke. The unit is the icon's width; the middle is 0, 0. */
#include "tray/icon.h"
#include <math.h>
#include <string.h>

/* Panels of 1080p to 4K screens; they scale the nearest one. */
static const unsigned sizes[] = {16, 22, 24, 32, 48, 64};
/* The ring of every state: its middle line and half its breadth. */
#define RING 0.36
#define HALF_STROKE 0.065
/* The edge around all strokes that parts them from the panel. */
#define EDGE 0.035

typedef struct {
  double r, g, b;
} Ink;

/* Told apart also by those who see no red or no green. */
static const Ink inks[N_TRAY_STATES] = {
    [TRAY_IDLE] = {0.16, 0.65, 0.53},
    [TRAY_BLOCKED] = {0.80, 0.20, 0.18},
    [TRAY_PAUSED] = {0.25, 0.47, 0.85},
    [TRAY_PENDING] = {0.96, 0.62, 0.04},
    [TRAY_DISCONNECTED] = {0.55, 0.57, 0.60},
};

/* ---- Distances (0 on the stroke's middle line) ---------------------------
 */

static double
to_segment(double x, double y, double ax, double ay, double bx, double by)
{
  double dx = bx - ax, dy = by - ay;
  double along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy);

  along = CLAMP(along, 0, 1);
  return hypot(x - (ax + along * dx), y - (ay + along * dy));
}

static double
to_ring(double x, double y)
{
  return fabs(hypot(x, y) - RING);
}

/* The ring, open at its upper right. */
static double
to_open_ring(double x, double y)
{
  double angle = atan2(-y, x);

  if (angle > 0.15 && angle < 1.45)
    return fmin(hypot(x - RING * cos(0.15), y + RING * sin(0.15)),
                hypot(x - RING * cos(1.45), y + RING * sin(1.45)));
  return to_ring(x, y);
}

/* How far outside of the state's shape; negative inside. */
static double
outside(TrayState state, double x, double y)
{
  double ring = to_ring(x, y) - HALF_STROKE;

  switch (state) {
  case TRAY_PENDING: /* a full disc; the sign on it is cut out */
    return hypot(x, y) - (RING + HALF_STROKE);
  case TRAY_PAUSED: /* two bars */
    return fmin(to_segment(x, y, -0.19, -0.26, -0.19, 0.26),
                to_segment(x, y, 0.19, -0.26, 0.19, 0.26)) -
           0.12;
  case TRAY_BLOCKED: /* no entry */
    return fmin(
        ring,
        to_segment(x, y, -RING * 0.7, -RING * 0.7, RING * 0.7, RING * 0.7) -
            HALF_STROKE);
  case TRAY_DISCONNECTED: /* the ring is broken */
    return to_open_ring(x, y) - HALF_STROKE;
  case TRAY_IDLE: /* the ring, and what went through it */
  default:
    return fmin(ring, hypot(x, y) - 0.09);
  }
}

/* The exclamation mark of a request that waits. */
static double
outside_mark(double x, double y)
{
  return fmin(to_segment(x, y, 0, -0.22, 0, 0.04) - 0.06,
              hypot(x, y - 0.22) - 0.07);
}

/* ---- Pixels --------------------------------------------------------------
 */

/* 1 inside, 0 outside, in between within a pixel of the edge. */
static double
cover(double distance, unsigned size)
{
  return CLAMP(0.5 - distance * size, 0, 1);
}

static uint8_t
byte_of(double share)
{
  return (uint8_t)lrint(CLAMP(share, 0, 1) * 255);
}

/* The ink over the edge, which is dark on nothing: seen on both panels. */
static void
draw_pixel(TrayState state, unsigned size, double x, double y, uint8_t *pixel)
{
  const Ink *ink = &inks[state];
  double far = outside(state, x, y);
  double shape = cover(far, size);
  double edge = cover(far - EDGE, size) * 0.8;
  double mark = state == TRAY_PENDING ? cover(outside_mark(x, y), size) : 0;
  double alpha = shape + (1 - shape) * edge;
  double part = alpha > 0 ? shape / alpha : 0; /* ink's share of the colour */
  double dark = 0.11;

  pixel[0] = byte_of(alpha);
  pixel[1] =
      byte_of(part * (ink->r * (1 - mark) + dark * mark) + (1 - part) * dark);
  pixel[2] =
      byte_of(part * (ink->g * (1 - mark) + dark * mark) + (1 - part) * dark);
  pixel[3] =
      byte_of(part * (ink->b * (1 - mark) + dark * mark) + (1 - part) * dark);
}

uint8_t *
tray_icon_draw(TrayState state, unsigned size)
{
  uint8_t *pixels = g_malloc((size_t)size * size * 4);

  for (unsigned row = 0; row < size; row++)
    for (unsigned column = 0; column < size; column++)
      draw_pixel(state,
                 size,
                 (column + 0.5) / size - 0.5,
                 (row + 0.5) / size - 0.5,
                 pixels + ((size_t)row * size + column) * 4);
  return pixels;
}

GVariant *
tray_icon_pixmaps(TrayState state)
{
  GVariantBuilder list;

  g_variant_builder_init(&list, G_VARIANT_TYPE("a(iiay)"));
  for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
    size_t n = (size_t)sizes[i] * sizes[i] * 4;
    uint8_t *pixels = tray_icon_draw(state, sizes[i]);

    g_variant_builder_add(
        &list,
        "(ii@ay)",
        (gint32)sizes[i],
        (gint32)sizes[i],
        g_variant_new_from_data(
            G_VARIANT_TYPE_BYTESTRING, pixels, n, TRUE, g_free, pixels));
  }
  return g_variant_builder_end(&list);
}
