// SPDX-License-Identifier: Apache-2.0
// The stand-in tested by itself: encodings, faults, framing, HTTP/2, WebSocket,
// certificates, large bodies.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, beforeEach, test } from 'node:test';
import zlib from 'node:zlib';

import { ensureCa, mintLeaf } from '../fake/ca.mjs';
import { LEAKED_KEY } from '../fake/defaults.mjs';
import {
  Client,
  exchangeRaw,
  Fixture,
  openTcp,
  readHead,
  requestH2,
  startBackend,
  tempDir,
  until,
  callOf,
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
const CHAT = callOf('chat', PROMPT);

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
    await backend.answer(
      '/chat/completions',
      { text: 'plain words', encoding },
      1,
    );
    await backend.answer(
      '/chat/completions',
      { text: 'a b c', encoding, writeSize: 7 },
      1,
    );
    const { path, body } = CHAT;
    const whole = await client.post(path, body);
    const header =
      encoding === 'identity'
        ? undefined
        : encoding.replace(/-(blocks|raw)$/, '');
    assert.equal(whole.headers['content-encoding'], header);
    assert.match(decode(whole.body).toString(), /plain words/);
    const stream = await client.request('POST', path, {
      json: { ...body, stream: true },
    });
    assert.match(decode(stream.body).toString(), /\[DONE\]/);
  });

test('stall, then the client leaves: recorded', async () => {
  await backend.answer('/chat/completions', {
    text: 'x'.repeat(500),
    stallAfterBytes: 100,
  });
  const { path, body } = CHAT;
  const { res, socket } = await client.start('POST', path, { json: body });
  let got = 0;
  res.on('data', (chunk) => (got += chunk.length));
  await new Promise((r) => setTimeout(r, 200));
  assert.equal(got, 100);
  socket.destroy();
  const [seen] = await backend.waitFor({ path });
  await until(
    async () => (await backend.requests({ path }))[0].clientGone,
    'noticed',
  );
  assert.equal(seen.fault, 'stall');
});

for (const [fault, answer] of Object.entries({
  reset: { resetAfterBytes: 90 },
  truncate: { truncateAfterBytes: 90 },
  'reset at once': { resetAfterBytes: 0 },
  drop: { drop: 'reset' },
}))
  test(`fault ${fault}: the answer is not complete`, async () => {
    const { path, body } = CHAT;
    await backend.answer(path, {
      text: 'y'.repeat(400),
      chunked: true,
      ...answer,
    });
    const result = await client.post(path, body).catch((error) => ({ error }));
    assert.ok(result.error || !result.complete, JSON.stringify(result));
    if (fault === 'truncate') assert.equal(result.body.length, 90);
  });

test('slow start and delays are kept', async () => {
  const { path, body } = CHAT;
  await backend.answer(path, {
    text: 'a b c d',
    slowStartMs: 150,
    delayMs: 30,
  });
  const start = Date.now();
  const answer = await client.stream(path, { ...body, stream: true });
  assert.ok(Date.now() - start > 300);
  assert.ok(answer.events.at(-1).at - answer.events[0].at > 120);
});

