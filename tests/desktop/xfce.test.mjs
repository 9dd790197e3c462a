// SPDX-License-Identifier: Apache-2.0
// The tray on a real desktop, XFCE: a person sees that a request waits and
// answers it by the notification, by the menu and in the review.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';

import { agentProgram, callOf, Fixture, startAgent, startBackend, tempDir, until } from '../flow/lib/harness.mjs';
import { Desktop, missing } from './desktop.mjs';

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
const GREY = '8C9199';

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
  desktop = await new Desktop(fixture, agent, shots).start();
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

/** A request that is held: {promise} of its answer. */
async function held() {
  const { path, body } = callOf('chat', `show me password ${++asked}`);
  const promise = client.post(path, body, { timeoutMs: 120000 });
  await until(async () => (await agent.json('pending')).length === 1, 'a held request');
  return { promise };
}

on('idle: a ring in the panel, small and quiet', async () => {
  await desktop.icon(GREEN);
  desktop.shot('idle');
  const status = fs.readFileSync(`/proc/${desktop.tray.pid}/status`, 'utf8');
  const [, rss] = /VmRSS:\s+(\d+)/.exec(status);
  assert.ok(Number(rss) <= 10240, `${rss} KiB resident`);
});

on('the notification: Deny, clicked', async () => {
  const { promise } = await held();
  await desktop.icon(AMBER);
  await desktop.word(/credentials/);
  desktop.shot('notification');
  desktop.click(await desktop.word(/^Deny$/));
  const answer = await promise;
  assert.equal(answer.status, 400);
  assert.match(answer.text, /denied/);
  await desktop.icon(GREEN);
  assert.equal((await backend.modelCalls()).length, 0);
});

on('the menu: Approve once, clicked', async () => {
  const { promise } = await held();
  desktop.click(await desktop.icon(AMBER), 3);
  await desktop.word(/^Pause$/);
  desktop.click(await desktop.word(/credentials/));
  desktop.shot('menu');
  desktop.click(await desktop.word(/^once$/));
  assert.equal((await promise).status, 200);
  assert.equal((await backend.modelCalls()).length, 1);
});

on('the review in a terminal, answered there', async () => {
  const { promise } = await held();
  const [{ id }] = await agent.json('pending');
  desktop.child('xterm', ['-e', agentProgram(), 'review', id]);
  await desktop.word(/^Answer/);
  desktop.type('deny by the review');
  const answer = await promise;
  assert.equal(answer.status, 400);
  assert.match(answer.text, /by the review/);
});

on('decided elsewhere: the notification goes', async () => {
  const { promise } = await held();
  await desktop.word(/^Deny$/);
  const [{ id }] = await agent.json('pending');
  assert.equal((await agent.cli(['approve', id])).code, 0);
  assert.equal((await promise).status, 200);
  await until(() => !desktop.words().some((word) => word.text === 'Deny'), 'no notification', 20000, 200);
});

on('the agent ends and returns', async () => {
  await agent.stop();
  await desktop.icon(GREY);
  await agent.restart();
  await desktop.icon(GREEN);
});
