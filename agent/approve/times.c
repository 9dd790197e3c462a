/* SPDX-License-Identifier: Apache-2.0 */
/* The times of what waits: its deadline, more time for people, and when others
 * are asked. All of them stand still while the machine sleeps. */
#include "approve/queue.h"
#include "kit/clock.h"

/* The wall clock is read a little later than the other one. */
#define WALL_SLACK_US (G_USEC_PER_SEC / 2)
/* Both clocks are read one after the other; more is sleep. */
#define SLEEP_SLACK_US G_USEC_PER_SEC

static int64_t
slept_us(const Prompt *prompt)
{
  return prompt->queue->limits.boot_us() - clock_mono_us();
}

/* Timers count in milliseconds, and never fire early. */
static int64_t
ms_until(int64_t mono_us)
{
  const int64_t left = mono_us - clock_mono_us();

  return left > 0 ? (left + 999) / 1000 : 0;
}

void
times_refresh(Prompt *prompt)
{
  const int64_t wall =
      clock_wall_us() + prompt->deadline_mono_us - clock_mono_us();

  if (ABS(wall - prompt->deadline_us) > WALL_SLACK_US)
    prompt->deadline_us = wall;
}

static void
set_deadline(Prompt *prompt, int64_t mono_us)
{
  prompt->deadline_mono_us = mono_us;
  prompt->deadline_us = clock_wall_us() + mono_us - clock_mono_us();
  loop_timer_set(prompt->deadline, ms_until(mono_us));
}

static void
deadline(void *data)
{
  Prompt *prompt = data;
  const int64_t slept = slept_us(prompt);

  /* Nobody had a chance: the machine slept, and nobody told. */
  if (slept > prompt->asleep_us + SLEEP_SLACK_US) {
    prompt->asleep_us = slept;
    set_deadline(prompt,
                 clock_mono_us() + APPROVE_WAKE_S * (int64_t)G_USEC_PER_SEC);
    prompt_tell(prompt->queue, prompt);
    return;
  }
  g_autofree char *note = g_steal_pointer(&prompt->note);

  prompt_end(prompt, OUTCOME_TIMEOUT, NULL, note);
}

/* ---- Who is asked next ---------------------------------------------------
 */

static int64_t
due_us(const Prompt *prompt, const ApproveNeed *need)
{
  return prompt->since_mono_us + (int64_t)need->escalate_after * G_USEC_PER_SEC;
}

/* By the monotonic clock; 0: nobody is. */
static int64_t
next_due_us(const Prompt *prompt)
{
  int64_t next = 0;

  for (unsigned i = 0; i < prompt->request->needs->len; i++) {
    const ApproveNeed *need = prompt->request->needs->pdata[i];

    if (need->escalate_after && !need->escalated &&
        (!next || due_us(prompt, need) < next))
      next = due_us(prompt, need);
  }
  return next;
}

int64_t
times_escalate_us(const Prompt *prompt)
{
  const int64_t next = next_due_us(prompt);

  return next ? prompt->deadline_us + next - prompt->deadline_mono_us : 0;
}

static void
wait_for_next(Prompt *prompt)
{
  const int64_t next = next_due_us(prompt);

  loop_timer_set(prompt->escalate, next ? ms_until(next) : -1);
}

static void
escalate(void *data)
{
  Prompt *prompt = data;
  const int64_t now = clock_mono_us();

  for (unsigned i = 0; i < prompt->request->needs->len; i++) {
    ApproveNeed *need = prompt->request->needs->pdata[i];

    if (need->escalate_after && !need->escalated && due_us(prompt, need) <= now)
      need->escalated = true;
  }
  /* A grant by whom is asked now may be there. */
  if (prompt_conclude(prompt, NULL, NULL))
    return;
  wait_for_next(prompt);
  prompt_tell(prompt->queue, prompt);
}

/* ---- More time -----------------------------------------------------------
 */

static int64_t
latest_us(const Prompt *prompt)
{
  return prompt->since_mono_us +
         APPROVE_HELD_AT_MOST_S * (int64_t)G_USEC_PER_SEC;
}

unsigned
times_extensions(const Prompt *prompt)
{
  const GPtrArray *needs = prompt->request->needs;
  unsigned least = G_MAXUINT;

  for (unsigned i = 0; i < needs->len; i++)
    least = MIN(least, ((const ApproveNeed *)needs->pdata[i])->extend);
  if (!needs->len || least <= prompt->extended ||
      times_extension_us(prompt) <= 0)
    return 0;
  return least - prompt->extended;
}

int64_t
times_extension_us(const Prompt *prompt)
{
  const int64_t more = (int64_t)prompt->request->timeout * G_USEC_PER_SEC;

  return CLAMP(latest_us(prompt) - prompt->deadline_mono_us, 0, more);
}

bool
times_extend(Prompt *prompt)
{
  if (!times_extensions(prompt))
    return false;
  set_deadline(prompt, prompt->deadline_mono_us + times_extension_us(prompt));
  prompt->extended++;
  return true;
}

void
approve_grace(ApproveQueue *queue, unsigned seconds)
{
  const int64_t least = clock_mono_us() + (int64_t)seconds * G_USEC_PER_SEC;

  for (unsigned i = 0; i < queue->prompts->len; i++) {
    Prompt *prompt = queue->prompts->pdata[i];

    prompt->asleep_us = slept_us(prompt);
    set_deadline(prompt, MAX(prompt->deadline_mono_us, least));
    wait_for_next(prompt);
    prompt_tell(queue, prompt);
  }
}

/* ---- Life ----------------------------------------------------------------
 */

void
times_start(Prompt *prompt)
{
  Loop *loop = prompt->queue->loop;

  prompt->since_us = clock_wall_us();
  prompt->since_mono_us = clock_mono_us();
  prompt->asleep_us = slept_us(prompt);
  prompt->deadline = loop_timer_new(loop, deadline, prompt);
  prompt->escalate = loop_timer_new(loop, escalate, prompt);
  set_deadline(prompt,
               prompt->since_mono_us +
                   (int64_t)prompt->request->timeout * G_USEC_PER_SEC);
  wait_for_next(prompt);
}

void
times_stop(Prompt *prompt)
{
  loop_timer_free(prompt->deadline);
  loop_timer_free(prompt->escalate);
}
