// SPDX-License-Identifier: Apache-2.0
// Remembered approvals, by the command line: what a grant lets pass, what it is
// bound to, how it ends, and what is on record of it.

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

// Made up in AWS's published format.
const SECRET = 'AKIA' + 'Q3EGRUZPL5WY7HTC';
const CAREFUL = `
  - id: careful
    match: {direction: request, prompt: 'careful'}
    action: approve
    by: [developer]
    timeout: 60`;
const POLICY = `version: 1
default: allow
tunnels: allow
rules:${CAREFUL}
  - id: keys
    match: {direction: request, finding: {rule: aws-access-key}}
    action: approve
    by: [developer]
    timeout: 60
  - id: never
    match: {direction: request, prompt: 'each time'}
    action: approve
    by: [developer]
    grants: false
    timeout: 60
  - id: shell
    match: {tool: {name: shell}}
    action: approve
    by: [developer]
    timeout: 60
`;

const fixture = new Fixture();
let backend;
let agent;
let client;

before(async () => {
  backend = await startBackend(fixture);
  agent = await startAgent(fixture, { backend, policy: POLICY });
  client = agent.client({ mode: 'base-url', token: backend.token });
});
after(() => fixture.close());
beforeEach(async () => {
  await backend.reset();
  for (const { id } of await agent.json('grants'))
    await agent.cli(['grants', 'revoke', id]);
  assert.deepEqual(await agent.json('pending'), []);
});

const chat = (text, more) => callOf('chat', text, more).body;
const post = (text, more, options) =>
  client.post('/chat/completions', { ...chat(text), ...more }, options);

function pending(n = 1) {
  return until(async () => {
    const list = await agent.json('pending');
    return list.length >= n && list;
  }, `${n} pending`);
}

async function fine(...args) {
  const result = await agent.cli(args);
  assert.equal(result.code, 0, result.stderr);
  return result.stdout;
}

async function fails(words, ...args) {
  const result = await agent.cli(args);
  assert.notEqual(result.code, 0, result.stdout);
  assert.match(result.stderr, words);
  return result;
}

/** Sends text, approves it with these arguments; the grant. */
async function give(text, args, more, options) {
  const answer = post(text, more, options);
  const [held] = await pending();
  const said = await fine('approve', held.id, ...args);
  assert.equal((await answer).status, 200);
  const list = await agent.json('grants');
  const grant = list.at(-1);
  assert.match(said, new RegExp(`${grant.id}: .*passes`));
  assert.equal(grant.prompt, held.id);
  return grant;
}

/** That the request is held, and denied then. */
async function assertHeld(text, more, options) {
  const answer = post(text, more, options);
  const [held] = await pending();
  await fine('deny', held.id);
  assert.equal((await answer).status, 400);
  return held;
}

async function forwarded() {
  return (await backend.modelCalls()).length;
}

test('what is like it passes, and says by which grant', async () => {
  const grant = await give('be careful 1', ['--for', '10m']);
  assert.deepEqual(grant.rules, ['careful']);
  assert.equal(grant.approver, 'developer');
  assert.equal(grant.masked, false);
  assert.ok(grant.left_us > 590e6 && grant.left_us <= 600e6, grant.left_us);
  assert.equal((await post('be careful 2')).status, 200);
  assert.equal((await post('be careful 3')).status, 200);
  assert.equal(await forwarded(), 3);
  const [after] = await agent.json('grants');
  assert.equal(after.uses, 2);

  const rows = await agent.journal('--kind', 'approval');
  const newest = rows.reduce((a, b) => (a.seq > b.seq ? a : b));
  const { rows: story } = await agent.json('why', newest.exchange);
  const approval = story.find((r) => r.kind === 'approval');
  assert.equal(approval.verdict, 'approved');
  assert.equal(approval.detail.answers[0].how, 'grant');
  assert.equal(approval.detail.answers[0].grant, grant.id);
  assert.match(
    await fine('why', newest.exchange),
    new RegExp(`approve +by \\S+ \\(developer, grant ${grant.id}\\)`),
  );
  assert.match(
    await fine('why', grant.prompt),
    new RegExp(`\\(developer, cli, gave grant ${grant.id}\\)`),
  );
  assert.match(await fine('grants'), new RegExp(`${grant.id} +careful .*whole.* 2\\n`));
  assert.match(await fine('grants', 'explain', grant.id), /used +2 times/);
  assert.match(await fine('policy', 'show'), new RegExp(`# +${grant.id}: rules careful pass`));
  assert.equal((await agent.json('policy', 'show')).grants[0].id, grant.id);
  assert.match(await fine('status'), /grants +1 remembered/);
  const policy = await agent.journal('--kind', 'policy');
  assert.ok(policy.some((r) => r.verdict === 'grant-given'), JSON.stringify(policy));
});

