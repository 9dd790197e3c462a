// SPDX-License-Identifier: Apache-2.0
// Every verb that speaks to the daemon or reads what it recorded, against a
// running agent.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import {
  agentProgram,
  callOf,
  Child,
  Fixture,
  startAgent,
  startBackend,
  until,
} from './lib/harness.mjs';

const KEY = 'AKIA' + 'Q3EGRUZPL5WY7HTC';
const POLICY = `
version: 1
default: allow
tunnels: allow
rules:
  - id: keys
    match: {direction: request, finding: {class: secret}}
    action: mask
  - id: careful
    match: {direction: request, prompt: 'careful'}
    action: approve
    by: [developer]
    message: Is this meant?
    timeout: 60
    completions: block
  - id: never
    match: {direction: request, prompt: 'never'}
    action: block
    message: Not this.
`;

const fixture = new Fixture();
let backend;
let agent;
let client;

before(async () => {
  backend = await startBackend(fixture);
  agent = await startAgent(fixture, { backend, policy: POLICY });
  client = agent.client({ mode: 'base-url', token: backend.token });
});
after(() => fixture.close());
beforeEach(() => backend.reset());

const ask = (text) => client.post('/chat/completions', callOf('chat', text).body);

async function hold(text) {
  const answer = ask(text);
  const [held] = await until(async () => {
    const list = await agent.json('pending');
    return list.length > 0 && list;
  }, 'a pending request');
  return { answer, held };
}

async function fine(...args) {
  const result = await agent.cli(args);
  assert.equal(result.code, 0, result.stderr);
  assert.equal(result.stderr, '');
  return result.stdout;
}

async function fails(code, pattern, ...args) {
  const result = await agent.cli(args);
  assert.equal(result.code, code, result.stdout + result.stderr);
  assert.match(result.stderr, pattern);
  return result;
}

/** The newest row of a kind. */
async function last(kind) {
  return (await agent.journal('--kind', kind)).at(-1);
}

test('status: what the agent does, for people and programs', async () => {
  const status = await agent.status();
  assert.equal(status.pid, agent.pid);
  assert.equal(status.config, agent.configFile);
  assert.equal(status.journal, 'ok');
  assert.equal(status.issuer, 'local');
  const text = await fine('status');
  assert.match(text, new RegExp(`address +127\\.0\\.0\\.1:${agent.port}\n`));
  assert.match(text, /nothing waits for a person/);
  assert.doesNotMatch(text, /\x1b/, 'colours only on a terminal');
});

