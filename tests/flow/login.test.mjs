// SPDX-License-Identifier: Apache-2.0
// Signing in at real identity providers, from the command line to the first
// request and the record: device and browser flow, and what goes wrong.

import assert from 'node:assert/strict';
import { after, before, beforeEach, test as nodeTest } from 'node:test';

import { providersOff } from '../providers/install.mjs';
import { startLemonLdap } from '../providers/lemonldap.mjs';
import { startOidcProvider } from '../providers/oidc-provider.mjs';
import {
  agentProgram,
  callOf,
  Child,
  Fixture,
  startAgent,
  startBackend,
  until,
} from './lib/harness.mjs';
import { identityOf, Login, signIn } from './lib/signin.mjs';

const POLICY = `
version: 1
default: allow
tunnels: allow
groups:
  contractors: [contractors]
rules:
  - id: contractors-stay-out
    match: {group: contractors, direction: request}
    action: block
    message: Ask your lead.
`;

const test = (name, fn) => nodeTest(name, { skip: providersOff }, fn);
const fixture = new Fixture();
let backend;
let provider;

before(async () => {
  if (providersOff) return;
  backend = await startBackend(fixture);
  provider = await startOidcProvider(fixture);
});
after(() => fixture.close());
beforeEach(() => {
  if (providersOff) return undefined;
  provider.front.fault = provider.front.rewrite = undefined;
  provider.front.setOffline(false);
  return backend.reset();
});

function agentOf(t, options = {}) {
  const { config, more, ...rest } = options;
  return startAgent(t, {
    backend,
    policy: POLICY,
    ...rest,
    config: { ...identityOf(provider, 'corp', more), ...config },
  });
}

function ask(agent, prompt = 'hello') {
  const client = agent.client({ mode: 'base-url', token: backend.token });
  const { path, body } = callOf('chat', prompt);
  return client.post(path, body);
}

async function assertRefused(agent) {
  const answer = await ask(agent);
  assert.equal(answer.status, 400, answer.text);
  const { error } = JSON.parse(answer.text);
  assert.equal(error.code, 'not_signed_in');
  assert.match(error.message, /hoop-agent login/);
}

test('device flow: from the refusal to the record', async (t) => {
  const agent = await agentOf(t);
  await assertRefused(agent);
  const refused = await agent.journalUntil((rows) =>
    rows.some((row) => row.kind === 'request'),
  );
  assert.equal(refused.find((row) => row.kind === 'request').user ?? null, null);
  assert.equal((await agent.cli(['whoami'])).code, 4);

  const login = new Login(agent);
  const prompt = await login.prompt();
  assert.equal(prompt.method, 'device');
  assert.equal(prompt.url, `${provider.issuer}/device`);
  assert.match(prompt.url_whole, /user_code=/);
  await provider.approve(prompt.user_code);
  const approved = Date.now();
  const end = await login.end();
  assert.equal(end.code, 0, end.stderr);
  assert.equal(end.event, 'signed-in');
  assert.equal(end.subject, 'dev');
  assert.deepEqual(end.groups, ['developers', 'ai-users']);
  const answer = await ask(agent);
  assert.equal(answer.status, 200, answer.text);
  const took = Date.now() - approved;
  t.diagnostic(`${took} ms from the approval to the first answer, polling each 1000 ms`);
  assert.ok(took < 5000, 'login took longer than it polls');

  const rows = await agent.journalUntil((list) =>
    list.some((row) => row.kind === 'response' && row.user),
  );
  const request = rows.find((row) => row.kind === 'request' && row.user);
  assert.equal(request.user, 'dev');
  assert.equal(request.issuer, provider.issuer);
  assert.equal(request.groups, 'developers,ai-users');
  assert.ok(rows.some((r) => r.kind === 'signin' && r.verdict === 'signed-in'));

  const who = await agent.json('whoami');
  assert.equal(who.user, 'dev');
  assert.equal(who.sessions[0].name, 'corp');
  assert.ok(who.sessions[0].expires_us > Date.now() * 1000);
  const status = await agent.cli(['status']);
  assert.match(status.stdout, /session +corp: dev, groups developers, ai-users; until \d\d:\d\d/);

  const out = await agent.cli(['logout']);
  assert.equal(out.code, 0, out.stderr);
  assert.ok(provider.front.callsOf('/token/revocation').length, 'not revoked');
  await assertRefused(agent);
  assert.equal((await agent.cli(['whoami'])).code, 4);
});

