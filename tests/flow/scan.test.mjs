// SPDX-License-Identifier: Apache-2.0
// scan: files, folders and batches; what it tells people and tools, what it
// passes over, and what goes wrong.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';

import { agentProgram, checkEnv, Child, Fixture, privateEnv, run, tempDir, until } from './lib/harness.mjs';
import { checkSarif } from './lib/sarif.mjs';
import { sarifSchema } from './lib/schema.mjs';

const KEY = 'AKIA' + 'Q3EGRUZPL5WY7HTC';
const OTHER = 'AKIA' + 'Z7MNBVCXQ4RT2PLK';
const CARD = '4111' + '1111' + '1111' + '1111';
const fixture = new Fixture();
const home = tempDir(fixture, 'hoop-scan-');
const env = privateEnv(home, checkEnv());

after(() => fixture.close());

const cli = (args, options = {}) => run(agentProgram(), args, { env, cwd: home, ...options });

async function says(code, pattern, args, stdin) {
  const result = await cli(args, { stdin });
  assert.equal(result.code, code, result.stdout + result.stderr);
  assert.match(result.stdout + result.stderr, pattern);
  return result;
}

/** A folder of these files: {path: contents}. */
function tree(t, files) {
  const dir = tempDir(t, 'hoop-tree-');
  for (const [name, contents] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(dir, name)), { recursive: true });
    fs.writeFileSync(path.join(dir, name), contents);
  }
  return dir;
}

/** The findings as [file, line, column, rule], of a scan in dir. */
async function found(dir, args) {
  const { stdout, stderr, code } = await cli(['scan', '--json', ...args], { cwd: dir });
  assert.ok(code === 0 || code === 1, stderr);
  return JSON.parse(stdout).map((one) => [one.file, one.line, one.column, one.rule]);
}

const files = async (dir, args = ['.']) => (await found(dir, args)).map(([file]) => file);

// ---- For people

test('findings as a linter prints them', async (t) => {
  const dir = tree(t, { 'dirty.txt': `one\n  key=${KEY}\n`, 'clean.txt': 'nothing here\n' });
  const [dirty, clean] = ['dirty.txt', 'clean.txt'].map((name) => path.join(dir, name));
  const result = await cli(['scan', clean, dirty]);
  assert.equal(result.code, 1);
  assert.equal(result.stdout, `${dirty}:2:7: aws-access-key (secret): key=[aws-access-key]\n`);
  assert.match(result.stderr, /^hoop-agent scan: 1 finding in 1 file \(aws-access-key 1\); scanned 2 files, /);
  const none = await cli(['scan', clean]);
  assert.equal(none.code, 0);
  assert.equal(none.stdout, '');
  assert.match(none.stderr, /no findings; scanned 1 file, 13 bytes/);
  await says(1, /^<stdin>:1:1: aws-access-key/, ['scan'], KEY);
  await says(1, /^<stdin>:1:1: aws-access-key/, ['scan', '-'], KEY);
  await says(0, /^hoop-agent scan: no findings/, ['scan'], '');
});

test('compiled rules are kept, in a folder of the user alone; without one it works too', async (t) => {
  const dir = tree(t, { a: KEY });
  const cached = { ...env, XDG_CACHE_HOME: path.join(dir, 'cache') };
  const patient = { cwd: dir, timeoutMs: 120000 };
  assert.equal((await cli(['scan', 'a'], { ...patient, env: cached })).code, 1);
  const kept = path.join(cached.XDG_CACHE_HOME, 'hoop-agent');
  assert.equal(fs.statSync(kept).mode & 0o777, 0o700);
  assert.ok(fs.readdirSync(kept).length > 0);
  const nowhere = { ...env, XDG_CACHE_HOME: '/dev/null/cache' };
  assert.equal((await cli(['scan', 'a'], { ...patient, env: nowhere })).code, 1);
});

test('no secret is ever printed', async (t) => {
  // Several in a line, one inside another, one cut off by the excerpt's end.
  const line = `a=${KEY} b="postgres://u:${OTHER}@h/${KEY}" ${CARD} ${KEY}${'x'.repeat(3)} ${KEY},${OTHER}\n`;
  const dir = tree(t, { a: line.repeat(3), b: `{"k":"${KEY}"}`, c: `${' '.repeat(50)}${KEY}${' '.repeat(20)}${OTHER}` });
  for (const args of [['.'], ['--json', '.'], ['--sarif', '.'], ['--rules', 'card-number', '.']]) {
    const { stdout, stderr, code } = await cli(['scan', ...args], { cwd: dir });
    assert.equal(code, 1, stderr);
    for (const secret of [KEY, OTHER, CARD]) {
      for (let n = 0; n + 8 <= secret.length; n++)
        assert.ok(!(stdout + stderr).includes(secret.slice(n, n + 8)), stdout);
    }
  }
});

