// SPDX-License-Identifier: Apache-2.0
// The record of all agents at the hub: rows arrive once and are there after a
// kill; whatever does not follow an agent's chain is kept, marked and told.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { after, before, test } from 'node:test';
import zlib from 'node:zlib';

import { startOidcProvider } from '../providers/oidc-provider.mjs';
import { Chain, Key, Machine, record, request, verifies } from './lib/chain.mjs';
import {
  callOf,
  Fixture,
  startAgent,
  startBackend,
  until,
} from './lib/harness.mjs';
import { accessToken, Hub } from './lib/hub.mjs';
import { identityOf, signIn } from './lib/signin.mjs';

const AUDIENCE = 'https://hub.example.test';
const USERS = {
  ada: { preferred_username: 'ada', groups: ['developers'] },
  eve: { preferred_username: 'eve', groups: ['developers'] },
  aud: { preferred_username: 'aud', groups: ['audit'] },
  col: { preferred_username: 'col', groups: ['collectors'] },
};

const fixture = new Fixture();
const tokens = {};
const machines = {};
let provider;
let hub;

before(async () => {
  provider = await startOidcProvider(fixture, {
    users: USERS,
    audience: AUDIENCE,
  });
  hub = await new Hub(fixture, {
    hub: { audience: AUDIENCE },
    limits: { rate: 10000, 'max-body': '256K' },
    roles: { auditor: 'audit', sender: 'collectors', requester: 'developers' },
    'identity "corp"': { issuer: provider.issuer, 'ca-file': provider.ca },
  }).start();
  for (const user of Object.keys(USERS))
    tokens[user] = await accessToken(provider, user, AUDIENCE);
  for (const user of ['ada', 'eve']) {
    machines[user] = new Machine();
    const { iss, sub } = JSON.parse(
      Buffer.from(tokens[user].split('.')[1], 'base64url'),
    );
    const bound = await hub.ask('POST', '/v1/machines', {
      token: tokens[user],
      body: machines[user].enrolment(iss, sub),
    });
    assert.equal(bound.status, 201, bound.text);
    assert.equal(bound.json.machine, machines[user].id);
  }
});
after(() => fixture.close());

/** Ships records as a person's machine; or as somebody with a role. */
const ship = (records, { as = 'ada', machine = machines[as], headers } = {}) => {
  const body = Buffer.from(JSON.stringify(request(records)));
  return hub.ask('POST', '/v1/logs', {
    token: tokens[as],
    body: body.toString(),
    headers: { ...(machine && machine.header(body)), ...headers },
  });
};
const asked = async (where) => {
  const { status, json, text } = await hub.ask('GET', where, {
    token: tokens.aud,
  });
  assert.equal(status, 200, text);
  return json;
};
const rowsOf = async (chain, more = '') =>
  (await asked(`/v1/audit?limit=1000&journal=${chain.id.toString('hex')}${more}`))
    .rows;
/** But that the machine began another journal, as all tests here have it. */
const alertsOf = async (chain) =>
  (await asked('/v1/audit/alerts?limit=1000')).alerts
    .filter(({ journal }) => journal === chain.id.toString('hex'))
    .map(({ kind }) => kind)
    .filter((kind) => kind !== 'journal');

test('rows arrive once, and a receipt is signed for them', async () => {
  const chain = new Chain();
  const sent = [...chain.rows(5), chain.checkpoint(), chain.row()];
  for (const again of [false, true]) {
    const { status, json, text } = await ship(sent);
    assert.equal(status, 200, text);
    assert.equal(json.partialSuccess, undefined);
    const receipt = json['hoop.receipt'];
    assert.equal(receipt.machine, machines.ada.id);
    assert.equal(receipt.journal, chain.id.toString('hex'));
    assert.equal(receipt.seq, 5, again);
    const { public_key: key } = (await hub.ask('GET', '/v1/hub')).json;
    assert.equal(receipt.public_key, key);
    const text32 = (of) => {
      const out = Buffer.alloc(4);
      out.writeUInt32BE(of.length);
      return Buffer.concat([out, Buffer.from(of)]);
    };
    const numbers = Buffer.alloc(16);
    numbers.writeBigInt64BE(BigInt(receipt.seq));
    numbers.writeBigInt64BE(BigInt(receipt.time_us), 8);
    const said = Buffer.concat([
      Buffer.from('hoop-hub receipt 1\0'),
      text32(receipt.machine),
      text32(receipt.journal),
      numbers.subarray(0, 8),
      Buffer.from(receipt.hash, 'hex'),
      numbers.subarray(8),
    ]);
    const signature = Buffer.from(receipt.signature, 'hex');
    assert.ok(verifies(Buffer.from(key, 'hex'), said, signature));
  }
  const rows = await rowsOf(chain);
  assert.equal(rows.length, 7);
  assert.ok(rows.every((row) => !row.marks.length), JSON.stringify(rows));
  assert.deepEqual(await alertsOf(chain), []);
});

