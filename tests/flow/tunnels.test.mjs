// SPDX-License-Identifier: Apache-2.0
// Blind tunnels: what policy, the journal and the agent itself say about them,
// both directions and their ends, and that none leads around the agent.

import assert from 'node:assert/strict';
import net from 'node:net';
import os from 'node:os';
import { after, before, test } from 'node:test';

import {
  callOf,
  connectTunnel,
  exchangeRaw,
  Fixture,
  freePort,
  startAgent,
  startBackend,
  startTls,
  until,
} from './lib/harness.mjs';

// Made up in AWS's published format.
const SECRET = 'AKIA' + 'Q3EGRUZPL5WY7HTC';
const MB = 1 << 20;
const UNRECOGNIZED_NAME = '15030300020270';
const DECODE_ERROR = '15030300020232';
const BLOCK = 'version: 1\ndefault: allow\ntunnels: block\nrules: []\n';

const fixture = new Fixture();
let backend;
let agent;
let sink;

/** A TCP server on every loopback address that keeps what it hears. */
async function startSink(t, onSocket = () => {}) {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    const seen = { socket, bytes: Buffer.alloc(0), ended: false, error: null };
    server.seen.push(seen);
    socket.on('data', (chunk) => {
      seen.bytes = Buffer.concat([seen.bytes, chunk]);
    });
    socket.on('end', () => (seen.ended = true));
    socket.on('error', (error) => (seen.error = error.code));
    socket.on('close', () => (seen.closed = true));
    onSocket(socket, seen);
  });
  server.seen = [];
  await new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, '::', resolve);
  });
  server.port = server.address().port;
  t.after(() => {
    for (const { socket } of server.seen) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return server;
}

before(async () => {
  backend = await startBackend(fixture);
  agent = await startAgent(fixture, {
    backend,
    config: { limits: { 'first-byte-timeout': 2 } },
  });
  sink = await startSink(fixture);
});
after(() => fixture.close());

/** The rows of tunnels to authority, once one has this verdict. */
async function recorded(authority, verdict, of = agent) {
  const rows = await of.journalUntil(
    (list) => list.some((r) => r.host === authority && r.verdict === verdict),
    `a row of ${authority}: ${verdict}`,
  );
  const mine = rows.filter((r) => r.host === authority);
  const { exchange } = mine.find((r) => r.verdict === verdict);
  return (await of.json('why', exchange)).rows;
}

async function detailOf(authority, verdict, of) {
  const rows = await recorded(authority, verdict, of);
  return rows.find((r) => r.verdict === verdict).detail;
}

async function open(authority, of = agent) {
  const tunnel = await connectTunnel(of.port, authority);
  assert.equal(tunnel.status, 200, tunnel.head);
  tunnel.socket.on('error', () => {});
  return tunnel.socket.resume();
}

const vector = (size, bytes) => {
  const head = Buffer.alloc(size);
  head.writeUIntBE(bytes.length, 0, size);
  return Buffer.concat([head, bytes]);
};
const record = (bytes) =>
  Buffer.concat([Buffer.from([0x16, 3, 1]), vector(2, bytes)]);

/** A ClientHello (RFC 8446, 4.1.2) as the bytes of its message. */
function helloMessage({ name, ech }) {
  const extensions = [];
  const extension = (type, bytes) => {
    const head = Buffer.alloc(2);
    head.writeUInt16BE(type);
    extensions.push(head, vector(2, bytes));
  };
  if (name !== undefined)
    extension(
      0,
      vector(
        2,
        Buffer.concat([Buffer.from([0]), vector(2, Buffer.from(name))]),
      ),
    );
  if (ech) extension(0xfe0d, Buffer.alloc(40, 7));
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 5),
    vector(1, Buffer.alloc(0)),
    vector(2, Buffer.from([0x13, 1])),
    vector(1, Buffer.from([0])),
    vector(2, Buffer.concat(extensions)),
  ]);
  return Buffer.concat([Buffer.from([1]), vector(3, body)]);
}
const hello = (options) => record(helloMessage(options));

// ---- A governed host by another name -------------------------------------------

const SPELLINGS = {
  '127.0.0.1': '127.0.0.1',
  '[::1]': '::1',
  '[::ffff:127.0.0.1]': '::ffff:127.0.0.1',
  '[::ffff:7f00:1]': '::ffff:7f00:1',
  '127.0.0.2': '127.0.0.2',
  localhost: 'localhost',
};
for (const [spelling, shown] of Object.entries(SPELLINGS))
  test(`governed_name_inside_is_refused: CONNECT ${spelling}`, async (t) => {
    const own = await startSink(t);
    const socket = await open(`${spelling}:${own.port}`);
    const bytes = hello({ name: 'api.githubcopilot.com' });
    const answer = await exchangeRaw(socket, bytes);
    assert.equal(answer.toString('hex'), UNRECOGNIZED_NAME);
    const detail = await detailOf(`${shown}:${own.port}`, 'refused');
    assert.equal(detail.sni, 'api.githubcopilot.com');
    assert.match(detail.why, /have the client name the host itself/);
    await until(() => own.seen[0]?.ended, 'the end of the connection');
    assert.equal(own.seen[0].bytes.length, 0, 'bytes went out');
    assert.match(agent.log(), /TLS for api\.githubcopilot\.com, which is gov/);
  });

