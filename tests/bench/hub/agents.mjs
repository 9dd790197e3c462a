// SPDX-License-Identifier: Apache-2.0
// Many agents at one hub, or at two that share a PostgreSQL: memory for each
// connected one, and how long a reviewer's decision travels to the agent that
// holds the request, while all the others are connected, too.
// Then audit rows of 20 senders are taken in, 500 a request.
// usage: node agents.mjs [--agents 5000] [--decisions 300] [--rows 40000]
//   [--postgresql yes] [--check yes]; HOOP_BUILDDIR and HOOP_SRCDIR are set.

import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { parseArgs } from 'node:util';

import { Chain, request as logsOf } from '../../flow/lib/chain.mjs';
import { Hub, Machine } from '../../flow/lib/hub.mjs';
import { Postgresql } from '../../flow/lib/postgresql.mjs';
import { Fixture, tempDir, until } from '../../flow/lib/process.mjs';

const AUDIENCE = 'https://hub.example.test';
const MIB = 1024 * 1024;
// What is promised; `--check yes` fails on a miss.
const MAX_RSS_MIB = 150;
const MAX_P99_MS = 100;
// Handshakes under way at one time.
const AT_ONCE = 64;
const SENDERS = 20;
const ROWS_A_POST = 500;

const { values: options } = parseArgs({
  options: {
    agents: { type: 'string', default: '5000' },
    decisions: { type: 'string', default: '300' },
    rows: { type: 'string', default: '40000' },
    postgresql: { type: 'string', default: 'no' },
    check: { type: 'string', default: 'no' },
  },
});
const nAgents = Number(options.agents);
const fixture = new Fixture();
const dir = tempDir(fixture, 'hoop-bench-hub-');
const certificate = path.join(dir, 'tls.pem');
const key = path.join(dir, 'tls.key');

// ---- who they are -----------------------------------------------------------

const issuerKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
let issuer;

/** Signs whoever asks in; an issuer of nothing but keys. */
async function startIssuer() {
  const jwk = {
    ...issuerKey.publicKey.export({ format: 'jwk' }),
    kid: 'made-up',
    use: 'sig',
    alg: 'ES256',
  };
  const server = https.createServer(
    { cert: fs.readFileSync(certificate), key: fs.readFileSync(key) },
    (request, answer) => {
      answer.setHeader('content-type', 'application/json');
      answer.end(
        JSON.stringify(
          request.url === '/jwks'
            ? { keys: [jwk] }
            : {
                issuer,
                jwks_uri: `${issuer}/jwks`,
                authorization_endpoint: `${issuer}/authorize`,
                token_endpoint: `${issuer}/token`,
                response_types_supported: ['code'],
                subject_types_supported: ['public'],
                id_token_signing_alg_values_supported: ['ES256'],
              },
        ),
      );
    },
  );
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  fixture.after(() => {
    server.closeAllConnections?.();
    server.close();
  });
  issuer = `https://localhost:${server.address().port}`;
}

function tokenOf(user, groups) {
  const now = Math.floor(Date.now() / 1000);
  const part = (value) =>
    Buffer.from(JSON.stringify(value)).toString('base64url');
  const head = part({ typ: 'at+jwt', alg: 'ES256', kid: 'made-up' });
  const body = part({
    iss: issuer,
    sub: `sub-${user}`,
    aud: AUDIENCE,
    client_id: 'hoop-agent',
    preferred_username: user,
    groups,
    iat: now,
    exp: now + 3600,
    jti: user,
  });
  const signature = sign('sha256', Buffer.from(`${head}.${body}`), {
    key: issuerKey.privateKey,
    dsaEncoding: 'ieee-p1363',
  }).toString('base64url');
  return `${head}.${body}.${signature}`;
}

// ---- connections ------------------------------------------------------------

let context;

function connect(hub) {
  return new Promise((resolve, reject) => {
    const socket = tls.connect(
      {
        host: '127.0.0.1',
        port: hub.port,
        servername: 'localhost',
        secureContext: context,
      },
      () => resolve(socket),
    );
    socket.on('error', reject);
  });
}

