// SPDX-License-Identifier: Apache-2.0
// Ways around the agent that were tried: odd targets, headers, content types
// and answers. Each must be refused, masked or inspected like the plain one.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import {
  assertAbsent,
  assertNowhere,
  callOf,
  connectTunnel,
  Fixture,
  startAgent,
  startBackend,
} from './lib/harness.mjs';

// Made up in AWS's published format.
const SECRET = 'AKIA' + 'Q3EGRUZPL5WY7HTC';
const ESCAPED = [...SECRET]
  .map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
  .join('');

const fixture = new Fixture();
let backend;
let agent;
let client;

before(async () => {
  backend = await startBackend(fixture);
  agent = await startAgent(fixture, { backend });
  client = agent.client({ mode: 'base-url', token: backend.token });
});
after(() => fixture.close());
beforeEach(() => backend.reset());

/** Nothing that the backend received holds the secret, wherever. */
async function assertNotForwarded(what) {
  for (const seen of await backend.requests()) {
    assertAbsent(seen.url, SECRET, `${what}: the target`);
    assertAbsent(JSON.stringify(seen.rawHeaders), SECRET, `${what}: headers`);
    assertAbsent(seen.decodedBody ?? seen.body ?? '', SECRET, what);
    assertAbsent(seen.body ?? '', ESCAPED, `${what}: escaped`);
  }
}

const JSON_TYPE = { 'content-type': 'application/json' };

// ---- Targets ---------------------------------------------------------------

test('governed_host_with_trailing_dot_is_governed', async () => {
  const { socket } = await connectTunnel(
    agent.port,
    'api.githubcopilot.com.:443',
  );
  socket.destroy();
  const rows = await agent.journal();
  assert.ok(!rows.some((row) => row.kind === 'tunnel'));
});

for (const [name, target] of [
  ['sign-in path', '/login/anything'],
  ['sign-in path, doubled slash', '/login//device/code'],
  ['sign-in path with dots', '/login/../chat/completions'],
  ['sign-in path with encoded dots', '/login/%2e%2e/chat/completions'],
  ['sign-in path with encoded slashes', '/login%2f..%2fchat/completions'],
])
  for (const mode of ['base-url', 'connect'])
    test(`sign_in_is_no_way_out: ${name}, ${mode}`, async (t) => {
      const through = agent.client({ mode, token: backend.token });
      t.after(() => through.close());
      await through.post(target, callOf('chat', `use ${SECRET}`).body);
      await assertNotForwarded(target);
    });

test('sign_in_forwards_only_what_sign_in_sends', async () => {
  await client.post('/login/device/code', callOf('chat', SECRET).body);
  await assertNotForwarded('sign-in with a chat body');
  await client.request('GET', '/copilot_internal/v2/token', {
    body: JSON.stringify({ note: SECRET }),
    headers: JSON_TYPE,
  });
  await assertNotForwarded('token request with a body');
});

test('secret_in_query_is_not_forwarded', async () => {
  const { path, body } = callOf('chat', 'hello');
  const answer = await client.post(`${path}?q=${SECRET}`, body);
  assert.equal(answer.status, 400, answer.text);
  await assertNotForwarded('query');
  const percent = [...SECRET].map(
    (c) => `%${c.charCodeAt(0).toString(16)}`,
  );
  await client.post(`${path}?q=${percent.join('')}`, body);
  for (const seen of await backend.requests())
    assertAbsent(decodeURIComponent(seen.url), SECRET, 'encoded query');
});

test('secret_in_path_is_not_forwarded', async () => {
  await client.get(`/models/${SECRET}`);
  await assertNotForwarded('path');
});

test('secret_in_header_is_not_forwarded', async () => {
  const { path, body } = callOf('chat', 'hello');
  await client.post(path, body, { headers: { 'x-note': `see ${SECRET}` } });
  await assertNotForwarded('header');
});

for (const name of [
  'x-session-token',
  'x-api-key',
  'api-key',
  'x-key',
  'cookie',
  'x-authorization',
  'proxy-authorization-2',
])
  test(`secret_in_a_field_that_sounds_like_a_credential: ${name}`, async () => {
    const { path, body } = callOf('chat', 'hello');
    const answer = await client.post(path, body, {
      headers: { [name]: `token=${SECRET}` },
    });
    assert.equal(answer.status, 400, answer.text);
    assert.equal(answer.json.error.code, 'policy_denied');
    await assertNotForwarded(name);
    assert.equal((await backend.modelCalls()).length, 0);
  });

test('secret_as_the_name_of_a_field_is_not_forwarded', async () => {
  const { path, body } = callOf('chat', 'hello');
  const answer = await client.post(path, body, { headers: { [SECRET]: '1' } });
  assert.equal(answer.status, 400, answer.text);
  await assertNotForwarded('name');
});