test('control characters of names and lines do not reach the terminal', async (t) => {
  const dir = tree(t, { 'a\nb\u001b[31m': `\u001b]0;x\u0007 \u202e ${KEY}` });
  const { stdout } = await cli(['scan', '.'], { cwd: dir });
  assert.ok(!/[\u0000-\u0009\u000b-\u001f\u202e]/.test(stdout), JSON.stringify(stdout));
  assert.equal(stdout.split('\n').length, 2);
});

const onTerminal = (command, options = {}) =>
  new Child('script', ['-qec', command, '/dev/null'], { env: { ...env, TERM: 'xterm' }, cwd: home, ...options });

test('colours only on a terminal, and not with NO_COLOR', async (t) => {
  const dir = tree(t, { a: KEY });
  const command = `${agentProgram()} scan ${dir}/a`;
  if (spawnSync('script', ['--version']).error) return t.skip('script is not installed');
  assert.ok(!(await cli(['scan', `${dir}/a`])).stdout.includes('\u001b'));
  assert.match((await onTerminal(command).wait()).stdout, /\u001b\[31maws-access-key\u001b\[0m/);
  const plain = await onTerminal(command, { env: { ...env, TERM: 'xterm', NO_COLOR: '1' } }).wait();
  assert.ok(!plain.stdout.includes('\u001b['));
});

test('progress on a terminal, gone before anything else is said', async (t) => {
  const dir = tree(t, { a: KEY });
  if (spawnSync('script', ['--version']).error) return t.skip('script is not installed');
  execFileSync('mkfifo', [`${dir}/pipe`]);
  const held = fs.openSync(`${dir}/pipe`, 'r+');
  const child = onTerminal(`${agentProgram()} scan ${dir}/pipe`, { t });
  try {
    await until(() => /\r\u001b\[K0 files, 0 bytes, /.test(child.stdout), 'progress');
    fs.writeSync(held, `${KEY}\n`);
  } finally {
    fs.closeSync(held);
  }
  const { stdout } = await child.wait();
  assert.match(stdout, /\r\u001b\[K[^\n]*:1:1: /);
});

// ---- For tools

test('--json: where, what, and a name that stays', async (t) => {
  const dir = tree(t, { 'd/a b.txt': `one\n  \u00e4 key=${KEY}\n` });
  const { stdout } = await cli(['scan', '--json', 'd'], { cwd: dir });
  const [one] = JSON.parse(stdout);
  assert.deepEqual(
    [one.file, one.uri, one.line, one.column, one.end_line, one.end_column, one.start, one.end, one.rule, one.class],
    ['d/a b.txt', 'd/a%20b.txt', 2, 9, 2, 29, 13, 33, 'aws-access-key', 'secret'],
  );
  assert.ok(one.confidence > 0 && one.confidence <= 1);
  assert.equal(one.excerpt, '\u00e4 key=[aws-access-key]');
  assert.equal(one.fingerprint, undefined);
  fs.writeFileSync(path.join(dir, 'd/a b.txt'), `zero\none\n\n\u00e4   key=${OTHER} # moved\n`);
  const [again] = JSON.parse((await cli(['scan', '--json', 'd'], { cwd: dir })).stdout);
  assert.equal(again.line, 4);
  assert.equal(again.place, one.place);
  const { stdout: nothing } = await cli(['scan', '--json'], { stdin: '' });
  assert.deepEqual(JSON.parse(nothing), []);
});

test('--json: the fingerprint is the one of the daemon\'s key', async (t) => {
  const dir = tree(t, { a: KEY });
  const state = path.join(dir, 'state');
  fs.mkdirSync(path.join(state, 'hoop-agent'), { recursive: true, mode: 0o700 });
  for (const name of ['mask.key', 'fingerprint.key'])
    fs.writeFileSync(path.join(state, 'hoop-agent', name), 'k'.repeat(32), { mode: 0o600 });
  const keyed = { ...env, XDG_STATE_HOME: state };
  const prints = [];
  for (let i = 0; i < 2; i++)
    prints.push(JSON.parse((await cli(['scan', '--json', 'a'], { cwd: dir, env: keyed })).stdout)[0].fingerprint);
  assert.match(prints[0], /^[0-9a-f]{16}$/);
  assert.equal(prints[1], prints[0]);
});

test('--sarif: what the standard asks for', async (t) => {
  const dir = tree(t, {
    'a b%.txt': `x\n\u{1f600} ${KEY} ${KEY}\n`,
    'key.pem': `-----BEGIN RSA PRIVATE KEY-----\n${'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZn\n'.repeat(6)}-----END RSA PRIVATE KEY-----\n`,
    binary: 'a\0b',
  });
  const result = await cli(['scan', '--sarif', '.', 'gone'], { cwd: dir });
  assert.equal(result.code, 1);
  const sarif = checkSarif(result.stdout);
  const [invocation] = sarif.invocations;
  assert.equal(invocation.exitCode, 1);
  assert.equal(invocation.executionSuccessful, false);
  const ids = invocation.toolExecutionNotifications.map((note) => note.descriptor.id);
  assert.deepEqual(ids.sort(), ['binary', 'not-read']);
  assert.equal(sarif.originalUriBaseIds.SRCROOT.uri, `file://${fs.realpathSync(dir)}/`);
  const places = sarif.results.map((one) => one.locations[0].physicalLocation);
  assert.deepEqual(places[0].artifactLocation, { uri: 'a%20b%25.txt', uriBaseId: 'SRCROOT' });
  assert.deepEqual(places[0].region, { startLine: 2, startColumn: 3, endLine: 2, endColumn: 23, byteOffset: 7, byteLength: 20 });
  const pem = places.find((place) => place.artifactLocation.uri === 'key.pem');
  assert.ok(pem.region.endLine > pem.region.startLine);
  const prints = sarif.results.map((one) => one.partialFingerprints.primaryLocationLineHash);
  assert.equal(new Set(prints).size, prints.length, 'twice in a line is two');
  const clean = checkSarif((await cli(['scan', '--sarif'], { stdin: 'x' })).stdout);
  assert.deepEqual([clean.results, clean.invocations[0]], [[], { executionSuccessful: true, exitCode: 0, toolExecutionNotifications: [] }]);
  const stdin = checkSarif((await cli(['scan', '--sarif', '--rules', 'aws-*', '-', `${dir}/key.pem`], { stdin: KEY })).stdout);
  assert.equal(stdin.results[0].locations[0].physicalLocation.artifactLocation.uri, 'stdin:');
  assert.ok(stdin.tool.driver.rules.every((rule) => rule.id.startsWith('aws-')));
});

test('--sarif: what the official schema says', async (t) => {
  let faults;
  try {
    faults = await sarifSchema();
  } catch (error) {
    t.skip(`npm has not brought the schema: ${error.message.split('\n')[0]}`);
    return;
  }
  const dir = tree(t, {
    'a b%.txt': `x\n\u{1f600} ${KEY} ${KEY}\n`,
    'cards/c.txt': `card ${CARD}\n`,
    binary: 'a\0b',
  });
  const name = Buffer.from([0x61, 0xff, 0x0a, 0x62]);
  fs.writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), name]), OTHER);
  const known = path.join(home, 'known.sarif');
  const runs = [['.', 'gone'], ['.'], ['--rules', 'card-number', 'cards'], ['--baseline', known, '.']];
  for (const args of runs) {
    const { stdout } = await cli(['scan', '--sarif', ...args], { cwd: dir });
    const sarif = JSON.parse(stdout);
    assert.deepEqual(faults(sarif), [], args.join(' '));
    if (args[0] === '.') fs.writeFileSync(known, stdout);
    // A check that cannot fail says nothing.
    for (const result of sarif.runs[0].results) result.level = 'bad';
    sarif.version = '2.0.0';
    assert.ok(faults(sarif).length >= 1);
  }
  const clean = await cli(['scan', '--sarif'], { stdin: 'x' });
  assert.deepEqual(faults(JSON.parse(clean.stdout)), []);
});

