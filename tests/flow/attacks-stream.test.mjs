// SPDX-License-Identifier: Apache-2.0
// A hostile server's streams: the tool call that the client would run must be
// the one that was judged, and no spelling of an event hides a secret.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import {
  assertAbsent,
  callOf,
  Fixture,
  startAgent,
  startBackend,
} from './lib/harness.mjs';

// Made up in AWS's published format.
const SECRET = 'AKIA' + 'Q3EGRUZPL5WY7HTC';
const EVIL = 'remove-everything';
const POLICY = `
version: 1
default: allow
tunnels: allow
rules:
  - id: no-name
    match: {tool: {name: evil}}
    action: block
  - id: no-arguments
    match: {tool: {arguments: '${EVIL}'}}
    action: block
  - id: keys
    match: {direction: response, finding: {class: secret}}
    action: mask
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

/** What the client gets of these bytes as the answer's stream. */
async function streamed(api, raw) {
  const { path, body } = callOf(api, 'hello', { stream: true });
  await backend.answer(path, {
    rawBody: raw,
    headers: { 'content-type': 'text/event-stream' },
  });
  return client.stream(path, body);
}

const data = (...events) =>
  events.map((e) => `data: ${typeof e === 'string' ? e : JSON.stringify(e)}\n\n`).join('');
const named = (...events) =>
  events.map((e) => `event: ${e.type}\ndata: ${JSON.stringify(e)}\n\n`).join('');

// ---- chat/completions ------------------------------------------------------

const chunk = (delta, finish_reason = null) => ({
  id: 'c1',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'm',
  choices: [{ index: 0, delta, finish_reason }],
});
const call = (body, more) => ({
  tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: body, ...more }],
});
const END = [chunk({}, 'tool_calls'), '[DONE]'];

const CHAT = {
  'arguments that are no string': data(
    chunk(call({ name: 'sh', arguments: { command: EVIL } })),
    ...END,
  ),
  'a second name': data(
    chunk(call({ name: 'good', arguments: '' })),
    chunk(call({ name: 'evil', arguments: '{}' })),
    ...END,
  ),
  'a name in pieces': data(
    chunk(call({ name: 'ev', arguments: '' })),
    chunk(call({ name: 'il', arguments: '{}' })),
    ...END,
  ),
  'a call that goes on after its end': data(
    chunk(call({ name: 'sh', arguments: '{"command":"' })),
    chunk({}, 'tool_calls'),
    chunk(call({ arguments: `${EVIL}"}` })),
    ...END,
  ),
  'a byte order mark': `\uFEFF${data(
    chunk(call({ name: 'sh', arguments: `{"command":"${EVIL}"}` }), 'tool_calls'),
    '[DONE]',
  )}`,
  'a member twice': data(
    JSON.stringify(chunk({ content: 'x' }, 'tool_calls')).replace(
      '"delta":{',
      `"delta":${JSON.stringify(call({ name: 'sh', arguments: EVIL }))},"delta":{`,
    ),
    JSON.stringify(chunk({ content: 'x' }, 'tool_calls')).replace(
      '"delta":{"content":"x"}',
      `"delta":{"content":"x"},"delta":${JSON.stringify(call({ name: 'sh', arguments: EVIL }))}`,
    ),
    '[DONE]',
  ),
  'the whole message in an event': data(
    {
      id: 'c1',
      choices: [
        {
          index: 0,
          message: call({ name: 'sh', arguments: EVIL }),
          finish_reason: 'tool_calls',
        },
      ],
    },
    '[DONE]',
  ),
  'message beside delta': data(
    {
      id: 'c1',
      choices: [
        {
          index: 0,
          delta: { content: 'x' },
          message: call({ name: 'sh', arguments: EVIL }),
          finish_reason: 'tool_calls',
        },
      ],
    },
    '[DONE]',
  ),
};

for (const [name, raw] of Object.entries(CHAT))
  test(`judged_call_is_the_one_that_runs: chat, ${name}`, async () => {
    const answer = await streamed('chat', raw);
    for (const event of answer.events) {
      const calls = event.json?.choices?.map((c) => [
        c.delta?.tool_calls,
        c.message?.tool_calls,
      ]);
      const text = JSON.stringify(calls ?? '');
      assert.ok(!text.includes(EVIL), text);
      assert.ok(!/"name":"(evil|ev|il)"/.test(text), text);
    }
  });

// ---- Responses -------------------------------------------------------------

const item = (args, more) => ({
  type: 'function_call',
  id: 'fc_1',
  call_id: 'call_1',
  name: 'sh',
  arguments: args,
  status: 'completed',
  ...more,
});
const delta = (text) => ({
  type: 'response.function_call_arguments.delta',
  item_id: 'fc_1',
  output_index: 0,
  delta: text,
});
const added = (i) => ({ type: 'response.output_item.added', output_index: 0, item: i });
const done = (i) => ({ type: 'response.output_item.done', output_index: 0, item: i });
const argsDone = (text) => ({
  type: 'response.function_call_arguments.done',
  item_id: 'fc_1',
  output_index: 0,
  arguments: text,
});
const completed = (...output) => ({
  type: 'response.completed',
  response: { id: 'r1', status: 'completed', model: 'm', output },
});

