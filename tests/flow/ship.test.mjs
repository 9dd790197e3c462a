// SPDX-License-Identifier: Apache-2.0
// The record leaves the machine: every row, in order, once by key, whatever
// the receiver does; `ship`, `status` and `doctor` say how far it is.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import { ensureCa, mintLeaf } from '../fake/ca.mjs';
import { OtlpReceiver } from '../fake/otlp.mjs';
import {
  callOf,
  Fixture,
  startAgent,
  startBackend,
  tempDir,
} from './lib/harness.mjs';
import { assertOtlp, schemaOff } from './lib/otlp.mjs';

const TOKEN = 'receiver-token-of-this-test';
const fixture = new Fixture();
let backend;
let receiver;
let agent;
let client;
let tokenFile;

before(async () => {
  const dir = tempDir(fixture, 'hoop-ship-');
  const ca = ensureCa(path.join(dir, 'ca'));
  const tls = mintLeaf(ca);
  tokenFile = path.join(dir, 'token');
  fs.writeFileSync(tokenFile, `${TOKEN}\n`, { mode: 0o600 });
  backend = await startBackend(fixture);
  receiver = await new OtlpReceiver().start(fixture, { tls });
  agent = await startAgent(fixture, {
    backend,
    config: {
      ship: {
        endpoint: receiver.url,
        'ca-file': ca.cert,
        'token-file': tokenFile,
        'receiver-key': receiver.publicKey,
        interval: 3600,
      },
    },
  });
  client = agent.client({ mode: 'base-url', token: backend.token });
});
after(() => fixture.close());
beforeEach(async () => {
  receiver.script = [];
  receiver.always = null;
  receiver.bad = () => false;
  await backend.reset();
});

async function exchange(text = 'hello') {
  const { path: target, body } = callOf('chat', text);
  const answer = await client.post(target, body);
  assert.equal(answer.status, 200);
}

const shipping = async () => (await agent.status()).shipping;

/** Ships what is there; throws when it fails. */
async function ship() {
  const { code, stderr } = await agent.cli(['ship', '--now']);
  assert.equal(code, 0, stderr);
}

/** Every row up to the newest is there once, in order, but those set aside. */
const aside = new Set();
function assertInOrder() {
  const { seqs } = receiver;
  const all = Array.from({ length: seqs.at(-1) }, (_, i) => i + 1);
  assert.deepEqual(
    seqs,
    all.filter((seq) => !aside.has(seq)),
  );
}

test('rows and checkpoints arrive in order, as the schema says', { skip: schemaOff }, async () => {
  await exchange();
  await ship();
  assertInOrder();
  assert.ok(receiver.batches.length > 0);
  for (const batch of receiver.batches) await assertOtlp(batch);
  const answer = receiver.rows.find((r) => r['hoop.kind'] === 'response');
  assert.equal(answer['gen_ai.operation.name'], 'chat');
  assert.equal(answer['gen_ai.provider.name'], 'github.copilot');
  assert.ok(answer['gen_ai.usage.input_tokens'] >= 0);
  const [resource] = receiver.batches[0].resourceLogs;
  const names = resource.resource.attributes.map((a) => a.key);
  for (const name of ['service.name', 'service.version', 'service.instance.id', 'host.name'])
    assert.ok(names.includes(name), name);
});

test('what is recorded is what arrives, and the head verifies', async () => {
  await exchange();
  await ship();
  const rows = await agent.journal('--limit', '0');
  for (const row of rows.filter((r) => receiver.seqs.includes(r.seq))) {
    const sent = receiver.rows.find((r) => r['hoop.chain.seq'] === row.seq);
    assert.equal(sent['hoop.chain.hash'], row.hash);
    assert.equal(sent['hoop.kind'], row.kind);
  }
  // By this name retention asks what it may take away.
  const cursor = execFileSync('sqlite3', [
    agent.journalFile,
    'SELECT receiver, seq FROM ship_cursor',
  ]);
  assert.equal(`${cursor}`.trim(), `${receiver.url}|${receiver.seqs.at(-1)}`);
  const last = receiver.rows.at(-1);
  const { code, stdout } = await agent.cli([
    'journal',
    'verify',
    '--head',
    `${last['hoop.chain.seq']}:${last['hoop.chain.hash']}`,
  ]);
  assert.equal(code, 0, stdout);
});

test('requests are gzipped, named by a key, and carry the token', async () => {
  await exchange();
  await ship();
  const head = receiver.headers.at(-1);
  assert.equal(head['content-encoding'], 'gzip');
  assert.equal(head['content-type'], 'application/json');
  assert.equal(head.authorization, `Bearer ${TOKEN}`);
  assert.match(head['idempotency-key'], /^"[0-9a-f]{64}"$/);
  assert.equal(receiver.paths.at(-1), 'POST /v1/logs');
});

