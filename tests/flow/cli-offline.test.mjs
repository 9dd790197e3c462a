// SPDX-License-Identifier: Apache-2.0
// Verbs that need no daemon, what the others say without one, help, exit codes,
// completions and manual.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { agentProgram, checkEnv, Fixture, privateEnv, run, tempDir } from './lib/harness.mjs';

const SOURCE = process.env.HOOP_SRCDIR;
const KEY = 'AKIA' + 'Q3EGRUZPL5WY7HTC';
const fixture = new Fixture();
const home = tempDir(fixture, 'hoop-offline-');
const env = privateEnv(home, checkEnv());
let verbs;

const cli = (args, options = {}) => run(agentProgram(), args, { env, cwd: home, ...options });

async function says(code, pattern, args, stdin) {
  const result = await cli(args, { stdin });
  assert.equal(result.code, code, result.stdout + result.stderr);
  assert.match(result.stdout + result.stderr, pattern);
  return result;
}

function file(name, text) {
  fs.writeFileSync(path.join(home, name), text);
  return path.join(home, name);
}

before(async () => {
  // Where the compiled rules are kept: the first scan fills it.
  fs.mkdirSync(path.join(env.XDG_CACHE_HOME, 'hoop-agent'), { recursive: true, mode: 0o700 });
  const { stdout } = await cli(['--help']);
  verbs = [...stdout.matchAll(/^ {2}hoop-agent (\S+)/gm)].map((match) => match[1]);
});
after(() => fixture.close());

test('help: every verb has its own, and it names its options', async () => {
  assert.ok(verbs.length >= 19, verbs.join(' '));
  for (const verb of verbs) {
    const { stdout, code } = await cli([verb, '--help']);
    assert.equal(code, 0);
    assert.match(stdout, new RegExp(`^hoop-agent ${verb}`));
    assert.ok(stdout.split('\n').every((line) => line.length <= 80), stdout);
    assert.equal((await cli(['help', verb])).stdout, stdout);
  }
  await says(0, /^hoop-agent \d+\.\d+/, ['--version']);
});

test('usage errors are 2 and say what is near', async () => {
  await says(2, /no verb aprove; did you mean approve\? It has: serve, /, ['aprove']);
  await says(2, /this version has no verb xyzzyplugh; it has: serve, status/, ['xyzzyplugh']);
  await says(3, /hoop-agent does not run/, ['enrol', '--hub', 'https://hub.example']);
  await says(2, /stands between/, []);
  await says(2, /there is no option --jsno here; did you mean --json\?/, ['status', '--jsno']);
  await says(2, /something is missing/, ['approve']);
  await says(2, /--device or --browser, not both/, ['login', '--browser', '--device']);
  await says(2, /too many arguments/, ['status', 'now']);
  await says(2, /--reason needs a value/, ['deny', 'x', '--reason']);
  await says(2, /--group goes with `policy explain` only/, ['policy', 'test', '--group', 'x', 'y']);
  await says(2, /this version has no `policy lint`/, ['policy', 'lint', 'a', 'b']);
  await says(2, /this version has no `connection drop`/, ['connection', 'drop']);
  await says(2, /--limit goes with `journal list|replay` only/, ['journal', 'verify', '--limit', '1']);
});

