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
// A test number that card issuers publish.
const CARD = '4111111111111111';
const CARD_MASK = /\[card-number:[a-z2-7]{12,}\]/;
const DENIAL = 'Not with a real card.';
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
  - id: cards
    match: {direction: request, finding: {class: card}}
    action: approve
    by: [developer]
    completions: mask
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

// What a prompt makes of requests that ask: the language server sends the
// prompt once more, for the conversation's title, when its answer has come.
const ASKED = { 'language-server': 2 };
const ASKED_BY_ALL = Object.keys(CLIENTS).reduce(
  (sum, name) => sum + (ASKED[name] ?? 1),
  0,
);

// Runs all clients with a prompt each, calls allHeld once each is held, then
// answers whatever is held until all have ended. verb: ['approve', …] or
// ['deny', …], to which the id is added.
async function heldByAll(t, promptOf, verb, allHeld = () => {}) {
  const names = Object.keys(CLIENTS);
  const since = await through.last();
  let running = names.length;
  const ended = Promise.all(
    names.map(async (name) => {
      const result = await run(t, name, promptOf(name));
      running--;
      return { name, ...result };
    }),
  );
  const pending = () => through.agent.json('pending');
  const held = await until(
    async () => {
      const list = await pending();
      return list.length >= names.length && list;
    },
    'all are held',
    60000,
  );
  await allHeld(held);
  assert.deepEqual(await through.seen(), []);
  await until(
    async () => {
      for (const { id } of await pending()) {
        const done = await through.agent.cli([verb[0], id, ...verb.slice(1)]);
        assert.equal(done.code, 0, done.stderr);
      }
      return running === 0;
    },
    'all have ended',
    60000,
  );
  return { results: await ended, asked: await through.recorded(since) };
}

async function pastTheSilence(held) {
  const begun = Math.max(...held.map((one) => one.since_us)) / 1000;
  await until(
    () => Date.now() > begun + 1000 * 2 * SILENCE_S,
    'the silence to end',
    30000,
  );
}

const assertAsked = (asked, rule, count) =>
  assert.equal(
    asked.filter((r) => r.rule === rule).length,
    count,
    `no retries: ${JSON.stringify(asked)}`,
  );

clientTest('all of them wait for an approval, without a retry', async (t) => {
  const { results, asked } = await heldByAll(
    t,
    (name) => `be careful ${name}`,
    ['approve'],
    pastTheSilence,
  );
  for (const result of results)
    assert.match(
      result.text,
      new RegExp(`You wrote: be careful ${result.name}`),
      `${result.name}: ${shown(result)}`,
    );
  assertAsked(asked, 'careful', ASKED_BY_ALL);
});

clientTest('language-server: a grant for the session lets its title pass', async (t) => {
  const { agent } = through;
  const since = await through.last();
  const running = run(t, 'language-server', 'be careful with titles');
  const [held] = await until(
    async () => {
      const list = await agent.json('pending');
      return list.length > 0 && list;
    },
    'it is held',
    60000,
  );
  const done = await agent.cli(['approve', held.id, '--for', 'session']);
  assert.equal(done.code, 0, done.stderr);
  const result = await running;
  assert.match(result.text, /You wrote: be careful with titles/, shown(result));
  const [grant] = await agent.json('grants');
  await until(
    async () => (await agent.json('grants'))[0].uses === 1,
    'the title',
    30000,
  );
  assert.deepEqual(await agent.json('pending'), []);
  assertAsked(await through.recorded(since), 'careful', ASKED['language-server']);
  const [passed] = (await agent.journal('--kind', 'approval')).filter(
    (row) => row.detail.answers[0]?.how === 'grant',
  );
  assert.equal(passed.detail.answers[0].grant, grant.id);
  assert.equal((await agent.cli(['grants', 'revoke', grant.id])).code, 0);
});

clientTest('all of them are approved masked', async (t) => {
  const { results, asked } = await heldByAll(
    t,
    (name) => `${name} charged ${CARD}`,
    ['approve', '--masked'],
  );
  for (const call of await through.seen())
    assertAbsent(call.text, CARD, 'what went upstream');
  for (const result of results) {
    assert.match(result.text, CARD_MASK, `${result.name}: ${shown(result)}`);
    assertAbsent(result.text, CARD, result.name);
  }
  assertAsked(asked, 'cards', ASKED_BY_ALL);
});

// Past the silence the refusal is an answer's text. The language server then
// wants a title: another body with the prompt, and the same interaction, which
// was denied; nobody is asked again.
clientTest('all of them show why they were denied, once', async (t) => {
  const { results, asked } = await heldByAll(
    t,
    (name) => `${name} was charged ${CARD}`,
    ['deny', '--reason', DENIAL],
    pastTheSilence,
  );
  for (const result of results)
    assert.ok(shown(result).includes(DENIAL), shown(result));
  assert.deepEqual(await through.seen(), [], 'nothing went upstream');
  const cards = asked.filter((r) => r.rule === 'cards');
  const ofServer = (r) => r.client.includes('language-server');
  const others = Object.keys(CLIENTS).length - 1;
  assert.equal(cards.filter((r) => !ofServer(r)).length, others, JSON.stringify(cards));
  assert.ok(cards.filter(ofServer).length <= 3, JSON.stringify(cards));
  const ids = new Set(cards.map((r) => r.exchange));
  const answers = (await through.agent.journal('--kind', 'approval')).filter(
    (r) => ids.has(r.exchange) && r.detail.answers.length > 0,
  );
  assert.equal(answers.filter(ofServer).length, 1, JSON.stringify(answers));
  assert.equal(answers.filter((r) => !ofServer(r)).length, others);
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