test('a token that others can read is not used; a new one is, at once', async () => {
  await exchange();
  fs.chmodSync(tokenFile, 0o640);
  const refused = await agent.cli(['ship', '--now']);
  assert.equal(refused.code, 5, refused.stdout);
  assert.match(refused.stderr, /token-file/);
  fs.chmodSync(tokenFile, 0o600);
  fs.writeFileSync(tokenFile, 'another-token');
  await ship();
  assert.equal(receiver.headers.at(-1).authorization, 'Bearer another-token');
});

const FAULTS = {
  'a reset instead of an answer': { reset: true },
  'a reset inside the request': { resetAtBody: true },
  'an answer that is cut': { truncate: 1, taken: true },
  'an answer that is too long': { huge: 100000, taken: true },
  'an answer that is not JSON': { body: '<html>Sign in</html>', taken: true },
  'an answer that is no object': { body: '[]', taken: true },
  'a count that is none': { body: '{"partialSuccess":{"rejectedLogRecords":"x"}}' },
  400: { status: 400, body: '{"message":"bad"}' },
  401: { status: 401 },
  403: { status: 403 },
  404: { status: 404 },
  408: { status: 408 },
  413: { status: 413 },
  429: { status: 429 },
  500: { status: 500 },
  502: { status: 502 },
  503: { status: 503 },
  504: { status: 504 },
  'a redirect': { status: 307, headers: { location: 'https://other.example/' } },
};

// The statuses that a table of the code treats alike are asked all together
// only when there is time.
const OFTEN = ['400', '401', '413', '429', '500', '503'];
const rare = (what) => /^\d/.test(what) && !OFTEN.includes(what);

for (const [what, answer] of Object.entries(FAULTS).filter(
  ([name]) => process.env.HOOP_THOROUGH || !rare(name),
))
  test(`${what}: said, and nothing is lost or doubled`, async () => {
    await exchange();
    receiver.always = answer;
    const failed = await agent.cli(['ship', '--now']);
    assert.equal(failed.code, 5, failed.stdout);
    assert.match(failed.stderr, /127\.0\.0\.1:\d+/);
    const { problem, behind_rows: behind } = await shipping();
    assert.ok(problem, 'status tells the problem');
    assert.ok(behind > 0);
    receiver.always = null;
    await ship();
    assertInOrder();
    assert.equal((await shipping()).problem, undefined);
    assert.equal((await shipping()).quarantined, 0);
  });

test('Retry-After is kept to, as seconds and as a date', async () => {
  for (const value of ['120', new Date(Date.now() + 120000).toUTCString()]) {
    await exchange();
    receiver.always = { status: 503, headers: { 'retry-after': value } };
    assert.equal((await agent.cli(['ship', '--now'])).code, 5);
    const wait = (await shipping()).retry_us / 1e6 - Date.now() / 1e3;
    assert.ok(wait > 90 && wait < 180, `waits ${wait} s for ${value}`);
    receiver.always = null;
    await ship();
  }
});

test('a slow receiver is waited for', async () => {
  await exchange();
  receiver.script = [{ waitMs: 1500 }];
  await ship();
  assertInOrder();
});

test('bad rows are set aside and told of, whatever way they are refused', async () => {
  for (const way of ['partial', 400]) {
    await ship();
    const from = receiver.seqs.at(-1);
    for (let i = 0; i < 4; i++) await exchange();
    const isBad = (a) => a['hoop.chain.seq'] === from + 3 && a['hoop.kind'] !== 'checkpoint';
    const before_ = (await shipping()).quarantined;
    receiver.bad = isBad;
    if (way === 400) {
      const { take } = receiver;
      receiver.answer = function answer(bytes, req, res, action) {
        const { again } = this;
        const keys = new Map(this.keys);
        const said = take.call(this, bytes);
        if (!said.partialSuccess) {
          res.writeHead(200).end('{}');
          return;
        }
        this.keys = keys;
        this.again = again;
        res.writeHead(400).end('{"message":"what is this?"}');
      };
    }
    await ship();
    delete receiver.answer;
    receiver.bad = () => false;
    const status = await shipping();
    assert.equal(status.quarantined, before_ + 1, String(way));
    aside.add(from + 3);
    assertInOrder();
    assert.ok(receiver.seqs.includes(from + 4));
    const { stdout } = await agent.cli(['ship']);
    assert.match(stdout, new RegExp(`row ${from + 3}: `));
    await ship();
    const told = receiver.rows.filter((r) => r['hoop.verdict'] === 'quarantined');
    assert.ok(told.some((r) => JSON.parse(r['hoop.detail']).seq === from + 3));
  }
  assert.match((await agent.cli(['doctor'])).stdout, /set aside/);
});