const RESPONSES = {
  'pieces and item differ': [
    added(item('')),
    delta('{}'),
    argsDone('{}'),
    done(item(EVIL)),
    completed(item('{}')),
  ],
  'item and pieces differ': [
    added(item('')),
    delta(EVIL),
    done(item('{}')),
    completed(item('{}')),
  ],
  'pieces of a call that did not begin': [
    delta(EVIL),
    done(item('{}')),
    completed(item('{}')),
  ],
  'pieces and their end differ': [
    added(item('')),
    delta('{}'),
    argsDone(EVIL),
    done(item('{}')),
    completed(item('{}')),
  ],
  'item and response differ': [
    added(item('')),
    delta('{}'),
    argsDone('{}'),
    done(item('{}')),
    completed(item(EVIL)),
  ],
  'the name changes': [
    added(item('')),
    delta('{}'),
    argsDone('{}'),
    done(item('{}', { name: 'evil' })),
    completed(item('{}', { name: 'evil' })),
  ],
  'the name changes in the response': [
    added(item('')),
    delta('{}'),
    done(item('{}')),
    completed(item('{}', { name: 'evil' })),
  ],
  'only the response tells it': [completed(item(EVIL))],
  'more items than were told': [
    added(item('')),
    delta('{}'),
    done(item('{}')),
    completed(item('{}'), item(EVIL, { call_id: 'call_2' })),
  ],
  'arguments that are no string': [
    added(item('')),
    done(item({ command: EVIL })),
    completed(item({ command: EVIL })),
  ],
  'an item of another kind becomes a call': [
    added({ type: 'message', id: 'm', role: 'assistant', content: [] }),
    done(item(EVIL)),
    completed(item(EVIL)),
  ],
};

for (const [name, events] of Object.entries(RESPONSES))
  test(`judged_call_is_the_one_that_runs: responses, ${name}`, async () => {
    const answer = await streamed('responses', named(...events));
    for (const event of answer.events) {
      const text = JSON.stringify(event.json ?? '');
      assert.ok(!text.includes(EVIL), text);
      assert.ok(!text.includes('"name":"evil"'), text);
    }
  });

// ---- Messages --------------------------------------------------------------

const start = {
  type: 'message_start',
  message: { id: 'm1', type: 'message', role: 'assistant', model: 'm', content: [] },
};
const block = (more, index = 0) => ({
  type: 'content_block_start',
  index,
  content_block: { type: 'tool_use', id: 't1', name: 'sh', input: {}, ...more },
});
const piece = (text, index = 0) => ({
  type: 'content_block_delta',
  index,
  delta: { type: 'input_json_delta', partial_json: text },
});
const stop = (index = 0) => ({ type: 'content_block_stop', index });
const ends = [
  { type: 'message_delta', delta: { stop_reason: 'tool_use' } },
  { type: 'message_stop' },
];

const MESSAGES = {
  'input at the start': [start, block({ input: { command: EVIL } }), stop(), ...ends],
  'input at the start beside pieces': [
    start,
    block({ input: { command: EVIL } }),
    piece('{}'),
    stop(),
    ...ends,
  ],
  'the block starts twice': [
    start,
    block({}),
    block({ name: 'evil' }),
    piece('{}'),
    stop(),
    ...ends,
  ],
  'a call that goes on after its end': [
    start,
    block({}),
    piece('{"command":"'),
    stop(),
    piece(`${EVIL}"}`),
    ...ends,
  ],
  'content in the first event': [
    {
      ...start,
      message: {
        ...start.message,
        content: [{ type: 'tool_use', id: 't1', name: 'evil', input: { command: EVIL } }],
      },
    },
    ...ends,
  ],
};

for (const [name, events] of Object.entries(MESSAGES))
  test(`judged_call_is_the_one_that_runs: messages, ${name}`, async () => {
    const answer = await streamed('messages', named(...events));
    for (const event of answer.events) {
      const text = JSON.stringify(event.json ?? '');
      assert.ok(!text.includes(EVIL), text);
      assert.ok(!text.includes('"name":"evil"'), text);
    }
  });

// ---- Texts -----------------------------------------------------------------

test('text_twice_in_an_event_hides_no_secret', async () => {
  const halves = [SECRET.slice(0, 9), SECRET.slice(9)];
  const raw = halves
    .map((half) =>
      data(
        JSON.stringify(chunk({ content: 'x' })).replace(
          '"content":"x"',
          `"content":"x","content":${JSON.stringify(half)}`,
        ),
      ),
    )
    .join('');
  const answer = await streamed('chat', `${raw}data: [DONE]\n\n`);
  const text = answer.events
    .map((e) => e.json?.choices?.[0]?.delta?.content ?? '')
    .join('');
  assertAbsent(text, SECRET);
});

for (const line of ['id', 'retry', 'event', 'other', ''])
  test(`secret_in_another_line_is_masked: "${line}"`, async () => {
    const answer = await streamed(
      'chat',
      `${line}: ${SECRET}\n${data(chunk({ content: 'x' }), '[DONE]')}`,
    );
    assertAbsent(answer.text, SECRET);
  });
