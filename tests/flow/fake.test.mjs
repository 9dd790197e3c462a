// SPDX-License-Identifier: Apache-2.0
// The stand-in tested by itself: API shapes, credentials, encodings, faults.

import assert from 'node:assert/strict';
import zlib from 'node:zlib';
import { after, before, beforeEach, test } from 'node:test';
import { execFileSync } from 'node:child_process';

import { ensureCa, mintLeaf } from '../fake/ca.mjs';
import { LEAKED_KEY } from '../fake/defaults.mjs';
import {
  aloneCount, Client, exchangeRaw, Fixture, messageOf, openTcp, readHead, requestH2,
  startBackend, tempDir, until,
} from './lib/harness.mjs';

const fixture = new Fixture();
let backend;
let client;

before(async () => {
  backend = await startBackend(fixture);
  client = new Client({ mode: 'direct', port: backend.port, ca: backend.ca, token: backend.token });
  fixture.after(() => client.close());
});
after(() => fixture.close());
beforeEach(() => backend.reset());

const PROMPT = 'please leak the key';
const CALLS = {
  engines: {
    path: '/v1/engines/gpt-41-copilot/completions',
    body: { prompt: `// ${PROMPT}`, suffix: '', n: 3, max_tokens: 100 },
  },
  chat: {
    path: '/chat/completions',
    body: { model: 'gpt-4.1', messages: [{ role: 'user', content: PROMPT }] },
  },
  responses: {
    path: '/responses',
    body: { model: 'gpt-5-mini', input: [{ role: 'user', content: [{ type: 'input_text', text: PROMPT }] }] },
  },
  messages: {
    path: '/v1/messages',
    body: { model: 'claude-sonnet-4.5', max_tokens: 100, messages: [{ role: 'user', content: PROMPT }] },
  },
};
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
    assert.ok(!answer.events.some((e) => (e.json?.delta ?? '').includes?.(LEAKED_KEY)));
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

for (const api of ['chat', 'responses', 'messages'])
  test(`${api}: two streamed tool calls after text`, async () => {
    const { path, body } = CALLS[api];
    await backend.answer(path, { text: 'Let me look.', toolCalls: TOOLS });
    const answer = await client.stream(path, { ...body, stream: true });
    const message = messageOf(api, answer.events);
    assert.equal(message.text, 'Let me look.');
    assert.deepEqual(
      message.tools.map((t) => ({ name: t.name, arguments: JSON.parse(t.arguments) })), TOOLS);
  });

