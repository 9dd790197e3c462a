// SPDX-License-Identifier: Apache-2.0
// The review window on a real desktop: opened by the tray, read, and answered
// with the mouse and with the keyboard alone.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { agentProgram, callOf, Fixture, startAgent, startBackend, tempDir, until } from '../flow/lib/harness.mjs';
import { Desktop, missing } from './desktop.mjs';

const POLICY = `
version: 1
default: allow
rules:
  - id: secrets-need-a-look
    match: {direction: request, finding: {class: secret}}
    action: approve
    by: [developer]
    timeout: 120
    message: A secret would leave this machine.
`;
const AMBER = 'F59E0A';
const KEY = `AKIA${'Z7QK2MWX5TPLV3RD'}`;

const program = path.join(path.dirname(agentProgram()), 'hoop-review');
const absent = missing() ?? (fs.existsSync(program) ? undefined : 'hoop-review');
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
});
after(() => fixture.close());

const on = (name, body) =>
  test(name, async (t) => {
    if (absent) return t.skip(`not installed: ${absent}`);
    await backend.reset();
    await body(t);
  });

const command = JSON.stringify({
  command: `aws configure set aws_access_key_id ${KEY}`,
  explanation: 'Sets the key for the deployment',
});

/** A chat that is held: {promise} of its answer, its id. Each is another one. */
let asked = 0;
async function held(user = `Deploy to staging with ${KEY}, please. (${++asked})`) {
  const { path: target } = callOf('chat', '');
  const messages = [
    { role: 'system', content: 'You are a coding assistant in the editor of a developer.' },
    { role: 'user', content: user },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'c1', type: 'function', function: { name: 'run_in_terminal', arguments: command } }],
    },
    { role: 'tool', tool_call_id: 'c1', content: 'exit code 0' },
    { role: 'user', content: 'Thanks. Now write \u202egnp.exe\u202c to <b>docs</b>, too.' },
  ];
  for (const { id } of await agent.json('pending')) await agent.cli(['deny', id]);
  const promise = client.post(target, { model: 'gpt-4.1', stream: true, messages }, { timeoutMs: 120000 });
  await until(async () => (await agent.json('pending')).length === 1, 'a held request');
  const [{ id }] = await agent.json('pending');
  return { promise, id };
}

const windows = () => desktop.windows('^Review$');
const isOpen = () => until(() => windows().length === 1, 'the review window', 30000, 200);
const isClosed = () => until(() => windows().length === 0, 'no review window', 30000, 200);

function open(id) {
  return desktop.child(program, [id]);
}

/** Presses these keys until the request is answered: the button comes to life
 * when what is on the screen was noted as seen. */
async function answerWith(chord) {
  await until(
    async () => {
      if (windows().length) keys(chord);
      return (await agent.json('pending')).length === 0;
    },
    'an answer',
    30000,
    400,
  );
}

function keys(...names) {
  for (const name of names) desktop.tool('xdotool', 'key', '--clearmodifiers', name);
}

on('started by the tray; Alt+M sends it masked', async () => {
  desktop.startTray();
  const { promise } = await held();
  desktop.click(await desktop.icon(AMBER));
  await isOpen();
  desktop.tool('xdotool', 'mousemove', '10', '690');
  await desktop.word(/^Deny$/);
  desktop.shot('review');
  await answerWith('alt+m');
  assert.equal((await promise).status, 200);
  await isClosed();
  const [call] = await backend.modelCalls();
  assert.ok(!JSON.stringify(call).includes(KEY));
});

on('the mouse: Approve, clicked where it is read', async () => {
  const { promise, id } = await held();
  open(id);
  await isOpen();
  await desktop.word(/^Deny$/);
  await sleep(2000);
  const words = desktop.words().filter((word) => /^Approve$/.test(word.text));
  assert.ok(words.length > 0);
  desktop.click(words.reduce((right, word) => (word.x > right.x ? word : right)));
  assert.equal((await promise).status, 200);
  const [call] = await backend.modelCalls();
  assert.ok(JSON.stringify(call).includes(KEY));
  await isClosed();
});

on('the keyboard alone: Enter on what has the focus denies', async () => {
  const { promise, id } = await held();
  open(id);
  await isOpen();
  await sleep(500);
  keys('Return');
  assert.equal((await promise).status, 400);
  await isClosed();
  assert.equal((await backend.modelCalls()).length, 0);
});

on('Approve is dead until every finding was seen, then Alt+A sends it', async () => {
  const fill = 'A line of the log that nothing is found in.\n'.repeat(400);
  const { promise, id } = await held(`${fill}key ${KEY}\n${fill}end ${++asked}`);
  open(id);
  await isOpen();
  await desktop.word(/^yet/);
  keys('alt+a', 'alt+a');
  await sleep(500);
  assert.equal((await agent.json('pending')).length, 1);
  keys('F8', 'F8');
  desktop.shot('review-long');
  await answerWith('alt+a');
  assert.equal((await promise).status, 200);
  const [call] = await backend.modelCalls();
  assert.ok(JSON.stringify(call).includes(KEY));
  await isClosed();
});

on('decided elsewhere: it says so; Esc closes it', async () => {
  const { promise, id } = await held();
  open(id);
  await isOpen();
  assert.equal((await agent.cli(['deny', id])).code, 0);
  assert.equal((await promise).status, 400);
  await desktop.word(/^Denied$/);
  keys('Escape');
  await isClosed();
});

on('a second call brings the first window; Esc leaves the request waiting', async () => {
  const { promise, id } = await held();
  open(id);
  await isOpen();
  await open(id).ended;
  assert.equal(windows().length, 1);
  keys('Escape');
  await isClosed();
  assert.equal((await agent.json('pending')).length, 1);
  assert.equal((await agent.cli(['deny', id])).code, 0);
  await promise;
});

on('the agent ends: it says so', async () => {
  const { promise, id } = await held();
  open(id);
  await isOpen();
  await agent.stop();
  await desktop.word(/^ended/);
  await promise.catch(() => {});
  keys('Escape');
  await isClosed();
});