test('revoked: the next is asked about again', async () => {
  const grant = await give('be careful 4', ['--for', '10m']);
  assert.match(await fine('grants', 'revoke', grant.id.slice(0, 9)), /revoked/);
  await assertHeld('be careful 5');
  await fails(/there is no grant/, 'grants', 'revoke', grant.id);
  await fails(/there is no grant/, 'grants', 'explain', grant.id);
  const rows = await agent.journal('--kind', 'policy');
  assert.ok(rows.some((r) => r.verdict === 'grant-revoked'));
});

test('it ends by itself', async () => {
  await give('be careful 6', ['--for', '2s']);
  await until(
    async () => (await agent.json('grants')).length === 0,
    'its end',
    15000,
  );
  await assertHeld('be careful 7');
});

test('a session is one conversation of one program', async () => {
  const grant = await give('be careful 8', ['--for', 'session'], {
    conversation_id: 'one',
  });
  assert.equal(grant.session, true);
  assert.equal(grant.conversation, 'one');
  assert.equal(
    (await post('be careful 9', { conversation_id: 'one' })).status,
    200,
  );
  await assertHeld('be careful 10', { conversation_id: 'two' });
  await assertHeld('be careful 11');
  assert.match(await fine('grants'), /\(session\)/);
});

test('a session grant does not outlive the agent, a timed one does', async () => {
  const timed = await give('be careful 12', ['--for', '10m']);
  await post('be careful 13');
  await fine('grants', 'revoke', timed.id);
  const lasting = await give('be careful 14', ['--for', '10m']);
  await give(`key ${SECRET}`, ['--for', 'session'], { conversation_id: 'one' });
  const file = path.join(agent.state, 'grants');
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  await agent.stop();
  await agent.restart();
  client.close();
  client = agent.client({ mode: 'base-url', token: backend.token });
  const list = await agent.json('grants');
  assert.deepEqual(list.map((g) => g.id), [lasting.id]);
  // A copy of the file from before a revocation brings nothing back.
  const copy = fs.readFileSync(file);
  await fine('grants', 'revoke', lasting.id);
  await agent.stop();
  fs.writeFileSync(file, copy);
  await agent.restart();
  client.close();
  client = agent.client({ mode: 'base-url', token: backend.token });
  assert.deepEqual(await agent.json('grants'), []);
  await assertHeld('be careful 25');
  const again = await give('be careful 24', ['--for', '10m']);
  assert.notEqual(again.id, lasting.id);
  assert.equal((await post('be careful 15')).status, 200);
  await assertHeld(`key ${SECRET}`, { conversation_id: 'one' });

  // Longer than was said: the file is not taken.
  await agent.stop();
  const text = fs.readFileSync(file, 'utf8');
  fs.writeFileSync(file, text.replace(/^(grant .*? )(\d{16}) (\d{16})/m, '$1$2 9999999999999999'));
  await agent.restart();
  client.close();
  client = agent.client({ mode: 'base-url', token: backend.token });
  assert.deepEqual(await agent.json('grants'), []);
  assert.match(agent.log(), /no grants of before are in force.*not as the agent wrote/);
});

test('of the same program only', async () => {
  // The test itself asks; curl is another program.
  await give('be careful 16', ['--for', '10m']);
  const { spawn } = await import('node:child_process');
  const child = spawn('curl', [
    ...['-s', '--cacert', agent.ca, '-H', `authorization: Bearer ${backend.token}`],
    ...['-H', 'content-type: application/json'],
    ...['-d', JSON.stringify(chat('be careful 17'))],
    `https://127.0.0.1:${agent.port}/chat/completions`,
  ]);
  const closed = new Promise((resolve) => child.on('close', resolve));
  const [held] = await pending();
  assert.match(held.client, /curl/);
  await fine('deny', held.id);
  await closed;
});

test('only the rules that asked are lifted', async () => {
  await give('be careful 18', ['--for', '10m']);
  const held = await assertHeld(`be careful with ${SECRET}`);
  assert.deepEqual(held.rules.sort(), ['careful', 'keys']);
  await assertHeld(`key ${SECRET}`);
  assert.equal((await agent.json('grants'))[0].uses, 0);
});