test('engines: three choices interleave', async () => {
  const { path } = CALLS.engines;
  const answer = await client.stream(path, { prompt: 'function add(', n: 3, stream: true });
  const order = answer.events.flatMap((e) => e.json?.choices?.map((c) => c.index) ?? []);
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
  const use = (t) => client.get('/models', { headers: { authorization: `Bearer ${t}` } });
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

test('a wrong GitHub token gets GitHub\'s own error', async () => {
  const headers = { authorization: 'token gho_nobody' };
  const answer = await client.get('/copilot_internal/v2/token', { headers });
  assert.equal(answer.status, 401);
  assert.equal(answer.json.message, 'Bad credentials');
  assert.ok(answer.headers['x-github-request-id']);
});

test('device sign-in: pending, then a token that works', async () => {
  const form = (fields) => ({
    body: new URLSearchParams(fields).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded', authorization: null },
  });
  const code = await client.request('POST', '/login/device/code', form({ client_id: 'x' }));
  assert.equal(code.json.user_code.length, 9);
  const poll = () =>
    client.request('POST', '/login/oauth/access_token', form({ device_code: code.json.device_code }));
  assert.equal((await poll()).json.error, 'authorization_pending');
  const { access_token: token } = (await poll()).json;
  const headers = { authorization: `token ${token}` };
  assert.equal((await client.get('/user', { headers })).json.login, 'stand-in-developer');
});

test('real host names get real endpoints and only the right credential', async () => {
  const at = (host, key) =>
    client.get('/models', { headers: { host, authorization: `Bearer ${key}` } });
  const headers = { host: 'api.github.com' };
  const { endpoints } = (await client.get('/copilot_internal/v2/token', { headers })).json;
  assert.equal(endpoints.api, 'https://api.individual.githubcopilot.com');
  assert.equal((await at('api.githubcopilot.com', backend.token)).status, 200);
  assert.equal((await at('api.openai.com', backend.token)).status, 401);
});

test('models: the preset decides which endpoints are offered', async () => {
  const list = async () => (await client.get('/models')).json.data;
  assert.ok((await list()).some((m) => m.supported_endpoints?.includes('ws:/responses')));
  await backend.config({ models: 'chat' });
  const chat = (await list()).filter((m) => m.model_picker_enabled);
  for (const m of chat) assert.deepEqual(m.supported_endpoints, ['/chat/completions']);
});

const DECODE = {
  identity: (b) => b,
  gzip: zlib.gunzipSync,
  deflate: zlib.inflateSync,
  br: zlib.brotliDecompressSync,
  zstd: (b) => execFileSync('zstd', ['-dcq'], { input: b }),
  'deflate-raw': zlib.inflateRawSync,
  'zstd-blocks': (b) => execFileSync('zstd', ['-dcq'], { input: b }),
};
for (const [encoding, decode] of Object.entries(DECODE))
  test(`encoding ${encoding}: JSON and a stream of 7-byte writes`, async () => {
    await backend.answer('/chat/completions', { text: 'plain words', encoding }, 1);
    await backend.answer('/chat/completions', { text: 'a b c', encoding, writeSize: 7 }, 1);
    const { path, body } = CALLS.chat;
    const whole = await client.post(path, body);
    const header = encoding === 'identity' ? undefined : encoding.replace(/-(blocks|raw)$/, '');
    assert.equal(whole.headers['content-encoding'], header);
    assert.match(decode(whole.body).toString(), /plain words/);
    const stream = await client.request('POST', path, { json: { ...body, stream: true } });
    assert.match(decode(stream.body).toString(), /\[DONE\]/);
  });

test('stall, then the client leaves: recorded', async () => {
  await backend.answer('/chat/completions', { text: 'x'.repeat(500), stallAfterBytes: 100 });
  const { path, body } = CALLS.chat;
  const { res, socket } = await client.start('POST', path, { json: body });
  let got = 0;
  res.on('data', (chunk) => (got += chunk.length));
  await new Promise((r) => setTimeout(r, 200));
  assert.equal(got, 100);
  socket.destroy();
  const [seen] = await backend.waitFor({ path });
  await until(async () => (await backend.requests({ path }))[0].clientGone, 'noticed');
  assert.equal(seen.fault, 'stall');
});

for (const [fault, answer] of Object.entries({
  reset: { resetAfterBytes: 90 },
  truncate: { truncateAfterBytes: 90 },
  'reset at once': { resetAfterBytes: 0 },
  drop: { drop: 'reset' },
}))
  test(`fault ${fault}: the answer is not complete`, async () => {
    const { path, body } = CALLS.chat;
    await backend.answer(path, { text: 'y'.repeat(400), chunked: true, ...answer });
    const result = await client.post(path, body).catch((error) => ({ error }));
    assert.ok(result.error || !result.complete, JSON.stringify(result));
    if (fault === 'truncate') assert.equal(result.body.length, 90);
  });

test('slow start and delays are kept', async () => {
  const { path, body } = CALLS.chat;
  await backend.answer(path, { text: 'a b c d', slowStartMs: 150, delayMs: 30 });
  const start = Date.now();
  const answer = await client.stream(path, { ...body, stream: true });
  assert.ok(Date.now() - start > 300);
  assert.ok(answer.events.at(-1).at - answer.events[0].at > 120);
});

test('trailers, 1xx, odd statuses, HEAD', async () => {
  const { path, body } = CALLS.chat;
  await backend.answer(path, {
    text: 'x', trailers: { 'x-check': 'abc' }, informational: [{ status: 103, headers: { link: '</a>' } }],
  });
  const answer = await client.post(path, body);
  assert.equal(answer.trailers['x-check'], 'abc');
  assert.equal(answer.informational[0].statusCode, 103);
  for (const status of [204, 304]) {
    await backend.answer('/models', { status });
    const empty = await client.get('/models');
    assert.equal(empty.status, status);
    assert.equal(empty.body.length, 0);
  }
  const head = await client.request('HEAD', '/');
  assert.equal(head.status, 200);
  assert.equal(head.body.length, 0);
});

test('scripted errors take the API\'s own form', async () => {
  await backend.answer('/v1/messages', { status: 529 });
  await backend.answer('/responses', { status: 429, headers: { 'retry-after': '1' } });
  const anthropic = await client.post('/v1/messages', CALLS.messages.body);
  assert.equal(anthropic.json.error.type, 'overloaded_error');
  const openai = await client.post('/responses', CALLS.responses.body);
  assert.equal(openai.headers['retry-after'], '1');
  assert.match(openai.json.error.message, /429/);
});

test('raw answers go past the framing', async () => {
  const rawResponse = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc';
  await backend.answer('/models', { rawResponse });
  const text = await client.raw(
    `GET /models HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${backend.token}\r\n\r\n`);
  assert.equal(text, rawResponse);
});

test('100-continue is sent when asked for, and withheld when scripted', async () => {
  const { path, body } = CALLS.chat;
  const send = (text) => client.start('POST', path, {
    headers: { expect: '100-continue', 'content-length': Buffer.byteLength(text) },
    write: (req) => req.on('continue', () => req.end(text)),
  });
  assert.equal((await send(JSON.stringify(body))).res.statusCode, 200);
  await backend.answer(path, { early: true, status: 413 });
  const early = await client.start('POST', path, {
    headers: { expect: '100-continue', 'content-length': 5 },
    write: (req) => req.flushHeaders(),
  });
  assert.equal(early.res.statusCode, 413);
  early.socket.destroy();
});

test('h2: streams, errors, resets', async () => {
  const headers = {
    ':path': '/chat/completions', ':method': 'POST', authorization: `Bearer ${backend.token}`,
  };
  const body = JSON.stringify({ ...CALLS.chat.body, stream: true });
  const answer = await requestH2({ port: backend.port, ca: backend.ca }, headers, body);
  assert.equal(answer.status, 200);
  assert.match(answer.text, /\[DONE\]/);
  await backend.answer('/chat/completions', { text: 'zz', resetAfterBytes: 20 });
  const reset = await requestH2({ port: backend.port, ca: backend.ca }, headers, body);
  assert.equal(reset.code, 2);
  const [first] = await backend.requests();
  assert.equal(first.http, '2');
  assert.equal(first.sni, 'localhost');
});

test('h2: 1xx and trailers', async () => {
  await backend.answer('/models', {
    json: {}, chunked: true, trailers: { 'x-check': 'abc' },
    informational: [{ status: 103, headers: { link: '</a>' } }],
  });
  const headers = { ':path': '/models', authorization: `Bearer ${backend.token}` };
  const answer = await requestH2({ port: backend.port, ca: backend.ca }, headers);
  assert.equal(answer.informational[0][':status'], 103);
  assert.equal(answer.trailers['x-check'], 'abc');
});

function masked(text) {
  const payload = Buffer.from(text);
  const mask = Buffer.from([1, 2, 3, 4]);
  const head = Buffer.from([0x81, 0x80 | 126, payload.length >> 8, payload.length & 255]);
  return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ mask[i & 3])]);
}