test('fields_of_the_connections_own_credential_pass', async (t) => {
  const { path, body } = callOf('chat', 'hello');
  const github = `gho_${'hQ7'.repeat(12)}`;
  const answer = await client.post(path, body, {
    headers: { 'x-github-token': github },
  });
  assert.equal(answer.status, 200, answer.text);
  const [seen] = await backend.modelCalls();
  assert.equal(seen.headers['x-github-token'], github);
  assert.equal(seen.headers.authorization, `Bearer ${backend.token}`);
  const other = await startAgent(t, {
    backend,
    config: {
      'connection "anthropic"': { enabled: true, upstream: backend.url },
    },
  });
  const its = other.client({ mode: 'base-url' });
  const messages = callOf('messages', 'hello');
  const asked = await its.post(`/c/anthropic${messages.path}`, messages.body, {
    headers: { 'x-api-key': `sk-ant-api03-${'aB3d'.repeat(24)}` },
  });
  assert.notEqual(asked.json?.error?.code, 'policy_denied', asked.text);
});

test('odd_spellings_of_a_path_are_judged_as_the_path', async (t) => {
  const strict = await startAgent(t, {
    backend,
    policy: `
version: 1
default: allow
tunnels: allow
rules:
  - id: no-chat
    match: {api: chat}
    action: block
`,
  });
  const through = strict.client({ mode: 'base-url', token: backend.token });
  for (const target of [
    '/chat/completions',
    '/chat/completions/',
    '//chat/completions',
    '/chat//completions',
    '/chat/./completions',
    '/models/../chat/completions',
    '/chat%2fcompletions',
    '/%63hat/completions',
    '/chat/completions;v=1',
    '/Chat/Completions',
    '/c/copilot//chat/completions',
  ]) {
    const answer = await through.post(target, callOf('chat', 'hello').body);
    assert.ok(answer.status >= 400, `${target}: ${answer.status}`);
  }
  assert.deepEqual(
    (await backend.requests()).map((r) => r.url),
    [],
  );
});

// ---- Bodies ------------------------------------------------------------------

for (const [name, headers, body] of [
  [
    'JSON as a form',
    { 'content-type': 'application/x-www-form-urlencoded' },
    `{"model":"m","messages":[{"role":"user","content":"${ESCAPED}"}]}`,
  ],
  [
    'JSON as text',
    { 'content-type': 'text/plain' },
    `{"model":"m","messages":[{"role":"user","content":"${ESCAPED}"}]}`,
  ],
  [
    'two content types',
    { 'content-type': ['text/plain', 'application/json'] },
    `{"model":"m","messages":[{"role":"user","content":"${ESCAPED}"}]}`,
  ],
  ['UTF-16', { 'content-type': 'text/plain' }, Buffer.from(SECRET, 'utf16le')],
  [
    'UTF-16 with a byte order mark',
    { 'content-type': 'text/plain' },
    Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(SECRET, 'utf16le')]),
  ],
  ['multipart', { 'content-type': 'multipart/form-data; boundary=x' }, SECRET],
  ['two codings', { ...JSON_TYPE, 'content-encoding': ['identity', 'gzip'] }, SECRET],
])
  for (const path of ['/chat/completions', '/telemetry', '/other/thing'])
    test(`body_not_waved_through: ${name} to ${path}`, async () => {
      await client.request('POST', path, { body, headers });
      await assertNotForwarded(name);
      for (const seen of await backend.requests()) {
        const bytes = await backend.body(seen.id);
        assertAbsent(bytes, SECRET, name);
      }
    });

test('range_requests_do_not_cut_secrets', async () => {
  await client.get('/models', { headers: { range: 'bytes=0-9' } });
  for (const seen of await backend.requests({ path: '/models' }))
    assert.equal(seen.headers.range, undefined);
});

// ---- Answers -------------------------------------------------------------------

const STREAM = { stream: true };

test('event_stream_under_another_type_is_masked', async () => {
  const { path, body } = callOf('chat', 'hello', STREAM);
  for (const type of ['text/plain', 'TEXT/EVENT-STREAM', 'text/html', null]) {
    await backend.answer(path, {
      deltas: ['Key ', SECRET.slice(0, 9), SECRET.slice(9), ' ends'],
      headers: { 'content-type': type },
      noContentType: type === null,
    });
    const answer = await client.stream(path, body);
    const text = answer.events
      .map((e) => e.json?.choices?.[0]?.delta?.content ?? '')
      .join('');
    assertAbsent(text, SECRET, `as ${type}`);
  }
});

test('redirect_does_not_lead_around_the_agent', async () => {
  const { path, body } = callOf('chat', 'hello');
  await backend.answer(path, {
    status: 307,
    json: {},
    headers: { location: 'https://api.githubcopilot.com/chat/completions' },
  });
  const answer = await client.post(path, body);
  assert.equal(answer.headers.location, undefined);
});