test('--baseline: what was known is no news, a new value of a token is', async (t) => {
  const token = (seed) => `sk-ant-api03-${seed.repeat(93)}AA`;
  const dir = tree(t, { a: `one=${KEY}\ntwo=${OTHER}\n`, b: 'x\n' });
  for (const kind of ['--json', '--sarif']) {
    const report = path.join(dir, `known${kind}`);
    fs.writeFileSync(path.join(dir, 'a'), `one=${KEY}\ntwo=${OTHER}\n`);
    fs.writeFileSync(report, (await cli(['scan', kind, 'a', 'b'], { cwd: dir })).stdout);
    const same = await cli(['scan', '--baseline', report, 'a', 'b'], { cwd: dir });
    assert.equal(same.code, 0, same.stdout);
    assert.match(same.stderr, /no findings; .*; 2 findings of the baseline/);
    fs.writeFileSync(path.join(dir, 'a'), `three=${KEY}\n\ntwo=${OTHER}\none=${KEY}\n`);
    const more = await cli(['scan', '--baseline', report, 'a', 'b'], { cwd: dir });
    assert.equal(more.code, 1);
    assert.match(more.stdout, /^a:1:7: [^\n]*\n$/);
    const elsewhere = await cli(['scan', '--baseline', report, path.join(dir, 'a')], { cwd: home });
    assert.equal(elsewhere.code, 1, 'another file');
  }
  const known = path.join(dir, 'known');
  fs.writeFileSync(path.join(dir, 'c'), `k=${token('a1B')}\n`);
  const first = await cli(['scan', '--json', 'c'], { cwd: dir });
  if (JSON.parse(first.stdout).some((one) => one.place.length > 16)) {
    fs.writeFileSync(known, first.stdout);
    assert.equal((await cli(['scan', '--baseline', known, 'c'], { cwd: dir })).code, 0);
    fs.writeFileSync(path.join(dir, 'c'), `k=${token('b2C')}\n`);
    assert.equal((await cli(['scan', '--baseline', known, 'c'], { cwd: dir })).code, 1);
  }
  for (const bad of ['{}', '[1]', 'x', '{"runs":[{"results":[{}]}]}', '']) {
    fs.writeFileSync(known, bad);
    await says(2, /is no report that scan --json or scan --sarif wrote/, ['scan', '--baseline', known, known]);
  }
  await says(2, /Cannot open/, ['scan', '--baseline', path.join(dir, 'gone'), known]);
});