test('a masked one approves masked only', async () => {
  const grant = await give(`secret ${SECRET}`, ['--masked', '--for', '10m']);
  assert.equal(grant.masked, true);
  await backend.forget();
  assert.equal((await post(`again ${SECRET}`)).status, 200);
  const [seen] = await backend.modelCalls();
  assert.match(seen.body, /again \[aws-access-key:/);
  assert.ok(!seen.body.includes(SECRET));
  assert.match(await fine('grants', 'explain', grant.id), /found masked/);
});

test('two at once: the other one goes with it', async () => {
  const answers = [post('be careful 19'), post('be careful 20')];
  const [first] = await pending(2);
  await fine('approve', first.id, '--for', 'session');
  for (const answer of answers) assert.equal((await answer).status, 200);
  assert.equal((await agent.json('grants'))[0].uses, 1);
});

test('tool calls are lifted by the rule that asked about one', async () => {
  const script = () =>
    backend.answer('/chat/completions', {
      toolCalls: [{ name: 'shell', arguments: { command: 'ls' } }],
    });
  await script();
  await give('list the files', ['--for', '10m']);
  await script();
  const again = await post('list them again');
  assert.equal(again.status, 200);
  assert.match(again.text, /"shell"/);
  assert.equal((await agent.json('grants'))[0].uses, 1);
});

test('what cannot be remembered is not answered', async () => {
  const answer = post('ask each time');
  const [held] = await pending();
  assert.equal(held.can_grant, false);
  await fails(/rule "never" wants to be asked each time/, 'approve', held.id, '--for', '10m');
  await fails(/lasts 28800 seconds at most/, 'approve', held.id, '--for', '9h');
  assert.equal((await agent.json('pending')).length, 1);
  assert.equal(await forwarded(), 0);
  assert.equal((await agent.cli(['approve', held.id, '--for', 'ever'])).code, 2);
  await fine('approve', held.id);
  assert.equal((await answer).status, 200);
  assert.deepEqual(await agent.json('grants'), []);
});

test('a changed policy ends what it contradicts, and says so', async () => {
  const file = path.join(agent.dir, 'policy.yaml');
  const grant = await give('be careful 21', ['--for', '10m']);
  const other = await give(`one more ${SECRET}`, ['--for', '10m']);
  const before = (await agent.status()).policy_revision;
  fs.writeFileSync(file, POLICY.replace("prompt: 'careful'", "prompt: '(?i)careful'"));
  await until(
    async () => (await agent.status()).policy_revision !== before,
    'the new policy',
  );
  assert.deepEqual((await agent.json('grants')).map((g) => g.id), [other.id]);
  assert.match(agent.log(), new RegExp(`grant ${grant.id} of .* ended: rule "careful" of the policy was changed`));
  await assertHeld('be careful 22');
  const rows = await agent.journal('--kind', 'policy');
  assert.ok(rows.some((r) => r.verdict === 'grant-ended'));
  // Gone and back: what ended stays ended.
  fs.writeFileSync(file, POLICY);
  await until(
    async () => (await agent.status()).policy_revision === before,
    'the former policy',
  );
  await assertHeld('be careful 23');
});

test('a limit that is lower', async (t) => {
  const own = await startAgent(t, {
    backend,
    policy: POLICY,
    config: { approval: { 'grant-time': 60, 'max-grants': 1 } },
  });
  const its = own.client({ mode: 'base-url', token: backend.token });
  const answer = its.post('/chat/completions', chat(`be careful ${SECRET}`));
  const [held] = await until(async () => {
    const list = await own.json('pending');
    return list.length && list;
  }, 'it is held');
  const long = await own.cli(['approve', held.id, '--for', '61s']);
  assert.equal(long.code, 1);
  assert.match(long.stderr, /60 seconds at most/);
  assert.equal((await own.cli(['approve', held.id, '--for', '60s'])).code, 0);
  await answer;
  const second = its.post('/chat/completions', chat(`key ${SECRET} one`));
  // The grant was given for two rules: one of them alone is lifted as well.
  assert.equal((await second).status, 200);
});

test('usage', async () => {
  for (const args of [
    ['grants', 'explain'],
    ['grants', 'list', 'x'],
    ['grants', 'revoke'],
    ['grants', 'end', 'x'],
  ])
    assert.equal((await agent.cli(args)).code, 2, args.join(' '));
  assert.match(await fine('grants'), /No answer is remembered/);
});
