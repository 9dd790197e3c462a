// SPDX-License-Identifier: Apache-2.0
// The tray on a second real desktop: sway, waybar's tray, and mako, which draws
// no buttons: a click on the notification itself is the review.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { callOf, Fixture, startAgent, startBackend, tempDir, until } from '../flow/lib/harness.mjs';
import { missing, Sway } from './sway.mjs';

const POLICY = `
version: 1
default: allow
rules:
  - id: asks-for-credentials
    match: {direction: request, prompt: 'show me'}
    action: approve
    by: [developer]
    timeout: 120
`;
/** The inks of tray/icon.c. */
const GREEN = '29A687';
const AMBER = 'F59E0A';
/** The locked screen's. */
const LOCKED = '204060';

const absent = missing();
const fixture = new Fixture();
let backend;
let agent;
let desktop;
let client;

before(async () => {
  if (absent) return;
  const shots = process.env.HOOP_SHOTS ?? tempDir(fixture, 'hoop-shots-');
  fs.mkdirSync(shots, { recursive: true });
  backend = await startBackend(fixture);
  agent = await startAgent(fixture, { backend, policy: POLICY });
  client = agent.client({ mode: 'base-url', token: backend.token });
  desktop = await new Sway(fixture, agent, shots).start();
  desktop.startTray();
});
after(() => fixture.close());

const on = (name, body) =>
  test(name, async (t) => {
    if (absent) return t.skip(`not installed: ${absent}`);
    await backend.reset();
    await body(t);
  });

let asked = 0;

/** A request that is held: {promise} of its answer and its {id}. */
async function held() {
  desktop.moveAway();
  const { path, body } = callOf('chat', `show me password ${++asked}`);
  const promise = client.post(path, body, { timeoutMs: 120000 });
  const [{ id }] = await until(async () => {
    const pending = await agent.json('pending');
    return pending.length === 1 && pending;
  }, 'a held request');
  return { promise, id };
}

const deny = async (id) => assert.equal((await agent.cli(['deny', id])).code, 0);
const gone = () =>
  until(() => !desktop.words().some((word) => /credentials/.test(word.text)), 'no notification', 20000, 200);

on('the item is in the bar', async () => {
  await desktop.icon(GREEN);
  desktop.shot('idle');
});

on('a click on the notification: the review', async () => {
  const { promise, id } = await held();
  await desktop.icon(AMBER);
  await desktop.click(await desktop.word(/credentials/));
  await desktop.word(/^(Answer|Deny)/); // a terminal's question, or the window's button
  desktop.shot('review');
  await deny(id);
  assert.equal((await promise).status, 400);
  await desktop.icon(GREEN);
  desktop.closeWindows();
  await gone();
});

on('the menu: Approve once, clicked', async () => {
  const { promise } = await held();
  await desktop.word(/credentials/);
  // The menu would open below what covers its place.
  desktop.mako('dismiss');
  await gone();
  await desktop.click(await desktop.icon(AMBER), 3);
  await desktop.word(/^Pause$/);
  await desktop.click(await desktop.word(/credentials/));
  await desktop.word(/^Approve$/);
  desktop.shot('menu');
  await desktop.click(await desktop.word(/^once$/));
  assert.equal((await promise).status, 200);
  assert.equal((await backend.modelCalls()).length, 1);
});

on('dismissed, by a click: it waits on', async () => {
  const { promise, id } = await held();
  await desktop.click(await desktop.word(/credentials/), 3);
  await gone();
  assert.equal((await agent.json('pending')).length, 1);
  await desktop.icon(AMBER);
  assert.equal((await agent.cli(['approve', id])).code, 0);
  assert.equal((await promise).status, 200);
});

on('mako is restarted: it is shown again', async () => {
  const { promise, id } = await held();
  await desktop.word(/credentials/);
  await desktop.notifyd.stop('SIGKILL');
  await gone();
  desktop.startNotifications();
  await desktop.word(/credentials/);
  assert.equal((await agent.json('pending')).length, 1);
  await deny(id);
  assert.equal((await promise).status, 400);
  await gone();
});

// What locks this screen tells nobody so; it only covers what is shown.
on('swaylock: nothing is shown over it, nothing denied; then it is there', async (t) => {
  if (!desktop.has('swaylock')) return t.skip('not installed: swaylock');
  const lock = desktop.desktopChild('swaylock', ['--color', LOCKED]);
  await desktop.icon(LOCKED);
  const { promise, id } = await held();
  await sleep(3000);
  desktop.shot('locked');
  assert.ok(!desktop.words().some((word) => /credentials/.test(word.text)), 'nothing over the lock');
  assert.ok(!desktop.colour(AMBER), 'nor the item');
  assert.equal((await agent.json('pending')).length, 1);
  lock.process.kill('SIGUSR1'); // as its manual says: unlocks
  await desktop.word(/credentials/);
  assert.equal((await agent.cli(['approve', id])).code, 0);
  assert.equal((await promise).status, 200);
  await gone();
});

on('waybar is restarted: the item is there again', async () => {
  await desktop.panel.stop('SIGKILL');
  await until(() => !desktop.colour(GREEN), 'no bar', 20000, 200);
  desktop.startPanel();
  await desktop.icon(GREEN);
});
