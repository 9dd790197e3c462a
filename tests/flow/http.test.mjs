// SPDX-License-Identifier: Apache-2.0
// HTTP itself, by raw sockets through the agent: HEAD, 204, 304, 1xx,
// trailers, Expect, pipelines, codings of requests, framing that is refused.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import zlib from 'node:zlib';

import {
  callOf,
  connectTunnel,
  exchangeRaw,
  Fixture,
  startAgent,
  startBackend,
} from './lib/harness.mjs';

// Made up in AWS's published format.
const SECRET = 'AKIA' + 'Q3EGRUZPL5WY7HTC';
const CHAT = callOf('chat', 'hello').body;

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

/** A request as text; lines: more header lines. */
function request(method, path, lines = [], body = '') {
  return [
    `${method} ${path} HTTP/1.1`,
    `Host: localhost:${agent.port}`,
    `Authorization: Bearer ${backend.token}`,
    ...lines,
    '',
    body,
  ].join('\r\n');
}

const close = 'Connection: close';

/** Sends text, reads to the end: [{head, body}] by blank lines. */
async function raw(text, ms = 5000) {
  const socket = await client.open();
  return (await exchangeRaw(socket, text, ms)).toString('latin1');
}

function headOf(answer) {
  return answer.slice(0, answer.indexOf('\r\n\r\n'));
}

function bodyOf(answer) {
  return answer.slice(answer.indexOf('\r\n\r\n') + 4);
}

test('HEAD has a head and no body, and the connection goes on', async () => {
  const answer = await raw(
    request('HEAD', '/models') + request('GET', '/_ping', [close]),
  );
  assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.match(bodyOf(answer), /^HTTP\/1\.1 200 [\s\S]*pong/);
  assert.equal((await backend.requests({ method: 'HEAD' })).length, 1);
});

for (const status of [204, 304])
  test(`${status} has no body, and the connection goes on`, async () => {
    await backend.answer('/models', {
      status,
      rawBody: '',
      headers: { etag: '"x"', 'content-type': null },
    });
    const answer = await raw(
      request('GET', '/models') + request('GET', '/_ping', [close]),
    );
    assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
    assert.match(headOf(answer), /etag: "x"/i);
    assert.doesNotMatch(headOf(answer), /transfer-encoding/i);
    assert.match(bodyOf(answer), /^HTTP\/1\.1 200 [\s\S]*pong/);
  });

test('an empty 200 is an empty 200', async () => {
  await backend.answer('/agents', { rawBody: '' });
  const answer = await client.get('/agents');
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.text, '');
  assert.ok(answer.complete);
});

test('an empty list of models is an empty 200', async () => {
  await backend.answer('/models', { rawBody: '' });
  const answer = await client.get('/models');
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.text, '');
  assert.ok(answer.complete);
});

test('1xx of the server are not taken for its answer', async () => {
  await backend.answer('/chat/completions', {
    informational: [
      { status: 103, headers: { link: '</x>' } },
      { status: 102, headers: {} },
    ],
    text: 'after them',
  });
  const answer = await client.post('/chat/completions', CHAT);
  assert.equal(answer.status, 200);
  assert.match(answer.text, /after them/);
});

test('trailers of the server do not harm', async () => {
  for (const stream of [false, true]) {
    await backend.answer('/chat/completions', {
      chunked: true,
      text: 'with trailers',
      trailers: { 'x-checksum': '1' },
    });
    const answer = await client.post('/chat/completions', { ...CHAT, stream });
    assert.equal(answer.status, 200);
    assert.match(answer.text, /with/);
    assert.ok(answer.complete);
  }
});

test('trailers and chunks of the client are read', async () => {
  const body = JSON.stringify(CHAT);
  const cut = body.slice(0, 20);
  const rest = body.slice(20);
  const answer = await raw(
    request(
      'POST',
      '/chat/completions',
      [
        'Content-Type: application/json',
        'Transfer-Encoding: chunked',
        'Trailer: x-sum',
        close,
      ],
      `${cut.length.toString(16)}\r\n${cut}\r\n` +
        `${rest.length.toString(16)}\r\n${rest}\r\n0\r\nx-sum: 1\r\n\r\n`,
    ),
  );
  assert.match(answer, /^HTTP\/1\.1 200 /);
  const [seen] = await backend.modelCalls();
  assert.equal(seen.body, body);
  assert.equal(seen.headers['x-sum'], undefined);
  assert.equal(seen.headers['transfer-encoding'], undefined);
});

