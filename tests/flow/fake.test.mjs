// SPDX-License-Identifier: Apache-2.0
// The stand-in tested by itself: API shapes, credentials, scripts.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import { LEAKED_KEY } from '../fake/defaults.mjs';
import {
  TOOL_APIS,
  aloneCount,
  Client,
  Fixture,
  messageOf,
  startBackend,
  callOf,
  PATHS,
} from './lib/harness.mjs';

const fixture = new Fixture();
let backend;
let client;

before(async () => {
  backend = await startBackend(fixture);
  client = new Client({
    mode: 'direct',
    port: backend.port,
    ca: backend.ca,
    token: backend.token,
  });
  fixture.after(() => client.close());
});
after(() => fixture.close());
beforeEach(() => backend.reset());

const PROMPT = 'please leak the key';
const CALLS = Object.fromEntries(
  Object.keys(PATHS).map((api) => [api, callOf(api, PROMPT)]),
);
const TOOLS = [
  { name: 'run', arguments: { command: 'ls -l "a b"', n: 2 } },
  { name: 'view', arguments: { path: '/etc/hosts' } },
];

for (const [api, { path, body }] of Object.entries(CALLS)) {
  test(`${api}: streamed text, a key split across deltas`, async () => {
    const answer = await client.stream(path, { ...body, stream: true });
    assert.equal(answer.status, 200);
    assert.match(answer.headers['content-type'], /^text\/event-stream/);
    assert.ok(answer.headers['x-github-request-id']);
    const message = messageOf(api, answer.events);
    assert.ok(message.text.includes(LEAKED_KEY), message.text);
    assert.ok(message.ended);
    assert.ok(
      !answer.events.some((e) => (e.json?.delta ?? '').includes?.(LEAKED_KEY)),
    );
  });

  test(`${api}: whole JSON`, async () => {
    const answer = await client.post(path, body);
    assert.equal(answer.status, 200);
    assert.equal(Number(answer.headers['content-length']), answer.body.length);
    assert.ok(JSON.stringify(answer.json).includes(LEAKED_KEY));
  });

  test(`${api}: broken JSON is refused`, async () => {
    const answer = await client.request('POST', path, { body: '{"a":' });
    assert.equal(answer.status, 400);
    assert.equal(typeof answer.json.error.message, 'string');
  });
}

for (const api of TOOL_APIS)
  test(`${api}: two streamed tool calls after text`, async () => {
    const { path, body } = CALLS[api];
    await backend.answer(path, { text: 'Let me look.', toolCalls: TOOLS });
    const answer = await client.stream(path, { ...body, stream: true });
    const message = messageOf(api, answer.events);
    assert.equal(message.text, 'Let me look.');
    assert.deepEqual(
      message.tools.map((t) => ({
        name: t.name,
        arguments: JSON.parse(t.arguments),
      })),
      TOOLS,
    );
  });

test('engines: three choices interleave', async () => {
  const { path } = CALLS.engines;
  const answer = await client.stream(path, {
    prompt: 'function add(',
    n: 3,
    stream: true,
  });
  const order = answer.events.flatMap(
    (e) => e.json?.choices?.map((c) => c.index) ?? [],
  );
  assert.deepEqual(order.slice(0, 6), [0, 1, 2, 0, 1, 2]);
  assert.equal(messageOf('engines', answer.events).choices.length, 3);
});

test('responses: the text comes in four terminal copies', async () => {
  const { path, body } = CALLS.responses;
  const answer = await client.stream(path, { ...body, stream: true });
  const message = messageOf('responses', answer.events);
  assert.equal(message.copies.length, 4);
  for (const copy of message.copies) assert.ok(copy.includes(LEAKED_KEY));
  assert.ok(!answer.text.includes('[DONE]'));
});

test('every delta arrives alone', async () => {
  const deltas = Array.from({ length: 200 }, (_, i) => `w${i} `);
  await backend.answer('/chat/completions', { deltas });
  const { path, body } = CALLS.chat;
  const answer = await client.stream(path, { ...body, stream: true });
  const { alone, total } = aloneCount(answer.events);
  assert.ok(total >= 200 && alone >= total * 0.97, `${alone} of ${total}`);
});

