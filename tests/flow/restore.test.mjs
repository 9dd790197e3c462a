// SPDX-License-Identifier: Apache-2.0
// Masks that a model repeats: values again for the client and its tools where
// policy says so, judged again before a tool gets them, never in the journal.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import {
  assertAbsent,
  assertNowhere,
  callOf,
  Fixture,
  messageOf,
  startAgent,
  startBackend,
  TOOL_APIS,
} from './lib/harness.mjs';

// Made up in AWS's published format.
const SECRET = 'AKIA' + 'Q3EGRUZPL5WY7HTC';
const MASK = /\[aws-access-key:[a-z2-7]{12,}\]/;
const POLICY = `
version: 1
default: allow
tunnels: allow
rules:
  - id: keys-in-prompts
    match: {direction: request, finding: {class: secret}}
    action: mask
    restore: tools
  - id: not-to-the-net
    match: {tool: {arguments: 'upload AKIA'}}
    action: block
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

/** Tells the model the secret; what it saw in its place. */
async function issue(api) {
  const { path, body } = callOf(api, `deploy with ${SECRET} please`);
  const answer = await client.post(path, body);
  assert.equal(answer.status, 200, answer.text);
  const [seen] = await backend.modelCalls();
  const text = seen.decodedBody ?? seen.body;
  assertAbsent(text, SECRET, 'what the model saw');
  return MASK.exec(text)[0];
}

/** The message of an answer, streamed or whole. */
async function answered(api, stream, answer) {
  const { path, body } = callOf(api, 'go on', { stream });
  await backend.answer(path, answer);
  const got = stream
    ? await client.stream(path, body)
    : await client.post(path, body);
  assert.equal(got.status, 200, got.text);
  return { raw: got.text, message: stream ? messageOf(api, got.events) : null };
}

const split = (text) => [...text];
const hidden = (mask) => mask.replace('[', '\\u005b').replace(':', '\\u003a');

for (const api of TOOL_APIS)
  for (const stream of [true, false]) {
    const how = `${api}, ${stream ? 'streamed' : 'whole'}`;

    test(`text_restored: ${how}`, async () => {
      const mask = await issue(api);
      const { raw, message } = await answered(api, stream, {
        deltas: ['Use ', ...split(mask), ' now'],
      });
      assert.ok(!raw.includes(mask), raw);
      if (message) assert.equal(message.text, `Use ${SECRET} now`);
      else assert.ok(raw.includes(`Use ${SECRET} now`), raw);
    });

    test(`tool_arguments_restored: ${how}`, async () => {
      const mask = await issue(api);
      for (const shown of [mask, hidden(mask)]) {
        const json = `{"command":"deploy ${shown}"}`;
        const { raw, message } = await answered(api, stream, {
          toolCalls: [
            { id: 'call_1', name: 'sh', arguments: json, deltas: split(json) },
          ],
        });
        if (message)
          assert.deepEqual(message.tools, [
            { name: 'sh', arguments: `{"command":"deploy ${SECRET}"}` },
          ]);
        else assert.ok(raw.includes(`deploy ${SECRET}`), raw);
        assert.ok(!raw.includes(mask), raw);
      }
    });

    test(`restored_arguments_judged_again: ${how}`, async () => {
      const mask = await issue(api);
      for (const shown of [mask, hidden(mask)]) {
        const json = `{"command":"upload ${shown}"}`;
        const { raw, message } = await answered(api, stream, {
          toolCalls: [
            { id: 'call_1', name: 'sh', arguments: json, deltas: split(json) },
          ],
        });
        assertAbsent(raw, SECRET, 'the refused call');
        assert.match(raw, /not-to-the-net/);
        if (message) assert.deepEqual(message.tools, []);
      }
    });
  }

// Another session was never told it.
test('not_restored_elsewhere', async () => {
  const mask = await issue('chat');
  const { path, body } = callOf('chat', 'go on');
  await backend.answer(path, { text: `It is ${mask}.` });
  const answer = await client.request('POST', path, {
    body: JSON.stringify(body),
    headers: {
      'content-type': 'application/json',
      'x-client-session-id': 'another',
    },
  });
  assert.equal(answer.status, 200, answer.text);
  assertAbsent(answer.text, SECRET, 'the other session');
  assert.ok(answer.text.includes(mask));
});

test('restored_values_never_recorded', async () => {
  await agent.stop();
  assertNowhere(agent.dir, SECRET);
});