test('Expect: 100-continue is answered before the body', async () => {
  const socket = await client.open();
  const body = JSON.stringify(CHAT);
  let text = '';
  const ended = new Promise((resolve) => {
    socket.on('data', (chunk) => {
      if (!text) socket.write(body);
      text += chunk;
    });
    socket.on('close', resolve);
  });
  socket.write(
    request('POST', '/chat/completions', [
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
      'Expect: 100-continue',
      close,
    ]),
  );
  await ended;
  assert.match(text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /);
  const [seen] = await backend.modelCalls();
  assert.equal(seen.headers.expect, undefined);
});

test('a refusal spares the body that Expect announces', async () => {
  const answer = await raw(
    request('POST', '/chat/completions', [
      'Content-Type: application/json',
      `Content-Length: ${1 << 30}`,
      'Expect: 100-continue',
      close,
    ]),
  );
  assert.match(answer, /^HTTP\/1\.1 413 /);
  assert.doesNotMatch(answer, /100 Continue/);
});

test('an expectation that cannot be met is an error', async () => {
  for (const lines of [
    ['Expect: miracles'],
    ['Expect: 100-continue, miracles'],
    ['Expect: 100-continue', 'Expect: miracles'],
  ]) {
    const answer = await raw(
      request('POST', '/chat/completions', [...lines, close]),
    );
    assert.match(answer, /^HTTP\/1\.1 417 /);
    assert.match(answer, /"expectation_failed"/);
  }
  assert.deepEqual(await backend.requests(), []);
});