test('--rules, --class, --list-rules', async (t) => {
  const dir = tree(t, { a: `${KEY} ${CARD}\n` });
  const rules = async (args) => (await found(dir, [...args, 'a'])).map(([, , , rule]) => rule);
  assert.deepEqual(await rules([]), ['aws-access-key', 'card-number']);
  assert.deepEqual(await rules(['--rules', 'card-number']), ['card-number']);
  assert.deepEqual(await rules(['--rules', 'iban,aws-*']), ['aws-access-key']);
  assert.deepEqual(await rules(['--class', 'card,iban']), ['card-number']);
  assert.deepEqual(await rules(['--class', 'secret', '--rules', 'card-number,aws-access-key']), ['aws-access-key']);
  await says(2, /there is no rule card-nubmer, did you mean card-number/, ['scan', '--rules', 'card-nubmer', 'a']);
  await says(2, /no rule is of class cards; there are: .*card/, ['scan', '--class', 'cards', 'a']);
  await says(2, /no rule that is on is named so/, ['scan', '--class', 'card', '--rules', 'aws-*', 'a']);
  const list = JSON.parse((await cli(['scan', '--list-rules', '--json'])).stdout);
  assert.ok(list.length >= 30 && list.every((rule) => rule.id && rule.class && typeof rule.on === 'boolean'));
  await says(0, /^RULE +CLASS.*\naws-access-key +secret +on +\S/, ['scan', '--list-rules', '--rules', 'aws-*']);
  const { stdout } = await cli(['scan', '--batch', '--class', 'card'], { stdin: `${JSON.stringify({ text: `${KEY} ${CARD}` })}\n` });
  const [only] = stdout.trim().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(only.findings.map((one) => one.rule), ['card-number']);
  assert.ok(only.masked.startsWith(`${KEY} [card-number:`));
});

// ---- What is read

test('folders: in the order of names, whatever the order on disk', async (t) => {
  const names = ['b/z', 'a/y', 'a.b', 'c', 'a/b/c', 'B', 'b0'];
  const dir = tree(t, Object.fromEntries(names.map((name) => [name, KEY])));
  const expected = ['B', 'a/b/c', 'a/y', 'a.b', 'b/z', 'b0', 'c'];
  assert.deepEqual(await files(dir), expected);
  assert.deepEqual(await files(dir, ['./']), expected);
  assert.deepEqual(await files(dir, ['b/', 'a']), ['b/z', 'a/b/c', 'a/y']);
  assert.deepEqual(await files(dir, [dir]), expected.map((name) => path.join(dir, name)));
});

