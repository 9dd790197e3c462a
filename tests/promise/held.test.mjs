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
  - id: second-pair-of-eyes
    match: {direction: request, prompt: 'eyes'}
    action: approve
    by: ['reviewer:leads']
    message: A lead must agree.
    timeout: 60
    completions: block
  - id: both
    match: {direction: request, prompt: 'both of us'}
    action: approve
    by: {all: [developer, 'reviewer:leads']}
    timeout: 60
    completions: block
  - id: either
    match: {direction: request, prompt: 'either of us'}
    action: approve
    by: {any: [developer, 'reviewer:leads']}
    timeout: 60
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
  const whole = its.post('/chat/completions', chat('be careful 5'));
  const { path, body } = callOf('chat', 'be careful 6', { stream: true });
  const stream = its.stream(path, body);
  await pending(own, 2);
  await until(
    async () =>
      (await own.json('pending')).every((p) => p.since_us < Date.now() * 1000 - 1.5e6),
    'the silence to end',
  );
  const began = Date.now();
  const stopped = own.stop();
  const refused = await whole;
  assert.equal(refused.status, 503);
  assert.match(refused.json.error.message, /stopping while this waited/);
  const told = await stream;
  assert.ok(told.complete);
  assert.match(told.text, /stopping while this waited/);
  assert.match(told.text, /\[DONE\]/);
  assert.equal((await stopped).code, 0);
  assert.ok(Date.now() - began < 8000, 'it waited for a person');
  assert.equal(await forwarded(), 0);
  await own.restart();
  const rows = await own.journal();
  const requests = rows.filter((r) => r.kind === 'request');
  assert.equal(requests.length, 2);
  for (const { exchange } of requests)
    assert.ok(
      rows.some(
        (r) => r.kind === 'response' && r.exchange === exchange && r.verdict === 'agent_stopping',
      ),
      JSON.stringify(rows),
    );
});

for (const [who, words] of [
  ['second pair of eyes', 'second-pair-of-eyes'],
  ['both of us', 'both'],
])
  test(`reviewer_without_a_hub_is_a_no_at_once: ${words}`, async () => {
    const began = Date.now();
    const refused = await client.post('/chat/completions', chat(who));
    assert.ok(Date.now() - began < 10000, 'it waited');
    assert.equal(refused.status, 400, refused.text);
    assert.equal(refused.json.error.code, 'policy_denied');
    assert.match(
      refused.json.error.message,
      /could not be asked about: a reviewer of "leads" must agree, and no hub/,
    );
    assert.match(refused.json.error.message, new RegExp(`rule "${words}"`));
    assert.deepEqual(await agent.json('pending'), []);
    assert.equal(await forwarded(), 0);
  });

test('developer_may_answer_where_either_may', async () => {
  const answer = client.post('/chat/completions', chat('either of us'));
  const [held] = await pending();
  assert.equal((await agent.cli(['approve', held.id])).code, 0);
  assert.equal((await answer).status, 200);
});

// ---- Under stress ----------------------------------------------------------

test('of_two_answers_at_once_one_counts', async () => {
  for (let round = 0; round < 4; round++) {
    await backend.forget();
    const answer = client.post('/chat/completions', chat(`be careful two ${round}`));
    const [held] = await pending();
    const [yes, no] = await Promise.all([
      agent.cli(['approve', held.id]),
      agent.cli(['deny', held.id]),
    ]);
    assert.deepEqual([yes.code, no.code].sort(), [0, 1], yes.stderr + no.stderr);
    assert.match(yes.stderr + no.stderr, /does not wait|named/);
    assert.equal((await answer).status, yes.code === 0 ? 200 : 400);
    assert.equal(await forwarded(), yes.code === 0 ? 1 : 0);
    const { rows } = await agent.json('why', held.id);
    const approval = rows.find((r) => r.kind === 'approval');
    assert.equal(approval.verdict, yes.code === 0 ? 'approved' : 'denied');
    assert.equal(approval.detail.answers.length, 1);
  }
});

/** A request whose client can leave. */
function leaving(text) {
  const gone = { left: false };
  gone.answer = client
    .start('POST', '/chat/completions', {
      json: chat(text),
      write: (request) => {
        gone.req = request;
        request.on('error', () => {});
        request.end(JSON.stringify(chat(text)));
      },
    })
    .catch(() => null);
  return gone;
}

test('equal_requests_share_a_prompt_and_outlive_each_other', async () => {
  const text = 'be careful together';
  const first = leaving(text);
  await pending();
  const second = client.post('/chat/completions', chat(text));
  await until(
    async () => (await agent.json('pending'))[0]?.waiting === 2,
    'two that wait',
  );
  first.req.destroy();
  await until(
    async () => (await agent.json('pending'))[0]?.waiting === 1,
    'one that waits',
  );
  const [held] = await agent.json('pending');
  assert.equal((await agent.cli(['approve', held.id])).code, 0);
  assert.equal((await second).status, 200);
  assert.equal(await forwarded(), 1);
});

test('a_storm_of_answers_and_leaving_clients_ends_clean', async () => {
  let approved = 0;
  for (let round = 0; round < 3; round++) {
    const all = Array.from({ length: 6 }, (_, i) =>
      leaving(`be careful storm ${round} ${i}`),
    );
    const held = await pending(agent, 6);
    // At the same moment: half of the clients leave, and all are answered.
    const answers = held.map(({ id }, i) =>
      agent.cli([i % 3 === 2 ? 'deny' : 'approve', id]),
    );
    for (const [i, one] of all.entries()) if (i % 2) one.req.destroy();
    const codes = (await Promise.all(answers)).map(({ code }) => code);
    for (const code of codes) assert.ok(code === 0 || code === 1, `${code}`);
    approved += codes.filter((c, i) => c === 0 && i % 3 !== 2).length;
    const results = await Promise.all(all.map(({ answer }) => answer));
    for (const result of results) result?.res.resume();
    assert.ok(results.filter(Boolean).length >= 3, 'who stayed was answered');
  }
  await until(
    async () => (await agent.status()).running === 0,
    'nothing runs',
  ).catch(async (error) => {
    throw new Error(`${error.message} ${JSON.stringify(await agent.status())}`);
  });
  assert.ok((await forwarded()) <= approved, 'forwarded without a yes');
  assert.deepEqual(await agent.json('pending'), []);
  assert.equal((await agent.cli(['journal', 'verify'])).code, 0);
});
