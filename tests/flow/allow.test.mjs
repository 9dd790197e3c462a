// SPDX-License-Identifier: Apache-2.0
// allow FINGERPRINT: false positives, where policy permits: in requests, whole
// and streamed answers, at once, for a while, over a restart; on record, and
// never for what a rule does not let go.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import {
  assertNowhere,
  callOf,
  Fixture,
  startAgent,
  startBackend,
  until,
} from './lib/harness.mjs';

// Made up in AWS's and Stripe's published formats.
const SECRET = 'AKIA' + 'Q3EGRUZPL5WY7HTC';
const STRICT = 'sk_live_' + '4eC39HqLyjWDarjtT1zdp7dc';
const POLICY = `version: 1
default: allow
tunnels: allow
rules:
  - {id: lenient, match: {finding: {rule: aws-*}}, action: mask, allow-fingerprints: true}
  - {id: strict, match: {finding: {rule: stripe-*}}, action: mask}
  - id: lenient-block
    match: {direction: request, finding: {class: secret, min: 1}, path: /responses}
    action: block
    allow-fingerprints: true
  - id: strict-block
    match: {direction: request, finding: {class: secret, min: 1}, path: /v1/messages}
    action: block
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
beforeEach(() => backend.reset());

/** What arrives of a prompt with text, or the refusal's status. */
async function ask(text, api = 'chat') {
  await backend.forget();
  const { path: to, body } = callOf(api, text);
  // The default answer would quote it.
  await backend.answer(to, { text: 'fine' });
  const answer = await client.post(to, body);
  const [seen] = await backend.modelCalls();
  return seen ? seen.body : answer.status;
}

/** What the client reads of answers that say text, streamed and whole. */
async function hear(text) {
  const heard = [];
  await backend.answer('/chat/completions', { deltas: [...text] });
  const stream = await client.stream(
    '/chat/completions',
    callOf('chat', 'hello', { stream: true }).body,
  );
  heard.push(
    stream.events
      .map((e) => e.json?.choices?.[0]?.delta?.content ?? '')
      .join(''),
  );
  await backend.answer('/chat/completions', { text });
  const whole = await client.post(
    '/chat/completions',
    callOf('chat', 'hello').body,
  );
  heard.push(whole.json.choices[0].message.content);
  return heard;
}

async function findings() {
  const rows = await agent.journal('--kind', 'request');
  const newest = rows.reduce((a, b) => (a.seq > b.seq ? a : b));
  const { stdout } = await agent.cli(['why', newest.exchange]);
  return stdout;
}

async function fingerprintOf(text) {
  await ask(text);
  return /\(fingerprint ([0-9a-f]{16})/.exec(await findings())[1];
}

test('an allowed finding passes, for a while, and on record', async () => {
  const fingerprint = await fingerprintOf(`use ${SECRET} now`);
  assert.match(await ask(`use ${SECRET} now`), /\[aws-/);
  assert.equal(await ask(`use ${SECRET} now`, 'responses'), 400);
  const { code, stdout } = await agent.cli(['allow', fingerprint, '--for', '1h']);
  assert.equal(code, 0, stdout);
  assert.match(await ask(`use ${SECRET} now`), new RegExp(SECRET));
  assert.match(await ask(`use ${SECRET} now`, 'responses'), new RegExp(SECRET));
  // The records of requests mask every finding.
  assertNowhere(agent.dir, SECRET);
  for (const heard of await hear(`it is ${SECRET} there`))
    assert.equal(heard, `it is ${SECRET} there`);
  const other = 'AKIA' + 'Q3EGRUZPL5WY7HTD';
  assert.match(await ask(`use ${other} now`), /\[aws-/);
  // A rule that does not say so keeps what it had.
  assert.equal(await ask(`use ${SECRET} now`, 'messages'), 400);

  const [entry, ...more] = JSON.parse(
    (await agent.cli(['allow', '--list', '--json'])).stdout,
  );
  assert.equal(more.length, 0);
  assert.equal(entry.fingerprint, fingerprint);
  assert.equal(entry.until_us - entry.since_us, 3600e6);
  assert.match((await agent.cli(['allow', '--list'])).stdout, new RegExp(fingerprint));
  const file = path.join(agent.state, 'allowed');
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  assert.ok(!fs.readFileSync(file, 'utf8').includes(SECRET));
  const rows = await agent.journal('--kind', 'policy');
  assert.ok(rows.some((row) => row.verdict === 'finding-allowed'), JSON.stringify(rows));
  await ask(`use ${SECRET} now`);
  assert.match(await findings(), /allowed by you/);

  await agent.stop();
  await agent.restart();
  client.close();
  client = agent.client({ mode: 'base-url', token: backend.token });
  assert.match(await ask(`use ${SECRET} now`), new RegExp(SECRET));

  assert.equal((await agent.cli(['allow', '--remove', fingerprint])).code, 0);
  assert.match(await ask(`use ${SECRET} now`), /\[aws-/);
  for (const heard of await hear(`it is ${SECRET} there`))
    assert.match(heard, /^it is \[aws-[a-z-]+:[a-z2-7]+\] there$/);
  assert.equal((await agent.cli(['allow', '--remove', fingerprint])).code, 1);
  assert.deepEqual(JSON.parse((await agent.cli(['allow', '--list', '--json'])).stdout), []);
});

test('it ends by itself', async () => {
  const fingerprint = await fingerprintOf(`use ${SECRET} now`);
  await agent.cli(['allow', fingerprint, '--for', '2s']);
  assert.match(await ask(`use ${SECRET} now`), new RegExp(SECRET));
  await until(
    async () => /\[aws-/.test(await ask(`use ${SECRET} now`)),
    'the end',
    15000,
  );
});

test('a rule that does not permit it masks all the same', async () => {
  const fingerprint = await fingerprintOf(`use ${STRICT} now`);
  assert.equal((await agent.cli(['allow', fingerprint])).code, 0);
  assert.match(await ask(`use ${STRICT} now`), /\[stripe-/);
  for (const heard of await hear(`it is ${STRICT} there`))
    assert.match(heard, /^it is \[stripe-/);
});

test('usage', async () => {
  for (const args of [
    ['allow'],
    ['allow', '--for', '7d'],
    ['allow', '--list', '0123456789abcdef'],
    ['allow', '0123456789abcdef', '--json'],
    ['allow', '0123456789abcdef', '--for', 'ever'],
  ])
    assert.equal((await agent.cli(args)).code, 2, args.join(' '));
  const bad = await agent.cli(['allow', 'not-one']);
  assert.match(bad.stderr, /16 hexadecimal digits/);
  assert.notEqual(bad.code, 0);
});

test('without a rule that permits it there is no such mark', async () => {
  await agent.stop();
  agent.options.policy = POLICY.replaceAll(/,? *allow-fingerprints: true/g, '')
    .replace(/\n\s*\n/g, '\n');
  await agent.restart();
  const { code, stderr } = await agent.cli(['allow', '0123456789abcdef']);
  assert.notEqual(code, 0);
  assert.match(stderr, /no rule of the policy/);
});
