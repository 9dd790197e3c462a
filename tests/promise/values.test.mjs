// SPDX-License-Identifier: Apache-2.0
// Promise 3 for exact values: what a dictionary or a .env file lists leaves in
// no request and no answer, however the stream is cut, and is never written to
// disk.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';

import {
  assertAbsent,
  assertNowhere,
  callOf,
  Fixture,
  startAgent,
  startBackend,
  tempDir,
  until,
} from '../flow/lib/harness.mjs';

const PROJECT = 'Project Grey Heron';
const PASSWORD = 'walrus-Fjord "5" \u00e4';
const URL_PASSWORD = 'otter%20Lagoon77';
const APIS = ['chat', 'engines', 'responses', 'messages'];

const fixture = new Fixture();
const dir = tempDir(fixture, 'hoop-values-');
const dictionary = path.join(dir, 'words');
const env = path.join(dir, 'one', '.env');
const values = { dictionary, 'env-files': `${dir}/*/.env; ${dir}/none/*` };
let backend;
let agent;
let client;

before(async () => {
  fs.writeFileSync(dictionary, `# ours\n${PROJECT}\nZebra\n`, { mode: 0o600 });
  fs.mkdirSync(path.dirname(env));
  fs.writeFileSync(
    env,
    `PORT=8080\nexport DB_PASSWORD='${PASSWORD}'\n` +
      `DATABASE_URL=postgres://app:${URL_PASSWORD}@db.example.com/x\n`,
  );
  backend = await startBackend(fixture);
  agent = await startAgent(fixture, { backend, config: { detect: values } });
  client = agent.client({ mode: 'base-url', token: backend.token });
});
after(() => fixture.close());
beforeEach(() => backend.reset());

const textOf = {
  chat: (e) => e.choices?.[0]?.delta?.content,
  engines: (e) => (e.choices?.[0]?.index === 0 ? e.choices[0].text : ''),
  responses: (e) =>
    e.type === 'response.output_text.delta' ? e.delta : undefined,
  messages: (e) => e.delta?.text,
};