test('alternative_service_is_not_offered', async () => {
  const { path, body } = callOf('chat', 'hello');
  await backend.answer(path, {
    text: 'hi',
    headers: { 'alt-svc': 'h3=":443"; ma=3600' },
  });
  const answer = await client.post(path, body);
  assert.equal(answer.headers['alt-svc'], undefined);
});

test('secret_in_answer_header_is_not_passed_on', async () => {
  const { path, body } = callOf('chat', 'hello');
  for (const more of [{}, STREAM]) {
    await backend.answer(path, {
      text: 'hi',
      headers: { 'x-debug': `key ${SECRET}` },
    });
    const { headers } = await client.request('POST', path, {
      json: { ...body, ...more },
    });
    assertAbsent(JSON.stringify(headers), SECRET, 'the head of an answer');
  }
});

test('answer_with_two_types_or_codings_is_refused', async () => {
  const { path, body } = callOf('chat', 'hello');
  await backend.answer(path, {
    rawBody: `{"choices":[{"message":{"content":"${ESCAPED}"}}]}`,
    headers: { 'content-type': ['text/plain', 'application/json'] },
  });
  const answer = await client.post(path, body);
  assertAbsent(JSON.stringify(answer.json ?? ''), SECRET);
});

test('answer_in_utf16_is_refused', async () => {
  const { path, body } = callOf('chat', 'hello');
  await backend.answer(path, {
    rawBodyBase64: Buffer.from(SECRET, 'utf16le').toString('base64'),
    headers: { 'content-type': 'text/plain' },
  });
  const answer = await client.post(path, body);
  assertAbsent(answer.body, SECRET, 'an answer');
});

test('token_that_is_no_token_ends_nothing', async (t) => {
  const file = join(agent.dir, 'credential');
  fs.writeFileSync(file, backend.token, { mode: 0o600 });
  const holder = await startAgent(t, {
    backend,
    config: { 'connection "copilot"': { upstream: backend.url, credential: `file:${file}` } },
  });
  await holder.envFor('copilot-cli');
  const tokens = fs.readFileSync(join(holder.state, 'clients.json'), 'utf8');
  const [token] = /gho_hoop[0-9a-f]{32}/.exec(tokens);
  const through = holder.client({ mode: 'base-url', token });
  const { path, body } = callOf('chat', 'hello');
  for (const json of [
    { token: null, expires_at: 4102444800 },
    { token: '', expires_at: 4102444800 },
    { token: 7, expires_at: null },
    { token: 'a\r\nb', expires_at: 4102444800 },
    [],
  ]) {
    await backend.answer('/copilot_internal/v2/token', { json }, 2);
    await through.post(path, body);
    await through.get('/copilot_internal/v2/token');
    await backend.reset();
  }
  assert.equal((await holder.cli(['status'])).code, 0);
  const answer = await through.post(path, body);
  assert.equal(answer.status, 200, answer.text);
});

test('whole_answers_are_bounded_together', async (t) => {
  const small = await startAgent(t, {
    backend,
    config: { limits: { 'max-body': '8M', 'held-bytes': '2M' } },
  });
  const through = small.client({ mode: 'base-url', token: backend.token });
  const { path, body } = callOf('chat', 'hello');
  await backend.answer(path, { text: 'x'.repeat(3 << 20) });
  const answer = await through.post(path, body);
  assert.equal(answer.status, 503, answer.text.slice(0, 200));
  assert.equal((await through.post(path, body)).status, 200);
});

// ---- The record ------------------------------------------------------------------

test('secrets_in_names_models_and_paths_are_not_recorded', async () => {
  const { path, body } = callOf('chat', 'hello');
  const keyed = { ...body, metadata: { [SECRET]: { deep: 'x', n: SECRET } } };
  await client.post(path, keyed);
  await client.post(path, { ...body, model: SECRET });
  await client.post(path, { ...body, conversation_id: SECRET });
  await client.post(`/nothing/${SECRET}`, {});
  await client.post(`/c/none/${SECRET}`, {});
  await client.request('GET', `/x/${SECRET}`, {
    headers: { origin: 'https://evil.example' },
  });
  await backend.answer(path, {
    toolCalls: [{ name: SECRET, arguments: '{}' }],
  });
  await client.post(path, body);
  await backend.answer(path, {
    json: { model: SECRET, choices: [{ message: { content: 'x' } }] },
  });
  await client.post(path, body);
});

test('secret_is_in_no_file_and_no_log', async () => {
  assertAbsent(agent.log(), SECRET, 'the log');
  await agent.stop();
  assert.ok(fs.existsSync(agent.journalFile));
  assertNowhere(agent.dir, SECRET);
});
