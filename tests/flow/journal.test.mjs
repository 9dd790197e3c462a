// SPDX-License-Identifier: Apache-2.0
// The journal asked for what was recorded: filters, search, conversations,
// sessions played again, exports and the report, beside a running agent, after
// it, and of files that are not what they were.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { callOf, Fixture, startAgent, startBackend, until } from './lib/harness.mjs';

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
    timeout: 60
  - id: never
    match: {direction: request, prompt: 'never'}
    action: block
    message: Not <b>this</b>.
`;

const fixture = new Fixture();
let agent;
let backend;
let client;
const ask = (api, text, more) => {
  const { path: where, body } = callOf(api, text, more);
  return client.post(where, body);
};
const list = (...args) => agent.json('journal', 'list', '--limit', '0', ...args);
const search = async (...args) => {
  const seen = await agent.cli(['journal', 'search', '--json', ...args]);
  assert.ok(seen.code === 0 || seen.code === 1, seen.stderr);
  return JSON.parse(seen.stdout);
};
const fine = async (...args) => {
  const seen = await agent.cli(args);
  assert.equal(seen.code, 0, seen.stderr);
  return seen.stdout;
};
const fails = async (code, pattern, ...args) => {
  const seen = await agent.cli(args);
  assert.equal(seen.code, code, seen.stdout + seen.stderr);
  assert.match(seen.stderr, pattern);
};

before(async () => {
  backend = await startBackend(fixture);
  agent = await startAgent(fixture, { backend, policy: POLICY });
  client = agent.client({ mode: 'base-url', token: backend.token });
  for (const [api, bird] of [
    ['chat', 'osprey'],
    ['responses', 'bittern'],
    ['messages', 'kestrel'],
    ['engines', 'wagtail'],
  ]) {
    await ask(api, `tell me of the ${bird}, please`);
    await ask(api, `and the ${bird} again`, { stream: true });
  }
  await ask('chat', `my key is ${KEY} and =cmd|calc`);
  await ask('chat', 'never do <script>alert(1)</script> \u001b[31mred\u202e', {});
  const held = ask('chat', 'careful with the heron');
  const [waiting] = await until(async () => {
    const found = await agent.json('pending');
    return found.length ? found : undefined;
  }, 'the held request');
  await fine('approve', waiting.id, '--reason', 'it is <i>fine</i>');
  await held;
  await agent.journalUntil((rows) => rows.filter((row) => row.kind === 'response').length >= 11);
});
after(() => fixture.close());

test('journal list: filters by what a row has', async () => {
  const all = await list();
  const requests = all.filter((row) => row.kind === 'request');
  for (const [option, key] of [
    ['--user', 'user'],
    ['--client', 'client'],
    ['--connection', 'connection'],
    ['--api', 'api'],
    ['--model', 'model'],
    ['--verdict', 'verdict'],
    ['--kind', 'kind'],
    ['--group', 'groups'],
  ]) {
    const value = requests.find((row) => row[key])[key];
    assert.deepEqual(
      (await list(option, value)).map((row) => row.seq),
      all.filter((row) => row[key] === value).map((row) => row.seq),
      `${option} ${value}`,
    );
  }
  const { process: chain } = requests[0];
  const name = path.basename(chain.split(' < ')[0]);
  assert.equal((await list('--process', name, '--kind', 'request')).length, requests.length);
  assert.deepEqual((await list('--rule', 'never', '--kind', 'request')).map((row) => row.verdict), ['block']);
  assert.deepEqual(await list('--user', 'nobody', '--model', 'none'), []);
});

test('journal list: times, order and forms', async () => {
  const all = await list();
  assert.equal((await list('--since', 'yesterday')).length, all.length);
  assert.equal((await list('--since', 'today 00:00', '--until', 'now')).length, all.length);
  assert.equal((await list('--until', 'yesterday')).length, 0);
  assert.equal((await list('--since', '1h', '--until', 'today')).length, all.length);
  const middle = all[4].time;
  const before = all.filter((row) => row.wall_us < all[4].wall_us).length;
  assert.ok(Math.abs((await list('--until', middle)).length - before) <= 1, middle);
  const first = await agent.json('journal', 'list', '--oldest', '--limit', '3');
  assert.deepEqual(first.map((row) => row.seq), [1, 2, 3]);
  const newest = await agent.json('journal', 'list', '--reverse', '--limit', '3');
  assert.deepEqual(newest.map((row) => row.seq), all.slice(-3).map((row) => row.seq).reverse());
  const lines = (await fine('journal', 'list', '--jsonl', '--limit', '0')).trim().split('\n');
  assert.deepEqual(lines.map((line) => JSON.parse(line).hash), all.map((row) => row.hash));
  await fails(2, /--until takes/, 'journal', 'list', '--until', 'soon');
  await fails(2, /not before/, 'journal', 'list', '--since', '1h', '--until', '2h');
  await fails(2, /only one of/, 'journal', 'list', '--csv', '--json');
});

test('journal search: decoded texts of every shape, also behind the index', async () => {
  for (const [word, api] of [
    ['osprey', 'chat'],
    ['bittern', 'responses'],
    ['kestrel', 'messages'],
    ['wagtail', 'completions'],
  ]) {
    const hits = await search(word.toUpperCase());
    assert.equal(hits.filter((hit) => hit.kind === 'request').length, 2, word);
    assert.ok(hits.every((hit) => hit.api === api));
    const [hit] = hits;
    const [start, end] = hit.marks[0];
    assert.equal(Buffer.from(hit.snippet).subarray(start, end).toString(), word);
  }
  await until(() => fs.existsSync(`${agent.journalFile}.search`), 'the index');
  assert.equal((await search('"osprey please"', '--kind', 'request')).length, 1);
  assert.equal((await search('"please osprey"')).length, 0);
  assert.equal((await search('osprey', '--api', 'messages')).length, 0);
  assert.equal((await search('osp*')).length, (await search('osprey')).length);
  assert.equal((await search('osprey -please')).filter((hit) => hit.kind === 'request').length, 1);
  assert.equal((await search('messages')).length, 0, 'names of members are no text');
  assert.equal((await search(KEY)).length, 0, 'what was masked is not there');
  assert.match(await fine('journal', 'search', 'heron'), /careful with the \[heron\]/);
  await fails(2, /no word/, 'journal', 'search', '--', '---');
  assert.equal((await agent.cli(['journal', 'search', 'albatross'])).code, 1);
});

test('journal show: a conversation in which nothing acts on the terminal', async () => {
  for (const [word, more] of [['osprey', /^user$/m], ['bittern', /^user$/m], ['kestrel', /^user$/m], ['wagtail', /^user$/m]]) {
    for (const { exchange } of (await search(word)).filter((hit) => hit.kind === 'request')) {
      const text = await fine('journal', 'show', exchange);
      assert.match(text, more);
      assert.match(text, new RegExp(`^ +.*${word}`, 'm'));
      assert.match(text, /^assistant\n +\S/m, text);
      assert.match(text, /^end +status 200/m);
    }
  }
  const [blocked] = await list('--rule', 'never', '--kind', 'request');
  const text = await fine('journal', 'show', blocked.exchange);
  assert.ok(!text.includes('\u001b') && !text.includes('\u202e'), JSON.stringify(text));
  assert.match(text, /\^\[\[31mred<U\+202E>/);
  const [approval] = await list('--kind', 'approval');
  assert.match(await fine('journal', 'show', approval.exchange), /^answer +approve by \S+ .*: it is <i>fine/m);
  const rows = await agent.json('journal', 'show', approval.exchange);
  const parts = rows.find((row) => row.kind === 'request').conversation_parts;
  assert.deepEqual(parts.map((part) => [part.role, part.text]), [['user', 'careful with the heron']]);
});

test('journal replay SESSION: in order, each text once, with its timing', async () => {
  const [first] = await search('osprey', '--oldest');
  const text = await fine('journal', 'replay', first.exchange);
  const places = ['osprey, please', 'osprey again', 'bittern', 'heron'].map((word) => text.indexOf(word));
  assert.ok(places.every((place, i) => place > (i ? places[i - 1] : -1)), text);
  assert.match(text, /\+\d+\.\d{3} s +request: allow/);
  const rows = await agent.json('journal', 'replay', first.exchange);
  assert.ok(rows.every((row, i) => i === 0 || row.after_us === row.wall_us - rows[i - 1].wall_us));
  assert.match(await fine('journal', 'replay', '--speed', '1000', '--since', '1h'), /osprey again/);
  await fails(2, /--speed takes/, 'journal', 'replay', '--speed', 'fast');
  const step = await agent.cli(['journal', 'replay', first.exchange, '--step'], { stdin: '\nq\n' });
  assert.equal(step.stdout.match(/^── /gm).length, 2, step.stdout);
});

test('journal export: CSV that no spreadsheet runs, JSON lines with bodies', async () => {
  const all = await list();
  const file = path.join(agent.dir, 'out.csv');
  await fine('journal', 'export', '--csv', file);
  const csv = fs.readFileSync(file, 'utf8').split('\r\n');
  assert.equal(csv.length, all.length + 2);
  assert.match(csv[0], /^time,seq,exchange,kind,user/);
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  await fails(2, /cannot be made/, 'journal', 'export', '--csv', file);
  const lines = (await fine('journal', 'export', '--bodies', '--kind', 'request')).trim().split('\n');
  const bodies = lines.map((line) => JSON.parse(line).body ?? '');
  assert.ok(bodies.some((body) => body.includes('osprey')) && !bodies.some((body) => body.includes(KEY)));
});

test('journal stats: the same with and without the index', async () => {
  const requests = (await list('--kind', 'request')).length;
  const stats = await agent.json('journal', 'stats');
  assert.equal(stats.requests, requests);
  assert.equal(stats.models.reduce((sum, one) => sum + one.requests, 0), requests);
  assert.equal(stats.days.reduce((sum, one) => sum + one.requests, 0), requests);
  assert.match(await fine('journal', 'stats'), /Requests by day[^]*█[^]*Requests by model/);
  const [all, ...byRule] = stats.held;
  assert.deepEqual([all.rule, all.asked, all.timeouts], [null, 1, 0]);
  assert.ok(all.p50_us > 0 && all.p50_us === all.p95_us && all.p95_us === all.max_us);
  assert.deepEqual(byRule.map((one) => one.asked), [1]);
  assert.match(await fine('journal', 'stats'), /ASKED BY[^]*\(all\) +1 +0 /);
  const ranged = await agent.json('journal', 'stats', '--since', '1h', '--until', 'now');
  assert.equal(ranged.requests, requests);
});

test('journal report: one page that loads nothing and escapes everything', async () => {
  const file = path.join(agent.dir, 'report.html');
  assert.match(await fine('journal', 'report', '--html', file), /11 requests, 1 approvals, .*intact/);
  const page = fs.readFileSync(file, 'utf8');
  const [, allowed] = page.match(/style-src 'sha256-([^']+)'/);
  const [, style] = page.match(/<style>([^]*)<\/style>/);
  assert.equal(crypto.createHash('sha256').update(style).digest('base64'), allowed);
  assert.match(page, /default-src 'none'/);
  assert.doesNotMatch(page, /<script|<link|<img|<iframe|\son\w+=|\sstyle=|https?:|url\(|@import/i);
  assert.ok(page.includes('it is &lt;i&gt;fine') && page.includes('Not &lt;b&gt;this'), 'escaped');
  assert.ok(!page.includes(KEY) && !page.includes('\u001b'));
  const { head } = await agent.json('journal', 'verify');
  assert.ok(page.includes(head), 'the head');
  for (const word of ['careful', 'never', 'keys', 'started', 'What this cannot know'])
    assert.ok(page.includes(word), word);
  await fails(2, /--html FILE/, 'journal', 'report');
  const seen = await agent.cli(['journal', 'report', '--html', '-', '--head', `1:${'0'.repeat(64)}`]);
  assert.equal(seen.code, 1);
  assert.match(seen.stdout, /The chain is not intact/);
});

test('without an agent, on a copy, without the index, on a damaged file', async () => {
  const all = await list();
  await agent.stop();
  const rest = (await list()).slice(all.length);
  assert.deepEqual(rest.map((row) => row.kind), ['stop']);
  assert.equal((await search('osprey')).length > 1, true);
  fs.rmSync(`${agent.journalFile}.search`);
  assert.equal((await search('"osprey please"', '--kind', 'request')).length, 1, 'read row by row');
  assert.equal((await agent.json('journal', 'stats')).requests, 11);
  fs.writeFileSync(`${agent.journalFile}.search`, 'nonsense');
  assert.equal((await search('"osprey please"', '--kind', 'request')).length, 1, 'an index that is none');
  const bytes = fs.readFileSync(agent.journalFile);
  bytes.fill(0x5a, 4096, 16384);
  fs.writeFileSync(agent.journalFile, bytes);
  for (const words of [['list'], ['search', 'osprey'], ['stats'], ['export']])
    await fails(1, /damaged|altered|not whole|cannot be read/, 'journal', ...words);
  fs.writeFileSync(agent.journalFile, 'no database');
  await fails(1, /journal/, 'journal', 'list');
});