test('trailers, 1xx, odd statuses, HEAD', async () => {
  const { path, body } = CHAT;
  await backend.answer(path, {
    text: 'x',
    trailers: { 'x-check': 'abc' },
    informational: [{ status: 103, headers: { link: '</a>' } }],
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

test("scripted errors take the API's own form", async () => {
  await backend.answer('/v1/messages', { status: 529 });
  await backend.answer('/responses', {
    status: 429,
    headers: { 'retry-after': '1' },
  });
  const anthropic = await client.post(
    '/v1/messages',
    callOf('messages', PROMPT).body,
  );
  assert.equal(anthropic.json.error.type, 'overloaded_error');
  const openai = await client.post(
    '/responses',
    callOf('responses', PROMPT).body,
  );
  assert.equal(openai.headers['retry-after'], '1');
  assert.match(openai.json.error.message, /429/);
});

test('raw answers go past the framing', async () => {
  const rawResponse =
    'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nabc';
  await backend.answer('/models', { rawResponse });
  const text = await client.raw(
    `GET /models HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${backend.token}\r\n\r\n`,
  );
  assert.equal(text, rawResponse);
});

test('100-continue is sent when asked for, and withheld when scripted', async () => {
  const { path, body } = CHAT;
  const send = (text) =>
    client.start('POST', path, {
      headers: {
        expect: '100-continue',
        'content-length': Buffer.byteLength(text),
      },
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
    ':path': '/chat/completions',
    ':method': 'POST',
    authorization: `Bearer ${backend.token}`,
  };
  const body = JSON.stringify({ ...CHAT.body, stream: true });
  const answer = await requestH2(
    { port: backend.port, ca: backend.ca },
    headers,
    body,
  );
  assert.equal(answer.status, 200);
  assert.match(answer.text, /\[DONE\]/);
  await backend.answer('/chat/completions', {
    text: 'zz',
    resetAfterBytes: 20,
  });
  const reset = await requestH2(
    { port: backend.port, ca: backend.ca },
    headers,
    body,
  );
  assert.equal(reset.code, 2);
  const [first] = await backend.requests();
  assert.equal(first.http, '2');
  assert.equal(first.sni, 'localhost');
});

test('h2: 1xx and trailers', async () => {
  await backend.answer('/models', {
    json: {},
    chunked: true,
    trailers: { 'x-check': 'abc' },
    informational: [{ status: 103, headers: { link: '</a>' } }],
  });
  const headers = {
    ':path': '/models',
    authorization: `Bearer ${backend.token}`,
  };
  const answer = await requestH2(
    { port: backend.port, ca: backend.ca },
    headers,
  );
  assert.equal(answer.informational[0][':status'], 103);
  assert.equal(answer.trailers['x-check'], 'abc');
});

function masked(text) {
  const payload = Buffer.from(text);
  const mask = Buffer.from([1, 2, 3, 4]);
  const head = Buffer.from([
    0x81,
    0x80 | 126,
    payload.length >> 8,
    payload.length & 255,
  ]);
  return Buffer.concat([
    head,
    mask,
    payload.map((byte, i) => byte ^ mask[i & 3]),
  ]);
}

test('WebSocket: accepts the upgrade and streams the events as frames', async () => {
  const socket = await client.open();
  socket.write(
    [
      'GET /responses HTTP/1.1',
      'Host: localhost',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      `Authorization: Bearer ${backend.token}`,
      '\r\n',
    ].join('\r\n'),
  );
  const { head } = await readHead(socket);
  assert.match(head, /^HTTP\/1\.1 101 /);
  assert.match(head, /s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/);
  const create = {
    type: 'response.create',
    model: 'gpt-5.4',
    input: `${'x'.repeat(200)} leak`,
  };
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

test("a certificate and TLS version of the test's own", async (t) => {
  const dir = tempDir(t);
  const leaf = mintLeaf(ensureCa(dir), {
    hosts: ['other.example'],
    addresses: [],
  });
  const other = await startBackend(t, {
    caDir: dir,
    args: [
      '--cert',
      leaf.cert,
      '--key',
      leaf.key,
      '--tls-max',
      'TLSv1.2',
      '--alpn',
      'h1',
    ],
  });
  const at = (host) =>
    new Client({
      mode: 'direct',
      port: other.port,
      ca: other.ca,
      host,
      token: other.token,
    });
  assert.equal((await at('other.example').get('/models')).status, 200);
  await assert.rejects(
    at('localhost').get('/models'),
    /altname|does not match/i,
  );
  const [seen] = await other.requests();
  assert.equal(seen.tls, 'TLSv1.2');
});

test('the upload can be read slowly, stalled, or reset', async () => {
  const { path, body } = CHAT;
  const text = JSON.stringify({ ...body, filler: 'f'.repeat(3 << 20) });
  await backend.answer(path, {
    reading: { stallAfterBytes: 65536, stallMs: 300 },
    text: 'late',
  });
  const start = Date.now();
  const slow = await client.request('POST', path, { body: text });
  assert.equal(slow.json.choices[0].message.content, 'late');
  assert.ok(Date.now() - start >= 290);
  await backend.answer(path, {
    reading: { resetAfterBytes: 65536 },
    text: 'never',
  });
  await assert.rejects(
    client.request('POST', path, { body: text }),
    /ECONNRESET|EPIPE|hang up/,
  );
});

test('64 MiB flow both ways with back-pressure', async () => {
  const size = 64 << 20;
  await backend.answer('/chat/completions', { size });
  const answer = await client.post('/chat/completions', CHAT.body);
  assert.equal(answer.body.length, size);
  const sent = `"${'q'.repeat(16 << 20)}"`;
  await client.request('POST', '/telemetry', { body: sent });
  const [up] = await backend.requests({ path: '/telemetry' });
  assert.equal(up.bodySize, sent.length);
  assert.ok(up.bodyTruncated);
});