/** An agent's stream of events; heard(event, id) is told of each. */
async function listen(hub, token, heard) {
  const socket = await connect(hub);
  let text = '';
  await new Promise((resolve, reject) => {
    socket.on('data', (bytes) => {
      text += bytes;
      if (text.includes('event: listed')) resolve();
      if (/^HTTP\/1.1 [^2]/.test(text)) reject(new Error(text));
      if (heard)
        for (const [, event, id] of text.matchAll(
          /event: (\w+)\nid: (\w+)\n/g,
        ))
          heard(event, id);
      text = text.slice(-64);
    });
    socket.on('close', () => reject(new Error('the stream ended')));
    socket.write(
      `GET /v1/events HTTP/1.1\r\nHost: localhost:${hub.port}\r\n` +
        `Authorization: Bearer ${token}\r\n\r\n`,
    );
  });
  fixture.after(() => socket.destroy());
}

/** Requests of one person over one connection that stays. */
class Caller {
  constructor(hub, token) {
    this.token = token;
    this.hub = hub;
    this.agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    fixture.after(() => this.agent.destroy());
  }

  ask(method, where, body) {
    return new Promise((resolve, reject) => {
      const request = https.request(
        {
          host: '127.0.0.1',
          servername: 'localhost',
          port: this.hub.port,
          secureContext: context,
          agent: this.agent,
          method,
          path: where,
          headers: {
            authorization: `Bearer ${this.token}`,
            ...(body && { 'content-type': 'application/json' }),
          },
        },
        (answer) => {
          let text = '';
          answer.on('data', (bytes) => (text += bytes));
          answer.on('end', () =>
            answer.statusCode === 200
              ? resolve(JSON.parse(text))
              : reject(
                  Object.assign(new Error(`${answer.statusCode} ${text}`), {
                    status: answer.statusCode,
                  }),
                ),
          );
        },
      );
      request.on('error', reject);
      request.end(
        typeof body === 'string' ? body : body && JSON.stringify(body),
      );
    });
  }
}

// ---- figures ----------------------------------------------------------------

function rssMib(pid) {
  const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)[1]) / 1024;
}