for (const api of APIS)
  test(`exact_values_masked_in_requests: ${api}`, async () => {
    const { path: to, body } = callOf(
      api,
      `About ${PROJECT}: ${PASSWORD}, Zebras, ${URL_PASSWORD}.`,
    );
    const answer = await client.post(to, body);
    assert.equal(answer.status, 200, answer.text);
    const [seen] = await backend.modelCalls();
    for (const value of [PROJECT, PASSWORD, URL_PASSWORD, 'Zebra'])
      assertAbsent(seen.body, value, 'what was forwarded');
    assert.match(
      seen.body,
      /About \[dictionary:[a-z2-7]+\]: \[env-file:[a-z2-7]+\], \[dictionary:[a-z2-7]+\]s, \[env-file:/,
    );
  });

for (const api of APIS)
  test(`exact_value_masked_at_every_split: ${api}`, async () => {
    const cuts = [['Key ', ...PASSWORD, ' ends']];
    for (let at = 1; at < PASSWORD.length; at++)
      cuts.push(['Key ', PASSWORD.slice(0, at), PASSWORD.slice(at), ' ends']);
    for (const deltas of cuts) {
      const { path: to, body } = callOf(api, 'hello', { stream: true });
      await backend.answer(
        to,
        api === 'engines' ? { choices: [{ deltas }] } : { deltas },
      );
      const answer = await client.stream(to, body);
      assert.ok(answer.complete, deltas.join('|'));
      assertAbsent(answer.text, PASSWORD, `the stream cut at ${deltas}`);
      const text = answer.events
        .map((e) => (e.json && textOf[api](e.json)) ?? '')
        .join('');
      assert.match(text, /^Key \[env-file:[a-z2-7]+\] ends$/, deltas.join('|'));
    }
  });

test('values_in_tool_arguments_masked', async () => {
  const { path: to, body } = callOf('chat', 'hello', { stream: true });
  await backend.answer(to, {
    toolCalls: [
      { name: 'run', arguments: JSON.stringify({ a: `${PROJECT} ${PASSWORD}` }) },
    ],
  });
  const answer = await client.stream(to, body);
  assertAbsent(answer.text, PASSWORD);
  assertAbsent(answer.text, PROJECT);
  assert.match(answer.text, /\[env-file:/);
});

test('status counts values and shows none', async () => {
  const status = await agent.status();
  assert.equal(status.dictionary_values, 2);
  assert.equal(status.env_file_values, 2);
  const { stdout } = await agent.cli(['status']);
  assert.match(stdout, /values +2 of the dictionary, 2 of \.env files/);
});

test('scan looks for them, too', async () => {
  const { code, stdout } = await agent.cli(
    ['scan', '--config', agent.configFile, '--batch', '--chunks', '1'],
    { stdin: `${JSON.stringify({ text: `see ${PROJECT}!` })}\n` },
  );
  assert.equal(code, 1);
  const line = JSON.parse(stdout);
  assert.deepEqual(line.findings, [{ rule: 'dictionary', start: 4, end: 22 }]);
  assert.match(line.masked, /^see \[dictionary:[a-z2-7]+\]!$/);
  const stdin = `a line\nsee ${PROJECT}!\n`;
  for (const args of [[], ['--json'], ['--sarif'], ['--rules', 'dictionary']]) {
    const result = await agent.cli(
      ['scan', '--config', agent.configFile, ...args],
      { stdin },
    );
    assert.equal(result.code, 1, result.stderr);
    assert.match(result.stdout, /dictionary/);
    assertAbsent(result.stdout, PROJECT);
  }
  const { code: other } = await agent.cli(
    ['scan', '--config', agent.configFile, '--rules', 'env-file'],
    { stdin },
  );
  assert.equal(other, 0);
});

test('changed_files_are_read_again', async () => {
  const fresh = 'tern-Harbour-31';
  const other = path.join(dir, 'two', '.env');
  fs.mkdirSync(path.dirname(other));
  fs.writeFileSync(other, `API_TOKEN=${fresh}\n`);
  await until(
    async () => (await agent.status()).env_file_values === 3,
    'the new file read',
    20000,
  );
  const { path: to, body } = callOf('chat', `use ${fresh}`);
  await client.post(to, body);
  const [seen] = await backend.modelCalls();
  assertAbsent(seen.body, fresh);
});

test('a bad dictionary leaves the former values in force', async () => {
  fs.writeFileSync(dictionary, `${PROJECT}\nab\n`);
  const failed = await until(
    async () => (await agent.status()).values_error,
    'the error shown',
    20000,
  );
  assert.match(failed, /words:2: a value has at least 4 bytes/);
  assert.equal((await agent.status()).dictionary_values, 2);
  const { path: to, body } = callOf('chat', `about ${PROJECT}`);
  await client.post(to, body);
  const [seen] = await backend.modelCalls();
  assertAbsent(seen.body, PROJECT);
});

test('exact_values_never_on_disk', async () => {
  await agent.stop();
  for (const value of [PROJECT, PASSWORD, URL_PASSWORD])
    assertNowhere(agent.dir, value);
  assertAbsent(agent.log(), PROJECT);
});

test('a dictionary that cannot be read: the agent does not start', async (t) => {
  const started = async (text, mode) => {
    fs.writeFileSync(dictionary, text);
    fs.chmodSync(dictionary, mode);
    await assert.rejects(
      startAgent(t, { backend, config: { detect: values } }),
      (error) => {
        assertAbsent(error.message, 'hidden-value', 'the error');
        assert.match(error.message, /words/);
        return true;
      },
    );
  };
  await started('hidden-value\nabc\n', 0o600);
  await started('hidden-value\n', 0o666);
});