test('folders: without what git ignores, as git says it', async (t) => {
  const dir = tree(t, {
    '.gitignore': '*.log\n!keep.log\n/build/\nnode_modules/\ndoc/**/draft\n',
    'a.log': KEY,
    'keep.log': KEY,
    'src/a.c': KEY,
    'src/b.log': KEY,
    'src/.gitignore': 'secret.*\n!/b.log\n',
    'src/secret.env': KEY,
    'src/deep/secret.env': KEY,
    'build/out': KEY,
    'src/build/out': KEY,
    'node_modules/x/y.js': KEY,
    'src/node_modules/x.js': KEY,
    'doc/a/b/draft': KEY,
    'doc/draft/x': KEY,
    'excluded.txt': KEY,
    'mine.bak': KEY,
    'inner/x.log': KEY,
  });
  const here = { ...env, XDG_CONFIG_HOME: path.join(dir, '.cfg') };
  const git = (args, cwd = dir) => execFileSync('git', args, { cwd, env: here, stdio: 'pipe' }).toString();
  fs.mkdirSync(path.join(dir, '.cfg/git'), { recursive: true });
  fs.writeFileSync(path.join(dir, '.cfg/git/ignore'), '*.bak\n');
  const scan = async (args, cwd = dir) => {
    const { stdout } = await cli(['scan', '--json', ...args], { cwd, env: here });
    return JSON.parse(stdout).map((one) => one.file);
  };
  const expected = ['excluded.txt', 'inner/x.log', 'keep.log', 'src/a.c', 'src/b.log', 'src/build/out'];
  if (spawnSync('git', ['--version']).error) {
    assert.deepEqual(await scan(['.']), expected.filter((name) => name !== 'inner/x.log'));
    return;
  }
  git(['init', '-q', '.']);
  git(['init', '-q', 'inner']);
  fs.writeFileSync(path.join(dir, '.git/info/exclude'), 'excluded.txt\n');
  fs.writeFileSync(path.join(dir, '.git/config.secret'), KEY);
  const wanted = expected.filter((name) => name !== 'excluded.txt');
  assert.deepEqual(await scan(['.']), wanted);
  const theirs = git(['ls-files', '--others', '--exclude-standard']).trim().split('\n');
  assert.deepEqual(wanted.filter((name) => !theirs.includes(name)), ['inner/x.log'], 'git agrees but for the inner one');
  // Below the top: the folders above still speak.
  assert.deepEqual(await scan(['src']), wanted.filter((name) => name.startsWith('src/')));
  assert.deepEqual(await scan(['.'], path.join(dir, 'src')), ['a.c', 'b.log', 'build/out']);
  // What is named is scanned, ignored or not.
  assert.deepEqual(await scan(['a.log', 'build', '.git/config.secret']), ['a.log', 'build/out', '.git/config.secret']);
  assert.equal((await scan(['--no-ignore', '.'])).length, 15);
  // What is tracked is in the history, whatever the patterns say.
  git(['add', '-f', 'a.log', 'build/out', 'src/deep/secret.env']);
  fs.writeFileSync(path.join(dir, 'build/other'), KEY);
  assert.deepEqual(
    await scan(['.']),
    [...wanted, 'a.log', 'build/out', 'src/deep/secret.env'].sort((a, b) => (a < b ? -1 : 1)),
  );
  assert.deepEqual(await scan(['.'], path.join(dir, 'src/deep')), ['secret.env']);
  // A linked work tree has its repository's info/exclude and an index of its own.
  git(['-c', 'user.name=x', '-c', 'user.email=x', 'commit', '-q', '--allow-empty', '-m', 'x']);
  git(['worktree', 'add', '-q', '../linked-of-' + path.basename(dir)]);
  const linked = path.join(path.dirname(dir), 'linked-of-' + path.basename(dir));
  t.after(() => fs.rmSync(linked, { recursive: true, force: true }));
  for (const name of ['excluded.txt', 'seen.txt']) fs.writeFileSync(path.join(linked, name), KEY);
  assert.deepEqual(await scan(['.'], linked), ['a.log', 'build/out', 'seen.txt', 'src/deep/secret.env']);
});

test('hoop:allow on the line, and --no-allow', async (t) => {
  const dir = tree(t, {
    a: [`x=${KEY} # hoop:allow`, `x=${KEY} // hoop:allowed`, `// hoop:allow`, `x=${KEY}`, `/* hoop:allow */ x=${KEY} ${CARD}`].join('\n'),
  });
  const lines = async (args) => (await found(dir, [...args, 'a'])).map(([, line]) => line);
  assert.deepEqual(await lines([]), [2, 4]);
  assert.deepEqual(await lines(['--no-allow']), [1, 2, 4, 5, 5]);
  assert.match((await cli(['scan', 'a'], { cwd: dir })).stderr, /; 3 findings allowed by their lines/);
  const { stdout } = await cli(['scan', '--batch'], { stdin: JSON.stringify({ text: `${KEY} hoop:allow` }) });
  assert.equal(JSON.parse(stdout).findings.length, 1, 'only files have marks');
});

test('encodings: places are those of the file', async (t) => {
  const text = `\u00e4\u{1f600}\nkey=${KEY}\n`;
  const big = Buffer.from(`\ufeff${text}`, 'utf16le').swap16();
  const dir = tree(t, {
    utf8: text,
    'utf8-mark': `\ufeff${text}`,
    'utf16-big': big,
    'utf16-little': Buffer.from(`\ufeff${text}`, 'utf16le'),
    latin1: Buffer.from(`\u00e4\u00ff\nkey=${KEY}\n`, 'latin1'),
  });
  const { stdout } = await cli(['scan', '--json', '.'], { cwd: dir });
  const list = JSON.parse(stdout);
  assert.equal(list.length, 5);
  for (const one of list) {
    assert.deepEqual([one.line, one.column, one.end_column], [2, 5, 25], one.file);
    const bytes = fs.readFileSync(path.join(dir, one.file)).subarray(one.start, one.end);
    const value = one.file === 'utf16-big' ? Buffer.from(bytes).swap16().toString('utf16le') : bytes.toString(one.file.startsWith('utf16') ? 'utf16le' : 'utf8');
    assert.equal(value, KEY, one.file);
  }
});