test('WebSocket: accepts the upgrade and streams the events as frames', async () => {
  const socket = await client.open();
  socket.write([
    'GET /responses HTTP/1.1', 'Host: localhost', 'Upgrade: websocket',
    'Connection: Upgrade', 'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', `Authorization: Bearer ${backend.token}`, '\r\n',
  ].join('\r\n'));
  const { head } = await readHead(socket);
  assert.match(head, /^HTTP\/1\.1 101 /);
  assert.match(head, /s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/);
  const create = { type: 'response.create', model: 'gpt-5.4', input: `${'x'.repeat(200)} leak` };
  const { length } = JSON.stringify(create);
  socket.write(masked(JSON.stringify(create)));
  let got = '';
  socket.on('data', (chunk) => (got += chunk.toString('latin1')));
  socket.resume();
  await until(() => got.includes('response.completed'), 'the last event');
  assert.ok(got.includes(LEAKED_KEY));
  socket.destroy();
  const [seen] = await backend.requests();
  assert.equal(seen.websocket, true);
  assert.equal(seen.messages[0].length, length);
});

test('new TCP connections can stall, reset and close', async () => {
  for (const accept of ['reset', 'close']) {
    await backend.config({ accept });
    await assert.rejects(client.get('/models'), /closed|ECONNRESET|socket/);
  }
  await backend.config({ accept: 'stall' });
  const tcp = await openTcp({ port: backend.port });
  assert.equal((await exchangeRaw(tcp, 'x', 300)).length, 0);
  await backend.config({ accept: 'normal' });
  assert.equal((await client.get('/models')).status, 200);
  assert.ok((await backend.connections()).accepted >= 4);
});

