// SPDX-License-Identifier: Apache-2.0
// What a person is shown of a held request: all of it, with marks that say what
// stands where; a huge one by its ends and its findings.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { callOf, Fixture, startAgent, startBackend, until } from './lib/harness.mjs';

const POLICY = `
version: 1
default: allow
rules:
  - id: secrets
    match: {direction: request, finding: {class: secret}}
    action: approve
    by: [developer]
    message: Secrets need a second look.
`;
const KEY = `AKIA${'Z7QK2MWX5TPLV3RD'}`;
const MASK = /^\[aws-access-key:[a-z2-7]{12,}\]$/;

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

/** What `review --json` says of a chat of these messages, which is denied then;
 * `marks` with the text that each stands for. */
async function reviewOf(messages) {
  const { path } = callOf('chat', '');
  const promise = client.post(path, { model: 'gpt-4.1', stream: false, messages }, { timeoutMs: 60000 });
  await until(async () => (await agent.json('pending')).length === 1, 'a held request');
  const [{ id }] = await agent.json('pending');
  const review = await agent.json('review', id);
  const shown = (await agent.cli(['review', id])).stdout;
  await agent.cli(['deny', id]);
  assert.equal((await promise).status, 400);
  const bytes = Buffer.from(review.text);
  const marks = review.marks.map(([start, end, kind, name, where, more]) => ({
    kind,
    name,
    where,
    more,
    text: bytes.subarray(start, end).toString(),
  }));
  return { review, marks, shown };
}

test('each text is a part, each finding is marked with what would stand there', async () => {
  const command = JSON.stringify({ command: `aws configure set key ${KEY}\n` });
  const { marks, review } = await reviewOf([
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: `use ${KEY}, please` },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'c1', type: 'function', function: { name: 'run_in_terminal', arguments: command } }],
    },
    { role: 'tool', tool_call_id: 'c1', content: 'done' },
  ]);
  const parts = marks.filter((mark) => mark.kind === 'part');
  assert.deepEqual(
    parts.map((mark) => [mark.name, mark.text, mark.more]),
    [
      ['instructions', 'Be brief.', ''],
      ['prompt', `use ${KEY}, please`, ''],
      ['tool call', command, 'run_in_terminal'],
      ['tool result', 'done', ''],
    ],
  );
  const findings = marks.filter((mark) => mark.kind === 'finding');
  assert.deepEqual(findings.map((mark) => mark.text), [KEY, KEY]);
  for (const { name, more } of findings) {
    assert.equal(name, 'aws-access-key');
    assert.match(more, MASK);
  }
  assert.ok(!review.masked_text.includes(KEY));
  assert.ok(review.groups.includes('local'));
});

test('nothing hides behind a NUL, a direction mark or an escape', async () => {
  const { marks, shown } = await reviewOf([
    { role: 'user', content: `first\u0000 second \u202egnp.exe \u001b[2J ${KEY}` },
    { role: 'user', content: 'third' },
  ]);
  const parts = marks.filter((mark) => mark.kind === 'part');
  assert.equal(parts.length, 2);
  assert.match(parts[0].text, /first␀ second/);
  assert.equal(parts[1].text, 'third');
  for (const text of ['second', '<U+202E>gnp', '^[[2J', 'third']) assert.ok(shown.includes(text), text);
  assert.ok(!/[\u0000\u001b\u202e]/.test(shown));
});

test('of a huge one the ends and every finding, and how much is not shown', async () => {
  const fill = 'The quick brown fox jumps over the lazy dog, fünfmal. '.repeat(30000);
  const { marks, review } = await reviewOf([
    { role: 'user', content: `begin ${fill}` },
    { role: 'user', content: `${fill} one ${KEY} ${fill}` },
    { role: 'user', content: `${fill} end` },
  ]);
  assert.ok(review.text.length < 1 << 20, `${review.text.length}`);
  assert.ok(review.text.includes('\nbegin The quick') && review.text.includes('fünfmal.  end\n'));
  assert.deepEqual(marks.filter((mark) => mark.kind === 'finding').map((mark) => mark.text), [KEY]);
  const gaps = marks.filter((mark) => mark.kind === 'gap');
  assert.equal(gaps.length, 2);
  const whole = Buffer.byteLength(fill) * 4;
  const left = gaps.reduce((sum, gap) => sum + Number(gap.where), 0);
  assert.ok(left > whole - (600 << 10) && left < whole, `${left} of ${whole}`);
  for (const gap of gaps) {
    assert.match(gap.text, /^\[… \d+ bytes are not shown here …\]$/);
    assert.equal(gap.more, '0');
  }
});