test('what a person reads', async (t) => {
  const agent = await agentOf(t);
  const child = new Child(agentProgram(), ['login'], { env: agent.env, t });
  await until(() => /Waiting/.test(child.stdout), 'the prompt');
  const shown = child.stdout;
  const [, code] = /2\. Enter {2}(\S+) +\(expires in \d+:\d\d\)/.exec(shown);
  assert.match(shown, /^Signing in to https:\/\/localhost:\d+ \(hoop-agent on \S+\)\n/);
  assert.match(shown, /\n {2}1\. Open {3}https:\/\/localhost:\d+\/device\n/);
  assert.match(shown, /Only approve a code shown by this command\./);
  assert.doesNotMatch(shown, /[\x00-\x09\x0b-\x1f\x7f]/);
  await provider.approve(code, 'lone');
  const { code: exit, stdout } = await child.wait();
  assert.equal(exit, 0, child.stderr);
  assert.match(stdout, /Signed in: lone, groups contractors; until \d\d:\d\d\n/);
  // Its one group is a string in the token, and decides.
  const answer = await ask(agent);
  assert.equal(JSON.parse(answer.text).error.code, 'policy_denied');
});

/** login on a terminal of its own; what it showed, once the code is there. */
async function onTerminal(t, agent, args) {
  const command = [agentProgram(), 'login', ...args].join(' ');
  const child = new Child('script', ['-qfec', command, '/dev/null'], {
    env: { ...agent.env, TERM: 'xterm-256color' },
    t,
  });
  await until(() => /\d:\d\d left/.test(child.stdout), 'the countdown');
  return child;
}