test('a secret in an escaped string is found where it stands', async (t) => {
  const inner = JSON.stringify({ a: [`x\n${KEY}`] });
  const dir = tree(t, { 'a.json': JSON.stringify({ deep: inner }) });
  const [one] = JSON.parse((await cli(['scan', '--json', 'a.json'], { cwd: dir })).stdout);
  const raw = fs.readFileSync(path.join(dir, 'a.json'), 'latin1');
  assert.equal(raw.slice(one.start, one.end), KEY);
  assert.equal(one.column, raw.indexOf(KEY) + 1);
});

test('binary files, and --binary', async (t) => {
  const dir = tree(t, { a: `\0${KEY}\n`, b: `${'x\n'.repeat(5000)}\0${KEY}` });
  assert.deepEqual(await found(dir, ['.']), [['b', 5001, 2, 'aws-access-key']]);
  assert.match((await cli(['scan', '.'], { cwd: dir })).stderr, /passed over: 1 binary/);
  await says(0, /a is binary: passed over, see --binary/, ['scan', path.join(dir, 'a')]);
  assert.deepEqual(await files(dir, ['--binary', '.']), ['a', 'b']);
});

test('--max-size: a longer file is not read, and that is said', async (t) => {
  const dir = tree(t, { a: `${KEY}\n${'x'.repeat(2000)}`, b: KEY, c: `\0${'x'.repeat(5000)}` });
  const result = await cli(['scan', '--max-size', '1K', '.'], { cwd: dir });
  assert.equal(result.code, 1);
  assert.match(result.stdout, /^b:1:1: /);
  assert.match(result.stderr, /a: is longer than 1024 bytes, see --max-size\n.*; 1 not read/s);
  assert.equal((await cli(['scan', '--max-size', '1K', 'a', 'c'], { cwd: dir })).code, 2);
  assert.equal((await cli(['scan', '--max-size=3K', 'a'], { cwd: dir })).code, 1);
  assert.equal((await cli(['scan', '--max-size=2021', 'a'], { cwd: dir })).code, 1);
  assert.equal((await cli(['scan', '--max-size=2020', 'a'], { cwd: dir })).code, 2);
  await says(2, /is longer than 8 bytes/, ['scan', '--max-size', '8'], KEY);
  for (const bad of ['0', 'x', '1T', '-1', '1Kx', '', '1G'])
    await says(2, /--max-size takes a size/, ['scan', `--max-size=${bad}`], '');
});

// ---- What goes wrong

test('what is not there, or no file', async (t) => {
  const dir = tree(t, { a: KEY, 'd/x': 'x' });
  fs.symlinkSync('loop', path.join(dir, 'loop'));
  fs.symlinkSync('..', path.join(dir, 'd/up'));
  fs.symlinkSync('a', path.join(dir, 'link'));
  execFileSync('mkfifo', [path.join(dir, 'pipe')]);
  const scan = (args) => cli(['scan', ...args], { cwd: dir, timeoutMs: 10000 });
  const gone = await scan(['gone', 'a']);
  assert.equal(gone.code, 1, 'found weighs more');
  assert.match(gone.stderr, /gone: No such file or directory\n/);
  assert.equal((await scan(['gone'])).code, 2);
  const loop = await scan(['loop']);
  assert.equal(loop.code, 2);
  assert.match(loop.stderr, /loop: Too many levels of symbolic links/);
  const zero = await scan(['/dev/zero']);
  assert.equal(zero.code, 2);
  assert.match(zero.stderr, /\/dev\/zero: is neither a regular file nor a pipe/);
  const all = await scan(['.']);
  assert.equal(all.code, 1);
  assert.match(all.stdout, /^a:1:1: [^\n]*\n$/, 'once');
  assert.match(all.stderr, /passed over: 3 symbolic links, 1 special file\n/);
  assert.match((await scan(['link'])).stdout, /^link:1:1: /, 'a link that is named is followed');
  assert.match((await scan(['d/up'])).stdout, /^d\/up\/a:1:1: /);
  assert.equal((await scan(['pipe'])).code, 0, 'a pipe that nobody writes into is empty');
});

