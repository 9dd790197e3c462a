// SPDX-License-Identifier: Apache-2.0
// Promises 2, 6 and 7: nothing goes out that is not recorded, no row is lost
// by a kill, every edit of the journal is found.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import {
  Child,
  callOf,
  Fixture,
  startAgent,
  startBackend,
  tempDir,
  until,
} from '../flow/lib/harness.mjs';

const fixture = new Fixture();
let backend;

before(async () => {
  backend = await startBackend(fixture);
});
after(() => fixture.close());
beforeEach(() => backend.reset());

const chat = (text, more) => callOf('chat', text, more).body;

function ask(agent, text) {
  const client = agent.client({ mode: 'base-url', token: backend.token });
  return client.post('/chat/completions', chat(text));
}

test('every_exchange_has_its_rows', async (t) => {
  const agent = await startAgent(t, { backend });
  assert.equal((await ask(agent, 'hello')).status, 200);
  const rows = await agent.journal();
  const exchange = rows.find((r) => r.kind === 'request').exchange;
  const kinds = rows
    .filter((r) => r.exchange === exchange)
    .map((r) => r.kind)
    .sort();
  assert.deepEqual(kinds, ['request', 'response']);
  const response = rows.find((r) => r.kind === 'response');
  assert.equal(response.status, 200);
  assert.equal((await agent.cli(['journal', 'verify'])).code, 0);
});

test('unreadable_bodies_are_refused', async (t) => {
  const agent = await startAgent(t, { backend });
  const client = agent.client({ mode: 'base-url', token: backend.token });
  const bad = [
    ['{"messages":[}', 'application/json', {}],
    ['{"a":"\xff"}', 'application/json', {}],
    ['data', 'application/octet-stream', {}],
    ['x', 'application/json', { 'content-encoding': 'snappy' }],
    ['x', 'application/json', { 'content-encoding': 'gzip' }],
  ];
  for (const [body, type, headers] of bad) {
    const answer = await client.request('POST', '/chat/completions', {
      body: Buffer.from(body, 'latin1'),
      headers: { 'content-type': type, ...headers },
    });
    assert.equal(answer.status, 400, `${type}: ${answer.text}`);
  }
  assert.equal((await backend.modelCalls()).length, 0);
});

test(
  'full_disk_refuses_and_recovers',
  { skip: process.getuid() !== 0 && 'needs root for a tmpfs' },
  async (t) => {
    const small = fs.mkdtempSync(path.join(os.tmpdir(), 'hoop-full-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', small]);
    t.after(() => {
      execFileSync('umount', ['-l', small]);
      fs.rmdirSync(small);
    });
    const file = path.join(small, 'j', 'journal.db');
    const agent = await startAgent(t, {
      backend,
      config: { journal: { path: file } },
    });
    assert.equal((await ask(agent, 'before')).status, 200);
    const filler = path.join(small, 'filler');
    try {
      fs.writeFileSync(filler, Buffer.alloc(4 << 20));
    } catch (error) {
      assert.equal(error.code, 'ENOSPC');
    }
    await backend.forget();
    // What still fits into the allocated pages may pass; then no more.
    await until(async () => {
      const answer = await ask(agent, `x${'y'.repeat(20000)}${Math.random()}`);
      return answer.status === 400 && answer.json.error.code === 'journal_unavailable';
    }, 'the refusal');
    const status = await agent.json('status');
    assert.notEqual(status.journal, 'ok');
    fs.rmSync(filler);
    await until(
      async () => (await ask(agent, 'after')).status === 200,
      'the recovery',
    );
    assert.equal((await agent.cli(['journal', 'verify'])).code, 0);
  },
);

const noStrace =
  (process.getuid() !== 0 && 'needs root for a mount') ||
  (spawnSync('strace', ['-V']).error && 'strace is not installed');

test('read_only_file_system_refuses_and_recovers', { skip: noStrace }, async (t) => {
  const dir = tempDir(t, 'hoop-ro-');
  const folder = path.join(dir, 'j');
  const mount = path.join(dir, 'mount');
  fs.mkdirSync(folder, { mode: 0o700 });
  fs.mkdirSync(mount);
  const file = path.join(folder, 'journal.db');
  const agent = await startAgent(t, { backend, config: { journal: { path: file } } });
  assert.equal((await ask(agent, 'before')).status, 200);
  await backend.forget();

  // No mount with a file open for writing can be made read-only; one that
  // became so by an error of its disk says EROFS to the next write. That is
  // given by strace, all that follows by a read-only mount of the same folder.
  // It is made where the agent opens nothing, which would keep it writable.
  execFileSync('mount', ['--bind', folder, mount]);
  try {
    execFileSync('mount', ['-o', 'remount,bind,ro', mount]);
    execFileSync('mount', ['--bind', mount, folder]);
  } finally {
    execFileSync('umount', ['-l', mount]);
  }
  let mounted = true;
  const unmount = () => {
    if (mounted) execFileSync('umount', ['-l', folder]);
    mounted = false;
  };
  t.after(unmount);
  const calls = 'pwrite64,write,ftruncate';
  const tracer = new Child(
    'strace',
    ['-f', '-qq', '-o', '/dev/null', '-p', String(agent.pid), '-P', `${file}-wal`,
      '-e', `trace=${calls}`, '-e', `inject=${calls}:error=EROFS`],
    { t },
  );
  const traced = () => !/^TracerPid:\t0$/m.test(fs.readFileSync(`/proc/${agent.pid}/status`, 'utf8'));
  await until(traced, 'strace');
  const refused = await until(async () => {
    const answer = await ask(agent, 'nobody would know');
    return answer.status === 400 && answer;
  }, 'the refusal');
  assert.equal(refused.json.error.code, 'journal_unavailable');
  await tracer.stop();
  await until(() => !traced(), 'the end of strace');
  await backend.forget();

  // It tries to open the journal anew and cannot write it.
  const started = Date.now();
  while (Date.now() - started < 2500) {
    const answer = await ask(agent, 'still nobody');
    assert.equal(answer.json.error.code, 'journal_unavailable');
  }
  assert.equal((await backend.modelCalls()).length, 0);
  assert.match((await agent.status()).journal, /journal/);
  unmount();
  await until(async () => (await ask(agent, 'after')).status === 200, 'the recovery');
  assert.equal((await agent.status()).journal, 'ok');
  const verified = await agent.cli(['journal', 'verify']);
  assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  const rows = await agent.journal();
  assert.ok(rows.some((row) => row.kind === 'error'), 'the outage is told');
});