test('the Copilot token is issued, checked, expired and revoked', async () => {
  const token = await client.get('/copilot_internal/v2/token');
  assert.match(token.json.token, /^tid=[0-9a-f]+;exp=\d+;.*:[0-9a-f]{64}$/);
  assert.equal(token.json.endpoints.api, backend.url);
  const use = (t) =>
    client.get('/models', { headers: { authorization: `Bearer ${t}` } });
  assert.equal((await use(token.json.token)).status, 200);
  assert.equal((await use(`${token.json.token}0`)).status, 401);
  assert.equal((await use('gho_wrong')).status, 401);
  await backend.revoke(token.json.token);
  assert.match((await use(token.json.token)).json.error.message, /expired/);
  await backend.config({ tokenSeconds: 1 });
  const brief = (await client.get('/copilot_internal/v2/token')).json.token;
  await new Promise((r) => setTimeout(r, 2100));
  assert.equal((await use(brief)).status, 401);
});

test("a wrong GitHub token gets GitHub's own error", async () => {
  const headers = { authorization: 'token gho_nobody' };
  const answer = await client.get('/copilot_internal/v2/token', { headers });
  assert.equal(answer.status, 401);
  assert.equal(answer.json.message, 'Bad credentials');
  assert.ok(answer.headers['x-github-request-id']);
});

test('device sign-in: pending, then a token that works', async () => {
  const form = (fields) => ({
    body: new URLSearchParams(fields).toString(),
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      authorization: null,
    },
  });
  const code = await client.request(
    'POST',
    '/login/device/code',
    form({ client_id: 'x' }),
  );
  assert.equal(code.json.user_code.length, 9);
  const poll = () =>
    client.request(
      'POST',
      '/login/oauth/access_token',
      form({ device_code: code.json.device_code }),
    );
  assert.equal((await poll()).json.error, 'authorization_pending');
  const { access_token: token } = (await poll()).json;
  const headers = { authorization: `token ${token}` };
  assert.equal(
    (await client.get('/user', { headers })).json.login,
    'stand-in-developer',
  );
});

test('real host names get real endpoints and only the right credential', async () => {
  const at = (host, key) =>
    client.get('/models', {
      headers: { host, authorization: `Bearer ${key}` },
    });
  const headers = { host: 'api.github.com' };
  const { endpoints } = (
    await client.get('/copilot_internal/v2/token', { headers })
  ).json;
  assert.equal(endpoints.api, 'https://api.individual.githubcopilot.com');
  assert.equal((await at('api.githubcopilot.com', backend.token)).status, 200);
  assert.equal((await at('api.openai.com', backend.token)).status, 401);
});

test('models: the preset decides which endpoints are offered', async () => {
  const list = async () => (await client.get('/models')).json.data;
  assert.ok(
    (await list()).some((m) =>
      m.supported_endpoints?.includes('ws:/responses'),
    ),
  );
  await backend.config({ models: 'chat' });
  const chat = (await list()).filter((m) => m.model_picker_enabled);
  for (const m of chat)
    assert.deepEqual(m.supported_endpoints, ['/chat/completions']);
});

test('MCP: initialize, list, call', async () => {
  const rpc = (method, params, id = 1) =>
    client.post('/mcp/readonly', { jsonrpc: '2.0', id, method, params });
  const start = await rpc('initialize', { protocolVersion: '2025-06-18' });
  assert.ok(start.headers['mcp-session-id']);
  assert.equal((await rpc('tools/list')).json.result.tools.length, 1);
  assert.match(
    (
      await rpc('tools/call', {
        name: 'get_file_contents',
        arguments: { path: 'a' },
      })
    ).json.result.content[0].text,
    /Contents of a/,
  );
});

test('unknown paths and methods', async () => {
  assert.equal((await client.get('/nothing/here')).status, 404);
  assert.equal((await client.get('/chat/completions')).status, 405);
  assert.equal(
    (await client.get('/repos/a/b/contents')).json.message,
    'Not Found',
  );
});

test('scripts match by host, header, content and run out', async () => {
  await backend.script(
    {
      match: { path: '/chat/completions', contains: 'needle' },
      answer: { text: 'found' },
    },
    {
      match: { path: '/chat/*', header: { 'x-initiator': 'agent' } },
      answer: { text: 'agent' },
    },
  );
  const ask = async (content, headers) => {
    const body = { messages: [{ role: 'user', content }] };
    return (await client.post('/chat/completions', body, { headers })).json
      .choices[0].message.content;
  };
  assert.match(await ask('hay'), /You wrote: hay/);
  assert.equal(await ask('a needle'), 'found');
  assert.match(await ask('a needle'), /You wrote/);
  assert.equal(await ask('hay', { 'x-initiator': 'agent' }), 'agent');
  await assert.rejects(
    backend.script({ match: { colour: 'red' }, answer: {} }),
    /unknown match/,
  );
});
