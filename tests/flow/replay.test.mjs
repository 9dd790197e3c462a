// SPDX-License-Identifier: Apache-2.0
// Recorded traffic judged again: journal replay, journal stats and policy
// explain of an exchange, against a running agent.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { callOf, Fixture, startAgent, startBackend } from './lib/harness.mjs';

const KEY = 'AKIA' + 'Q3EGRUZPL5WY7HTC';
const CARD = '4111 1111 1111 ' + '1111';
const RULES = {
  keys: '{id: keys, match: {direction: request, finding: {class: secret}}, action: mask}',
  answers: '{id: answers, match: {direction: response, finding: {class: secret}}, action: mask}',
  kestrel: "{id: kestrel, match: {prompt: 'kestrel'}, action: approve}",
  cards: '{id: cards, match: {direction: request, finding: {class: card}}, action: block}',
  shadow: "{id: would-block, shadow: true, match: {prompt: 'kestrel'}, action: block}",
  shell: "{id: shell, match: {tool: {arguments: 'rm'}}, action: block}",
  ls: "{id: ls, match: {tool: {arguments: 'ls'}}, action: block}",
  mine: '{id: mine, match: {repo: acme/*, initiator: agent}, action: block}',
  first: '{id: first, match: {first-in-session: true}, action: approve}',
  rate: '{id: rate, match: {api: chat, rate: {count: 3, window: 1h}}, action: block}',
  mail: '{id: mail, match: {finding: {rule: email}}, action: mask}',
};
const policy = (...names) =>
  `version: 1\ndefault: allow\ntunnels: allow\nrules:\n${names.map((name) => `  - ${RULES[name]}\n`).join('') || '  []\n'}`;

const fixture = new Fixture();
let agent;
let rows;

const file = (...names) => {
  const name = path.join(agent.dir, `${names.join('-') || 'none'}.yaml`);
  fs.writeFileSync(name, policy(...names));
  return name;
};
const replay = (names, ...args) => agent.json('journal', 'replay', '--policy', file(...names), ...args);
const pick = ({ block, approve, mask, allow }) => ({ block, approve, mask, allow });

before(async () => {
  const backend = await startBackend(fixture);
  agent = await startAgent(fixture, { backend, policy: policy('keys', 'answers', 'shadow', 'shell') });
  const client = agent.client({ mode: 'base-url', token: backend.token });
  const ask = (text, more = {}, headers = {}) =>
    client.post('/chat/completions', callOf('chat', text, more).body, { headers });
  await ask(`use ${KEY} and ${CARD}`);
  await ask('about project kestrel', {}, { 'x-github-repository-nwo': 'acme/bird', 'x-initiator': 'agent' });
  await ask('hello alice@example.com');
  await backend.answer('/chat/completions', { text: `take ${KEY}` });
  await ask('give');
  for (const stream of [false, true]) {
    await backend.answer('/chat/completions', {
      toolCalls: [
        { name: 'run', arguments: '{"command":"ls -l"}' },
        { name: 'run', arguments: '{"command":"rm x"}' },
      ],
    });
    await ask('run', { stream });
  }
  rows = await agent.journalUntil((list) => list.filter((row) => row.kind === 'response').length === 6);
});
after(() => fixture.close());

test('the policy in effect: nothing comes out otherwise', async () => {
  const same = await agent.json('journal', 'replay');
  assert.equal(same.changed, 0, JSON.stringify(same.changes));
  assert.deepEqual(pick(same.parts.requests), { block: 0, approve: 0, mask: 1, allow: 5 });
  assert.deepEqual(pick(same.parts.answers), { block: 0, approve: 0, mask: 1, allow: 5 });
  assert.equal(same.parts.tool_calls.allow, 2, 'ls twice');
  assert.deepEqual(same.unjudged, { 'it was a tool call that did not go through': 2 });
});

test('findings count as recorded: masks stand for them', async () => {
  const strict = await replay(['keys', 'cards']);
  assert.deepEqual(pick(strict.parts.requests), { block: 1, approve: 0, mask: 0, allow: 5 });
  const [change] = strict.changes.filter((one) => one.what === 'request');
  assert.equal(change.exchange, rows.find((row) => row.kind === 'request').exchange);
  assert.deepEqual([change.was, change.would, change.rule], ['mask', 'block', 'cards']);
  const open = await replay([]);
  assert.deepEqual(pick(open), { block: 0, approve: 0, mask: 0, allow: 14 });
  assert.equal(open.changed, 2, 'a prompt and an answer were masked');
});

