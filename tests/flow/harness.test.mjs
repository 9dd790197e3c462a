// SPDX-License-Identifier: Apache-2.0
// The harness tested by itself: the corporate proxy, the search for secrets in
// files, and that nothing outlives its test.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import {
  assertAbsent,
  assertNowhere,
  Child,
  Client,
  configText,
  connectTunnel,
  exchangeRaw,
  Fixture,
  processTree,
  run,
  SseReader,
  startBackend,
  startProxy,
  tempDir,
  until,
} from './lib/harness.mjs';

const fixture = new Fixture();
let backend;
let proxy;

before(async () => {
  backend = await startBackend(fixture);
  proxy = await startProxy(fixture, {
    target: backend.port,
    auth: 'user:pass word',
  });
});
after(() => fixture.close());
beforeEach(() => proxy.reset());

const BASIC = {
  'Proxy-Authorization': `Basic ${Buffer.from('user:pass word').toString('base64')}`,
};

test('proxy: leads every host to the backend, with credentials', async () => {
  const client = new Client({
    port: proxy.port,
    host: 'api.individual.githubcopilot.com',
    ca: backend.ca,
    token: backend.token,
    connectHeaders: BASIC,
  });
  assert.equal((await client.get('/models')).status, 200);
  const [seen] = proxy.connects;
  assert.equal(seen.target, 'api.individual.githubcopilot.com:443');
  assert.equal(seen.credentials, 'user:pass word');
  await until(() => seen.closedAt, 'the tunnel closed');
  assert.ok(seen.bytesUp > 500 && seen.bytesDown > 1000);
});

test('proxy: 407 without credentials, and each fault', async () => {
  const none = await connectTunnel(proxy.port, 'api.github.com:443');
  assert.equal(none.status, 407);
  assert.match(none.head, /Proxy-Authenticate: Basic/);
  for (const [fault, status] of [
    ['407', 407],
    ['502', 502],
  ]) {
    proxy.fault = fault;
    assert.equal(
      (await connectTunnel(proxy.port, 'a:443', BASIC)).status,
      status,
    );
  }
  for (const fault of ['reset', 'close']) {
    proxy.fault = fault;
    await assert.rejects(
      connectTunnel(proxy.port, 'a:443', BASIC),
      /closed|ECONNRESET/,
    );
  }
  proxy.fault = '502';
  proxy.only = '^other';
  assert.equal((await connectTunnel(proxy.port, 'a:443', BASIC)).status, 200);
  assert.equal(proxy.connects.length, 6);
});

test('proxy: a plain request is recorded and refused', async () => {
  const { socket } = await connectTunnel(proxy.port, 'a:443', BASIC);
  socket.destroy();
  const client = new Client({
    mode: 'plain',
    port: proxy.port,
    host: '127.0.0.1',
  });
  const answer = await client.get('http://example.org/');
  assert.equal(answer.status, 403);
  assert.equal(proxy.connects.at(-1).kind, 'plain');
});

const SECRET = 'AKIA/"q+\u00e4zE7TESTONLY42';
const write = (dir, name, data) => fs.writeFileSync(path.join(dir, name), data);
const HIDDEN = {
  plain: () => SECRET,
  JSON: () => JSON.stringify({ a: SECRET }),
  'JSON in JSON': () => JSON.stringify(JSON.stringify({ a: SECRET })),
  base64: () => Buffer.from(`xx${SECRET}yyy`).toString('base64'),
  base64url: () => Buffer.from(`x${SECRET}yyy`).toString('base64url'),
  percent: () => encodeURIComponent(SECRET),
  hex: () => Buffer.from(SECRET).toString('hex'),
  'UTF-16': () => Buffer.from(SECRET, 'utf16le'),
  zstd: () =>
    execFileSync('zstd', ['-qc'], {
      input: `${'filler '.repeat(50)}${SECRET}`,
    }),
};
for (const [form, make] of Object.entries(HIDDEN))
  test(`assertNowhere finds a secret as ${form}`, (t) => {
    const dir = tempDir(t);
    fs.mkdirSync(path.join(dir, 'deep', 'er'), { recursive: true });
    write(
      dir,
      'deep/er/file',
      Buffer.concat([Buffer.from('before '), Buffer.from(make())]),
    );
    assert.throws(() => assertNowhere(dir, SECRET), /was written/);
    assertNowhere(dir, 'another secret');
  });