test('a certificate and TLS version of the test\'s own', async (t) => {
  const dir = tempDir(t);
  const leaf = mintLeaf(ensureCa(dir), { hosts: ['other.example'], addresses: [] });
  const other = await startBackend(t, {
    caDir: dir, args: ['--cert', leaf.cert, '--key', leaf.key, '--tls-max', 'TLSv1.2', '--alpn', 'h1'],
  });
  const at = (host) => new Client({ mode: 'direct', port: other.port, ca: other.ca, host, token: other.token });
  assert.equal((await at('other.example').get('/models')).status, 200);
  await assert.rejects(at('localhost').get('/models'), /altname|does not match/i);
  const [seen] = await other.requests();
  assert.equal(seen.tls, 'TLSv1.2');
});

test('the upload can be read slowly, stalled, or reset', async () => {
  const { path, body } = CALLS.chat;
  const text = JSON.stringify({ ...body, filler: 'f'.repeat(3 << 20) });
  await backend.answer(path, { reading: { stallAfterBytes: 65536, stallMs: 300 }, text: 'late' });
  const start = Date.now();
  const slow = await client.request('POST', path, { body: text });
  assert.equal(slow.json.choices[0].message.content, 'late');
  assert.ok(Date.now() - start >= 290);
  await backend.answer(path, { reading: { resetAfterBytes: 65536 }, text: 'never' });
  await assert.rejects(client.request('POST', path, { body: text }), /ECONNRESET|EPIPE|hang up/);
});

test('64 MiB flow both ways with back-pressure', async () => {
  const size = 64 << 20;
  await backend.answer('/chat/completions', { size });
  const answer = await client.post('/chat/completions', CALLS.chat.body);
  assert.equal(answer.body.length, size);
  const sent = `"${'q'.repeat(16 << 20)}"`;
  await client.request('POST', '/telemetry', { body: sent });
  const [up] = await backend.requests({ path: '/telemetry' });
  assert.equal(up.bodySize, sent.length);
  assert.ok(up.bodyTruncated);
});

test('MCP: initialize, list, call', async () => {
  const rpc = (method, params, id = 1) => client.post('/mcp/readonly', { jsonrpc: '2.0', id, method, params });
  const start = await rpc('initialize', { protocolVersion: '2025-06-18' });
  assert.ok(start.headers['mcp-session-id']);
  assert.equal((await rpc('tools/list')).json.result.tools.length, 1);
  assert.match(
    (await rpc('tools/call', { name: 'get_file_contents', arguments: { path: 'a' } })).json.result.content[0].text,
    /Contents of a/);
});

test('unknown paths and methods', async () => {
  assert.equal((await client.get('/nothing/here')).status, 404);
  assert.equal((await client.get('/chat/completions')).status, 405);
  assert.equal((await client.get('/repos/a/b/contents')).json.message, 'Not Found');
});

test('scripts match by host, header, content and run out', async () => {
  await backend.script(
    { match: { path: '/chat/completions', contains: 'needle' }, answer: { text: 'found' } },
    { match: { path: '/chat/*', header: { 'x-initiator': 'agent' } }, answer: { text: 'agent' } },
  );
  const ask = async (content, headers) => {
    const body = { messages: [{ role: 'user', content }] };
    return (await client.post('/chat/completions', body, { headers })).json.choices[0].message.content;
  };
  assert.match(await ask('hay'), /You wrote: hay/);
  assert.equal(await ask('a needle'), 'found');
  assert.match(await ask('a needle'), /You wrote/);
  assert.equal(await ask('hay', { 'x-initiator': 'agent' }), 'agent');
  await assert.rejects(backend.script({ match: { colour: 'red' }, answer: {} }), /unknown match/);
});
