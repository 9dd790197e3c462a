// SPDX-License-Identifier: Apache-2.0
// Promise 3: no byte of a masked secret leaves the agent, however the stream
// is cut, nor is it ever written to disk.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import {
  assertAbsent,
  assertNowhere,
  callOf,
  Fixture,
  startAgent,
  startBackend,
} from '../flow/lib/harness.mjs';

// Made up in AWS's published format.
const SECRET = 'AKIA' + 'Q3EGRUZPL5WY7HTC';
const MASK = /\[aws-access-key:[a-z2-7]{12,}\]/;
const APIS = ['chat', 'engines', 'responses', 'messages'];

const fixture = new Fixture();
let backend;
let agent;

before(async () => {
  backend = await startBackend(fixture);
  agent = await startAgent(fixture, { backend });
});
after(() => fixture.close());
beforeEach(() => backend.reset());

/** The texts of an answer in any shape, joined. */
function textOf(api, events) {
  const texts = {
    chat: (e) => e.choices?.[0]?.delta?.content,
    engines: (e) => (e.choices?.[0]?.index === 0 ? e.choices[0].text : ''),
    responses: (e) =>
      e.type === 'response.output_text.delta' ? e.delta : undefined,
    messages: (e) => e.delta?.text,
  };
  return events.map((e) => (e.json && texts[api](e.json)) ?? '').join('');
}

for (const api of APIS)
  for (const mode of ['base-url', 'connect'])
    test(`request_secret_masked: ${api}, ${mode}`, async (t) => {
      const client = agent.client({ mode, token: backend.token });
      t.after(() => client.close());
      const { path, body } = callOf(api, `use ${SECRET} please`);
      const answer = await client.post(path, body);
      assert.equal(answer.status, 200, answer.text);
      const [seen] = await backend.modelCalls();
      assertAbsent(seen.decodedBody ?? seen.body, SECRET, 'what was forwarded');
      assert.match(seen.decodedBody ?? seen.body, MASK);
    });

test('escaped_secret_masked', async () => {
  const client = agent.client({ mode: 'base-url', token: backend.token });
  const escaped = [...SECRET]
    .map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
  const answer = await client.request('POST', '/chat/completions', {
    body: `{"messages":[{"role":"user","content":"a\\n${escaped}"}],"model":"m"}`,
    headers: { 'content-type': 'application/json' },
  });
  assert.equal(answer.status, 200, answer.text);
  const [seen] = await backend.modelCalls();
  const { content } = JSON.parse(seen.body).messages[0];
  assert.match(content, MASK);
  assertAbsent(content, SECRET);
});

for (const api of APIS)
  test(`streamed_secret_masked_at_every_split: ${api}`, async () => {
    const client = agent.client({ mode: 'base-url', token: backend.token });
    const cuts = [];
    for (let at = 1; at < SECRET.length; at++)
      cuts.push(['Key ', SECRET.slice(0, at), SECRET.slice(at), ' ends']);
    cuts.push(['Key ', ...SECRET, ' ends']);
    const path = callOf(api, '').path;
    for (const deltas of cuts) {
      const choices =
        api === 'engines' ? { choices: [{ deltas }] } : { deltas };
      await backend.answer(path, choices);
      const { body } = callOf(api, 'hello', { stream: true });
      const answer = await client.stream(path, body);
      const cut = deltas.join('|');
      assert.equal(answer.status, 200, answer.text);
      assert.ok(answer.complete, `cut at ${cut}`);
      assertAbsent(answer.text, SECRET, `the stream cut at ${cut}`);
      const text = textOf(api, answer.events);
      assertAbsent(text, SECRET, `the text cut at ${cut}`);
      assert.match(text, MASK, cut);
      assert.ok(text.startsWith('Key ') && text.endsWith(' ends'), text);
    }
  });

test('streamed_secret_masked_in_seven_byte_writes_and_codings', async () => {
  const client = agent.client({ mode: 'base-url', token: backend.token });
  for (const encoding of ['identity', 'gzip', 'br', 'deflate', 'zstd-blocks']) {
    await backend.answer('/chat/completions', {
      deltas: ['Key ', SECRET.slice(0, 9), SECRET.slice(9), ' ends'],
      encoding,
      writeSize: 7,
    });
    const answer = await client.stream(
      '/chat/completions',
      callOf('chat', 'hello', { stream: true }).body,
    );
    assert.ok(answer.complete, encoding);
    assert.equal(textOf('chat', answer.events).replace(MASK, 'X'), 'Key X ends');
    assertAbsent(answer.text, SECRET, encoding);
  }
});

test('whole_answer_masked', async () => {
  const client = agent.client({ mode: 'base-url', token: backend.token });
  for (const api of ['chat', 'responses', 'messages']) {
    const { path, body } = callOf(api, 'hello');
    await backend.answer(path, { text: `The key is ${SECRET}.` });
    const answer = await client.post(path, body);
    assert.equal(answer.status, 200);
    assertAbsent(answer.text, SECRET, api);
    assert.match(answer.text, MASK, api);
  }
});

// The last word of each choice may wait for what follows it and then travel in
// an event of its own.
test('clean_stream_keeps_its_text', async () => {
  const client = agent.client({ mode: 'base-url', token: backend.token });
  const direct = agent.client({
    mode: 'direct',
    port: backend.port,
    ca: backend.ca,
    token: backend.token,
  });
  for (const api of APIS) {
    const { path, body } = callOf(api, 'hello', { stream: true });
    const deltas = ['A clean', ' answer', ' with "quotes"', '\n and ünïcode.'];
    const rule = api === 'engines' ? { choices: [{ deltas }] } : { deltas };
    await backend.answer(path, rule, 2);
    const through = await client.stream(path, body);
    const plain = await direct.stream(path, body);
    assert.equal(
      textOf(api, through.events),
      textOf(api, plain.events),
      api,
    );
    assert.ok(through.events.length - plain.events.length <= 1, api);
  }
});

test('what_was_masked_is_told_by_rule', async () => {
  const told = async () =>
    (await agent.json('status')).masked_by_rule['aws-access-key'] ?? 0;
  const earlier = await told();
  const client = agent.client({ mode: 'base-url', token: backend.token });
  const { path, body } = callOf('chat', `use ${SECRET} and ${SECRET} please`);
  await backend.answer(path, { text: `The key is ${SECRET}.` });
  assert.equal((await client.post(path, body)).status, 200);
  await backend.answer(path, { deltas: ['Key ', SECRET, ' ends'] });
  await client.stream(path, { ...body, stream: true });
  assert.equal(await told(), earlier + 6);
  const rows = await agent.journal();
  const counts = rows
    .sort((a, b) => b.seq - a.seq)
    .map((row) => row.detail?.masked?.['aws-access-key'])
    .filter((n) => n !== undefined);
  assert.deepEqual(counts.slice(0, 4).sort(), [1, 1, 2, 2], counts);
});

// After all of the above: nothing of it anywhere in the agent's files.
test('secret_never_on_disk', async () => {
  await agent.stop();
  assertNowhere(agent.dir, SECRET);
});