test('a pipe that is named is read', async (t) => {
  const { code, stdout } = await run('bash', ['-c', `"$0" scan <(printf 'k=%s' ${KEY}) /dev/stdin <<<${OTHER}`, agentProgram()], { env, cwd: home });
  assert.equal(code, 1);
  assert.match(stdout, /^\/dev\/fd\/\d+:1:3: .*\n\/dev\/stdin:1:1: /);
  await t.test('/dev/zero as standard input ends', async () => {
    const zero = await run('bash', ['-c', '"$0" scan --max-size 1M --binary </dev/zero', agentProgram()], { env, cwd: home });
    assert.equal(zero.code, 2);
    assert.match(zero.stderr, /is longer than 1048576 bytes/);
  });
});

test('a folder that cannot be read', async (t) => {
  if (process.getuid() === 0) return t.skip('root reads everything');
  const dir = tree(t, { 'closed/x': KEY, a: KEY });
  fs.chmodSync(path.join(dir, 'closed'), 0);
  const result = await cli(['scan', '.'], { cwd: dir });
  fs.chmodSync(path.join(dir, 'closed'), 0o700);
  assert.equal(result.code, 1);
  assert.match(result.stderr, /closed: Permission denied/);
});

test('names that are no UTF-8', async (t) => {
  const dir = tree(t, {});
  const name = Buffer.from([0x61, 0xff, 0x0a, 0x62]);
  fs.writeFileSync(Buffer.concat([Buffer.from(`${dir}/`), name]), KEY);
  const { stdout } = await cli(['scan', '.'], { cwd: dir });
  assert.match(stdout, /^a<FF>\\nb:1:1: /);
  const [one] = JSON.parse((await cli(['scan', '--json', '.'], { cwd: dir })).stdout);
  assert.deepEqual([one.file, one.uri], ['a\ufffd\nb', 'a%FF%0Ab']);
  const sarif = checkSarif((await cli(['scan', '--sarif', '.'], { cwd: dir })).stdout);
  assert.equal(sarif.results[0].locations[0].physicalLocation.artifactLocation.uri, 'a%FF%0Ab');
});

test('output that goes nowhere', async (t) => {
  const dir = tree(t, { a: `${KEY}\n`.repeat(20000) });
  const full = await run('sh', ['-c', `"$0" scan ${dir}/a >/dev/full`, agentProgram()], { env, cwd: home });
  assert.equal(full.code, 2);
  assert.match(full.stderr, /the findings cannot be written: No space left on device/);
  const closed = await run('bash', ['-c', `set -o pipefail; "$0" scan ${dir}/a | head -n 1`, agentProgram()], { env, cwd: home });
  assert.ok(closed.code === 141 || closed.code === 2, String(closed.code));
  assert.equal(closed.stdout.split('\n').length, 2);
});

test('Ctrl-C: what was found is told, 130', async (t) => {
  for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143]]) {
    const dir = tree(t, { a: KEY });
    execFileSync('mkfifo', [`${dir}/pipe`]);
    const held = fs.openSync(`${dir}/pipe`, 'r+');
    t.after(() => fs.closeSync(held));
    for (const kind of [[], ['--json'], ['--sarif']]) {
      const child = new Child(agentProgram(), ['scan', ...kind, 'a', 'pipe'], { env, cwd: dir, t });
      await until(() => /a:1:1: |"rule":|"ruleId":/.test(child.stdout), 'the first finding');
      process.kill(child.pid, signal);
      const end = await child.wait(10000);
      assert.equal(end.code, code, end.stderr);
      assert.match(end.stderr, /interrupted: 1 finding in 1 file/);
      if (kind[0] === '--json') assert.equal(JSON.parse(end.stdout).length, 1);
      if (kind[0] !== '--sarif') continue;
      const [invocation] = checkSarif(end.stdout).invocations;
      assert.deepEqual([invocation.executionSuccessful, invocation.exitCode], [false, code]);
    }
  }
});

test('one line of 10 MB, 100,000 findings: time grows with the size', async (t) => {
  const words = Array.from({ length: 50000 }, (_, i) => `${'word'.repeat(20)} ${KEY} ${i}`).join(' ');
  const dir = tree(t, { line: `${words} ${words.slice(0, 10)}`, lines: `k=${KEY}\n`.repeat(100000), clean: 'lorem ipsum '.repeat(900000) });
  const begun = Date.now();
  const { stderr, code } = await cli(['scan', '.'], { cwd: dir, timeoutMs: 120000 });
  assert.equal(code, 1, stderr);
  assert.match(stderr, /150000 findings in 2 files/);
  assert.ok(Date.now() - begun < (process.env.HOOP_SANITIZER ? 100000 : 20000), `${Date.now() - begun} ms`);
});