test('on a terminal: a QR code and a countdown', async (t) => {
  const agent = await agentOf(t);
  const child = await onTerminal(t, agent, []);
  const qr = child.stdout
    .split('\n')
    .filter((line) => line.includes('\x1b[38;5;16;48;5;231m'))
    .map((line) => line.replace(/\x1b\[[\d;]*m|\r/g, ''));
  assert.ok([33, 37].includes(qr[0].length), child.stdout);
  assert.equal(qr.length, (qr[0].length + 1) / 2);
  assert.ok(qr.every((line) => line.length === qr[0].length));
  const seconds = () =>
    new Set([...child.stdout.matchAll(/(\d:\d\d) left/g)].map(([, s]) => s));
  await until(() => seconds().size >= 2, 'the countdown that goes on');
  const [, code] = /Enter {2}(\S+)/.exec(child.stdout);
  await provider.approve(code);
  assert.equal((await child.wait()).code, 0, child.stdout);
  assert.match(child.stdout, /\r\x1b\[KSigned in: dev/);

  const plain = await onTerminal(t, agent, ['--no-qr']);
  assert.doesNotMatch(plain.stdout, /[▀▄█]/);
});

test('denied is 6', async (t) => {
  const agent = await agentOf(t);
  const login = new Login(agent);
  await provider.deny((await login.prompt()).user_code);
  const end = await login.end();
  assert.equal(end.code, 6, end.stderr);
  assert.equal(end.event, 'denied');
  await assertRefused(agent);
});

test('a code that nobody uses is 7', async (t) => {
  const short = await startOidcProvider(t, { ttl: { device: 2 } });
  const agent = await agentOf(t, { config: identityOf(short) });
  const login = new Login(agent);
  await login.prompt();
  const end = await login.end();
  assert.equal(end.code, 7, JSON.stringify(end));
});

test('a provider out of reach is 5, an unknown issuer 2', async (t) => {
  const agent = await agentOf(t);
  provider.front.setOffline(true);
  const end = await new Login(agent).end();
  assert.equal(end.code, 5, JSON.stringify(end));
  const unknown = await agent.cli(['login', '--issuer', 'elsewhere']);
  assert.equal(unknown.code, 2, unknown.stderr);
  assert.match(unknown.stderr, /elsewhere/);
});

test('a forged ID token is 8', async (t) => {
  const agent = await agentOf(t);
  provider.front.rewrite = (call, answer) => {
    if (call.path !== '/token' || answer.status !== 200) return undefined;
    const told = JSON.parse(answer.body);
    const [head, , signature] = told.id_token.split('.');
    const claims = Buffer.from(
      JSON.stringify({
        sub: 'root',
        iss: provider.issuer,
        aud: provider.clientId,
        iat: Math.floor(Date.now() / 1000),
        exp: Math.floor(Date.now() / 1000) + 600,
      }),
    ).toString('base64url');
    told.id_token = [head, claims, signature].join('.');
    return { ...answer, body: JSON.stringify(told) };
  };
  const end = await signIn(agent, provider);
  assert.equal(end.code, 8, JSON.stringify(end));
  await assertRefused(agent);
});

test('slow_down is heeded', async (t) => {
  const agent = await agentOf(t);
  const polls = [];
  provider.front.fault = (call) => {
    if (call.path !== '/token') return undefined;
    polls.push(Date.now());
    return polls.length === 1
      ? {
          status: 400,
          headers: ['content-type', 'application/json'],
          body: '{"error":"slow_down"}',
        }
      : undefined;
  };
  const login = new Login(agent);
  await provider.approve((await login.prompt()).user_code);
  const end = await login.end();
  assert.equal(end.code, 0, end.stderr);
  assert.ok(polls[1] - polls[0] >= 5500, `${polls[1] - polls[0]} ms`);
});

test('browser flow: code and PKCE on loopback', async (t) => {
  const agent = await agentOf(t);
  const login = new Login(agent, ['--browser']);
  const prompt = await login.prompt();
  assert.equal(prompt.method, 'browser');
  const url = new URL(prompt.url);
  assert.equal(url.searchParams.get('code_challenge_method'), 'S256');
  assert.match(url.searchParams.get('redirect_uri'), /^http:\/\/127\.0\.0\.1:\d+\/callback$/);
  const page = await provider.signIn(prompt.url);
  assert.equal(page.status, 200, page.text);
  const end = await login.end();
  assert.equal(end.code, 0, end.stderr);
  assert.equal(end.subject, 'dev');
  assert.equal((await ask(agent)).status, 200);
});

test('PS256, and the groups that userinfo alone tells', async (t) => {
  const other = await startOidcProvider(t, { alg: 'PS256', claimsIn: 'userinfo' });
  const agent = await agentOf(t, { config: identityOf(other) });
  const end = await signIn(agent, other);
  assert.equal(end.code, 0, JSON.stringify(end));
  assert.deepEqual(end.groups, ['developers', 'ai-users']);
  const [asked] = other.front.callsOf('/me');
  assert.match(asked.headers.authorization, /^Bearer /);
});

test('without a device flow the browser is used, which is said', async (t) => {
  const plain = await startOidcProvider(t, { device: false });
  const agent = await agentOf(t, { config: identityOf(plain) });
  const login = new Login(agent);
  const prompt = await login.prompt();
  assert.equal(prompt.method, 'browser');
  assert.ok(prompt.fallback, JSON.stringify(prompt));
  await plain.signIn(prompt.url);
  assert.equal((await login.end()).code, 0);
  const device = await new Login(agent, ['--device']).end();
  assert.equal(device.code, 1, JSON.stringify(device));
});

test('LemonLDAP::NG: code and PKCE at one redirect port', async (t) => {
  const lemon = await startLemonLdap(t);
  const more = { 'redirect-port': lemon.redirectPort };
  const agent = await agentOf(t, { config: identityOf(lemon, 'corp', more) });
  for (const [user, groups] of [
    ['dwho', ['timelords', 'users']],
    ['rtyler', ['earthlings', 'users']],
  ]) {
    const login = new Login(agent);
    await lemon.signIn((await login.prompt()).url, user);
    const end = await login.end();
    assert.equal(end.code, 0, JSON.stringify(end));
    assert.equal(end.user, user);
    assert.deepEqual(end.groups.sort(), groups);
    assert.equal((await ask(agent)).status, 200);
  }
});

test('Ctrl-C and a caller that is killed cancel the sign-in', async (t) => {
  const agent = await agentOf(t);
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGKILL', null],
  ]) {
    const login = new Login(agent);
    const { user_code: userCode } = await login.prompt();
    process.kill(login.child.pid, signal);
    assert.equal((await login.end()).code, code);
    await until(
      async () => !(await agent.status()).sessions[0].signing_in,
      'the end of the sign-in',
    );
    await provider.approve(userCode);
    await assertRefused(agent);
  }
  assert.equal((await signIn(agent, provider)).code, 0);
});