test('assertNowhere looks into an open SQLite database, WAL and zstd blobs', async (t) => {
  const dir = tempDir(t);
  // Too large for a page, so that it is found only by reading the rows.
  const input = `${crypto.randomBytes(5000).toString('hex')}${SECRET}`;
  const packed = execFileSync('zstd', ['-qc'], { input });
  const file = path.join(dir, 'j.db');
  const shell = new Child('sqlite3', [file], { t, input: 'pipe' });
  shell.process.stdin.write(
    'PRAGMA page_size=512; PRAGMA journal_mode=WAL; CREATE TABLE t(b BLOB);\n' +
      `INSERT INTO t VALUES (X'${packed.toString('hex')}');\nSELECT 'ready';\n`,
  );
  await until(() => shell.stdout.includes('ready'), 'the row');
  assert.ok(fs.statSync(`${file}-wal`).size > 0);
  assert.throws(() => assertNowhere(dir, SECRET), /was written/);
  assertNowhere(dir, 'another secret');
});

test('assertNowhere fails when there is nothing to look at', (t) => {
  assert.throws(() => assertNowhere(tempDir(t), SECRET), /holds no file/);
  assert.throws(
    () => assertAbsent(`see ${SECRET}`, SECRET),
    /holds the secret/,
  );
});

test('a stopped child takes its own children with it', async () => {
  const child = new Child('sh', [
    '-c',
    'sleep 300 & sleep 300 & echo up; wait',
  ]);
  await until(() => child.stdout.includes('up'), 'start');
  const tree = processTree(child.pid);
  assert.equal(tree.length, 3);
  await child.stop();
  await until(
    () => tree.every((pid) => !fs.existsSync(`/proc/${pid}`)),
    'all gone',
    3000,
  );
});

test('run() bounds time', async () => {
  const result = await run('sleep', ['30'], { timeoutMs: 200 });
  assert.equal(result.timedOut, true);
  assert.equal(result.signal, 'SIGKILL');
});

test('the backend ends when its standard input closes, and on SIGTERM', async () => {
  const one = await startBackend(new Fixture());
  one.child.process.stdin.end();
  assert.equal((await one.child.ended).code, 0);
  const two = await startBackend(new Fixture());
  process.kill(two.pid, 'SIGTERM');
  assert.equal((await two.child.ended).code, 0);
});

test('the SSE reader keeps events, comments and characters across chunks', () => {
  const reader = new SseReader();
  const bytes = Buffer.from(
    ': hold\n\nevent: a\ndata: {"x":"\u00e4"}\n\ndata: [DONE]\r\n\r\n',
  );
  for (const byte of bytes) reader.feed(Buffer.from([byte]));
  reader.end();
  assert.equal(reader.comments[0].text, 'hold');
  assert.deepEqual(
    reader.events.map((e) => [e.event, e.data]),
    [
      ['a', '{"x":"\u00e4"}'],
      [null, '[DONE]'],
    ],
  );
});

test('agent.conf is written as the agent reads it', () => {
  const text = configText({
    listen: { port: 0, address: undefined },
    'connection "copilot"': { upstream: 'https://localhost:1' },
  });
  assert.equal(
    text,
    '[listen]\nport=0\n\n[connection "copilot"]\nupstream=https://localhost:1\n',
  );
});

test('raw bytes reach the backend and come back', async () => {
  const client = new Client({
    mode: 'direct',
    port: backend.port,
    ca: backend.ca,
  });
  const socket = await client.open();
  const text = (
    await exchangeRaw(
      socket,
      'GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    )
  ).toString();
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n[\s\S]*pong/);
});
