// SPDX-License-Identifier: Apache-2.0
// Promise 8: a credential that the agent holds is never visible to the client
// or in the agent's files; a client without its own token gets nothing.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import {
  assertAbsent,
  assertNowhere,
  callOf,
  Fixture,
  startBackend,
  startHolding,
} from '../flow/lib/harness.mjs';

// In GitHub's published form, with its checksum; made up.
const HELD = `ghp_${'A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5'}0Zb5Hm`;

const fixture = new Fixture();
let backend;
let agent;
let client;

before(async () => {
  backend = await startBackend(fixture, { args: ['--token', HELD] });
  ({ agent, client } = await startHolding(fixture, HELD, { backend }));
});
after(() => fixture.close());
beforeEach(() => backend.reset());

test('held_credential_is_swapped_in', async () => {
  const answer = await client.post(
    '/chat/completions',
    callOf('chat', 'hello').body,
  );
  assert.equal(answer.status, 200, answer.text);
  const [seen] = await backend.modelCalls();
  assert.doesNotMatch(seen.headers.authorization, /hoop/);
  assertAbsent(answer.text, HELD);
});

test('token_answer_shows_only_the_dummy', async () => {
  const answer = await client.get('/copilot_internal/v2/token');
  assert.equal(answer.status, 200, answer.text);
  assert.match(answer.json.token, /gho_hoop/);
  assertAbsent(answer.text, HELD);
  for (const url of Object.values(answer.json.endpoints))
    assert.match(url, /127\.0\.0\.1/);
});

test('unknown_client_is_refused', async () => {
  const stranger = agent.client({ mode: 'base-url', token: 'gho_stranger' });
  const answer = await stranger.post(
    '/chat/completions',
    callOf('chat', 'hello').body,
  );
  assert.equal(answer.status, 401, answer.text);
  assert.equal((await backend.modelCalls()).length, 0);
});

test('error_that_repeats_the_credential_is_withheld', async () => {
  await backend.answer('/copilot_internal/v2/token', {
    status: 403,
    json: { message: `Bad credentials: Bearer ${HELD}` },
  });
  const answer = await client.get('/copilot_internal/v2/token');
  assert.equal(answer.status, 502, answer.text);
  assert.equal(answer.json.error.code, 'credential_repeated');
  assertAbsent(answer.text, HELD);
});

const APIS = ['chat', 'engines', 'responses', 'messages'];
const FORMS = {
  plain: HELD,
  base64: Buffer.from(`Bearer ${HELD}\n`).toString('base64'),
  'base64, shifted': Buffer.from(` ${HELD}  `).toString('base64url'),
  hex: Buffer.from(HELD).toString('hex'),
  'hex, capital': Buffer.from(HELD).toString('hex').toUpperCase(),
  percent: [...HELD].map((c) => `%${c.charCodeAt(0).toString(16)}`).join(''),
  escaped: [...HELD]
    .map((c) => `\\u00${c.charCodeAt(0).toString(16)}`)
    .join(''),
};

const textOf = {
  chat: (e) => e.choices?.[0]?.delta?.content,
  engines: (e) => (e.choices?.[0]?.index === 0 ? e.choices[0].text : ''),
  responses: (e) =>
    e.type === 'response.output_text.delta' ? e.delta : undefined,
  messages: (e) => e.delta?.text,
};

/** Streams deltas of the API and checks that the answer ends before `value`. */
async function endsBefore(api, deltas, value) {
  const { path: to, body } = callOf(api, 'hello', { stream: true });
  await backend.answer(
    to,
    api === 'engines' ? { choices: [{ deltas }] } : { deltas },
  );
  const answer = await client.stream(to, body);
  const cut = `${api}: ${deltas.join('|')}`;
  assert.ok(answer.complete, cut);
  const text = answer.events
    .map((e) => (e.json && textOf[api](e.json)) ?? '')
    .join('');
  for (const out of [answer.text, text])
    for (let at = 0; at + 16 <= value.length; at++)
      assert.ok(!out.includes(value.slice(at, at + 16)), `${cut}: ${text}`);
  // Nobody reads a message in what completes a line of code.
  if (api !== 'engines')
    assert.match(text, /^(Key .*)?\[hoop-agent\] .*repeats the cred/s, cut);
  assert.ok(!text.includes('ends'), cut);
}