test('gzip is taken, and what cannot be read is refused', async () => {
  const chain = new Chain();
  const plain = Buffer.from(JSON.stringify(request(chain.rows(3))));
  const zipped = zlib.gzipSync(plain);
  const post = (body, headers = {}) =>
    hub.ask('POST', '/v1/logs', {
      token: tokens.ada,
      bytes: body,
      headers: {
        'content-type': 'application/json',
        ...machines.ada.header(body),
        ...headers,
      },
    });
  const gzip = { 'content-encoding': 'gzip' };
  assert.equal((await post(zipped, gzip)).status, 200);
  assert.equal((await rowsOf(chain)).length, 3);
  for (const [body, headers, status] of [
    [plain, gzip, 400],
    [zipped.subarray(0, 40), gzip, 400],
    [zlib.gzipSync(Buffer.alloc(20 << 20)), gzip, 413],
    [Buffer.alloc(300 << 10, 0x20), {}, 413],
    [plain, { 'content-encoding': 'br' }, 415],
    [plain, { 'content-type': 'application/x-protobuf' }, 415],
    [Buffer.from('{"resourceLogs":7}'), {}, 400],
    [Buffer.from('[]'), {}, 400],
    [Buffer.from('{"resourceLogs":[]}{}'), {}, 400],
  ]) {
    const got = await post(body, headers);
    assert.equal(got.status, status, got.text);
    assert.equal(typeof got.json.code, 'number');
    assert.equal(typeof got.json.message, 'string');
  }
});

test('a record that is wrong is rejected alone', async () => {
  const chain = new Chain();
  const [first, second] = chain.rows(2);
  const bad = record({ a: 'b' }, { timeUnixNano: 'soon' });
  const { status, json } = await ship([first, bad, second]);
  assert.equal(status, 200);
  assert.equal(json.partialSuccess.rejectedLogRecords, '1');
  assert.match(json.partialSuccess.errorMessage, /^record 2: /);
  assert.equal((await rowsOf(chain)).length, 2);
});

test('who may send', async () => {
  const chain = new Chain();
  const sent = chain.rows(1);
  for (const [who, status] of [
    [{ as: 'ada', machine: null }, 403],
    [{ as: 'ada', machine: machines.eve }, 403],
    [{ as: 'ada', machine: new Machine() }, 403],
    [{ as: 'aud', machine: null }, 403],
    [{ as: 'nobody', machine: machines.ada }, 401],
    [{ as: 'col', machine: null }, 200],
  ]) {
    const got = await ship(sent, who);
    assert.equal(got.status, status, `${JSON.stringify(who.as)} ${got.text}`);
  }
  const other = await accessToken(provider, 'ada', 'https://other.example.test')
    .catch(() => 'none');
  tokens.other = other;
  assert.equal((await ship(sent, { as: 'other', machine: machines.ada })).status, 401);
  const got = await hub.ask('GET', '/v1/audit', { token: tokens.ada });
  assert.equal(got.status, 403);
});

test('records of any OTLP client, each once', async () => {
  const mine = record({ 'user.name': 'otto', n: 7 });
  for (let i = 0; i < 2; i++)
    assert.equal((await ship([mine, mine], { as: 'col' })).status, 200);
  const { rows } = await asked('/v1/audit?user=otto');
  assert.equal(rows.length, 2);
  assert.equal(rows[0].attributes.n, 7);
  assert.equal(rows[0].sender, 'col');
});