test('a receipt that is signed is kept; another is said to be none', async () => {
  receiver.receipts = true;
  await exchange();
  await ship();
  const last = receiver.seqs.at(-1);
  assert.equal((await shipping()).receipt_seq, last);
  const { receipt } = receiver;
  receiver.receipt = (a) => ({ ...receipt.call(receiver, a), seq: 1 });
  await exchange();
  await ship();
  assert.match((await shipping()).notice, /receipt/);
  assert.equal((await shipping()).receipt_seq, last);
  delete receiver.receipt;
  receiver.receipts = false;
});

test('a receipt by another key than the configured one is not kept', async () => {
  receiver.receipts = true;
  const before = (await shipping()).receipt_seq;
  const own = receiver.sign;
  const { publicKey, privateKey } = crypto.generateKeyPairSync('ed25519');
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x, 'base64url');
  const forger = Object.assign(Object.create(receiver), {
    privateKey,
    publicKey: raw.toString('hex'),
  });
  receiver.receipt = (a) => OtlpReceiver.prototype.receipt.call(forger, a);
  await exchange();
  await ship();
  assert.match((await shipping()).notice, /another key than \[ship\] receiver-key/);
  assert.equal((await shipping()).receipt_seq, before);
  delete receiver.receipt;
  assert.equal(receiver.sign, own);
  receiver.receipts = false;
});

test('verify believes the receiver, not whoever cut the journal', async () => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'hoop-receipts-'));
  fixture.after(() => fs.rmSync(dir, { recursive: true }));
  const file = path.join(dir, 'receipts');
  const verify = async (...options) => {
    const { code, stdout } = await agent.cli(['journal', 'verify', '--json', ...options]);
    return { code, ...JSON.parse(stdout) };
  };
  receiver.receipts = true;
  await exchange();
  await ship();
  receiver.receipts = false;
  const seen = await verify();
  assert.deepEqual([seen.code, seen.intact], [0, true], seen.reason);
  assert.ok(seen.receipts >= 1 && seen.receipt_seq > 0 && seen.receipt_us > 1e15);
  const newest = receiver.receipt(receiver.rows.at(-1));
  fs.writeFileSync(file, JSON.stringify({ receipts: [newest] }));
  assert.equal((await verify('--receipts', file)).receipt_seq, newest.seq);
  // Another receiver's key, then a receipt that was made to fit.
  assert.match((await verify('--receiver-key', 'ab'.repeat(32))).reason, /another key/);
  fs.writeFileSync(file, `${JSON.stringify({ ...newest, seq: 1 })}\n`);
  const altered = await verify('--receipts', file);
  assert.equal(altered.code, 1);
  assert.match(altered.reason, /receipt 1 of those given is altered or forged/);
  // Everything of the newest rows is gone, with all that tells of them.
  await agent.stop();
  const cut = path.join(dir, 'journal.db');
  execFileSync('sqlite3', [agent.journalFile, `.backup ${cut}`]);
  const config = path.join(dir, 'agent.conf');
  fs.writeFileSync(
    config,
    `[journal]\npath=${cut}\n[ship]\nreceiver-key=${receiver.publicKey}\n`,
  );
  const at = execFileSync('sqlite3', [
    cut,
    'SELECT coalesce(max(seq), 50) FROM checkpoints WHERE seq < (SELECT max(seq) FROM checkpoints)',
  ]).toString().trim();
  execFileSync('sqlite3', [
    cut,
    `DELETE FROM rows WHERE seq > ${at}; DELETE FROM checkpoints WHERE seq > ${at};
     DELETE FROM bodies WHERE seq > ${at};
     DELETE FROM receipts WHERE seq > ${at}; DELETE FROM ship_cursor;`,
  ]);
  fs.writeFileSync(file, `${JSON.stringify(newest)}\n${JSON.stringify(newest)}\n`);
  const lost = await verify('--config', config, '--receipts', file);
  assert.equal(lost.code, 1);
  assert.match(lost.reason, /truncated: it ends at row \d+, the receiver received row/);
  await agent.restart();
});

test('the record goes to standard output as JSON lines', async () => {
  const { code, stdout } = await agent.cli(['ship', '--stdout', '--after', '2']);
  assert.equal(code, 0);
  const lines = stdout.trimEnd().split('\n').map((l) => JSON.parse(l));
  const rows = lines.filter((l) => l['hoop.kind'] !== 'checkpoint');
  assert.equal(rows[0]['hoop.chain.seq'], 3);
  assert.deepEqual(
    rows.map((r) => r['hoop.chain.seq']),
    rows.map((_, i) => i + 3),
  );
});

test('without the agent the journal tells how far it is', async () => {
  await exchange();
  await agent.stop();
  const status = await agent.json('ship', '--status', '--config', agent.configFile);
  assert.ok(status.shipped_seq > 0);
  assert.ok(status.behind_rows >= 1);
  await agent.restart();
  await ship();
  assertInOrder();
});