test('options that do not go together', async () => {
  await says(2, /either --json or --sarif/, ['scan', '--json', '--sarif'], '');
  for (const option of ['--json', '--sarif', '--no-ignore', '--binary', '--list-rules'])
    await says(2, /does not go with --batch/, ['scan', '--batch', option], '');
  await says(2, /no FILE beside it/, ['scan', '--batch', 'x'], '');
  await says(2, /--list-rules takes --json alone/, ['scan', '--list-rules', 'x']);
});

// ---- Batches

test('scan --batch: one line for each, the same for every chunking', async () => {
  const texts = [
    'nothing',
    `ä ${KEY} ö`,
    `${KEY} ${KEY}`,
    `\u{1f600}${KEY}\u0000 "quoted" \\ \n next`,
    '',
    `split ${KEY.slice(0, 9)} ${KEY.slice(9)}`,
  ];
  const stdin = texts.map((text) => `${JSON.stringify({ id: 1, text })}\n`).join('');
  const whole = await cli(['scan', '--batch'], { stdin });
  assert.equal(whole.code, 1);
  const lines = whole.stdout.trimEnd().split('\n').map((line) => JSON.parse(line));
  assert.equal(lines.length, texts.length);
  for (const [i, { findings, masked }] of lines.entries()) {
    const bytes = Buffer.from(texts[i]);
    for (const { rule, start, end } of findings) {
      assert.equal(rule, 'aws-access-key');
      assert.equal(bytes.subarray(start, end).toString(), KEY);
    }
    assert.ok(!masked.includes(KEY));
    assert.equal(masked.replace(/\[aws-access-key:[a-z2-7]{12,}\]/g, KEY), texts[i]);
  }
  assert.deepEqual(lines.map((line) => line.findings.length), [0, 1, 2, 1, 0, 0]);
  // Without the daemon's key every run has its own masks.
  const shape = (out) => out.replace(/\[aws-access-key:[a-z2-7]+\]/g, 'MASK');
  for (const n of ['1', '2', '3', '7', '64', '100000']) {
    const chunked = await cli(['scan', '--batch', '--chunks', n], { stdin });
    assert.equal(shape(chunked.stdout), shape(whole.stdout), `chunks of ${n}`);
  }
});

test('scan --batch: what cannot be read is said in its place', async () => {
  const result = await cli(['scan', '--batch'], { stdin: '{"text":"a"}\nnot json\n{"text":1}\n{"text":"b"}' });
  assert.equal(result.code, 2);
  const lines = result.stdout.trimEnd().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(lines.map((line) => line.masked), ['a', undefined, undefined, 'b']);
  assert.ok(lines[1].error && lines[2].error);
  assert.equal((await cli(['scan', '--batch'], { stdin: '' })).code, 0);
  await says(2, /--chunks takes a number/, ['scan', '--batch', '--chunks', '0'], '');
  await says(2, /--chunks goes with --batch/, ['scan', '--chunks', '1']);
});

test('scan --batch: every answer names its line, and all get one', async () => {
  const bad = await cli(['scan', '--batch'], { stdin: `{"text":"a"}\r\n\n{"text":"\u0000 raw NUL"}\n[1]\n{"text":"${KEY}"}\n{"text":` });
  assert.equal(bad.code, 2);
  const lines = bad.stdout.trimEnd().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(lines.map((line) => line.error?.match(/^line (\d+): /)?.[1]), [undefined, '3', '4', undefined, '6']);
  assert.equal(lines[3].findings.length, 1);
  assert.match(bad.stderr, /3 of 6 lines could not be read; the first is line 3/);
});

test('scan --batch: a line beyond every limit is answered, the next too', async (t) => {
  const child = new Child(agentProgram(), ['scan', '--batch'], { env, cwd: home, input: 'pipe', t });
  const piece = 'x'.repeat(1 << 20);
  const write = (text) => new Promise((resolve) => child.process.stdin.write(text, resolve));
  await write('{"text":"');
  for (let i = 0; i < 200; i++) await write(piece);
  await write(`"}\n{"text":"${KEY}"}\n`);
  child.process.stdin.end();
  const { stdout, code } = await child.wait(60000);
  assert.equal(code, 2);
  const lines = stdout.trimEnd().split('\n').map((line) => JSON.parse(line));
  assert.match(lines[0].error, /^line 1: longer than/);
  assert.equal(lines[1].findings.length, 1);
});

test('scan --batch: offsets are those of the text, also inside JSON', async () => {
  const text = `{"a":"x\\n${KEY}","b":"{\\"c\\":\\"${OTHER}\\"}"}`;
  const { stdout } = await cli(['scan', '--batch'], { stdin: JSON.stringify({ text }) });
  const { findings } = JSON.parse(stdout);
  assert.deepEqual(findings.map((one) => text.slice(one.start, one.end)), [KEY, OTHER]);
});