/** Ships, and says what the rows are marked with and which alerts came. */
async function outcome(chain, ...batches) {
  for (const [records, options] of batches) {
    const got = await ship(records, options);
    assert.equal(got.status, 200, got.text);
    chain.receipt = got.json['hoop.receipt'];
  }
  const rows = await rowsOf(chain);
  return {
    alerts: await alertsOf(chain),
    marks: [...new Set(rows.flatMap((row) => row.marks))].sort(),
    n: rows.length,
  };
}

test('an edited row', async () => {
  const chain = new Chain();
  const sent = [...chain.rows(3), chain.checkpoint()];
  const attributes = sent[1].attributes;
  attributes.find(({ key }) => key === 'hoop.verdict').value.stringValue = 'x';
  assert.deepEqual(await outcome(chain, [sent]), {
    alerts: ['edit'],
    marks: ['edit'],
    n: 4,
  });
  assert.equal(chain.receipt, undefined);
});

test('rows that were left out', async () => {
  const chain = new Chain();
  const sent = chain.rows(6);
  assert.deepEqual(
    await outcome(chain, [sent.slice(0, 2)], [sent.slice(4)]),
    { alerts: ['gap'], marks: ['gap'], n: 4 },
  );
});

test('rows that come late', async () => {
  const chain = new Chain();
  const sent = chain.rows(6);
  assert.deepEqual(
    await outcome(chain, [[...sent.slice(0, 2), ...sent.slice(4)]], [
      sent.slice(2, 4),
    ]),
    { alerts: ['gap'], marks: ['gap', 'late'], n: 6 },
  );
});

test('a journal that was cut and goes on', async () => {
  const chain = new Chain();
  const first = [...chain.rows(3), chain.checkpoint()];
  const other = chain.copy();
  const cut = chain.rows(3);
  const instead = [...other.rows(5, { verdict: 'block' }), other.checkpoint()];
  assert.deepEqual(await outcome(chain, [[...first, ...cut]], [instead]), {
    alerts: ['fork'],
    marks: ['fork'],
    n: 4 + 3 + 6,
  });
  assert.equal(chain.receipt, undefined);
  // The same again is known, and raises nothing.
  assert.deepEqual(await outcome(chain, [instead], [[...first, ...cut]]), {
    alerts: ['fork'],
    marks: ['fork'],
    n: 13,
  });
});

test('a journal that was cut where its cursor stood', async () => {
  const chain = new Chain();
  const other = chain.copy();
  const first = chain.rows(5);
  other.rows(5, { verdict: 'block' });
  assert.deepEqual(await outcome(chain, [first], [other.rows(2)]), {
    alerts: ['fork'],
    marks: ['fork'],
    n: 7,
  });
});

test('a checkpoint that the key did not sign', async () => {
  const chain = new Chain();
  const sent = [...chain.rows(2), chain.checkpoint({ key: new Key() })];
  assert.deepEqual(await outcome(chain, [sent]), {
    alerts: ['signature'],
    marks: ['signature'],
    n: 3,
  });
});

test('a journal that was signed anew with another key', async () => {
  const chain = new Chain();
  const sent = [...chain.rows(2), chain.checkpoint()];
  const anew = new Chain(new Key(), chain.id);
  const again = [...anew.rows(2), anew.checkpoint()];
  const got = await outcome(chain, [sent], [again]);
  assert.deepEqual(got.alerts.sort(), ['fork', 'key']);
  assert.equal(got.n, 6);
});

test("another person's machine cannot touch a journal", async () => {
  const chain = new Chain();
  const sent = chain.rows(3);
  const more = chain.copy().rows(2);
  assert.deepEqual(
    await outcome(
      chain,
      [sent.slice(0, 2)],
      [sent.slice(2), { as: 'eve' }],
      [more, { as: 'eve' }],
      [[sent[2], ...chain.rows(2)]],
    ),
    { alerts: ['foreign', 'foreign'], marks: ['foreign'], n: 8 },
  );
});

