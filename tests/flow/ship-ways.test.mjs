// SPDX-License-Identifier: Apache-2.0
// The other ways of the record: a file that is rotated, a real syslog receiver,
// receivers that are not who they should be; and none of it lost or doubled
// when the agent is killed at any moment.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { ensureCa, mintLeaf } from '../fake/ca.mjs';
import { OtlpReceiver } from '../fake/otlp.mjs';
import {
  callOf,
  Child,
  Fixture,
  startAgent,
  startBackend,
  tempDir,
  until,
} from './lib/harness.mjs';

const thorough = process.env.HOOP_FULL || process.env.HOOP_THOROUGH;
const KILLS = thorough ? 200 : 12;
const CLIENTS = 6; // while it is killed
const fixture = new Fixture();
let backend;
let dir;
let ca;
let tls;

before(async () => {
  dir = tempDir(fixture, 'hoop-ways-');
  ca = ensureCa(path.join(dir, 'ca'));
  tls = mintLeaf(ca);
  backend = await startBackend(fixture);
});
after(() => fixture.close());

function start(t, ship, more = {}) {
  return startAgent(t, {
    backend,
    config: { ship: { interval: 3600, ...ship }, ...more },
  });
}

async function exchange(agent, text = 'hello') {
  const client = agent.client({ mode: 'base-url', token: backend.token });
  const { path: target, body } = callOf('chat', text);
  assert.equal((await client.post(target, body)).status, 200);
  client.close();
}

async function ship(agent) {
  const { code, stderr } = await agent.cli(['ship', '--now']);
  assert.equal(code, 0, stderr);
}

const linesOf = (file) =>
  fs.readFileSync(file, 'utf8').trimEnd().split('\n').map((l) => JSON.parse(l));
const seqsOf = (lines) =>
  lines.filter((l) => l['hoop.kind'] !== 'checkpoint').map((l) => l['hoop.chain.seq']);

function assertWhole(seqs) {
  assert.deepEqual(seqs, Array.from(seqs, (_, i) => i + 1));
}

test('lines of JSON: rotated, and taken up again after a crash', async (t) => {
  const file = path.join(tempDir(t, 'hoop-lines-'), 'record.jsonl');
  const agent = await start(t, { endpoint: file, format: 'jsonl' });
  await exchange(agent);
  await ship(agent);
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  fs.renameSync(file, `${file}.1`);
  await exchange(agent);
  await ship(agent);
  const first = linesOf(`${file}.1`);
  assertWhole(seqsOf([...first, ...linesOf(file)]));

  // As after a crash between the file and the cursor, inside a line.
  const size = fs.statSync(file).size;
  await agent.kill();
  fs.appendFileSync(file, '{"time":"2026-01-01T00:00:00Z","hoop.ke');
  execFileSync('sqlite3', [
    agent.journalFile,
    'UPDATE ship_cursor SET seq = 1, checkpoint_seq = 0',
  ]);
  await agent.restart();
  await ship(agent);
  const all = [...first, ...linesOf(file)];
  assertWhole(seqsOf(all));
  assert.equal(new Set(all.map((l) => l['hoop.key'])).size, all.length);
  assert.ok(fs.statSync(file).size > size);

  // The same where the last line went away with a rotated file.
  await agent.kill();
  fs.renameSync(file, `${file}.1`);
  const second = linesOf(`${file}.1`);
  execFileSync('sqlite3', [
    agent.journalFile,
    'UPDATE ship_cursor SET seq = 1, checkpoint_seq = 0',
  ]);
  await agent.restart();
  await ship(agent);
  assertWhole(seqsOf([...first, ...second, ...linesOf(file)]));
});

const RSYSLOG = '/usr/sbin/rsyslogd';
const noSyslog =
  spawnSync(RSYSLOG, ['-v']).error !== undefined && 'rsyslog is not installed';

