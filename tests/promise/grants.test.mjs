// SPDX-License-Identifier: Apache-2.0
// Promise 4, of remembered approvals: a grant never lets pass what its approver
// could not, nor anything but what was granted.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import {
  callOf,
  Fixture,
  startAgent,
  startBackend,
  tempDir,
  until,
} from '../flow/lib/harness.mjs';

// In GitHub's and AWS's published forms; made up.
const HELD = `ghp_${'A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5'}0Zb5Hm`;
const SECRET = 'AKIA' + 'Q3EGRUZPL5WY7HTC';
const RULES = `version: 1
default: allow
tunnels: allow
rules:
  - {id: careful, match: {direction: request, prompt: careful}, action: approve, by: [developer], timeout: 60}
  - {id: keys, match: {direction: request, finding: {rule: aws-access-key}}, action: approve, by: [developer], timeout: 60}
  - {id: eyes, match: {direction: request, prompt: eyes}, action: approve, by: ['reviewer:leads'], timeout: 60}
  - {id: both, match: {direction: request, prompt: both}, action: approve, by: {all: [developer, 'reviewer:leads']}, timeout: 60}
  - {id: proof, match: {direction: request, prompt: proof}, action: approve, by: [presence], timeout: 60}
  - {id: never, match: {direction: request, prompt: never}, action: block}
`;

const fixture = new Fixture();
let backend;
let agent;
let client;
let other;
let serial = 0;

async function tokenOf(name) {
  const env = await agent.envFor(name);
  return Object.values(env).find((value) => /^gho_hoop/.test(value));
}

async function connect() {
  for (const one of [client, other]) one?.close();
  client = agent.client({ mode: 'base-url', token: await tokenOf('language-server') });
  other = agent.client({ mode: 'base-url', token: await tokenOf('copilot-cli') });
}

before(async () => {
  backend = await startBackend(fixture, { args: ['--token', HELD] });
  const file = path.join(tempDir(fixture, 'hoop-held-'), 'token');
  fs.writeFileSync(file, HELD, { mode: 0o600 });
  agent = await startAgent(fixture, {
    backend,
    policy: RULES,
    config: {
      'connection "copilot"': { credential: `file:${file}` },
      // The same service by another way in, with the same credential.
      'connection "second"': {
        type: 'copilot',
        upstream: backend.url,
        credential: `file:${file}`,
      },
    },
  });
  await connect();
});
after(() => fixture.close());
beforeEach(async () => {
  await backend.reset();
  for (const { id } of await agent.json('grants'))
    await agent.cli(['grants', 'revoke', id]);
});

const chat = (text) => callOf('chat', text).body;
/** Each text is another, so that no refusal of before is remembered. */
const send = (text, { by = client, prefix = '' } = {}) =>
  by.post(`${prefix}/chat/completions`, chat(`${text} ${serial++}`));
const forwarded = async () => (await backend.modelCalls()).length;

async function held() {
  const [first] = await until(async () => {
    const list = await agent.json('pending');
    return list.length && list;
  }, 'it is held');
  return first;
}

async function give(text, ...args) {
  const answer = send(text);
  const { id } = await held();
  const done = await agent.cli(['approve', id, ...args]);
  assert.equal(done.code, 0, done.stderr);
  assert.equal((await answer).status, 200);
  await backend.forget();
  return (await agent.json('grants')).at(-1);
}

/** That it goes nowhere, whoever holds or refuses it. */
async function nowhere(text, options) {
  let status;
  const answer = send(text, options).then((result) => {
    status = result.status;
    return result;
  });
  await until(
    async () => status !== undefined || (await agent.json('pending')).length > 0,
    'it is held or refused',
  );
  for (const { id } of await agent.json('pending')) await agent.cli(['deny', id]);
  assert.equal((await answer).status, 400);
  assert.equal(await forwarded(), 0);
}

test('approval_nobody_gave', async () => {
  await give('be careful', '--for', '10m');
  assert.equal((await send('be careful')).status, 200);
  await backend.forget();
  // Another program; the same one by another connection.
  await nowhere('be careful', { by: other });
  await nowhere('be careful', { prefix: '/c/second' });
  // Another rule, alone and beside.
  await nowhere(`key ${SECRET}`);
  await nowhere(`be careful with ${SECRET}`);
  // Other approvers, alone, beside, and where the developer is one of them.
  await nowhere('careful: four eyes');
  await nowhere('eyes');
  await nowhere('careful, both of us');
  await nowhere('proof');
  await nowhere('careful, with proof');
  // What is blocked.
  await nowhere('careful: never');
  const [grant] = await agent.json('grants');
  assert.equal(grant.uses, 1);
});

test('approval_nobody_gave_masked_only', async () => {
  await give(`key ${SECRET}`, '--masked', '--for', '10m');
  assert.equal((await send(`key ${SECRET}`)).status, 200);
  const calls = await backend.modelCalls();
  assert.equal(calls.length, 1);
  assert.ok(!calls[0].body.includes(SECRET));
  await backend.forget();
  // Nothing of this rule could be masked.
  await give('be careful', '--for', '10m');
  assert.equal((await send(`be careful with ${SECRET}`)).status, 200);
  for (const call of await backend.modelCalls())
    assert.ok(!call.body.includes(SECRET), 'masked beside whole went whole');
});

test('approval_nobody_gave_after_its_end', async () => {
  const grant = await give('be careful', '--for', '10m');
  await agent.cli(['grants', 'revoke', grant.id]);
  await nowhere('be careful');
  await give('be careful', '--for', '1s');
  await until(async () => (await agent.json('grants')).length === 0, 'its end');
  await nowhere('be careful');
});

test('approval_nobody_gave_in_the_file', async () => {
  const file = path.join(agent.state, 'grants');
  const edits = [
    ['language-server', 'copilot-cli'],
    [':copilot ', ':second '],
    [' careful=', ' keys='],
    [' developer ', ' reviewer '],
    [/ \d{16} \d{16} /, ` ${Date.now()}000 ${Date.now() + 3e7}000 `],
  ];

  for (const [from, to] of edits) {
    await give('be careful', '--for', '10m');
    await agent.stop();
    const text = fs.readFileSync(file, 'utf8');
    assert.notEqual(text.replace(from, to), text, `${from}`);
    fs.writeFileSync(file, text.replace(from, to));
    await agent.restart();
    await connect();
    assert.deepEqual(await agent.json('grants'), [], `${from}`);
  }
  await nowhere('be careful', { by: other });
  await nowhere('be careful');
});

test('approval_nobody_gave_under_another_policy', async () => {
  const policy = path.join(agent.dir, 'policy.yaml');
  const revision = async () => (await agent.status()).policy_revision;
  const change = async (text) => {
    const before = await revision();
    fs.writeFileSync(policy, text);
    await until(async () => (await revision()) !== before, 'the policy');
  };
  // Held under one policy, answered under the other.
  const answer = send('be careful');
  const { id } = await held();
  await change(RULES.replace('prompt: careful}', "prompt: '(?i)careful'}"));
  const late = await agent.cli(['approve', id, '--for', '10m']);
  assert.equal(late.code, 1, late.stdout);
  assert.match(late.stderr, /policy was changed since rule "careful" asked/);
  await agent.cli(['deny', id]);
  assert.equal((await answer).status, 400);
  // Given under one, used under the other.
  await give('be careful', '--for', '10m');
  await change(RULES);
  assert.deepEqual(await agent.json('grants'), []);
  await nowhere('be careful');
});