test('what is sought is found, by pages', async () => {
  const chain = new Chain();
  await ship([
    ...chain.rows(7, { user: 'mia', verdict: 'block', rule: "it's, 100%" }),
    ...chain.rows(5, { user: 'mia', verdict: '=cmd()' }),
  ]);
  const found = async (query) => (await asked(`/v1/audit?user=mia&${query}`)).rows;
  assert.equal((await found('verdict=block')).length, 7);
  assert.equal((await found('text=100%25')).length, 7);
  assert.equal((await found('text=100_')).length, 0);
  assert.equal((await found(`rule=${encodeURIComponent("it's, 100%")}`)).length, 7);
  assert.equal((await found(`machine=${machines.ada.id}`)).length, 12);
  assert.equal((await found('since=1700000000000003&until=1700000000000005')).length, 2);
  assert.equal((await found('marked=true')).length, 0);
  let before = 0;
  const seen = [];
  do {
    const page = await asked(`/v1/audit?user=mia&limit=5&before=${before}`);
    seen.push(...page.rows.map(({ seq }) => seq));
    before = page.next;
  } while (before);
  assert.deepEqual(seen, [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]);
  for (const query of ['limit=0', 'limit=x', 'who=me', 'user=a&user=b', 'marked=1'])
    assert.equal(
      (await hub.ask('GET', `/v1/audit?${query}`, { token: tokens.aud })).status,
      400,
      query,
    );
  const exported = async (format) =>
    (
      await hub.ask('GET', `/v1/audit/export?user=mia&format=${format}`, {
        token: tokens.aud,
      })
    ).text;
  const lines = (await exported('jsonl')).trim().split('\n');
  assert.equal(lines.length, 12);
  assert.equal(JSON.parse(lines[0]).user, 'mia');
  const csv = (await exported('csv')).trim().split('\r\n');
  assert.equal(csv.length, 13);
  assert.match(csv[1], /"'=cmd\(\)"/);
});

test('the record on the command line, and one that somebody edits', async () => {
  const chain = new Chain();
  const journal = chain.id.toString('hex');
  await ship([...chain.rows(4, { user: 'kim', verdict: 'block' }), chain.checkpoint()]);
  const listed = await hub.cli(['audit', 'list', '--user', 'kim', '--limit', '2', '--json']);
  assert.deepEqual(JSON.parse(listed.stdout).rows.map(({ seq }) => seq), [4, 3]);
  assert.match((await hub.cli(['audit', 'list', '--user', 'kim'])).stdout, /kim {2}said/);
  const lines = (await hub.cli(['audit', 'export', '--journal', journal])).stdout;
  assert.equal(lines.trim().split('\n').length, 5);
  const csv = (await hub.cli(['audit', 'export', '--journal', journal, '--format', 'csv'])).stdout;
  assert.equal(csv.trim().split('\r\n').length, 6);
  assert.match((await hub.cli(['audit', 'alerts'])).stdout, / fork /);
  assert.match((await hub.cli(['audit', 'journals'])).stdout, new RegExp(`${journal} {2}ada {2}row 4, signed 4`));
  const whole = await hub.cli(['audit', 'verify', '--journal', journal, '--json']);
  assert.equal(whole.code, 0, whole.stdout + whole.stderr);
  assert.deepEqual(JSON.parse(whole.stdout), {
    faults: [],
    journals: 1,
    rows: 4,
    checkpoints: 1,
  });
  for (const [edit, fault] of [
    ["UPDATE audit_row SET attributes = replace(attributes, 'block', 'allow') WHERE journal = ? AND seq = 2", /not what its hash covers/],
    ['DELETE FROM audit_row WHERE journal = ? AND seq = 3', /row 3: this row, and perhaps more/],
    ['DELETE FROM audit_row WHERE journal = ? AND seq = 4', /from here on came, and are missing/],
  ]) {
    execFileSync('python3', [
      '-c',
      'import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], timeout=20)\ndb.execute(sys.argv[2], (sys.argv[3],))\ndb.commit()',
      path.join(hub.state, 'audit.db'),
      edit,
      journal,
    ]);
    const { code, stdout } = await hub.cli(['audit', 'verify', '--journal', journal]);
    assert.equal(code, 1);
    assert.match(stdout, fault);
  }
  for (const words of [[], ['lost'], ['list', '--since', 'soon'], ['list', '--limit', '0']])
    assert.equal((await hub.cli(['audit', ...words])).code, 2, words.join(' '));
});

