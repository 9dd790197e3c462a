// SPDX-License-Identifier: Apache-2.0
// An administrator's pause: a file of the machine's that stops everything
// governed, that no user's resume lifts, and that is on record.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import {
  callOf,
  Fixture,
  startAgent,
  startBackend,
  until,
} from './lib/harness.mjs';
import { insideLive, machine, SYSTEM, whyNot } from './lib/machine.mjs';

const POLICY = `version: 1
default: allow
tunnels: allow
rules:
  - {id: careful, match: {prompt: careful}, action: approve, timeout: 60}
`;

const skip = whyNot();
const fixture = new Fixture();
let backend;

before(async () => {
  backend = await startBackend(fixture);
});
after(() => fixture.close());
beforeEach(() => backend.reset());

const FILE = `${SYSTEM}/hoop-agent/pause`;

async function start(t, files = {}) {
  const dir = machine(t, files);
  const agent = await startAgent(t, {
    backend,
    policy: POLICY,
    wrapper: insideLive(dir),
  });
  const client = agent.client({ mode: 'base-url', token: backend.token });
  const { path: target } = callOf('chat', 'x');
  return {
    agent,
    file: path.join(dir, 'hoop-agent', 'pause'),
    ask: (text) => client.post(target, callOf('chat', text).body),
    paused: (what) =>
      until(async () => !!(await agent.status()).paused === what, `paused: ${what}`),
  };
}

test('it pauses at once, and only its removal ends that', { skip }, async (t) => {
  const { agent, file, ask, paused } = await start(t);
  assert.equal((await ask('hello')).status, 200);
  fs.writeFileSync(file, '');
  await paused(true);
  assert.equal((await agent.status()).paused, `by an administrator (${FILE})`);
  const refused = await ask('hello');
  assert.equal(refused.status, 400);
  assert.equal(refused.json.error.code, 'agent_paused');
  assert.match(refused.json.error.message, /paused by an administrator.*once that file is removed/);
  assert.doesNotMatch(refused.json.error.message, /hoop-agent resume/);

  const resume = await agent.cli(['resume']);
  assert.equal(resume.code, 1);
  assert.match(resume.stderr, /an administrator paused this agent: it goes on once the file \S+ is removed/);
  // The user's own pause inside it, and its end.
  assert.equal((await agent.cli(['pause'])).code, 0);
  assert.match((await agent.status()).paused, /administrator/);
  assert.equal((await agent.cli(['resume'])).code, 1);
  assert.equal((await ask('hello')).status, 400);

  fs.rmSync(file);
  await paused(false);
  assert.equal((await ask('hello')).status, 200);
  const rows = (await agent.journal('--kind', 'pause')).map((r) => [
    r.verdict,
    r.detail?.by ?? 'user',
  ]);
  assert.deepEqual(rows, [
    ['paused', 'administrator'],
    ['paused', 'user'],
    ['resumed', 'user'],
    ['resumed', 'administrator'],
  ]);
});

test('it is looked for before the first request', { skip }, async (t) => {
  const { ask, paused, file } = await start(t, { pause: 'until Monday\n' });
  await paused(true);
  assert.equal((await ask('hello')).json.error.code, 'agent_paused');
  // The folder goes with it, and comes back.
  const folder = path.dirname(file);
  fs.rmSync(file);
  await paused(false);
  fs.mkdirSync(path.join(folder, 'pause')); // whatever lies there
  await paused(true);
});

test('the user\'s pause goes on after the administrator\'s', { skip }, async (t) => {
  const { agent, file, ask, paused } = await start(t);
  await agent.cli(['pause']);
  fs.writeFileSync(file, '');
  await until(
    async () => /administrator/.test((await agent.status()).paused),
    'the file is seen',
  );
  fs.rmSync(file);
  await until(
    async () => /resume/.test((await agent.status()).paused),
    'the file is gone',
  );
  assert.equal((await ask('hello')).status, 400);
  assert.equal((await agent.cli(['resume'])).code, 0);
  await paused(false);
});

test('what waits for an approval is refused', { skip }, async (t) => {
  const { agent, file, ask } = await start(t);
  const answer = ask('careful');
  const [held] = await until(async () => {
    const list = await agent.json('pending');
    return list.length && list;
  }, 'it is held');
  fs.writeFileSync(file, '');
  const refused = await answer;
  assert.equal(refused.status, 400);
  assert.equal(refused.json.error.code, 'agent_paused');
  assert.equal((await backend.modelCalls()).length, 0);
  assert.equal((await agent.cli(['approve', held.id])).code, 1);
});

test('a pause of the user\'s refuses what waits, too', async (t) => {
  const agent = await startAgent(t, { backend, policy: POLICY });
  const client = agent.client({ mode: 'base-url', token: backend.token });
  const { path: target, body } = callOf('chat', 'careful');
  const answer = client.post(target, body);
  await until(async () => (await agent.json('pending')).length, 'it is held');
  assert.equal((await agent.cli(['pause'])).code, 0);
  const refused = await answer;
  assert.equal(refused.json.error.code, 'agent_paused');
  assert.match(refused.json.error.message, /Run `hoop-agent resume`/);
  await agent.cli(['resume']);
  assert.deepEqual(await agent.json('pending'), []);
  assert.equal((await backend.modelCalls()).length, 0);
});

test('a file that is not an administrator\'s pauses, too, and that is said', { skip }, async (t) => {
  const { agent, file, ask, paused } = await start(t);
  fs.writeFileSync(file, '');
  fs.chownSync(file, 12345, 12345);
  await paused(true);
  assert.equal((await ask('hello')).status, 400);
  const { paused: said } = await until(async () => {
    const now = await agent.status();
    return /uid 12345/.test(now.paused) && now;
  }, 'whose it is');
  assert.match(said, /^by \S+, which is not an administrator's: it belongs to uid 12345$/);
  fs.chownSync(file, 0, 0);
  fs.chmodSync(file, 0o666);
  await until(
    async () => /others than an administrator can write \(mode 0666\)/.test((await agent.status()).paused),
    'who can write it',
  );
  fs.chmodSync(file, 0o644);
  await until(
    async () => (await agent.status()).paused === `by an administrator (${FILE})`,
    'it is theirs',
  );
  assert.equal((await ask('hello')).status, 400);
  fs.rmSync(file);
  await paused(false);
});
