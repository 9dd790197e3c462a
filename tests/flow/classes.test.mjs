// SPDX-License-Identifier: Apache-2.0
// Detector rules that are off until a policy, or a command line, names their
// class or id: the running agent, scan and policy explain.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import { agentProgram, callOf, Fixture, run, startAgent, startBackend, until } from './lib/harness.mjs';

const MAIL = 'jane.doe@corp.test';
const SSN = '536-22-8714';
const policy = (finding) => `
version: 1
default: allow
tunnels: allow
rules:
  - {id: keys, match: {direction: request, finding: {class: [card, secret]}}, action: mask}
  - {id: people, match: {direction: request, finding: ${finding}}, action: mask}
`;

const fixture = new Fixture();
let backend;
let agent;
let client;

before(async () => {
  backend = await startBackend(fixture);
  agent = await startAgent(fixture, { backend, policy: policy('{class: iban}') });
  client = agent.client({ mode: 'base-url', token: backend.token });
});
after(() => fixture.close());
beforeEach(() => backend.reset());

/** What the model saw of one prompt. */
async function seen() {
  const { path: where, body } = callOf('chat', `write to ${MAIL}, number ${SSN}`);
  const answer = await client.post(where, body);
  assert.equal(answer.status, 200, answer.text);
  const calls = await backend.modelCalls();
  await backend.reset();
  return calls[0].decodedBody ?? calls[0].body;
}

async function reload(finding) {
  const before = (await agent.status()).policy_revision;
  fs.writeFileSync(path.join(agent.dir, 'policy.yaml'), policy(finding));
  process.kill(agent.pid, 'SIGHUP');
  await until(
    async () => (await agent.status()).policy_revision !== before,
    'the new policy, whose rules sanitizers compile slowly',
    120000,
  );
}

const cli = (...args) => run(agentProgram(), args, { env: agent.env });

test('a policy that names a class or a rule switches it on', async () => {
  assert.ok((await seen()).includes(MAIL));
  await reload('{class: email}');
  const mails = await seen();
  assert.match(mails, /\[email:[a-z2-7]{12,}\]/);
  assert.ok(!mails.includes(MAIL));
  assert.ok(mails.includes(SSN));
  await reload("{rule: 'us-*'}");
  const numbers = await seen();
  assert.match(numbers, /\[us-ssn:[a-z2-7]{12,}\]/);
  assert.ok(numbers.includes(MAIL));
});

test('scan and explain follow the policy, and options name more', async () => {
  const file = path.join(agent.dir, 'text');
  fs.writeFileSync(file, `write to ${MAIL}, number ${SSN}\n`);
  const config = path.join(agent.dir, 'scan.conf');
  const named = path.join(agent.dir, 'named.yaml');
  fs.writeFileSync(named, policy('{class: "em*"}'));
  fs.writeFileSync(config, `[policy]\nfile=${named}\n`);
  const rules = async (...args) => {
    const { stdout } = await cli('scan', '--json', '--config', config, ...args, file);
    return JSON.parse(stdout).map((one) => one.rule);
  };
  assert.deepEqual(await rules(), ['email']);
  assert.deepEqual(await rules('--class', 'ssn'), ['us-ssn']);
  assert.deepEqual(await rules('--rules', 'us-ssn,email'), ['email', 'us-ssn']);
  assert.deepEqual(await rules('--rules', '*'), ['email']);
  const explained = await cli('policy', 'explain', '--config', config, file);
  assert.match(explained.stdout, /^mask +people +matched, 1 finding/m);
});
