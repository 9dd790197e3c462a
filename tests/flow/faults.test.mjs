// SPDX-License-Identifier: Apache-2.0
// What the server does wrong, phase by phase, as a client sees it through the
// agent: well-formed ends that say what happened, never a silent short
// success, and the server's own errors as they are.

import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, beforeEach, test } from 'node:test';

import {
  callOf,
  Fixture,
  freePort,
  startAgent,
  startBackend,
  until,
} from './lib/harness.mjs';

const APIS = ['engines', 'chat', 'responses', 'messages'];
const CUTS = ['resetAfterBytes', 'truncateAfterBytes', 'stallAfterBytes'];
const ENDS = {
  engines: /data: \[DONE\]/,
  chat: /data: \[DONE\]/,
  responses: /event: response\.completed/,
  messages: /event: message_stop/,
};
const EARLY = /The answer ended too early/;
const IDLE_S = 2;

const fixture = new Fixture();
let backend;
let agent;
let client;

before(async () => {
  backend = await startBackend(fixture);
  agent = await startAgent(fixture, {
    backend,
    config: { limits: { 'idle-timeout': IDLE_S } },
  });
  client = agent.client({ mode: 'base-url', token: backend.token });
});
after(() => fixture.close());
beforeEach(() => backend.reset());

function stream(api, more) {
  const { path, body } = callOf(api, 'hello', { stream: true });
  return client.stream(path, body, more);
}

/** An error that the agent made: JSON, readable, taken for GitHub's own. */
function assertError(answer, status, code) {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.headers['content-type'], /^application\/json/);
  assert.ok(answer.headers['x-github-request-id'], 'x-github-request-id');
  assert.ok(answer.complete);
  const { error } = answer.json;
  assert.ok(error.message.length > 20, error.message);
  if (code) assert.equal(error.code, code);
}

/** A stream that was ended by the agent: said in words, complete, once. */
function assertEnded(api, answer) {
  assert.equal(answer.status, 200);
  assert.ok(answer.complete, 'the end of the body is missing');
  assert.match(answer.text, ENDS[api]);
  if (api === 'engines') assert.match(answer.text, /"finish_reason":"length"/);
  else assert.match(answer.text, EARLY);
}

const DELTAS = Array.from({ length: 40 }, (_, i) => `word${i} `);
function scripted(api, fault) {
  const said =
    api === 'engines' ? { choices: [{ deltas: DELTAS }] } : { deltas: DELTAS };
  return backend.answer(callOf(api, '').path, { ...said, ...fault });
}

for (const api of APIS)
  for (const fault of CUTS)
    test(`${api}: a stream with ${fault} ends with words`, async () => {
      // At the start, inside the first events, later on.
      const places = fault === 'stallAfterBytes' ? [700] : [1, 60, 700, 2500];
      for (const at of places) {
        await scripted(api, { [fault]: at });
        assertEnded(api, await stream(api));
      }
    });