test('without the daemon: 3, and what to run', async () => {
  const calls = [
    ['status'],
    ['status', '--json'],
    ['login'],
    ['logout', '--issuer', 'corp'],
    ['pending'],
    ['pending', '--watch'],
    ['review', 'abc'],
    ['approve', 'abc'],
    ['deny', 'abc'],
    ['pause'],
    ['resume'],
  ];
  for (const args of calls) await says(3, /does not run\. Start it with `systemctl --user start/, args);
});

test('without the daemon: what needs none works', async () => {
  await says(0, /http:\/\/127\.0\.0\.1:8788/, ['env', 'copilot-cli']);
  await says(0, /only for +githubcopilot\.com/, ['ca', 'show']);
  await says(0, /the local account/, ['whoami']);
  await says(0, /copilot +copilot +on/, ['connection', 'list']);
  await says(1, /there is no journal at .*journal\.db yet/, ['journal', 'list']);
  await says(1, /there is no log yet/, ['logs']);
  const doctor = await says(1, /fail +agent +the agent does not run/, ['doctor']);
  assert.match(doctor.stdout, /-> systemctl --user start hoop-agent/);
  assert.doesNotMatch(doctor.stdout, /keyring/); // nobody signs in
  const company = file('corp.conf', '[identity "corp"]\nissuer=https://id.example\nclient-id=x\n');
  await says(1, /warn +keyring +no keyring answers.*\n +-> install/, ['doctor', '--config', company]);
  assert.ok(!fs.existsSync(path.join(env.XDG_STATE_HOME, 'hoop-agent', 'journal.db')));
});

test('a configuration that does not load is 2, with file and line', async () => {
  const config = file('bad.conf', '[listen]\nprt=1\n');
  await says(2, /bad\.conf:2: \[listen\] has no key prt; did you mean port\?/, ['serve', '--config', config]);
  await says(2, /bad\.conf:2/, ['scan', '--config', config], '');
  await says(1, /fail +config .*bad\.conf:2/, ['doctor', '--config', config]);
  const port = file('port.conf', '[listen]\nport=0\n');
  await says(3, /takes a port when the agent starts/, ['env', '--config', port]);
});

test('a folder that others could have made is not trusted', async (t) => {
  const dir = tempDir(t, 'hoop-run-');
  fs.mkdirSync(path.join(dir, 'hoop-agent'), { mode: 0o777 });
  fs.chmodSync(path.join(dir, 'hoop-agent'), 0o777);
  const { code, stderr } = await cli(['status'], { env: { ...env, XDG_RUNTIME_DIR: dir } });
  assert.equal(code, 1);
  assert.match(stderr, /is not a folder of this user alone/);
});

const POLICY = `version: 1
default: allow
groups:
  guests: [contractors]
rules:
  - id: keys
    match: {direction: request, finding: {class: secret}}
    action: mask
  - id: guests-wait
    match: {group: guests, api: chat}
    action: block
    message: Guests have no chat.
  - id: no-shell
    match: {direction: response, tool: {name: bash}}
    action: block
`;

test('policy check: each file by itself, with line and column', async () => {
  const good = file('good.yaml', POLICY);
  const bad = file('bad.yaml', POLICY.replace('action: mask', 'action: maks'));
  await says(0, /good\.yaml: fine, 3 rules, revision [0-9a-f]{12}/, ['policy', 'check', good]);
  await says(1, /bad\.yaml:8:13: .*maks.*mask/, ['policy', 'check', good, bad]);
  const { stdout, code } = await cli(['policy', 'check', '--json', good, bad]);
  assert.equal(code, 1);
  assert.deepEqual(JSON.parse(stdout).map((one) => one.ok), [true, false]);
  await says(2, /usage/, ['policy', 'check']);
});

test('policy show: the policy in effect', async () => {
  const config = file('policy.conf', `[policy]\nfile=${file('good.yaml', POLICY)}\n`);
  const { stdout } = await says(0, /- id: "?guests-wait/, ['policy', 'show', '--config', config]);
  await says(0, /fine, 3 rules/, ['policy', 'check', file('again.yaml', stdout)]);
  const json = JSON.parse((await cli(['policy', 'show', '--json', '--config', config])).stdout);
  assert.equal(json.yaml, stdout);
  assert.deepEqual(json.rules[1], { id: 'guests-wait', action: 'block', shadow: false, layer: 'system', origin: `${home}/good.yaml:9` });
  await says(0, /secrets-in-requests/, ['policy', 'show']);
});

test('policy explain: a prompt, a body, an answer with tool calls', async () => {
  const config = file('policy.conf', `[policy]\nfile=${file('good.yaml', POLICY)}\n`);
  const explain = async (args, stdin) =>
    JSON.parse((await cli(['policy', 'explain', '--json', '--config', config, ...args, '-'], { stdin })).stdout);
  assert.equal((await explain([], 'hello')).action, 'allow');
  assert.equal((await explain([], `key ${KEY}`)).rule, 'keys');
  const guest = await explain(['--group', 'contractors,others'], `key ${KEY}`);
  assert.deepEqual([guest.action, guest.rule], ['block', 'guests-wait']);
  assert.equal((await explain(['--group', 'contractors', '--api', 'embeddings'], 'x')).action, 'allow');
  const body = JSON.stringify({ messages: [{ role: 'user', content: KEY }] });
  assert.equal((await explain([], body)).action, 'mask');
  const answer = JSON.stringify({
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'c', type: 'function', function: { name: 'bash', arguments: '{"command":"ls"}' } }],
        },
        finish_reason: 'tool_calls',
      },
    ],
  });
  const [whole, call] = await explain(['--direction', 'response'], answer);
  assert.equal(whole.action, 'allow');
  assert.deepEqual([call.action, call.rule], ['block', 'no-shell']);
  const text = await says(0, /verdict: block\. .*Guests have no chat/, ['policy', 'explain', '--config', config, '--group', 'contractors', file('prompt.txt', 'hi')]);
  assert.match(text.stdout, /mask +keys +no: finding/);
  await says(2, /there is no such API/, ['policy', 'explain', '--api', 'chats', '-'], 'x');
  await says(2, /--direction is/, ['policy', 'explain', '--direction', 'up', '-'], 'x');
  await says(1, /cannot be read, so it would be refused/, ['policy', 'explain', '-'], '{"messages": [}');
});

test('policy diff: what the second says otherwise', async () => {
  const a = file('good.yaml', POLICY);
  const b = file('other.yaml', POLICY.replace('api: chat', 'api: [mcp, chat]').replace('default: allow', 'default: block').replace(/ {2}- id: no-shell[^]*/, ''));
  await says(0, /^Both say the same\.$/m, ['policy', 'diff', a, file('same.yaml', `# x\n${POLICY}`)]);
  const { stdout } = await says(1, /The second policy tightens and loosens\./, ['policy', 'diff', a, b]);
  assert.match(stdout, /^= default: tightens\n {4}allow -> block\n~ block guests-wait: tightens\n {4}api matches more\n- block no-shell: loosens\n/);
  const json = JSON.parse((await says(1, /"means": "tightens and loosens"/, ['policy', 'diff', '--json', a, b])).stdout);
  assert.deepEqual(json.changes.map((one) => [one.kind, one.id, one.means]), [
    ['set', 'default', 'tightens'],
    ['changed', 'guests-wait', 'tightens'],
    ['removed', 'no-shell', 'loosens'],
  ]);
  await says(2, /usage/, ['policy', 'diff', a]);
  await says(2, /Cannot open/, ['policy', 'diff', a, 'gone.yaml']);
});

test('the user layer adds to the policy in effect, and only tightens', async () => {
  const folder = path.join(env.XDG_CONFIG_HOME, 'hoop-agent');
  const own = path.join(folder, 'user-policy.yaml');
  fs.mkdirSync(folder, { recursive: true });
  try {
    fs.writeFileSync(own, 'version: 1\nrules:\n  - {id: mine, match: {prompt: kestrel}, action: approve}\n');
    const json = JSON.parse((await says(0, /"mine"/, ['policy', 'show', '--json'])).stdout);
    const mine = json.rules.at(-1);
    assert.deepEqual([mine.id, mine.layer, mine.origin], ['mine', 'user', `${own}:3`]);
    assert.ok(json.rules.some((rule) => rule.layer === 'system'));
    await says(0, /approve +mine +matched/, ['policy', 'explain', '-'], 'about kestrel');
    fs.writeFileSync(own, 'version: 1\ndefault: allow\n');
    await says(1, /user-policy\.yaml:2:10: the user layer must not set "default"/, ['policy', 'show']);
  } finally {
    fs.rmSync(own);
  }
});

const CASES = `version: 1
policy: good.yaml
cases:
  - name: a key
    prompt: 'key ${KEY}'
    expect: mask
    rule: keys
    masks: aws-access-key
    hides: ${KEY}
  - prompt: hello
    group: contractors
    expect: block
    rule: guests-wait
  - tool: {name: bash, arguments: ls}
    expect: block
  - body: '{"messages": ['
    expect: block
`;

test('policy test: what differs, as the file would say it', async () => {
  file('good.yaml', POLICY);
  const cases = file('good.test.yaml', CASES.replace(/ {2}- body[^]*/, ''));
  await says(0, /^3 of 3 as expected$/m, ['policy', 'test', cases]);
  await says(1, /2 of 3 as expected/, ['policy', 'test', '--policy', file('open.yaml', POLICY.replace('name: bash', 'name: sh')), cases]);
  const wrong = file('wrong.test.yaml', CASES.replace('expect: mask', 'expect: allow').replace('masks: aws', 'masks: gcp'));
  const { stdout } = await says(1, /2 of 4 as expected/, ['policy', 'test', wrong]);
  assert.match(stdout, /wrong\.test\.yaml:4: a key\n.*\n {4}- expect: allow\n {4}\+ expect: mask\n/);
  assert.match(stdout, /- masks: \[gcp-access-key\]\n {4}\+ masks: \[aws-access-key\]/);
  assert.match(stdout, /wrong\.test\.yaml:16: .*\n.*\n {4}- expect: block\n {4}\+ refused: /);
  const json = JSON.parse((await says(1, /"failed": 2/, ['policy', 'test', '--json', cases, wrong])).stdout);
  assert.deepEqual([json.passed, json.failed, json.files.length], [5, 2, 2]);
  assert.deepEqual(json.files[1].cases[0].found.masks, ['aws-access-key']);
  assert.match(json.files[0].revision, /^[0-9a-f]{64}$/);
});

test('policy test: budgets by what a case says was used', async () => {
  file('budget.yaml', 'version: 1\ndefault: allow\nrules:\n  - {id: day, match: {budget: {tokens: 1000, window: 1d}}, action: approve}\n');
  const cases = file('budget.test.yaml', 'version: 1\npolicy: budget.yaml\ncases:\n  - {prompt: hi, expect: allow}\n  - {prompt: hi, used: {tokens: 1000}, expect: approve, rule: day}\n');
  await says(0, /^2 of 2 as expected$/m, ['policy', 'test', cases]);
});

test('policy test: 2 for what cannot be run; the shipped cases hold', async () => {
  await says(2, /bad\.test\.yaml:3:5: unknown key "promt"/, ['policy', 'test', file('bad.test.yaml', 'version: 1\ncases:\n  - promt: x\n')]);
  await says(2, /Cannot open .*no\.yaml/, ['policy', 'test', file('no.test.yaml', CASES.replace('good.yaml', 'no.yaml'))]);
  await says(2, /Cannot open .*gone/, ['policy', 'test', path.join(home, 'gone')]);
  await says(2, /usage/, ['policy', 'test']);
  await says(0, /^\d\d\d of \d\d\d as expected$/m, ['policy', 'test', path.join(SOURCE, 'policy/default.test.yaml')]);
});

// ---- Completions

const completions = path.join(SOURCE, 'agent/data/completions');

function bashCompletes(...words) {
  const script = [
    `. '${completions}/hoop-agent.bash'`,
    `COMP_WORDS=(hoop-agent ${words.map((word) => `'${word}'`).join(' ')})`,
    `COMP_CWORD=${words.length}`,
    '_hoop_agent',
    'printf "%s\\n" "${COMPREPLY[@]}"',
  ].join('\n');
  const out = execFileSync('bash', ['-c', script], { cwd: home, encoding: 'utf8' });
  return out.split('\n').filter(Boolean);
}

/** {verb: [its options]} as --help prints them. */
async function options(verb) {
  const { stdout } = await cli([verb, '--help']);
  return [...stdout.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map((match) => match[1]);
}

test('completion for bash: the verbs, their words and all their options', async () => {
  execFileSync('bash', ['-n', `${completions}/hoop-agent.bash`]);
  const offered = bashCompletes('').filter((word) => !word.startsWith('-'));
  assert.deepEqual(offered.sort(), [...verbs].sort());
  assert.deepEqual(bashCompletes('sta'), ['status']);
  assert.deepEqual(bashCompletes('ca', ''), ['show', 'export', 'rotate']);
  assert.deepEqual(bashCompletes('policy', 'e'), ['explain']);
  assert.deepEqual(bashCompletes('env', '--shell', ''), ['sh', 'fish', 'json']);
  assert.ok(bashCompletes('setup', 'c').includes('claude'));
  for (const verb of verbs) {
    const subs = { policy: ['check', 'diff', 'explain', 'show', 'test'], journal: ['list', 'search', 'show', 'export', 'report', 'verify', 'head', 'replay', 'stats', 'prune', 'unseal'] }[verb];
    const seen = new Set((subs ?? ['']).flatMap((sub) => (sub ? bashCompletes(verb, sub, '--') : bashCompletes(verb, '--'))));
    for (const option of await options(verb)) assert.ok(seen.has(option), `${verb} ${option}`);
    for (const option of seen)
      assert.ok(option === '--help' || (await options(verb)).includes(option), `${verb} has no ${option}`);
  }
});

for (const [shell, name, args] of [
  ['zsh', 'hoop-agent.zsh', ['-n']],
  ['fish', 'hoop-agent.fish', ['--no-execute']],
])
  test(`completion for ${shell}: loads, and has every option`, async (t) => {
    const text = fs.readFileSync(path.join(completions, name), 'utf8');
    for (const verb of verbs)
      for (const option of await options(verb)) {
        const word = shell === 'fish' ? `-l ${option.slice(2)}` : option;
        assert.ok(text.includes(word), `${verb} ${option}`);
      }
    const checked = spawnSync(shell, [...args, path.join(completions, name)], { encoding: 'utf8' });
    if (checked.error) return t.skip(`${shell} is not installed`);
    assert.equal(checked.status, 0, checked.stderr);
  });

// ---- Manual

for (const page of ['hoop-agent.1', 'hoop-agent.conf.5'])
  test(`manual: ${page} is well formed`, (t) => {
    const args = ['-mandoc', '-ww', '-z', '-Tutf8', path.join(SOURCE, 'man', page)];
    const checked = spawnSync('groff', args, { encoding: 'utf8' });
    if (checked.error) return t.skip('groff is not installed');
    assert.equal(checked.stderr, '');
    assert.equal(checked.status, 0);
  });

test('manual: every option of every verb is told', async () => {
  const text = fs.readFileSync(path.join(SOURCE, 'man/hoop-agent.1'), 'utf8').replaceAll('\\-', '-');
  for (const verb of verbs) {
    const section = new RegExp(`^\\.SS ${verb}\\b[^]*?(?=^\\.S[SH] )`, 'm').exec(text)[0];
    for (const option of await options(verb)) assert.ok(section.includes(option), `${verb} ${option}`);
  }
});