test('kill_loses_no_answered_exchange', async (t) => {
  const agent = await startAgent(t, { backend });
  for (let round = 0; round < 3; round++) {
    const answered = [];
    const load = Array.from({ length: 8 }, async (_, i) => {
      for (let k = 0; k < 1000; k++) {
        const text = `round ${round} client ${i} request ${k}`;
        const answer = await ask(agent, text).catch(() => null);
        if (answer?.status !== 200 || !answer.complete) return;
        answered.push(text);
      }
    });
    await until(() => answered.length > 10 + 5 * round, 'some answers');
    await agent.kill('SIGKILL');
    await Promise.all(load);
    await agent.restart();
    const verified = await agent.cli(['journal', 'verify']);
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    const rows = await agent.journal();
    const by = new Map();
    for (const r of rows.filter((one) => one.exchange))
      by.set(r.exchange, [...(by.get(r.exchange) ?? []), r.kind]);
    const whole = [...by.values()].filter(
      (k) => k.includes('request') && k.includes('response'),
    );
    assert.ok(whole.length >= answered.length);
    for (const kinds of by.values())
      if (kinds.includes('request')) assert.ok(kinds.includes('response'));
  }
});

test('tampering_is_found', async (t) => {
  const agent = await startAgent(t, { backend });
  for (let i = 0; i < 3; i++) await ask(agent, `prompt ${i}`);
  await agent.stop();
  const untouched = await agent.cli(['journal', 'verify']);
  assert.equal(untouched.code, 0, untouched.stderr);
  const copy = `${agent.journalFile}.good`;
  fs.copyFileSync(agent.journalFile, copy);
  const edits = [
    "UPDATE rows SET verdict='allow', user='nobody' WHERE kind='request'",
    "DELETE FROM rows WHERE seq=(SELECT max(seq)-1 FROM rows)",
    "UPDATE rows SET wall_us=wall_us+1 WHERE seq=2",
  ];
  for (const sql of edits) {
    fs.copyFileSync(copy, agent.journalFile);
    for (const suffix of ['-wal', '-shm'])
      fs.rmSync(agent.journalFile + suffix, { force: true });
    execFileSync('sqlite3', [agent.journalFile, sql]);
    const verified = await agent.cli(['journal', 'verify']);
    assert.equal(verified.code, 1, `${sql}: ${verified.stdout}`);
  }
});

test('rows_of_answers_name_their_rule', async (t) => {
  const agent = await startAgent(t, {
    backend,
    policy: `
version: 1
default: allow
tunnels: allow
rules:
  - id: answers-without-keys
    match: {direction: response, finding: {class: secret}}
    action: mask
`,
  });
  const client = agent.client({ mode: 'base-url', token: backend.token });
  for (const stream of [false, true]) {
    await backend.answer('/chat/completions', {
      deltas: ['key ', 'AKIA' + 'Q3EGRUZP', 'L5WY7HTC', ' end'],
      text: `key ${'AKIA' + 'Q3EGRUZPL5WY7HTC'} end`,
    });
    await client.request('POST', '/chat/completions', {
      json: chat('hello', { stream }),
    });
  }
  const rows = await agent.journalUntil(
    (list) => list.filter((r) => r.kind === 'response').length === 2,
  );
  const responses = rows.filter((r) => r.kind === 'response');
  for (const row of responses) {
    assert.equal(row.rule, 'answers-without-keys', JSON.stringify(row));
    const why = await agent.cli(['why', row.exchange]);
    assert.match(why.stdout, /response: ok[\s\S]*rule answers-without-keys/);
  }
  const found = await agent.journal('--rule', 'answers-without-keys');
  assert.equal(found.length, 2);
});

test('stopping_drains_what_runs', async (t) => {
  const agent = await startAgent(t, { backend });
  await backend.answer('/chat/completions', {
    deltas: Array.from({ length: 20 }, (_, i) => `word${i} `),
    delayMs: 50,
  });
  const client = agent.client({ mode: 'base-url', token: backend.token });
  let begun;
  const first = new Promise((resolve) => (begun = resolve));
  const answer = client.stream('/chat/completions', chat('go', { stream: true }), {
    onEvent: begun,
  });
  await first;
  const stopped = agent.stop();
  const stream = await answer;
  assert.ok(stream.complete);
  assert.match(stream.text, /word19/);
  assert.equal((await stopped).code, 0);
});