test('governed_name_is_found_however_it_is_written', async () => {
  const message = helloMessage({ name: 'api.githubcopilot.com' });
  const pieces = [];
  for (let at = 0; at < message.length; at += 7)
    pieces.push(record(message.subarray(at, at + 7)));
  for (const bytes of [
    hello({ name: 'API.GitHubCopilot.com' }),
    hello({ name: 'api.githubcopilot.com.' }),
    hello({ name: 'proxy.individual.githubcopilot.com' }),
    hello({ name: 'copilot-proxy.githubusercontent.com', ech: true }),
    Buffer.concat(pieces),
  ]) {
    const socket = await open(`127.0.0.1:${sink.port}`);
    const answer = await exchangeRaw(socket, bytes);
    assert.equal(answer.toString('hex'), UNRECOGNIZED_NAME);
  }
  for (const { bytes } of sink.seen) assert.equal(bytes.length, 0);
});

test('governed_name_that_comes_byte_by_byte_is_refused', async () => {
  const socket = await open(`127.0.0.1:${sink.port}`);
  const answer = exchangeRaw(socket, null);
  for (const byte of hello({ name: 'api.githubcopilot.com' })) {
    socket.write(Buffer.from([byte]));
    await new Promise(setImmediate);
  }
  assert.equal((await answer).toString('hex'), UNRECOGNIZED_NAME);
});

test('real_client_with_a_governed_name_fails_and_says_so', async () => {
  const socket = await open(`127.0.0.1:${backend.port}`);
  const failed = await startTls(socket, {
    servername: 'api.githubcopilot.com',
    ca: backend.ca,
  }).catch((error) => error);
  assert.ok(failed instanceof Error);
  assert.match(failed.message, /unrecognized.name/i);
});

test('hello_that_cannot_be_read_is_refused', async () => {
  const broken = hello({ name: 'x.example' });
  broken[5 + 4 + 2 + 32] = 200; // the session id's length
  const long = Buffer.concat([
    Buffer.from([0x16, 3, 1, 0x40, 0, 1, 1, 0, 0]),
    Buffer.alloc(100),
  ]);
  for (const bytes of [broken, long]) {
    const socket = await open(`127.0.0.1:${sink.port}`);
    const answer = await exchangeRaw(socket, bytes);
    assert.equal(answer.toString('hex'), DECODE_ERROR);
  }
});

test('hello_that_never_ends_is_refused_in_time', async (t) => {
  const own = await startSink(t);
  const socket = await open(`127.0.0.1:${own.port}`);
  const half = hello({ name: 'x.example' }).subarray(0, 30);
  const answer = await exchangeRaw(socket, half, 15000);
  assert.equal(answer.toString('hex'), DECODE_ERROR);
  const detail = await detailOf(`127.0.0.1:${own.port}`, 'refused');
  assert.match(detail.why, /no ClientHello that can be read/);
  assert.equal(own.seen[0].bytes.length, 0);
});

// ---- What passes ---------------------------------------------------------------

for (const [what, options, detail] of [
  ['another name', { name: 'other.example' }, { sni: 'other.example' }],
  ['no name', {}, { sni: null }],
  [
    'ECH',
    { name: 'cover.example', ech: true },
    { sni: 'cover.example', ech: true },
  ],
])
  test(`TLS with ${what} passes and is recorded so`, async (t) => {
    const own = await startSink(t, (socket) => {
      socket.once('data', () => socket.end('answer'));
    });
    const socket = await open(`127.0.0.1:${own.port}`);
    const bytes = hello(options);
    socket.once('data', () => socket.end());
    const answer = await exchangeRaw(socket, bytes);
    assert.equal(answer.toString(), 'answer');
    assert.deepEqual(own.seen[0].bytes, bytes);
    assert.deepEqual(await detailOf(`127.0.0.1:${own.port}`, 'closed'), {
      inside: 'tls',
      ...detail,
    });
  });

test('a name that holds a secret is not recorded', async (t) => {
  const own = await startSink(t, (socket) => {
    socket.once('data', () => socket.end('answer'));
  });
  const socket = await open(`127.0.0.1:${own.port}`);
  socket.once('data', () => socket.end());
  await exchangeRaw(socket, hello({ name: `${SECRET}.example` }));
  const { sni } = await detailOf(`127.0.0.1:${own.port}`, 'closed');
  assert.match(sni, /withheld/);
});

