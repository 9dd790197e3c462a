// SPDX-License-Identifier: Apache-2.0
// Promise 4: a held request goes nowhere until everybody who is asked said
// yes; a timeout, a crash, a client that left mean no.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import {
  callOf,
  Fixture,
  startAgent,
  startBackend,
  until,
} from '../flow/lib/harness.mjs';

const SECRET = 'AKIA' + 'Q3EGRUZPL5WY7HTC';
const POLICY = `
version: 1
default: allow
tunnels: allow
rules:
  - id: careful
    match: {direction: request, prompt: 'careful'}
    action: approve
    by: [developer]
    message: Say yes or no.
    timeout: 60
    completions: block
  - id: quick
    match: {direction: request, prompt: 'quick'}
    action: approve
    by: [developer]
    timeout: 1
    completions: block
  - id: keys
    match: {direction: request, finding: {class: secret}}
    action: approve
    by: [developer]
    completions: mask
`;

const fixture = new Fixture();
let backend;
let agent;
let client;

async function start(t, config = {}) {
  return startAgent(t, {
    backend,
    policy: POLICY,
    config: {
      approval: { 'stream-silence': 1, 'keepalive-interval': 1 },
      ...config,
    },
  });
}

before(async () => {
  backend = await startBackend(fixture);
  agent = await start(fixture);
  client = agent.client({ mode: 'base-url', token: backend.token });
});
after(() => fixture.close());
beforeEach(() => backend.reset());

const chat = (text, more) => callOf('chat', text, more).body;

async function pending(of = agent, n = 1) {
  return until(async () => {
    const list = await of.json('pending');
    return list.length >= n && list;
  }, `${n} pending`);
}

async function forwarded() {
  return (await backend.modelCalls()).length;
}

test('held_request_goes_nowhere_until_approved', async () => {
  const answer = client.post('/chat/completions', chat('be careful 1'));
  const [held] = await pending();
  assert.equal(await forwarded(), 0);
  assert.equal((await agent.cli(['approve', held.id])).code, 0);
  assert.equal((await answer).status, 200);
  assert.equal(await forwarded(), 1);
  const second = await agent.cli(['deny', held.id]);
  assert.equal(second.code, 1, second.stderr);
});

test('denied_request_goes_nowhere_and_is_not_asked_again', async () => {
  const answer = client.post('/chat/completions', chat('be careful 2'));
  const [held] = await pending();
  await agent.cli(['deny', held.id, '--reason', 'not this one']);
  const refused = await answer;
  assert.equal(refused.status, 400);
  assert.equal(refused.json.error.code, 'policy_denied');
  assert.match(refused.json.error.message, /careful.*not this one/s);
  assert.ok(refused.headers['x-github-request-id']);
  const again = await client.post('/chat/completions', chat('be careful 2'));
  assert.equal(again.status, 400);
  assert.equal(await forwarded(), 0);
});

test('timeout_means_no', async () => {
  const refused = await client.post('/chat/completions', chat('be quick'));
  assert.equal(refused.status, 400);
  assert.match(refused.json.error.message, /nobody answered in time/);
  assert.equal(await forwarded(), 0);
});

test('approve_masked_sends_the_masked_body', async () => {
  const answer = client.post('/chat/completions', chat(`key ${SECRET}`));
  const [held] = await pending();
  const review = await agent.cli(['review', held.id]);
  assert.equal(review.code, 0);
  const done = await agent.cli(['approve', held.id, '--masked']);
  assert.equal(done.code, 0, done.stderr);
  assert.equal((await answer).status, 200);
  const [seen] = await backend.modelCalls();
  assert.ok(!seen.body.includes(SECRET));
  assert.match(seen.body, /\[aws-access-key:/);
});

test('client_that_left_withdraws_its_request', async () => {
  const { req } = await new Promise((resolve) => {
    client
      .start('POST', '/chat/completions', {
        json: chat('be careful 3'),
        write: (request) => {
          request.end(JSON.stringify(chat('be careful 3')));
          resolve({ req: request });
        },
      })
      .catch(() => {});
  });
  await pending();
  req.on('error', () => {});
  req.destroy();
  await until(
    async () => (await agent.json('pending')).length === 0,
    'the withdrawal',
  );
  assert.equal(await forwarded(), 0);
});

for (const api of ['chat', 'responses', 'messages'])
  test(`held_stream_gets_comments_then_its_answer: ${api}`, async () => {
    const { path, body } = callOf(api, `be careful ${api}`, { stream: true });
    const answer = client.stream(path, body);
    const [held] = await pending();
    await until(
      async () => (await agent.json('pending'))[0].since_us < Date.now() * 1000 - 2.5e6,
      'some comments',
    );
    await agent.cli(['approve', held.id]);
    const stream = await answer;
    assert.equal(stream.status, 200);
    assert.ok(stream.comments.length >= 1, stream.text);
    assert.ok(stream.complete);
    assert.equal(await forwarded(), 1);
  });

for (const api of ['chat', 'responses', 'messages'])
  test(`denied_stream_ends_with_a_message: ${api}`, async () => {
    const { path, body } = callOf(api, `be careful no ${api}`, { stream: true });
    const answer = client.stream(path, body);
    const [held] = await pending();
    await until(
      async () => (await agent.json('pending'))[0].since_us < Date.now() * 1000 - 1.5e6,
      'the silence to end',
    );
    await agent.cli(['deny', held.id, '--reason', 'because']);
    const stream = await answer;
    assert.equal(stream.status, 200);
    assert.ok(stream.complete);
    assert.match(stream.text, /because/);
    assert.match(stream.text, /\[DONE\]|response\.completed|message_stop/);
    assert.equal(await forwarded(), 0);
  });

test('completions_are_never_held', async () => {
  const { path, body } = callOf('engines', 'careful', { stream: true });
  const refused = await client.post(path, body);
  assert.equal(refused.status, 400);
  assert.equal((await agent.json('pending')).length, 0);
  const masked = await client.post(
    path,
    callOf('engines', `key ${SECRET}`).body,
  );
  assert.equal(masked.status, 200);
  assert.ok(!(await backend.modelCalls()).some((c) => c.body.includes(SECRET)));
});

test('a_killed_agent_lets_nothing_through', async (t) => {
  const own = await start(t);
  const its = own.client({ mode: 'base-url', token: backend.token });
  const answer = its
    .post('/chat/completions', chat('be careful 4'))
    .catch((error) => error);
  await pending(own);
  await own.kill('SIGKILL');
  assert.ok((await answer) instanceof Error);
  await own.restart();
  assert.deepEqual(await own.json('pending'), []);
  assert.equal(await forwarded(), 0);
});

test('a_stopping_agent_refuses_what_it_holds', async (t) => {
  const own = await start(t);
  const its = own.client({ mode: 'base-url', token: backend.token });
  const answer = its
    .post('/chat/completions', chat('be careful 5'), { timeoutMs: 30000 })
    .catch((error) => error);
  await pending(own);
  await own.stop();
  const result = await answer;
  assert.ok(result instanceof Error || result.status >= 400, String(result));
  assert.equal(await forwarded(), 0);
});