for (const encoding of ['gzip', 'br', 'zstd-blocks', 'deflate'])
  test(`a ${encoding} stream that is cut ends with words`, async () => {
    for (const at of [5, 100]) {
      await scripted('chat', { truncateAfterBytes: at, encoding });
      assertEnded('chat', await stream('chat'));
    }
    await backend.answer('/chat/completions', {
      rawBody: 'this is not encoded at all',
      headers: {
        'content-type': 'text/event-stream',
        'content-encoding': encoding === 'zstd-blocks' ? 'zstd' : encoding,
      },
    });
    const answer = await stream('chat');
    assert.ok(answer.complete);
    assert.match(answer.text, /\[hoop-agent\] The server's answer cannot be read/);
  });

test('a stream without its terminal event is not taken for a whole one', async () => {
  for (const [api, body] of [
    ['chat', 'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'],
    ['chat', ''],
    ['responses', 'event: response.created\ndata: {"type":"response.created"}\n\n'],
    ['messages', 'event: ping\ndata: {"type":"ping"}\n\n'],
  ]) {
    await backend.answer(callOf(api, '').path, {
      rawBody: body,
      headers: { 'content-type': 'text/event-stream' },
    });
    assertEnded(api, await stream(api));
  }
});

for (const fault of CUTS)
  test(`a whole answer with ${fault} is an error`, async () => {
    for (const at of fault === 'stallAfterBytes' ? [20] : [0, 1, 20]) {
      await backend.answer('/chat/completions', {
        text: 'a long answer '.repeat(20),
        [fault]: at,
      });
      const { path, body } = callOf('chat', 'hello');
      const answer = await client.post(path, body);
      assertError(answer, fault === 'stallAfterBytes' ? 504 : 502);
    }
  });

for (const drop of ['reset', 'close', 'abrupt'])
  test(`a connection that ends before the answer (${drop}) is an error`, async () => {
    for (const stream of [false, true]) {
      await backend.answer('/chat/completions', { drop }, 2);
      const { path, body } = callOf('chat', `hello ${stream}`, { stream });
      assertError(await client.post(path, body), 502, 'upstream_unavailable');
    }
  });

test('a server that never answers is an error in time', async () => {
  await backend.answer('/responses', { slowStartMs: 60000 });
  const { path, body } = callOf('responses', 'hello');
  assertError(await client.post(path, body), 504);
});

test('a slow start and slow events are waited for', async () => {
  await backend.answer('/responses', { slowStartMs: 1200, delayMs: 100 });
  const answer = await stream('responses');
  assert.equal(answer.status, 200);
  assert.doesNotMatch(answer.text, EARLY);
});

test('garbage in place of an answer is an error', async () => {
  for (const rawResponse of [
    'SSH-2.0-OpenSSH_9\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde',
    'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{"a',
  ]) {
    await backend.answer('/chat/completions', { rawResponse }, 2);
    const { path, body } = callOf('chat', 'hello');
    assertError(await client.post(path, body), 502);
  }
});

const STATUS = [401, 403, 404, 422, 429, 500, 502, 503];
for (const status of STATUS)
  test(`the server's own ${status} passes with its body`, async () => {
    for (const api of APIS)
      for (const stream of [false, true]) {
        const { path, body } = callOf(api, 'hello', { stream });
        const json = {
          error: { message: `the server's own words ${status}`, type: 'x' },
        };
        await backend.answer(path, {
          status,
          json,
          headers: { 'retry-after': '7', 'x-own': 'yes' },
        });
        const answer = await client.post(path, body);
        assert.equal(answer.status, status);
        assert.deepEqual(answer.json, json);
        assert.equal(answer.headers['retry-after'], '7');
        assert.equal(answer.headers['x-own'], 'yes');
        assert.equal((await backend.modelCalls({ path })).length, 1);
        await backend.reset();
      }
  });

test('an error without JSON passes too', async () => {
  await backend.answer('/chat/completions', {
    status: 503,
    rawBody: '<html>busy</html>',
    headers: { 'content-type': 'text/html' },
  });
  const { path, body } = callOf('chat', 'hello', { stream: true });
  const answer = await client.post(path, body);
  assert.equal(answer.status, 503);
  assert.match(answer.text, /busy/);
});

test('a server that is not there is an error that names it', async (t) => {
  const port = await freePort();
  const own = await startAgent(t, {
    config: {
      'connection "copilot"': { upstream: `https://localhost:${port}` },
    },
  });
  const its = own.client({ mode: 'base-url', token: 'x' });
  const { path, body } = callOf('chat', 'hello');
  const answer = await its.post(path, body);
  assertError(answer, 502, 'upstream_unreachable');
  assert.match(answer.json.error.message, /localhost/);
});

test('a server that does not speak TLS is an error', async (t) => {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const own = await startAgent(t, {
    config: {
      'connection "copilot"': {
        upstream: `https://localhost:${server.address().port}`,
      },
    },
  });
  const its = own.client({ mode: 'base-url', token: 'x' });
  const { path, body } = callOf('chat', 'hello');
  const answer = await its.post(path, body);
  // Asking again cannot help: the form that no client repeats.
  assertError(answer, 400, 'upstream_not_trusted');
});

for (const accept of ['reset', 'close'])
  test(`a new connection that meets a ${accept} is an error`, async (t) => {
    const own = await startAgent(t, { backend }); // nothing is pooled yet
    const its = own.client({ mode: 'base-url', token: backend.token });
    await backend.config({ accept });
    const { path, body } = callOf('chat', 'hello');
    const answer = await its.post(path, body);
    assertError(answer, 502, 'upstream_unreachable');
    // A reset may come before the handshake begins.
    assert.match(
      answer.json.error.message,
      accept === 'close' ? /localhost.*TLS handshake/ : /localhost/,
    );
  });

test('every one of them is recorded with its end', async () => {
  await scripted('chat', { resetAfterBytes: 700 });
  await stream('chat');
  const rows = await agent.journalUntil((list) => {
    const requests = list.filter((r) => r.kind === 'request');
    const responses = list.filter((r) => r.kind === 'response');
    return requests.length && requests.length === responses.length && list;
  });
  assert.ok(rows.some((r) => r.kind === 'response' && r.verdict === 'cut'));
});

test('the agent still answers, and holds nothing', async () => {
  const { path, body } = callOf('chat', 'hello');
  assert.equal((await client.post(path, body)).status, 200);
  await until(
    async () => (await agent.status()).running === 0,
    'no exchange runs',
    5000,
  ).catch(async (error) => {
    throw new Error(`${error.message} ${JSON.stringify(await agent.status())}`);
  });
});