test('a real syslog receiver takes them over TLS', { skip: noSyslog }, async (t) => {
  const home = tempDir(t, 'hoop-syslog-');
  const at = (name) => path.join(home, name);
  fs.writeFileSync(
    at('conf'),
    `global(workDirectory="${home}" maxMessageSize="16k"
  defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="${ca.cert}"
  defaultNetstreamDriverCertFile="${tls.cert}"
  defaultNetstreamDriverKeyFile="${tls.key}")
module(load="imtcp" StreamDriver.Name="gtls" StreamDriver.Mode="1"
  StreamDriver.AuthMode="anon")
input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="${at('port')}")
template(name="raw" type="string" string="%rawmsg%\\n")
template(name="seen" type="string" string="%procid% %msgid% %app-name% %syslogfacility-text% %structured-data%\\n")
action(type="omfile" file="${at('raw')}" template="raw")
action(type="omfile" file="${at('seen')}" template="seen")
`,
  );
  new Child(RSYSLOG, ['-n', '-f', at('conf'), '-i', at('pid')], { t });
  const port = await until(
    () => fs.existsSync(at('port')) && Number(fs.readFileSync(at('port'), 'utf8')),
    'rsyslogd listens',
  );
  const agent = await start(t, {
    endpoint: `127.0.0.1:${port}`,
    format: 'syslog',
    'ca-file': ca.cert,
  });
  await exchange(agent, 'quotes " and ] and \\');
  await ship(agent);
  const { shipped_seq: last } = (await agent.status()).shipping;
  const seen = await until(
    () => {
      const lines = fs.existsSync(at('seen'))
        ? fs.readFileSync(at('seen'), 'utf8').trimEnd().split('\n')
        : [];
      return lines.some((l) => l.includes(` hoop.chain.seq="${last}"`)) && lines;
    },
    'the last row is there',
    20000,
  );
  const rows = seen.filter((l) => !l.includes('hoop.kind="checkpoint"'));
  assertWhole(rows.map((l) => Number(/ hoop\.chain\.seq="(\d+)"/.exec(l)[1])));
  assert.match(seen[0], /^- hoop\.start hoop-agent audit \[hoop@32473 hoop\.key=/);
  assert.match(fs.readFileSync(at('raw'), 'utf8'), /^<110>1 \d{4}-/);
});

test('syslog to nobody, and to somebody without TLS, is said', async (t) => {
  const plain = await new OtlpReceiver().start(t);
  const agent = await start(t, {
    endpoint: `127.0.0.1:${plain.port}`,
    format: 'syslog',
    'ca-file': ca.cert,
  });
  const refused = await agent.cli(['ship', '--now']);
  assert.equal(refused.code, 5);
  assert.match(refused.stderr, /127\.0\.0\.1:\d+/);
  await plain.stop();
  const gone = await agent.cli(['ship', '--now']);
  assert.equal(gone.code, 5);
  assert.match(gone.stderr, /cannot be connected to: Connection refused/);
});

test('who is not vouched for, or has another name, gets nothing', async (t) => {
  const other = ensureCa(path.join(dir, 'other-ca'));
  const cases = [
    [mintLeaf(other), /no authority that is trusted.*\[ship\] ca-file/],
    [mintLeaf(ca, { hosts: ['other.example'], addresses: [] }), /another name/],
  ];
  const receiver = await new OtlpReceiver().start(t, { tls });
  const { port } = receiver;
  const agent = await start(t, { endpoint: receiver.url, 'ca-file': ca.cert });
  await ship(agent);
  const taken = receiver.headers.length;
  for (const [leaf, why] of cases) {
    await receiver.stop();
    await receiver.start(t, { tls: leaf, port });
    await exchange(agent);
    const { code, stderr } = await agent.cli(['ship', '--now']);
    assert.equal(code, 5);
    assert.match(stderr, why);
    assert.equal(receiver.headers.length, taken);
  }
});

test('the agent is killed at any moment: nothing lost, nothing doubled', async (t) => {
  const receiver = await new OtlpReceiver().start(t);
  const agent = await start(t, { endpoint: receiver.url, interval: 1 });
  const acknowledged = [];
  const ready = []; // ms from the start to the first answer of `status`
  const slow = []; // what the agent says of a start that took longer than 1 s
  const random = (n) => Math.floor(Math.random() * n);
  for (let i = 0; i < KILLS; i++) {
    let running = true;
    // Answers get lost, too.
    receiver.always = i % 2 ? { reset: true, taken: true } : null;
    const traffic = Array.from({ length: CLIENTS }, async (_, k) => {
      while (running) {
        const id = `kill ${i} ${k} ${acknowledged.length}`;
        try {
          await exchange(agent, id);
          acknowledged.push(id);
        } catch {
          await sleep(20); // it is being killed
        }
      }
    });
    const push = agent.cli(['ship', '--now']);
    await sleep(50 + random(350));
    await agent.kill();
    running = false;
    await Promise.all([...traffic, push]);
    const began = performance.now();
    await agent.restart();
    ready.push(performance.now() - began);
    if (ready.at(-1) >= 1000)
      slow.push(`${Math.round(ready.at(-1))} ms: ` +
        (/ready only after .*/.exec(agent.log())?.[0] ?? 'not the agent: the machine'));
  }
  receiver.always = null;
  await ship(agent);
  assertWhole(receiver.seqs);
  const rows = await agent.json('journal', 'list', '--limit', '0');
  const requests = rows.filter((r) => r.kind === 'request');
  const whole = rows.filter((r) => r.kind === 'response' && r.verdict !== 'interrupted');
  assert.ok(requests.length >= acknowledged.length);
  assert.ok(whole.length >= acknowledged.length, 'an answered exchange was lost');
  assert.equal(new Set(requests.map((r) => r.exchange)).size, requests.length);
  const verified = await agent.cli(['journal', 'verify'], { timeoutMs: 60000 });
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  ready.sort((one, other) => one - other);
  // Alone on the machine each is far below; here others may run.
  if (thorough) assert.ok(ready[KILLS >> 1] < 1000, `ready after ${ready[KILLS >> 1]} ms`);
  for (const row of rows.filter((r) => r.seq <= receiver.seqs.length)) {
    const sent = receiver.rows[row.seq - 1];
    assert.equal(sent['hoop.chain.hash'], row.hash);
    assert.equal(sent['hoop.exchange'] ?? null, row.exchange ?? null);
  }
  t.diagnostic(
    `${KILLS} kills, ${acknowledged.length} exchanges, ${receiver.keys.size} ` +
      `records, ${receiver.again} sent again with the same key; ` +
      `ready after ${Math.round(ready[KILLS >> 1])} ms, at most ${Math.round(ready.at(-1))}` +
      slow.map((why) => `; ${why}`).join(''),
  );
});