test('a hub that is killed has every row that it acknowledged, once', async () => {
  const chains = Array.from({ length: 4 }, () => new Chain());
  let going = true;
  const acknowledged = await Promise.all([
    ...chains.map(async (chain) => {
      let held = 0;
      while (going) {
        const from = chain.copy();
        const sent = [...chain.rows(20), chain.checkpoint()];
        const got = await ship(sent).catch(() => null);
        if (got?.status !== 200) {
          Object.assign(chain, from);
          chain.pending = sent;
          return held;
        }
        held = chain.seq;
      }
      return held;
    }),
    (async () => {
      await until(() => chains.every(({ seq }) => seq >= 60), 'rows', 20000);
      await hub.child.stop('SIGKILL');
      going = false;
    })(),
  ]);
  await hub.start();
  for (const [i, chain] of chains.entries()) {
    if (chain.pending) assert.equal((await ship(chain.pending)).status, 200);
    const rows = (await rowsOf(chain, '&kind=request')).map(({ seq }) => seq);
    assert.equal(new Set(rows).size, rows.length);
    assert.ok(rows.length >= acknowledged[i]);
    assert.ok(Array.from(rows).sort((a, b) => a - b).every((seq, n) => seq === n + 1));
    assert.deepEqual(await alertsOf(chain), []);
  }
});

test("a real agent's journal, and the developer who cuts it", async () => {
  const backend = await startBackend(fixture);
  const agent = await startAgent(fixture, {
    backend,
    config: {
      ...identityOf(provider),
      hub: { url: hub.url, 'ca-file': hub.ca },
      ship: {
        endpoint: `${hub.url}/v1/logs`,
        'ca-file': hub.ca,
        interval: 3600,
      },
    },
  });
  const { code, stderr } = await signIn(agent, provider, 'eve', [
    '--insecure-storage',
  ]);
  assert.equal(code, 0, stderr);
  const enrolled = await agent.cli(['enrol', '--fingerprint', hub.fingerprint]);
  assert.equal(enrolled.code, 0, enrolled.stderr);
  const client = agent.client({ mode: 'base-url', token: backend.token });
  const call = () => client.post('/chat/completions', callOf('chat', 'hi').body);
  for (let i = 0; i < 3; i++) assert.equal((await call()).status, 200);
  const shipped = await agent.cli(['ship', '--now']);
  assert.equal(shipped.code, 0, shipped.stderr);
  const journals = async () =>
    (await asked('/v1/audit/journals')).journals.filter(
      ({ machine, user }) => user === 'eve' && machine !== machines.eve.id,
    );
  const [held] = await journals();
  assert.equal(held.broken, false);
  const { rows } = await asked(`/v1/audit?limit=1000&journal=${held.journal}`);
  assert.ok(rows.some(({ event }) => /inference/.test(event)));
  assert.deepEqual([...new Set(rows.flatMap(({ marks }) => marks))], []);

  await agent.stop();
  execFileSync('python3', [
    '-c',
    `import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
(n,) = db.execute("SELECT max(seq) FROM checkpoints WHERE seq < (SELECT max(seq) FROM rows WHERE kind='request')").fetchone()
n = n or 0
for t in ("rows", "checkpoints", "receipts"): db.execute(f"DELETE FROM {t} WHERE seq > ?", (n,))
db.execute("DELETE FROM open_requests")
db.execute("UPDATE ship_cursor SET seq = min(seq, ?), checkpoint_seq = min(checkpoint_seq, ?)", (n, n))
db.commit()`,
    agent.journalFile,
  ]);
  await agent.start();
  assert.equal((await call()).status, 200);
  await agent.cli(['ship', '--now']);
  await until(async () => (await journals())[0].broken, 'the fork', 20000);
  const alerts = (await asked('/v1/audit/alerts')).alerts.filter(
    ({ journal }) => journal === held.journal,
  );
  assert.deepEqual(alerts.map(({ kind }) => kind), ['fork']);
  assert.equal(alerts[0].user, 'eve');
});