test('pending, review, approve: a unique beginning of the id is enough', async () => {
  const { answer, held } = await hold(`be careful with ${KEY} \u202e \x1b[31m`);
  assert.deepEqual(held.rules, ['careful']);
  assert.match(await fine('pending'), new RegExp(`${held.id} .*careful`));
  const review = await fine('review', held.id.slice(0, 14));
  assert.match(review, /asked by +careful: Is this meant\?/);
  assert.match(review, /<U\+202E> \^\[\[31m/);
  assert.doesNotMatch(review, /[\u202e\x1b]/);
  assert.equal((await agent.json('review', held.id)).id, held.id);
  await fails(1, /`hoop-agent review/, 'why', held.id);
  await fails(1, /too short/, 'approve', held.id.slice(0, 2));
  await fails(1, /nothing that waits is named zzz/, 'approve', 'zzz');
  assert.equal(await fine('approve', held.id.slice(0, 14)), `${held.id}: approved.\n`);
  assert.equal((await answer).status, 200);
  const [seen] = await backend.modelCalls();
  assert.ok(!seen.body.includes(KEY));
});

/** review on a terminal of its own, with `typed` as the answer. */
function reviewOnTerminal(t, id, typed) {
  const child = new Child('script', ['-qec', `${agentProgram()} review ${id}`, '/dev/null'], {
    env: { ...agent.env, TERM: 'xterm' },
    input: 'pipe',
    t,
  });
  return until(() => /Answer.*: $/.test(child.stdout), 'the question')
    .then(() => child.process.stdin.write(`${typed}\n`))
    .then(() => until(() => !child.running, 'its end'))
    .then(() => child.stdout);
}

test('review on a terminal: asks, and takes only a plain answer', async (t) => {
  const { answer, held } = await hold(`be careful with ${KEY}`);
  for (const typed of ['', 'a', 'yes', 'approved'])
    assert.match(await reviewOnTerminal(t, held.id, typed), /still waits/);
  assert.equal((await agent.json('pending')).length, 1);
  assert.match(await reviewOnTerminal(t, held.id, 'deny not this one'), new RegExp(`${held.id}: denied`));
  const refused = await answer;
  assert.equal(refused.status, 400);
  assert.match(refused.text, /not this one/);
});

test('deny: the reason reaches the client and the record', async () => {
  const { answer, held } = await hold('careful, deny me');
  assert.equal(await fine('deny', held.id, '--reason', 'because'), `${held.id}: denied.\n`);
  assert.match((await answer).json.error.message, /because/);
  await fails(1, /does not wait|nothing that waits/, 'deny', held.id);
  assert.match(await fine('why', held.id), /deny +by \S+ \(developer, cli\) at .*: because/);
});

test('pending --watch: tells what comes and goes', async (t) => {
  const watch = new Child(agentProgram(), ['pending', '--watch', '--json'], {
    env: agent.env,
    t,
  });
  const { answer, held } = await hold('careful, watched');
  await until(() => watch.stdout.includes('\n'), 'the first event');
  await fine('deny', held.id);
  await answer;
  const events = await until(() => {
    const lines = watch.stdout.trim().split('\n').map((line) => JSON.parse(line));
    return lines.some((e) => e.event === 'decided') && lines;
  }, 'the decision');
  assert.ok(events.some((e) => e.event === 'waits' && e.id === held.id && e.rules[0] === 'careful'));
  const end = events.find((e) => e.event === 'decided');
  assert.equal(end.id, held.id);
  assert.equal(end.outcome, 'denied');
});

test('pause: governed requests are refused until resume', async () => {
  assert.match(await fine('pause', '--for', '10m'), /Paused for 10 min/);
  assert.match((await agent.status()).paused, /^until 20/);
  assert.match(await fine('status'), /paused +until/);
  assert.notEqual((await ask('hello')).status, 200);
  assert.match(await fine('resume'), /Not paused/);
  assert.equal((await agent.status()).paused, undefined);
  assert.equal((await ask('hello')).status, 200);
  await fine('pause', '--for=1s');
  await until(async () => !(await agent.status()).paused, 'the end of the pause');
  await fine('pause');
  assert.match((await agent.status()).paused, /resume/);
  await fine('resume');
  await fails(2, /--for takes a time/, 'pause', '--for', 'soon');
});

test('why: the verdict rule by rule, never the secret', async () => {
  await ask(`my key is ${KEY}`);
  const row = await last('request');
  const text = await fine('why', row.exchange.slice(0, 13));
  assert.match(text, /request: mask/);
  assert.match(text, /reason +rule keys, .*policy\.yaml:\d+/);
  assert.match(text, /found +aws-access-key in messages\[0\]\.content, 20 bytes/);
  assert.match(text, /response: ok/);
  assert.match(text, /status +200/);
  assert.ok(!text.includes(KEY));
  const json = await agent.json('why', row.exchange);
  assert.equal(json.exchange, row.exchange);
  assert.deepEqual(json.rows.map((r) => r.kind), ['request', 'response']);
  await fails(1, /the journal has no exchange zzzz/, 'why', 'zzzz');
  await fails(1, /beginning of several/, 'why', row.exchange.slice(0, 1));
});

test('why: a blocked request', async () => {
  assert.equal((await ask('never do this')).status, 400);
  const row = await last('request');
  const text = await fine('why', row.exchange);
  assert.match(text, /request: block/);
  assert.match(text, /message +Not this\./);
  assert.match(text, /status +400/);
});

test('journal list: filters, limit, order', async () => {
  await ask('one');
  await ask(`two ${KEY}`);
  const rows = await agent.journal();
  assert.ok(rows.every((row, i) => i === 0 || row.seq === rows[i - 1].seq + 1));
  assert.deepEqual(
    (await agent.journal('--limit', '2')).map((row) => row.seq),
    rows.slice(-2).map((row) => row.seq),
  );
  const masked = await agent.journal('--rule', 'keys');
  assert.ok(masked.length > 0 && masked.every((row) => row.rule === 'keys'));
  assert.equal((await agent.journal('--verdict', 'nothing-like-it')).length, 0);
  assert.ok((await agent.journal('--since', '1h')).length > 0);
  assert.ok((await agent.journal('--since', '2020-01-01')).length > 0);
  assert.equal((await agent.journal('--since', '2100-01-01')).length, 0);
  assert.equal((await agent.journal('--model', 'gpt-4.1', '--kind', 'start')).length, 0);
  assert.match(await fine('journal', 'list', '--limit', '5'), /^TIME +EXCHANGE/);
  assert.match(await fine('journal', 'list', '--user', 'nobody-such'), /no such rows/);
  await fails(2, /did you mean request/, 'journal', 'list', '--kind', 'requst');
  await fails(2, /--limit takes/, 'journal', 'list', '--limit', 'all');
  await fails(2, /--since takes/, 'journal', 'list', '--since', 'monday');
  await fails(2, /usage/, 'journal', 'list', 'extra');
  await fails(2, /usage: hoop-agent journal search TEXT/, 'journal', 'search');
  await fails(2, /this version has no `journal rewrite`/, 'journal', 'rewrite');
});

test('journal show: rows and masked bodies of one exchange', async () => {
  await ask(`show ${KEY}`);
  const { exchange } = await last('request');
  const text = await fine('journal', 'show', exchange.slice(0, 13));
  assert.match(text, /^user\n +show \[aws-access-key:/m);
  assert.match(text, /^assistant\n +\S/m);
  assert.match(text, /^found +aws-access-key in messages/m);
  assert.ok(!text.includes(KEY));
  assert.match(
    await fine('journal', 'show', exchange, '--rows'),
    /body, as it was masked:\n.*show \[aws-access-key:/,
  );
  const rows = await agent.json('journal', 'show', exchange);
  assert.deepEqual(rows.map((row) => row.exchange), [exchange, exchange]);
  assert.match(rows[0].body, /show \[aws-access-key:/);
  assert.equal(rows[0].detail.findings[0].rule, 'aws-access-key');
  await fails(2, /usage/, 'journal', 'show');
});

test('journal verify: intact, and a head held elsewhere', async () => {
  const seen = await agent.json('journal', 'verify');
  assert.equal(seen.intact, true);
  assert.equal(seen.head_seq, (await agent.journal()).at(-1).seq);
  assert.match(await fine('journal', 'verify'), /^intact: \d+ rows/);
  assert.match(await fine('journal', 'verify', '--head', seen.head), /^intact/);
  const file = path.join(agent.dir, 'head');
  fs.writeFileSync(file, `${seen.head}\n`);
  await fine('journal', 'verify', '--head', file);
  const wrong = await agent.cli(['journal', 'verify', '--head', seen.head.replace(/:./, ':0')]);
  const other = await agent.cli(['journal', 'verify', '--head', seen.head.replace(/:./, ':1')]);
  assert.ok(wrong.code === 1 || other.code === 1, 'another hash is not verified');
  await fails(2, /--head/, 'journal', 'verify', '--head', '/nonexistent');
});

test('logs: the lines of an agent without systemd', async (t) => {
  assert.match(await fine('logs'), /Z hoop-agent \S+ listens on https:\/\/127\.0\.0\.1:/);
  const mode = fs.statSync(path.join(agent.state, 'agent.log')).mode & 0o777;
  assert.equal(mode, 0o600);
  const follow = new Child(agentProgram(), ['logs', '-f'], { env: agent.env, t });
  await until(() => follow.stdout.includes('listens on'), 'the first lines');
  fs.appendFileSync(path.join(agent.dir, 'policy.yaml'), '\nnonsense: 1\n');
  process.kill(agent.pid, 'SIGHUP');
  await until(() => follow.stdout.includes('policy not loaded'), 'the new line');
  await until(async () => (await agent.status()).policy_error, 'the error in status');
  assert.match(await fine('status'), /the last reload failed.*nonsense/);
  fs.writeFileSync(path.join(agent.dir, 'policy.yaml'), POLICY);
  process.kill(agent.pid, 'SIGHUP');
  await until(async () => !(await agent.status()).policy_error, 'the reload');
});

test('whoami, connection list, ca show', async () => {
  const who = await agent.json('whoami');
  assert.equal(who.issuer, 'local');
  assert.deepEqual(who.groups, ['local']);
  assert.match(await fine('whoami'), /the local account.*group local/);
  await fails(2, /Nobody needs to sign in here/, 'login');
  await fails(2, /Nobody needs to sign in here/, 'logout');
  const [copilot] = await agent.json('connection', 'list');
  assert.deepEqual([copilot.name, copilot.enabled], ['copilot', true]);
  assert.match(await fine('connection', 'list'), /^NAME +TYPE/);
  const ca = await agent.json('ca', 'show');
  assert.equal(ca.file, agent.ca);
  assert.ok(ca.names.includes('githubcopilot.com'));
  assert.ok(!ca.names.includes('github.com'));
  assert.equal(await fine('ca', 'export', '-'), fs.readFileSync(agent.ca, 'utf8'));
  const copy = path.join(agent.dir, 'copy.pem');
  await fine('ca', 'export', copy);
  assert.equal(fs.readFileSync(copy, 'utf8'), fs.readFileSync(agent.ca, 'utf8'));
  await fails(2, /usage: hoop-agent ca export FILE/, 'ca', 'export');
  await fails(2, /is a folder/, 'ca', 'export', agent.dir);
});

test('doctor: every check, and what to do', async () => {
  const list = await agent.json('doctor');
  const health = Object.fromEntries(list.map((row) => [row.check, row.health]));
  for (const check of ['config', 'agent', 'port', 'ca', 'policy', 'journal', 'proxy'])
    assert.equal(health[check], 'ok', JSON.stringify(list));
  assert.equal(health.trust, 'warn');
  const text = await fine('doctor');
  assert.match(text, /^ok +config/);
  assert.match(text, /warn +trust .*\n +-> hoop-agent setup CLIENT/);
});

test('env: what leads a client here, in three syntaxes', async () => {
  const base = `https://127.0.0.1:${agent.port}`;
  const proxy = `http://127.0.0.1:${agent.port}`;
  const cli = await agent.envFor('copilot-cli');
  assert.equal(cli.HTTPS_PROXY, proxy);
  assert.equal(cli.NODE_EXTRA_CA_CERTS, agent.ca);
  const based = await agent.cli(['env', '--shell=json', '--via', 'base-url', 'copilot-cli']);
  const variables = JSON.parse(based.stdout);
  assert.equal(variables.COPILOT_API_URL, base);
  assert.equal(variables.COPILOT_DEBUG_GITHUB_API_URL, base);
  assert.equal(variables.HTTPS_PROXY, undefined);
  // By name: its TLS library refuses an authority that is constrained by address.
  assert.equal(
    (await agent.envFor('claude')).ANTHROPIC_BASE_URL,
    `https://localhost:${agent.port}/c/anthropic`,
  );
  const codex = await agent.envFor('codex');
  assert.equal(codex.OPENAI_BASE_URL, `${base}/c/openai/v1`);
  const bundle = fs.readFileSync(codex.SSL_CERT_FILE, 'utf8');
  assert.ok(bundle.endsWith(fs.readFileSync(agent.ca, 'utf8')));
  const sh = await fine('env', '--shell', 'sh');
  assert.match(sh, new RegExp(`^export HTTPS_PROXY='${proxy}'$`, 'm'));
  const fish = await fine('env', '--shell', 'fish');
  assert.match(fish, new RegExp(`^set -gx HTTPS_PROXY '${proxy}'$`, 'm'));
  await fails(2, /did you mean claude/, 'env', 'claud');
  await fails(2, /--shell is/, 'env', '--shell', 'csh');
  await fails(2, /needs a CLIENT/, 'env', '--via', 'base-url');
});

test('env: another authority that was named goes on to be trusted', async () => {
  const company = path.join(agent.dir, 'company.pem');
  fs.writeFileSync(company, '-- the company --');
  const { stdout } = await agent.cli(['env', '--shell', 'json', 'copilot-cli'], {
    env: { NODE_EXTRA_CA_CERTS: company, HTTPS_PROXY: undefined },
  });
  const both = fs.readFileSync(JSON.parse(stdout).NODE_EXTRA_CA_CERTS, 'utf8');
  assert.equal(both, `-- the company --\n${fs.readFileSync(agent.ca, 'utf8')}`);
});

test('a second agent is refused, and the port names its holder', async () => {
  const second = await agent.cli(['serve', '--config', agent.configFile]);
  assert.equal(second.code, 1);
  assert.match(second.stderr, /runs already for this user/);
  const home = path.join(agent.dir, 'other');
  fs.mkdirSync(path.join(home, 'run'), { recursive: true, mode: 0o700 });
  const env = Object.fromEntries(
    Object.entries(agent.env)
      .filter(([key]) => key.startsWith('XDG_') || key === 'HOME')
      .map(([key]) => [key, path.join(home, key.replace('XDG_RUNTIME_DIR', 'run'))]),
  );
  const config = path.join(home, 'agent.conf');
  fs.writeFileSync(config, `[listen]\nport=${agent.port}\n`);
  const taken = await agent.cli(['serve', '--config', config], { env });
  assert.equal(taken.code, 1, taken.stderr);
  assert.match(taken.stderr, new RegExp(`port ${agent.port} is held by \\S*hoop-agent \\(pid ${agent.pid}\\)`));
  const doctor = await agent.cli(['doctor', '--config', config], { env });
  assert.equal(doctor.code, 1);
  assert.match(doctor.stdout, new RegExp(`fail +port +port ${agent.port} is held by .*pid ${agent.pid}`));
});

test('ca rotate: clients of the former one are told to start again', async (t) => {
  const own = await startAgent(t, { backend, policy: POLICY });
  const former = fs.readFileSync(own.ca, 'utf8');
  const result = await own.cli(['ca', 'rotate']);
  assert.equal(result.code, 0, result.stderr);
  assert.match(result.stdout, /Restart the agent/);
  assert.notEqual(fs.readFileSync(own.ca, 'utf8'), former);
  assert.equal(fs.statSync(path.join(own.state, 'ca.key')).mode & 0o777, 0o600);
  await own.stop();
  await own.restart();
  const its = own.client({ mode: 'base-url', token: backend.token });
  assert.equal((await its.post('/chat/completions', callOf('chat', 'hello').body)).status, 200);
});

test('a held credential: each client has a token of its own', async (t) => {
  const token = path.join(agent.dir, 'token');
  fs.writeFileSync(token, `${backend.token}\n`, { mode: 0o600 });
  const own = await startAgent(t, {
    backend,
    policy: POLICY,
    config: { 'connection "copilot"': { credential: `file:${token}` } },
  });
  const cli = await own.envFor('copilot-cli');
  const server = await own.envFor('language-server');
  assert.match(cli.COPILOT_GITHUB_TOKEN, /^gho_hoop[0-9a-f]{32}$/);
  assert.match(server.GH_COPILOT_TOKEN, /^gho_hoop[0-9a-f]{32}$/);
  assert.notEqual(cli.COPILOT_GITHUB_TOKEN, server.GH_COPILOT_TOKEN);
  assert.equal(server.GH_COPILOT_SERVER_URL, `https://127.0.0.1:${own.port}`);
  assert.deepEqual(await own.envFor('copilot-cli'), cli, 'the token stays');
  const [row] = await own.json('connection', 'list');
  assert.equal(row.credential, `file:${token}`);
  fs.chmodSync(token, 0o644);
  const doctor = await own.cli(['doctor']);
  assert.equal(doctor.code, 1);
  assert.match(doctor.stdout, /fail +config .*token/);
});

test('a daemon that is stopped is waited for only a little', async (t) => {
  const own = await startAgent(t, { backend, policy: POLICY });
  process.kill(own.pid, 'SIGSTOP');
  try {
    for (const verb of ['status', 'pending']) {
      const result = await own.cli([verb]);
      assert.ok(!result.timedOut, `${verb} waits without end`);
      assert.equal(result.code, 5, result.stderr);
      assert.match(result.stderr, /does not answer: no word from it in 5 s/);
    }
  } finally {
    process.kill(own.pid, 'SIGCONT');
  }
  assert.equal((await own.cli(['status'])).code, 0);
});
