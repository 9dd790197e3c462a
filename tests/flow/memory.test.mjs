// SPDX-License-Identifier: Apache-2.0
// Memory: all that exchanges keep counts against [limits] held-bytes, and what
// a burst took is given back while its clients stay connected.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import {
  callOf,
  Fixture,
  startAgent,
  startBackend,
  until,
} from './lib/harness.mjs';

const POLICY = `
version: 1
default: allow
tunnels: allow
rules:
  - id: look-at-tools
    match: {tool: {name: never}}
    action: block
`;

const fixture = new Fixture();
let backend;
let agent;
let client;

before(async () => {
  backend = await startBackend(fixture);
  agent = await startAgent(fixture, {
    backend,
    policy: POLICY,
    config: { limits: { 'max-body': '8M', 'held-bytes': '3M' } },
  });
  client = agent.client({ mode: 'base-url', token: backend.token });
});
after(() => fixture.close());
beforeEach(() => backend.reset());

const heldBytes = async () => (await agent.json('status')).held_bytes;
const nothingHeld = () =>
  until(async () => (await heldBytes()) === 0, 'held bytes back at 0');

test('request_counts_with_all_that_is_made_of_it', async () => {
  const { path, body } = callOf('chat', 'x'.repeat(1 << 20));
  assert.equal((await client.post(path, body)).status, 200);
  await nothingHeld();
  // Body and decoded texts: less than 3M each, more together.
  const large = callOf('chat', 'x'.repeat(1.8 * (1 << 20))).body;
  const answer = await client.post(path, large);
  assert.equal(answer.status, 413, answer.text.slice(0, 200));
  assert.match(answer.text, /held-bytes/);
  await nothingHeld();
});

test('whole_answer_counts_with_all_that_is_made_of_it', async () => {
  const { path, body } = callOf('chat', 'hello');
  await backend.answer(path, { text: 'x'.repeat(1.8 * (1 << 20)) });
  const answer = await client.post(path, body);
  assert.equal(answer.status, 503, answer.text.slice(0, 200));
  assert.match(answer.text, /held-bytes/);
  await nothingHeld();
  assert.equal((await client.post(path, body)).status, 200);
});

test('stream_that_must_wait_counts', async () => {
  const { path, body } = callOf('chat', 'hello', { stream: true });
  const deltas = Array.from({ length: 400 }, () => 'x'.repeat(10000));
  await backend.answer(path, {
    toolCalls: [
      { id: 'call_1', name: 'sh', arguments: deltas.join(''), deltas },
    ],
  });
  const answer = await client.stream(path, body);
  assert.equal(answer.status, 200);
  assert.match(answer.text, /held-bytes/);
  assert.ok(answer.complete);
  assert.ok(!answer.text.includes('xxxxx'));
  await nothingHeld();
});

/** Resident KiB once they stay about the same for three seconds. */
async function settled(one) {
  let last = 0;
  let since = Date.now();
  await until(
    () => {
      const now = one.rss();
      if (Math.abs(now - last) > 64) {
        since = Date.now();
        last = now;
      }
      return Date.now() - since > 3000;
    },
    'a steady size',
    20000,
    100,
  );
  return last;
}

// The address sanitizer keeps freed memory to catch its uses; here it must not.
// What it puts around each block, and its shadow, are counted beside.
const asan = process.env.ASAN_OPTIONS;
const giveBack = [
  'quarantine_size_mb=0',
  'thread_local_quarantine_size_kb=0',
  'allocator_release_to_os_interval_ms=500',
];
const most = asan ? 64 : 40;

// A burst of requests from clients that stay: each keeps a few KiB.
const needless = process.env.HOOP_SANITIZER === 'thread' && 'counts its shadow';
test('idle_clients_keep_little', { skip: needless }, async (t) => {
  const env = asan && { ASAN_OPTIONS: [asan, ...giveBack].join(':') };
  const idle = await startAgent(t, { backend, env });
  const clients = 300;
  const { path, body } = callOf('chat', 'word '.repeat(6500));
  const json = JSON.stringify(body);
  const through = idle.client({ mode: 'base-url', token: backend.token });
  const head =
    `POST ${path} HTTP/1.1\r\nHost: ${through.authority}\r\n` +
    `Authorization: Bearer ${backend.token}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${json.length}\r\n\r\n`;

  /** One request on a connection that stays open. */
  async function ask(socket) {
    let text = '';
    const done = new Promise((resolve, reject) => {
      socket.on('error', reject);
      socket.on('data', (bytes) => {
        text += bytes.toString('latin1');
        const size = /content-length: (\d+)/i.exec(text);
        const start = text.indexOf('\r\n\r\n') + 4;
        if (size && start > 3 && text.length >= start + Number(size[1]))
          resolve();
      });
    });
    socket.write(head + json);
    await done;
    assert.match(text, /^HTTP\/1.1 200/);
  }
  /** So many more clients, 30 at a time. */
  async function connect(count) {
    for (let i = 0; i < count; i += 30) {
      const sockets = await Promise.all(
        Array.from({ length: 30 }, () => through.open()),
      );
      await Promise.all(sockets.map(ask));
    }
  }
  // What the first bursts of all need is no client's.
  await connect(60);
  const before_ = await settled(idle);
  await connect(clients);
  assert.equal(through.sockets.size, clients + 60);
  let each = Infinity;
  await until(
    () => {
      each = (idle.rss() - before_) / clients;
      return each <= most;
    },
    `at most ${most} KiB for each idle client`,
    8000,
    200,
  ).catch((error) => assert.fail(`${each.toFixed(1)} KiB: ${error.message}`));
  t.diagnostic(`${each.toFixed(1)} KiB for each idle client`);
  through.close();
});