const CODINGS = {
  gzip: zlib.gzipSync,
  deflate: zlib.deflateSync,
  br: zlib.brotliCompressSync,
};
for (const [coding, encode] of Object.entries(CODINGS))
  test(`a ${coding} request is read, masked and forwarded plain`, async () => {
    const { path, body } = callOf('chat', `use ${SECRET}`);
    const answer = await client.request('POST', path, {
      body: encode(JSON.stringify(body)),
      headers: {
        'content-type': 'application/json',
        'content-encoding': coding,
      },
    });
    assert.equal(answer.status, 200, answer.text);
    const [seen] = await backend.modelCalls();
    assert.equal(seen.headers['content-encoding'], undefined);
    assert.match(seen.body, /use \[aws-access-key:/);
    assert.ok(!seen.body.includes(SECRET));
  });

test('requests that come in one write are answered in order', async () => {
  const body = JSON.stringify(CHAT);
  const one = request(
    'POST',
    '/chat/completions',
    ['Content-Type: application/json', `Content-Length: ${body.length}`],
    body,
  );
  const answer = await raw(one + one + request('GET', '/_ping', [close]));
  const statuses = [...answer.matchAll(/HTTP\/1\.1 (\d+) /g)].map((m) => m[1]);
  assert.deepEqual(statuses, ['200', '200', '200']);
  assert.match(answer, /pong$/);
  assert.equal((await backend.modelCalls()).length, 2);
});

test('a request that comes byte by byte is read', async () => {
  const body = JSON.stringify(CHAT);
  const text = request(
    'POST',
    '/chat/completions',
    ['Content-Type: application/json', `Content-Length: ${body.length}`, close],
    body,
  );
  const socket = await client.open();
  const answer = exchangeRaw(socket, null, 10000);
  for (const byte of text) {
    socket.write(byte);
    await new Promise(setImmediate);
  }
  assert.match((await answer).toString(), /^HTTP\/1\.1 200 /);
});

test('hop-by-hop fields stay on their hop', async () => {
  await backend.answer('/models', {
    json: { data: [] },
    headers: { connection: 'x-hop', 'x-hop': '1', 'x-end': '2' },
  });
  const answer = await client.get('/models', {
    headers: {
      connection: 'x-mine, close',
      'x-mine': '1',
      'x-kept': '1',
      te: 'trailers',
      'proxy-authorization': 'Basic eDp5',
    },
  });
  assert.equal(answer.headers['x-hop'], undefined);
  assert.equal(answer.headers['x-end'], '2');
  const [seen] = await backend.requests({ path: '/models' });
  for (const name of ['x-mine', 'te', 'proxy-authorization'])
    assert.equal(seen.headers[name], undefined, name);
  assert.equal(seen.headers['x-kept'], '1');
  assert.equal(seen.headers['accept-encoding'], 'identity');
});

test('a WebSocket upgrade is answered with 426', async () => {
  for (const path of ['/responses', '/v1/responses']) {
    const answer = await raw(
      request('GET', path, [
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      ]),
      1500,
    );
    assert.match(answer, /^HTTP\/1\.1 426 /);
    assert.match(answer, /x-github-request-id/i);
  }
  assert.deepEqual(await backend.requests(), []);
});

test('WebSocket endpoints are struck from the models', async () => {
  const answer = await client.get('/models');
  assert.equal(answer.status, 200);
  const all = answer.json.data.flatMap((m) => m.supported_endpoints ?? []);
  assert.ok(all.includes('/responses'));
  assert.ok(!all.some((one) => one.startsWith('ws:')), all.join());
  const direct = agent.client({
    mode: 'direct',
    port: backend.port,
    ca: backend.ca,
    token: backend.token,
  });
  assert.match((await direct.get('/models')).text, /"ws:/);
});

const BAD = {
  'two lengths': ['Content-Length: 2', 'Content-Length: 3'],
  'length and chunks': ['Content-Length: 2', 'Transfer-Encoding: chunked'],
  'a list of lengths': ['Content-Length: 2, 2'],
  'a signed length': ['Content-Length: +2'],
  'an odd coding': ['Transfer-Encoding: xchunked'],
  'gzip framing': ['Transfer-Encoding: gzip, chunked'],
  'a folded field': ['X-A: b\r\n c: d'],
  'space before the colon': ['X-A : b'],
  'a bare CR': ['X-A: b\rc'],
  'a NUL': ['X-A: b\0c'],
  'two hosts': ['Host: localhost'],
};
for (const [name, lines] of Object.entries(BAD))
  test(`${name}: refused and closed`, async () => {
    const answer = await raw(
      request('POST', '/chat/completions', lines, '{}') +
        request('GET', '/_ping', [close]),
    );
    assert.match(answer, /^HTTP\/1\.1 (400|501) /, answer.slice(0, 300));
    assert.equal([...answer.matchAll(/HTTP\/1\.1 /g)].length, 1);
    assert.deepEqual(await backend.requests(), []);
  });

test('a bare LF between lines is refused', async () => {
  const answer = await raw(
    request('GET', '/_ping', [close]).replaceAll('\r\n', '\n'),
  );
  assert.match(answer, /^HTTP\/1\.1 400 /);
});

test('methods without a body pass, CONNECT inside does not', async () => {
  for (const method of ['OPTIONS', 'DELETE']) {
    await backend.script({
      match: { method, path: '/agents' },
      answer: { json: { done: method } },
    });
    const answer = await client.request(method, '/agents');
    assert.equal(answer.status, 200, `${method} ${answer.text}`);
    assert.equal(answer.json.done, method);
  }
  const inside = await raw(
    `CONNECT api.githubcopilot.com:443 HTTP/1.1\r\nHost: api.githubcopilot.com:443\r\n\r\n`,
    1500,
  );
  assert.match(inside, /^HTTP\/1\.1 4\d\d /);
});

test('plain HTTP inside a CONNECT to a governed host is refused', async () => {
  const tunnel = await connectTunnel(agent.port, 'api.githubcopilot.com:443');
  assert.equal(tunnel.status, 200);
  const answer = await exchangeRaw(
    tunnel.socket,
    'GET /models HTTP/1.1\r\nHost: api.githubcopilot.com\r\n\r\n',
    3000,
  );
  assert.match(answer.toString(), /^HTTP\/1\.1 400 /);
  assert.deepEqual(await backend.requests(), []);
});
