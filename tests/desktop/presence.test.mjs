// SPDX-License-Identifier: Apache-2.0
// Presence asked for by the review window: the person approves there, a real
// polkitd asks for their password through the agent of that program, and a
// wrong one changes nothing.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { agentProgram, Fixture, startBackend, tempDir, until } from '../flow/lib/harness.mjs';
import { missing as missingPolkit, PASSWORD, Presence } from '../flow/lib/presence.mjs';
import { Desktop, missing } from './desktop.mjs';

const program = path.join(path.dirname(agentProgram()), 'hoop-review');
const absent = missing() ?? missingPolkit() ?? (fs.existsSync(program) ? undefined : 'hoop-review');
const fixture = new Fixture();
let backend;
let desk;
let desktop;
let window;

before(async () => {
  if (absent) return;
  const shots = process.env.HOOP_SHOTS ?? tempDir(fixture, 'hoop-shots-');
  fs.mkdirSync(shots, { recursive: true });
  backend = await startBackend(fixture);
  desk = await new Presence(fixture, backend).start();
  desk.installAction();
  await desk.startPolkitd();
  desktop = await new Desktop(fixture, desk, shots).start();
  window = desk.own(program);
});
after(() => fixture.close());

/** Approves in the window; `person` answers the question for a password. */
async function approve(id, person) {
  // This user has no session bus: the window does without.
  const env = { ...desk.env, DISPLAY: desktop.env.DISPLAY, GDK_BACKEND: 'x11', GSK_RENDERER: 'cairo' };
  const review = desk.asNobody([window, id], { env });
  await until(() => desktop.windows('^Review$').length === 1 || !review.running, 'the window', 30000, 200);
  const agent = desk.asNobody(['script', '-qec', `pkttyagent --process ${review.pid}`, '/dev/null'], { input: 'pipe' });
  // It is dead for a moment, so that nobody approves by a slip.
  await until(() => {
    desktop.tool('xdotool', 'key', '--clearmodifiers', 'alt+a');
    return /assword:/.test(agent.stdout) || !agent.running;
  }, 'to be asked for a password', 30000, 500);
  desktop.shot(`presence-${person}`);
  await desk.answer(agent, person === 'right' ? PASSWORD : 'not-that-one');
  return { review, agent };
}

test('a wrong password is no, the right one yes', { skip: absent }, async () => {
  const { ended, id } = await desk.held();
  const wrong = await approve(id, 'wrong');
  await desktop.word(/^prove$/);
  assert.equal((await desk.pending()).length, 1);
  assert.deepEqual(await backend.modelCalls(), []);
  await wrong.review.stop();
  await wrong.agent.stop();
  await until(() => desktop.windows('^Review$').length === 0, 'no window', 30000, 200);
  await approve(id, 'right');
  assert.equal(await ended, 200);
  assert.equal((await backend.modelCalls()).length, 1);
  assert.match((await desk.cli('journal', 'show', id)).stdout, /presence/);
});