/** Processor seconds so far. */
function cpuOf(pid) {
  const [, rest] = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  const fields = rest.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function quantile(list, q) {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
}

const ms = (list) =>
  `p50 ${quantile(list, 0.5).toFixed(1)} ms, ` +
  `p99 ${quantile(list, 0.99).toFixed(1)} ms, ` +
  `most ${Math.max(...list).toFixed(1)} ms`;

// ---- the run ----------------------------------------------------------------

async function startHubs() {
  const sections = {
    hub: { audience: AUDIENCE, certificate, key },
    limits: { connections: String(nAgents + 500), rate: '1000000' },
    roles: { sender: 'collectors' },
    'reviewers "leads"': { groups: 'leads' },
    'identity "corp"': { issuer, 'ca-file': certificate },
  };
  const hubs = [];
  if (options.postgresql === 'yes') {
    const database = new Postgresql(fixture);
    if (!database.start()) throw new Error('PostgreSQL is not installed');
    sections.hub.store = database.url;
  }
  for (let i = 0; i < (options.postgresql === 'yes' ? 2 : 1); i++) {
    const hub = new Hub(fixture, sections);
    hub.ca = certificate;
    if (i > 0) {
      fs.mkdirSync(hub.state, { mode: 0o700 });
      fs.copyFileSync(
        path.join(hubs[0].state, 'hub.key'),
        path.join(hub.state, 'hub.key'),
      );
    }
    hubs.push(await hub.start());
  }
  return hubs;
}

async function connectAll(hubs) {
  const before = hubs.map(({ child }) => rssMib(child.pid));
  const cpu = hubs.map(({ child }) => cpuOf(child.pid));
  const start = performance.now();
  let next = 0;
  const worker = async () => {
    for (let i = next++; i < nAgents; i = next++)
      await listen(
        hubs[i % hubs.length],
        tokenOf(`user${i}`, ['developers', `team-${i % 100}`]),
      );
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const seconds = (performance.now() - start) / 1000;
  return hubs.map(({ child }, i) => {
    const n = Math.ceil((nAgents - i) / hubs.length);
    const rss = rssMib(child.pid);
    const spent = ((cpuOf(child.pid) - cpu[i]) * 1000) / n;
    console.log(
      `hub ${i + 1}: ${n} agents, ${rss.toFixed(0)} MiB resident ` +
        `(${before[i].toFixed(0)} MiB without), ` +
        `${(((rss - before[i]) * MIB) / n / 1024).toFixed(1)} KiB each; ` +
        `${(n / seconds).toFixed(0)} connections/s, ` +
        `${spent.toFixed(2)} ms of processor each`,
    );
    return rss;
  });
}

/** Times from a reviewer's answer to its end being told, and fetched. */
async function decide(hubs) {
  const near = hubs[0];
  const far = hubs[hubs.length - 1];
  const token = tokenOf('ada', ['developers']);
  const waits = new Map();
  await listen(near, token, (event, id) => {
    if (event === 'ended') waits.get(id)?.(performance.now());
  });
  const machine = await new Machine(near, token).enrol();
  const asker = new Caller(near, token);
  const reviewer = new Caller(far, tokenOf('bob', ['leads']));
  const pending = new Map();
  await listen(far, tokenOf('cyd', ['leads']), (event, id) => {
    if (event === 'pending') pending.get(id)?.(performance.now());
  });
  const told = [];
  const fetched = [];
  const seen = [];
  const cpu = hubs.map(({ child }) => cpuOf(child.pid));
  for (let i = 0; i < Number(options.decisions); i++) {
    const id = i.toString(16).padStart(32, '0');
    const shown = new Promise((resolve) => pending.set(id, resolve));
    const begun = performance.now();
    const review = await machine.post({ id });
    seen.push((await shown) - begun);
    const ended = new Promise((resolve) => waits.set(id, resolve));
    const start = performance.now();
    const said = reviewer.ask('POST', `/v1/reviews/${id}/answer`, {
      answer: 'approved',
      digest: review.digest,
    });
    told.push((await ended) - start);
    const { decision } = await asker.ask('GET', `/v1/reviews/${id}`);
    fetched.push(performance.now() - start);
    if (decision.outcome !== 'approved') throw new Error('not approved');
    await said;
  }
  hubs.forEach(({ child }, i) =>
    console.log(
      `hub ${i + 1}: ${(((cpuOf(child.pid) - cpu[i]) * 1000) / told.length).toFixed(1)} ms of processor a review`,
    ),
  );
  console.log(`request to reviewer (new connection): ${ms(seen)}`);
  console.log(`decision to agent, told: ${ms(told)}`);
  console.log(`decision to agent, fetched: ${ms(fetched)}`);
  return quantile(fetched, 0.99);
}

/** Posts it; when too much waits at the hub, again. */
async function insist(caller, body) {
  for (;;) {
    try {
      await caller.ask('POST', '/v1/logs', body);
      return;
    } catch (error) {
      if (error.status !== 429) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Rows of chains, each sender's in its order. */
async function ingest(hubs) {
  const posts = Math.ceil(Number(options.rows) / SENDERS / ROWS_A_POST);
  const rows = posts * SENDERS * ROWS_A_POST;
  const senders = Array.from({ length: SENDERS }, (_, i) => {
    const chain = new Chain();
    const token = tokenOf(`sender${i}`, ['collectors']);
    return {
      caller: new Caller(hubs[i % hubs.length], token),
      bodies: Array.from({ length: posts }, () =>
        JSON.stringify(logsOf(chain.rows(ROWS_A_POST))),
      ),
    };
  });
  const cpu = hubs.map(({ child }) => cpuOf(child.pid));
  const start = performance.now();
  await Promise.all(
    senders.map(async ({ caller, bodies }) => {
      for (const body of bodies) await insist(caller, body);
    }),
  );
  const seconds = (performance.now() - start) / 1000;
  const spent = hubs.reduce(
    (sum, { child }, i) => sum + cpuOf(child.pid) - cpu[i],
    0,
  );
  console.log(
    `audit rows: ${(rows / seconds).toFixed(0)}/s, ` +
      `${((spent * 1e6) / rows).toFixed(0)} us of the hubs' processor each`,
  );
}

try {
  execFileSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt'],
    ...['ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj'],
    ...['/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'],
    ...['-keyout', key, '-out', certificate],
  ], { stdio: 'ignore' });
  fs.chmodSync(key, 0o600);
  context = tls.createSecureContext({ ca: fs.readFileSync(certificate) });
  await startIssuer();
  console.log(
    `${nAgents} agents; ${os.cpus().length} cores, load ${os.loadavg()[0].toFixed(1)}`,
  );
  const hubs = await startHubs();
  const resident = await connectAll(hubs);
  const p99 = await decide(hubs);
  await ingest(hubs);
  await until(() => hubs.every(({ child }) => child.running), 'the hubs');
  const bad =
    Math.max(...resident) > MAX_RSS_MIB ||
    p99 > MAX_P99_MS;
  if (bad && options.check === 'yes') process.exitCode = 1;
  console.log(
    `at most ${MAX_RSS_MIB} MiB and ${MAX_P99_MS} ms p99: ${bad ? 'MISSED' : 'met'}`,
  );
} finally {
  await fixture.close();
}