for (const api of APIS)
  test(`streamed_credential_withheld_at_every_split: ${api}`, async () => {
    await endsBefore(api, ['Key ', ...HELD, ' ends'], HELD);
    for (let at = 1; at < HELD.length; at++)
      await endsBefore(
        api,
        [`Key ${HELD.slice(0, at)}`, `${HELD.slice(at)} ends`],
        HELD,
      );
  });

for (const [name, value] of Object.entries(FORMS))
  test(`streamed_credential_withheld: ${name}`, async () => {
    for (const api of APIS) {
      await endsBefore(api, ['Key ', `${value} ends`], value);
      await endsBefore(api, ['Key ', ...value, ' ends'], value);
    }
  });

for (const [name, value] of Object.entries(FORMS))
  test(`whole_answer_with_the_credential_withheld: ${name}`, async () => {
    for (const api of ['chat', 'responses', 'messages']) {
      const { path: to, body } = callOf(api, 'hello');
      await backend.answer(to, { text: `The key is ${value}.` });
      const answer = await client.post(to, body);
      assert.equal(answer.status, 502, answer.text);
      assert.match(answer.text, /credential_repeated/);
      assert.ok(!answer.text.includes(value), answer.text);
    }
  });

test('credential_in_tool_arguments_withheld', async () => {
  for (const api of ['chat', 'responses', 'messages']) {
    const { path: to, body } = callOf(api, 'hello', { stream: true });
    await backend.answer(to, {
      toolCalls: [{ name: 'run', arguments: JSON.stringify({ a: [HELD] }) }],
    });
    const answer = await client.stream(to, body);
    assertAbsent(answer.text, HELD, api);
    assert.match(answer.text, /repeats the credential/, api);
  }
});

test('session_token_withheld', async () => {
  await client.post('/chat/completions', callOf('chat', 'hello').body);
  const [seen] = await backend.modelCalls();
  const token = seen.headers.authorization.replace(/^Bearer /, '');
  assert.ok(token.length > 30 && token !== HELD, token);
  await endsBefore('chat', ['Key ', ...token, ' ends'], token);
  await endsBefore('messages', ['Key ', `${token} ends`], token);
});

for (const [name, value] of Object.entries(FORMS))
  test(`credential_in_a_prompt_masked: ${name}`, async () => {
    for (const filler of ['', name === 'hex' ? 'word '.repeat(60000) : '. ']) {
      await backend.reset();
      const { path: to, body } = callOf('chat', `${filler}my key ${value}, ok`);
      const answer = await client.post(to, body);
      assert.equal(answer.status, 200, answer.text);
      const [seen] = await backend.modelCalls();
      const { content } = JSON.parse(seen.body).messages[0];
      for (let at = 0; at + 16 <= value.length; at++)
        assert.ok(!content.includes(value.slice(at, at + 16)));
      assert.match(content, /my key .*\[[a-z-]+:[a-z2-7]+\].*, ok$/);
    }
  });

test('credential_in_a_prompt_masked_whatever_policy_says', async (t) => {
  const { client: user } = await startHolding(t, HELD, {
    backend,
    policy: 'version: 1\ndefault: allow\ntunnels: allow\nrules: []\n',
  });
  const answer = await user.post(
    '/chat/completions',
    callOf('chat', `my key ${HELD}, ok`).body,
  );
  assert.equal(answer.status, 200, answer.text);
  const [seen] = await backend.modelCalls();
  assertAbsent(seen.body, HELD);
  assert.match(seen.body, /my key \[held-credential:[a-z2-7]+\], ok/);
  const refused = await user.post(
    `/chat/completions?key=${HELD}`,
    callOf('chat', 'hello').body,
  );
  assert.equal(refused.status, 400, refused.text);
  assert.equal((await backend.modelCalls()).length, 1);
  await backend.answer('/chat/completions', {
    text: 'fine',
    headers: { 'x-echo': HELD },
  });
  const echoed = await user.post(
    '/chat/completions',
    callOf('chat', 'hello').body,
  );
  assert.equal(echoed.status, 200, echoed.text);
  assert.equal(echoed.headers['x-echo'], undefined);
});

test('held_credential_never_on_disk', async () => {
  await agent.stop();
  assertNowhere(agent.dir, HELD);
});