test('what the policy of then did not look for is found in the masked body', async () => {
  const mail = await replay(['mail']);
  assert.equal(mail.parts.requests.mask, 1);
  assert.equal(mail.rules.find((rule) => rule.rule === 'mail').requests, 1);
});

test('tool calls of whole and streamed answers are judged again', async () => {
  const ls = await replay(['ls']);
  assert.equal(ls.parts.tool_calls.block, 2);
  const changes = ls.changes.filter((one) => one.what === 'tool-call');
  assert.deepEqual(changes.map((one) => [one.tool, one.was, one.would]), [
    ['run', 'allow', 'block'],
    ['run', 'allow', 'block'],
  ]);
});

test('repository, initiator, first of a session and rates', async () => {
  const mine = await replay(['mine']);
  // One told both; the others told neither, which counts.
  assert.equal(mine.parts.requests.block, 6);
  assert.equal((await replay(['first'])).parts.requests.approve, 1);
  assert.equal((await replay(['rate'])).parts.requests.block, 3);
});

test('as text: counts, rules, users, changes, what cannot be judged', async () => {
  const { stdout, stderr, code } = await agent.cli(['journal', 'replay', '--policy', file('kestrel', 'cards', 'shadow'), '--limit', '1']);
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  assert.match(stdout, /would block 1, mask 0, ask 1; 3 would have come out otherwise/);
  assert.match(stdout, /^requests +1 +1 +- +4$/m);
  assert.match(stdout, /^kestrel +approve +1 +- +-$/m);
  assert.match(stdout, /^would-block +block \(shadow\) +1 +- +-$/m);
  assert.match(stdout, /^USER +JUDGED/m);
  assert.match(stdout, /^mask -> block: 1$/m);
  assert.match(stdout, /^and 2 more: --limit 0 lists all$/m);
  assert.match(stdout, /Not judged:\n +2: it was a tool call/);
  assert.match((await agent.cli(['journal', 'replay', '--user', 'nobody-else'])).stdout, /no such traffic/);
});

test('bad policies and options: 2', async () => {
  const bad = path.join(agent.dir, 'bad.yaml');
  fs.writeFileSync(bad, 'version: 1\nrles: []\n');
  const { code, stderr } = await agent.cli(['journal', 'replay', '--policy', bad]);
  assert.equal(code, 2);
  assert.match(stderr, /bad\.yaml:2:1: unknown key "rles"/);
  assert.equal((await agent.cli(['journal', 'verify', '--policy', bad])).code, 2);
  assert.equal((await agent.cli(['journal', 'replay', '--since', 'soon'])).code, 2);
});

test('shadow rules: why and stats say what they would have done', async () => {
  const shadowed = rows.filter((row) => row.kind === 'request')[1];
  const why = await agent.cli(['why', shadowed.exchange]);
  assert.match(why.stdout, /block +would-block \(shadow: only recorded\)/);
  const stats = await agent.json('journal', 'stats');
  assert.deepEqual(stats.shadow, [{ rule: 'would-block', action: 'block', matched: 1 }]);
  assert.deepEqual([stats.requests, stats.answers, stats.tool_calls], [6, 6, 4]);
  assert.deepEqual(stats.verdicts, { allow: 5, mask: 1 });
  assert.equal(stats.rules.find((rule) => rule.rule === 'shell').matched, 2);
  assert.equal(stats.users.length, 1);
  assert.ok(stats.tokens_in > 0 && stats.bytes > 0);
  const { stdout } = await agent.cli(['journal', 'stats']);
  assert.match(stdout, /^6 requests, 6 answers, 4 tool calls, from /);
  assert.match(stdout, /^would-block +would block \(shadow\) +1$/m);
});

test('policy explain ID: each rule for the request, the answer and its calls', async () => {
  const first = rows.find((row) => row.kind === 'request').exchange;
  const text = await agent.cli(['policy', 'explain', first, '--policy', file('kestrel', 'cards')]);
  assert.equal(text.code, 0, text.stderr);
  assert.match(text.stdout, /request .*recorded as: mask/);
  assert.match(text.stdout, /approve +kestrel +no: prompt \(no text matches\)/);
  assert.match(text.stdout, /block +cards +matched, 1 finding/);
  const last = rows.at(-1).exchange;
  const verdicts = await agent.json('policy', 'explain', last, '--policy', file('ls'));
  assert.deepEqual(verdicts.map((one) => [one.phase, one.action]), [
    ['request', 'allow'],
    ['response', 'allow'],
    ['tool', 'block'],
  ]);
  const none = await agent.cli(['policy', 'explain', '0123456789abc']);
  assert.equal(none.code, 1);
  assert.match(none.stderr, /no exchange 0123456789abc/);
});
