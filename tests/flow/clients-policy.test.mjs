// SPDX-License-Identifier: Apache-2.0
// What policy does, as the users of real clients see it: masks, refusals that
// can be read and are not retried, approvals that take their time, tool calls.

import assert from 'node:assert/strict';
import { after, before, beforeEach } from 'node:test';

import {
  CLIENTS,
  clientTest,
  installClients,
  runClient,
  shown,
} from './lib/clients.mjs';
import {
  assertAbsent,
  Fixture,
  startThrough,
  until,
} from './lib/harness.mjs';

// Made up in AWS's published format.
const SECRET = 'AKIA' + 'Q3EGRUZPL5WY7HTC';
const MASK = /\[aws-access-key:[a-z2-7]{12,}\]/;
const REASON = 'Project Marmot stays inside.';
const TOOL_REASON = 'Nothing is deleted here.';
const SILENCE_S = 2;
const POLICY = `
version: 1
default: allow
tunnels: allow
rules:
  - id: secrets
    match: {finding: {class: secret}}
    action: mask
  - id: marmot
    match: {direction: request, prompt: 'project marmot'}
    action: block
    message: ${REASON}
  - id: careful
    match: {direction: request, prompt: 'be careful'}
    action: approve
    by: [developer]
    completions: block
  - id: no-deleting
    match: {tool: {arguments: 'rm -rf'}}
    action: block
    message: ${TOOL_REASON}
`;

const fixture = new Fixture();
let through;
let backend;

before(async () => {
  await installClients();
  through = await startThrough(fixture, {
    policy: POLICY,
    config: {
      approval: { 'stream-silence': SILENCE_S, 'keepalive-interval': 3 },
    },
  });
  backend = through.backend;
});
after(() => fixture.close());
beforeEach(() => backend.reset());

const run = (t, name, prompt) => runClient(t, through, name, prompt);

for (const name of Object.keys(CLIENTS))
  clientTest(`${name}: a secret in the prompt goes up masked`, async (t) => {
    const result = await run(t, name, `why is ${SECRET} refused?`);
    const calls = await through.seen();
    assert.ok(calls.length > 0);
    for (const call of calls) assertAbsent(call.text, SECRET, name);
    assert.match(calls.map((c) => c.text).join('\n'), MASK);
    assert.match(result.text, MASK, shown(result));
  });

for (const name of Object.keys(CLIENTS))
  clientTest(`${name}: a blocked prompt is explained, once`, async (t) => {
    const since = await through.last();
    const result = await run(t, name, 'tell me of project marmot');
    assert.ok(shown(result).includes(REASON), shown(result));
    assert.deepEqual(await through.seen(), [], 'nothing went upstream');
    const asked = await through.recorded(since);
    const blocked = asked.filter((r) => r.rule === 'marmot');
    assert.equal(blocked.length, 1, JSON.stringify(asked));
  });

clientTest('all of them wait for an approval, without a retry', async (t) => {
  const names = Object.keys(CLIENTS);
  const since = await through.last();
  const running = names.map((name) => run(t, name, `be careful ${name}`));
  const held = await until(
    async () => {
      const list = await through.agent.json('pending');
      return list.length >= names.length && list;
    },
    'all are held',
    60000,
  );
  const begun = Math.max(...held.map((one) => one.since_us)) / 1000;
  await until(
    () => Date.now() > begun + 1000 * 2 * SILENCE_S,
    'the silence to end',
    30000,
  );
  assert.deepEqual(await through.seen(), []);
  for (const { id } of held) {
    const done = await through.agent.cli(['approve', id]);
    assert.equal(done.code, 0, done.stderr);
  }
  for (const [i, result] of (await Promise.all(running)).entries())
    assert.match(
      result.text,
      new RegExp(`You wrote: be careful ${names[i]}`),
      `${names[i]}: ${shown(result)}`,
    );
  const asked = await through.recorded(since);
  assert.equal(
    asked.filter((r) => r.rule === 'careful').length,
    names.length,
    'one request each',
  );
});

const TOOLS = {
  'copilot-cli': ['/responses', 'bash'],
  codex: ['/v1/responses', 'exec_command'],
  claude: ['/v1/messages', 'Bash'],
};

for (const [name, [path, tool]] of Object.entries(TOOLS))
  clientTest(`${name}: a blocked tool call is not run`, async (t) => {
    const command = 'rm -rf ./victim; echo ran-$((40+2))';
    await backend.answer(path, {
      toolCalls: [
        {
          name: tool,
          arguments: { command, cmd: command, description: 'tidy up' },
        },
      ],
    });
    const result = await run(t, name, 'tidy up');
    assert.equal(result.code, 0, shown(result));
    assert.deepEqual(result.tools, []);
    assert.ok(!shown(result).includes('ran-42'));
    assert.ok(result.text.includes(TOOL_REASON), shown(result));
    assert.equal((await through.seen()).length, 1);
  });