test('a real TLS client passes to a host that is not governed', async () => {
  const socket = await open(`localhost:${backend.port}`);
  const secure = await startTls(socket, {
    servername: 'localhost',
    ca: backend.ca,
  });
  const answer = await exchangeRaw(
    secure,
    `GET /_ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
  );
  assert.match(answer.toString(), /^HTTP\/1\.1 200 /);
});

test('a server that speaks first is heard first', async (t) => {
  const own = await startSink(t, (socket, seen) => {
    socket.write('SSH-2.0-Server\r\n');
    socket.on('data', () => {
      if (seen.bytes.includes('SSH-2.0-Client\r\n')) socket.end('bye');
    });
  });
  const socket = await open(`127.0.0.1:${own.port}`);
  socket.once('data', (chunk) => {
    assert.equal(chunk.toString(), 'SSH-2.0-Server\r\n');
    socket.write('SSH-2.0-Client\r\n');
    socket.once('data', () => socket.end());
  });
  assert.match((await exchangeRaw(socket)).toString(), /bye$/);
  const detail = await detailOf(`127.0.0.1:${own.port}`, 'closed');
  assert.deepEqual(detail, { inside: 'other' });
});

test('what is sent together with the CONNECT arrives', async (t) => {
  const own = await startSink(t, (socket) => {
    socket.once('data', () => socket.end('got it'));
  });
  const socket = net.connect(agent.port, '127.0.0.1');
  t.after(() => socket.destroy());
  const authority = `127.0.0.1:${own.port}`;
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
    if (text.endsWith('got it')) socket.end();
  });
  await exchangeRaw(
    socket,
    `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\nearly bytes`,
  );
  assert.match(text, /^HTTP\/1\.1 200 [^\r]*\r\n\r\ngot it$/);
  assert.equal(own.seen[0].bytes.toString(), 'early bytes');
});

// ---- Policy, record, faults ----------------------------------------------------

test('policy blocks tunnels before anything is connected', async (t) => {
  const own = await startSink(t);
  const strict = await startAgent(t, { backend, policy: BLOCK });
  const authority = `127.0.0.1:${own.port}`;
  const { status, head, socket } = await connectTunnel(strict.port, authority);
  assert.equal(status, 403, head);
  assert.match(head, /x-github-request-id/i);
  const { error } = JSON.parse(await exchangeRaw(socket));
  assert.match(error.message, /policy allows no tunnels/);
  await recorded(authority, 'blocked', strict);
  assert.equal(own.seen.length, 0);
  const governed = await connectTunnel(strict.port, 'api.githubcopilot.com:443');
  assert.equal(governed.status, 200, governed.head);
  governed.socket.destroy();
});

test('a tunnel is recorded before it is connected', async (t) => {
  const own = await startAgent(t, { backend });
  let killed;
  const server = await startSink(t, () => (killed ??= own.kill('SIGKILL')));
  const authority = `127.0.0.1:${server.port}`;
  const socket = net.connect(own.port, '127.0.0.1');
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  await until(() => killed, 'the connection');
  await killed;
  await own.restart();
  const rows = (await own.journal()).filter((r) => r.host === authority);
  assert.deepEqual(
    rows.filter((r) => r.verdict === 'opened').map((r) => r.kind),
    ['tunnel'],
  );
  assert.equal((await own.cli(['journal', 'verify'])).code, 0);
});

test('a server that is not there is a 502 in words', async () => {
  const port = await freePort();
  for (const [authority, words] of [
    [`127.0.0.1:${port}`, /cannot connect to 127\.0\.0\.1:\d+: .*refused/i],
    ['no-such-name.invalid:443', /cannot resolve no-such-name\.invalid/],
  ]) {
    const { status, head, socket } = await connectTunnel(agent.port, authority);
    assert.equal(status, 502, head);
    assert.match(head, /content-type: application\/json/i);
    const { error } = JSON.parse(await exchangeRaw(socket));
    assert.match(error.message, words);
    await recorded(authority, 'unreachable');
  }
});

const OWN_NAMES = ['localhost', '127.0.0.1', '[::1]'];
for (const name of OWN_NAMES)
  test(`the agent's own port as ${name} is its base URL`, async () => {
    const socket = await open(`${name}:${agent.port}`);
    const servername = name.replace(/[[\]]/g, '');
    const secure = await startTls(socket, { servername, ca: agent.ca });
    const answer = await exchangeRaw(
      secure,
      `GET /_ping HTTP/1.1\r\nHost: ${name}:${agent.port}\r\n` +
        `Authorization: Bearer ${backend.token}\r\nConnection: close\r\n\r\n`,
    );
    assert.match(answer.toString(), /^HTTP\/1\.1 200 [\s\S]*pong/);
  });

for (const name of [
  '0.0.0.0',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[0:0:0:0:0:ffff:7f00:1]',
  '127.1',
  '2130706433',
  '0x7f.1',
  '0177.0.0.1',
  '0',
  'localhost.localdomain',
  os.hostname(),
])
  test(`the agent's own port as ${name} is no tunnel to itself`, async () => {
    const tunnels = (await agent.status()).tunnels;
    const authority = `${name}:${agent.port}`;
    const { status, head, socket } = await connectTunnel(agent.port, authority);
    assert.ok(status === 400 || status === 502, head);
    const { error } = JSON.parse(await exchangeRaw(socket));
    assert.ok(error.message.length > 20, error.message);
    const now = (await agent.status()).tunnels;
    assert.ok(now <= tunnels + 1, 'it went round');
  });

// ---- Ends ------------------------------------------------------------------------

for (const first of ['client', 'server'])
  test(`the ${first} may end first and hear the rest`, async (t) => {
    const own = await startSink(t, (socket, seen) => {
      if (first === 'server') socket.end('question');
      else
        socket.on('end', () => socket.end(`heard ${seen.bytes.toString()}`));
    });
    const socket = net.connect({
      port: agent.port,
      host: '127.0.0.1',
      allowHalfOpen: true,
    });
    t.after(() => socket.destroy());
    const authority = `127.0.0.1:${own.port}`;
    let text = '';
    socket.on('data', (chunk) => (text += chunk));
    socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    await until(() => /\r\n\r\n/.test(text), 'the 200');
    if (first === 'server') {
      await until(() => text.endsWith('question'), 'the question');
      await new Promise((resolve) => socket.end('late answer', resolve));
      await until(() => own.seen[0].ended, 'the end');
      assert.equal(own.seen[0].bytes.toString(), 'late answer');
    } else {
      socket.end('question');
      await until(() => text.endsWith('heard question'), 'the answer');
    }
    await recorded(authority, 'closed');
    assert.equal(own.seen[0].error, null);
  });

for (const side of ['client', 'server'])
  test(`a reset by the ${side} is a reset, not an end`, async (t) => {
    const own = await startSink(t);
    const authority = `127.0.0.1:${own.port}`;
    const socket = await open(authority);
    let error = null;
    let ended = false;
    socket.on('error', ({ code }) => (error = code));
    socket.on('end', () => (ended = true));
    let heard = '';
    socket.on('data', (chunk) => (heard += chunk));
    socket.write('half a message');
    await until(() => own.seen[0]?.bytes.length === 14, 'the bytes');
    if (side === 'client') {
      socket.resetAndDestroy();
      await until(() => own.seen[0].closed, 'the close');
      assert.equal(own.seen[0].error, 'ECONNRESET');
      assert.equal(own.seen[0].ended, false);
    } else {
      own.seen[0].socket.write('half an answer');
      await until(() => heard === 'half an answer', 'the other half');
      own.seen[0].socket.resetAndDestroy();
      await until(() => error || ended, 'the close');
      assert.equal(error, 'ECONNRESET');
      assert.equal(ended, false);
    }
    await recorded(authority, `reset-by-${side}`);
  });

test('a big tunnel takes no memory', { timeout: 600000 }, async (t) => {
  const total = (process.env.HOOP_FULL ? 1024 : 64) * MB;
  let counted = 0;
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => (counted += chunk.length));
    socket.pipe(socket); // and all of it back
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const socket = await open(`127.0.0.1:${server.address().port}`);
  t.after(() => socket.destroy());
  const piece = Buffer.alloc(MB, 'x');
  const before = agent.rss();
  let most = before;
  let back = 0;
  socket.on('data', (chunk) => (back += chunk.length));
  for (let sent = 0; sent < total; sent += MB) {
    if (!socket.write(piece))
      await new Promise((resolve) => socket.once('drain', resolve));
    if (sent % (16 * MB) === 0) most = Math.max(most, agent.rss());
  }
  await until(() => back === total, 'all of it back', 300000);
  most = Math.max(most, agent.rss());
  assert.equal(counted, total);
  // The sanitizers keep freed memory for a while.
  const allowed = process.env.ASAN_OPTIONS ? 64 * 1024 : 4 * 1024;
  assert.ok(most - before < allowed, `${before} KiB became ${most} KiB`);
});

test('governed hosts still go through the agent', async () => {
  const client = agent.client({ mode: 'connect', token: backend.token });
  const { path, body } = callOf('chat', 'hello');
  assert.equal((await client.post(path, body)).status, 200);
  assert.equal((await agent.cli(['journal', 'verify'])).code, 0);
});
