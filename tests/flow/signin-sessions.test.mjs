// SPDX-License-Identifier: Apache-2.0
// Sessions of real identity providers as the agent keeps them: over restarts,
// renewals, outages and their end, with a keyring and without, of people and
// machines, and what requests see of all that.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { after, before, beforeEach, test as nodeTest } from 'node:test';

import { OtlpReceiver } from '../fake/otlp.mjs';
import { startGlewlwyd } from '../providers/glewlwyd.mjs';
import { providersOff } from '../providers/install.mjs';
import { startOidcProvider } from '../providers/oidc-provider.mjs';
import {
  Agent,
  assertAbsent,
  assertNowhere,
  callOf,
  connectTunnel,
  Fixture,
  startAgent,
  startBackend,
  tempDir,
  until,
} from './lib/harness.mjs';
import { identityOf, Login, signIn, withKeyring } from './lib/signin.mjs';

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
  - id: everybody
    match: {group: "*", direction: request, prompt: blocked}
    action: block
  - id: careful
    match: {group: "*", direction: request, prompt: careful}
    action: approve
    by: [developer]
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
  return backend.reset();
});

function agentOf(t, options = {}) {
  const { config, from = provider, more, ...rest } = options;
  return startAgent(t, {
    backend,
    policy: POLICY,
    ...rest,
    config: { ...identityOf(from, 'corp', more), ...config },
  });
}

function clientOf(agent) {
  return agent.client({ mode: 'base-url', token: backend.token });
}

function ask(agent, prompt = 'hello') {
  const { path: target, body } = callOf('chat', prompt);
  return clientOf(agent).post(target, body);
}

function codeOf(answer) {
  return answer.status === 200 ? 'ok' : JSON.parse(answer.text).error.code;
}

async function sessionOf(agent, index = 0) {
  return (await agent.status()).sessions[index];
}

async function assertSignedIn(end) {
  assert.equal((await end).code, 0, JSON.stringify(await end));
}

/* ---- Where it is kept ---------------------------------------------------- */

test('a keyring keeps the session over a restart; nothing is in files', async (t) => {
  const agent = await agentOf(t, { wrapper: withKeyring() });
  await assertSignedIn(signIn(agent, provider));
  assert.equal((await sessionOf(agent)).storage, 'keyring');
  await agent.stop();
  await agent.restart();
  await until(async () => (await sessionOf(agent)).user, 'the session again');
  assert.equal(codeOf(await ask(agent)), 'ok');
  assert.equal((await agent.cli(['logout'])).code, 0);
  await agent.stop();
  await agent.restart();
  assert.equal(codeOf(await ask(agent)), 'not_signed_in');
});

test('without a keyring: in memory, which is said; gone with the agent', async (t) => {
  const agent = await agentOf(t);
  const end = await signIn(agent, provider);
  await assertSignedIn(end);
  assert.match(end.message, /memory/);
  assert.match((await agent.cli(['status'])).stdout, /memory only/);
  await agent.stop();
  await agent.restart();
  assert.equal(codeOf(await ask(agent)), 'not_signed_in');
});

test('a locked keyring is 9', async (t) => {
  const agent = await agentOf(t, { wrapper: withKeyring() });
  await assertSignedIn(signIn(agent, provider));
  await agent.stop();
  agent.options.wrapper = withKeyring({ locked: true });
  await agent.restart();
  const end = await new Login(agent).end();
  assert.equal(end.code, 9, JSON.stringify(end));
  assert.match(end.message, /locked/);
  assert.equal(codeOf(await ask(agent)), 'not_signed_in');
});

test('--insecure-storage: a file of 0600, which status shows', async (t) => {
  const agent = await agentOf(t);
  await assertSignedIn(signIn(agent, provider, 'dev', ['--insecure-storage']));
  assert.match((await agent.cli(['status'])).stdout, /insecure file/);
  assert.match((await agent.cli(['doctor'])).stdout, /warn +session .*insecure file/);
  const open = fs
    .readdirSync(agent.state, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.path, entry.name))
    .filter((file) => fs.statSync(file).mode & 0o077);
  assert.deepEqual(open, []);
  await agent.stop();
  await agent.restart();
  await until(async () => (await sessionOf(agent)).user, 'the session again');
  assert.equal(codeOf(await ask(agent)), 'ok');
});

/* ---- Its life ------------------------------------------------------------ */

/** Connections that stay open, as an IDE keeps them. */
function poolOf(agent, most) {
  return new https.Agent({
    keepAlive: true,
    maxSockets: most,
    maxFreeSockets: most,
    host: '127.0.0.1',
    port: agent.port,
    servername: 'localhost',
    ca: fs.readFileSync(agent.ca),
  });
}

function countSockets(pool) {
  return [pool.sockets, pool.freeSockets]
    .flatMap((byName) => Object.values(byName))
    .reduce((sum, list) => sum + list.length, 0);
}

function postBy(pool, target, body) {
  return new Promise((resolve, reject) => {
    const request = https.request(
      {
        agent: pool,
        method: 'POST',
        path: target,
        headers: {
          host: `localhost:${pool.options.port}`,
          authorization: `Bearer ${backend.token}`,
          'content-type': 'application/json',
        },
      },
      (response) => {
        let text = '';
        response.on('data', (part) => {
          text += part;
        });
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode, text }));
      },
    );
    request.on('error', reject);
    request.end(JSON.stringify(body));
  });
}

const crowd = process.env.HOOP_FULL ? 1000 : 200;

test(`${crowd} connections around a slow renewal: no request fails`, async (t) => {
  const life = crowd > 200 ? 80 : 24; // s: time to connect, and to spare
  const short = await startOidcProvider(t, { ttl: { id: life, access: life } });
  const agent = await agentOf(t, {
    from: short,
    config: {
      limits: { connections: crowd + 100 },
      // The stand-in is one thread, and all come to it at once.
      upstream: { 'connect-timeout': 60 },
    },
  });
  await assertSignedIn(signIn(agent, short));
  const refreshes = [];
  let renewing = false;
  short.front.fault = (call) => {
    if (call.form.grant_type !== 'refresh_token') return undefined;
    refreshes.push(call.form.refresh_token);
    renewing = true;
    return { delayMs: 2000 };
  };
  const renewed = async () => (await sessionOf(agent)).expires_us;
  const first = await renewed();
  const { path: target, body } = callOf('chat', 'hello');
  const seen = {};
  let sent = 0;
  let running = 0;
  let most = 0; // at once, while the provider is asked
  let over = false;
  const pool = poolOf(agent, crowd);
  t.after(() => pool.destroy());
  const work = async () => {
    while (sent < 1000 || !over) {
      sent++;
      running++;
      if (renewing && !over) most = Math.max(most, running);
      const code = codeOf(await postBy(pool, target, body));
      running--;
      seen[code] = (seen[code] ?? 0) + 1;
    }
  };
  // They come in turn: handshakes are not what is asked here.
  const workers = [];
  while (workers.length < crowd) {
    for (let i = 0; i < 20; i++) workers.push(work());
    await until(() => sent >= workers.length + 20, 'their first answers', 60000, 5);
  }
  assert.equal(renewing, false, 'it took too long to connect');
  assert.ok(countSockets(pool) >= crowd, `${countSockets(pool)} connections`);
  await until(
    async () => {
      over = (await renewed()) > first;
      return over;
    },
    'the renewal',
    1000 * life + 10000,
    200,
  );
  await Promise.all(workers);
  assert.deepEqual(Object.keys(seen), ['ok'], JSON.stringify(seen));
  t.diagnostic(`${sent} requests, ${most} at once during the renewal`);
  assert.ok(most >= crowd, `${most} at once during the renewal`);
  // Each refresh token was used once: one writer.
  assert.equal(new Set(refreshes).size, refreshes.length);
  const rows = await agent.journal('--kind', 'signin', '--limit', '0');
  assert.ok(rows.some((row) => row.verdict === 'renewed'));
});

test('a request waits for the renewal of a session that has ended', async (t) => {
  const short = await startOidcProvider(t, { ttl: { id: 6, access: 6 } });
  const agent = await agentOf(t, { from: short });
  await assertSignedIn(signIn(agent, short));
  // However late the answer comes, what it brings has not ended by then.
  short.change({ ttl: { id: 600, access: 600 } });
  let asked = false;
  let answerNow;
  const held = new Promise((resolve) => (answerNow = resolve));
  t.after(answerNow);
  short.front.rewrite = async (call, answer) => {
    if (call.form.grant_type !== 'refresh_token') return answer;
    asked = true;
    await held;
    return answer;
  };
  await until(
    async () => asked && !(await sessionOf(agent)).user,
    'the end of the session',
    30000,
    20,
  );
  const before = (await agent.status()).requests;
  const answer = ask(agent);
  await until(
    async () => (await agent.status()).requests > before,
    'the request',
    10000,
    20,
  );
  answerNow();
  assert.equal(codeOf(await answer), 'ok');
});

test('offline at a renewal: the session goes on to its end, and says so', async (t) => {
  const short = await startOidcProvider(t, { ttl: { id: 14, access: 14 } });
  const agent = await agentOf(t, { from: short });
  await assertSignedIn(signIn(agent, short));
  short.front.setOffline(true);
  await until(
    async () => (await sessionOf(agent)).problem,
    'word of the failed renewal',
    30000,
  );
  assert.equal(codeOf(await ask(agent)), 'ok');
  assert.match((await agent.cli(['doctor'])).stdout, /warn +session/);
  await until(
    async () => codeOf(await ask(agent)) === 'not_signed_in',
    'the end of the session',
    20000,
  );
  short.front.setOffline(false);
  await until(
    async () => codeOf(await ask(agent)) === 'ok',
    'the renewed session',
    60000,
  );
});

test('an end in the middle of a renewal loses no rotated token', async (t) => {
  const short = await startOidcProvider(t, { ttl: { id: 8, access: 8 } });
  const agent = await agentOf(t, { from: short });
  await assertSignedIn(signIn(agent, short, 'dev', ['--insecure-storage']));
  let asked = 0;
  short.front.rewrite = async (call, answer) => {
    if (call.form.grant_type !== 'refresh_token' || asked++) return answer;
    // The provider has rotated; its word is still on the way.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    return answer;
  };
  await until(() => asked, 'the renewal', 30000, 20);
  await agent.stop();
  short.change({ ttl: { id: 600, access: 600 } });
  await agent.restart();
  await until(async () => (await sessionOf(agent)).user, 'the session again');
  assert.equal(codeOf(await ask(agent)), 'ok');
});

test('a session that the provider ended is over, and on record', async (t) => {
  const short = await startOidcProvider(t, { ttl: { id: 6, access: 6 } });
  const agent = await agentOf(t, { from: short });
  await assertSignedIn(signIn(agent, short));
  short.front.fault = (call) =>
    call.form.grant_type === 'refresh_token'
      ? {
          status: 400,
          headers: ['content-type', 'application/json'],
          body: '{"error":"invalid_grant"}',
        }
      : undefined;
  await until(
    async () => codeOf(await ask(agent)) === 'not_signed_in',
    'the end of the session',
    20000,
  );
  await agent.journalUntil((rows) =>
    rows.some((row) => row.kind === 'signin' && row.verdict === 'revoked'),
  );
});

test('new signing keys are fetched when a token needs them', async (t) => {
  const own = await startOidcProvider(t, { alg: 'ES256' });
  const agent = await agentOf(t, { from: own });
  await assertSignedIn(signIn(agent, own));
  own.rotateKeys();
  await assertSignedIn(signIn(agent, own, 'lone'));
  assert.equal((await sessionOf(agent)).user, 'lone');
});

/* ---- What requests see --------------------------------------------------- */

test('a stream that runs when the session ends is finished, the next refused', async (t) => {
  const agent = await agentOf(t);
  await assertSignedIn(signIn(agent, provider));
  await backend.answer('/chat/completions', {
    deltas: Array(30).fill('word '),
    delayMs: 100,
  });
  const { path: target, body } = callOf('chat', 'hello', { stream: true });
  let begun = false;
  const stream = clientOf(agent).stream(target, body, {
    onEvent: () => {
      begun = true;
    },
  });
  await until(() => begun, 'the first event');
  assert.equal((await agent.cli(['logout'])).code, 0);
  assert.equal(codeOf(await ask(agent)), 'not_signed_in');
  const answer = await stream;
  assert.match(answer.text, /\[DONE\]/);
  assert.equal(answer.text.match(/word /g).length, 30);
});

test('a held request whose session ends waits for who asked', async (t) => {
  const agent = await agentOf(t);
  await assertSignedIn(signIn(agent, provider));
  const answer = ask(agent, 'careful now');
  const [held] = await until(async () => {
    const list = await agent.json('pending');
    return list.length > 0 && list;
  }, 'a pending request');
  assert.equal((await agent.cli(['logout'])).code, 0);
  // Somebody else cannot answer for who asked.
  await assertSignedIn(signIn(agent, provider, 'none'));
  const granted = await agent.cli(['approve', held.id, '--for', '10m']);
  assert.notEqual(granted.code, 0);
  assert.match(granted.stderr, /signed out meanwhile/);
  const approved = await agent.cli(['approve', held.id]);
  assert.notEqual(approved.code, 0);
  assert.match(approved.stderr, /somebody else's request/);
  assert.equal((await agent.cli(['logout'])).code, 0);
  assert.notEqual((await agent.cli(['approve', held.id])).code, 0);
  assert.equal((await backend.modelCalls()).length, 0);
  // The same person, signed in again, can.
  await assertSignedIn(signIn(agent, provider));
  assert.equal((await agent.cli(['approve', held.id])).code, 0);
  assert.equal((await answer).status, 200);
  assert.equal((await backend.modelCalls()).length, 1);
});

test('a body that comes after its session has ended is refused', async (t) => {
  const agent = await agentOf(t);
  await assertSignedIn(signIn(agent, provider));
  const { path: target, body } = callOf('chat', 'hello');
  const text = JSON.stringify(body);
  let finish;
  const answer = clientOf(agent).post(target, body, {
    headers: { expect: '100-continue' },
    write: (req) => {
      req.flushHeaders();
      req.on('continue', () => {
        finish = () => req.end(text);
      });
    },
  });
  await until(() => finish, 'the head to be let in');
  assert.equal((await agent.cli(['logout'])).code, 0);
  await assertSignedIn(signIn(agent, provider, 'none'));
  finish();
  assert.equal(codeOf(await answer), 'not_signed_in');
  assert.equal((await backend.modelCalls()).length, 0);
});

test('tunnels need a session too', async (t) => {
  const agent = await agentOf(t);
  const authority = `127.0.0.1:${provider.front.port}`;
  const refused = await connectTunnel(agent.port, authority);
  assert.equal(refused.status, 403, refused.head);
  refused.socket.destroy();
  await assertSignedIn(signIn(agent, provider));
  const open = await connectTunnel(agent.port, authority);
  assert.equal(open.status, 200, open.head);
  // It is its own person's to its end, whoever signs in meanwhile.
  await agent.cli(['logout']);
  await assertSignedIn(signIn(agent, provider, 'none'));
  open.socket.destroy();
  const rows = await agent.journalUntil(
    (list) => list.filter((row) => row.kind === 'tunnel' && row.user).length > 1,
  );
  const users = rows.filter((row) => row.kind === 'tunnel').map((row) => row.user);
  assert.deepEqual([...new Set(users.filter(Boolean))], ['dev']);
  assert.ok(rows.some((row) => row.verdict === 'not-signed-in'));
});

for (const user of ['none', 'overage'])
  test(`groups that are not known (${user}): the strictest rules, and why`, async (t) => {
    const agent = await agentOf(t);
    const end = await signIn(agent, provider, user);
    await assertSignedIn(end);
    assert.ok(end.groups_unknown, JSON.stringify(end));
    assert.equal(end.groups, undefined);
    assert.equal(codeOf(await ask(agent)), 'policy_denied');
    const rows = await agent.journalUntil((list) =>
      list.some((row) => row.kind === 'request'),
    );
    const { exchange } = rows.find((row) => row.kind === 'request');
    const why = await agent.cli(['why', exchange]);
    assert.match(why.stdout, /groups +not known \(.+\): the strictest/);
    assert.match(why.stdout, /group is not known and counts/);
    assert.match((await agent.cli(['whoami'])).stdout, /groups not known/);
    assert.match((await agent.cli(['status'])).stdout, /groups not known/);
    const explained = await agent.cli(['policy', 'explain', '-'], { stdin: 'hello' });
    assert.match(explained.stdout, /contractors-stay-out/);
  });

test('an issuer without groups: in none, and that is known', async (t) => {
  const agent = await agentOf(t, { more: { 'groups-claim': 'none' } });
  // A group of the token's is not looked at.
  const end = await signIn(agent, provider, 'lone');
  await assertSignedIn(end);
  assert.deepEqual(end.groups, []);
  assert.equal(codeOf(await ask(agent)), 'ok');
  const held = await ask(agent, 'say blocked');
  assert.equal(codeOf(held), 'policy_denied', held.text);
  assert.match((await agent.cli(['whoami'])).stdout, /in no group/);
  const rows = await agent.journalUntil((list) =>
    list.some((row) => row.kind === 'request' && row.verdict === 'block'),
  );
  const { exchange } = rows.find((row) => row.kind === 'request');
  const why = await agent.cli(['why', exchange]);
  assert.doesNotMatch(why.stdout, /not known/);
});

test('each connection has the session of its issuer', async (t) => {
  const other = await startGlewlwyd(t);
  const agent = await agentOf(t, {
    config: {
      ...identityOf(other, 'partner'),
      'connection "copilot"': { issuer: 'partner', upstream: backend.url },
    },
  });
  await assertSignedIn(signIn(agent, provider));
  assert.equal(codeOf(await ask(agent)), 'not_signed_in');
  await assertSignedIn(signIn(agent, other, 'dev', ['--issuer', 'partner']));
  assert.equal(codeOf(await ask(agent)), 'ok');
  const rows = await agent.journalUntil((list) =>
    list.some((row) => row.kind === 'request' && row.user),
  );
  const request = rows.find((row) => row.kind === 'request' && row.user);
  assert.equal(request.issuer, other.issuer);
  const who = await agent.json('whoami');
  assert.deepEqual(who.sessions.map((s) => s.name), ['corp', 'partner']);
  const out = await agent.cli(['logout', '--issuer', other.issuer]);
  // glewlwyd revokes for clients with a secret alone.
  assert.match(out.stderr, /over here, but the provider could not be told/);
  assert.equal(codeOf(await ask(agent)), 'not_signed_in');
  assert.equal((await sessionOf(agent, 0)).user, 'dev');
});

/* ---- Machines ------------------------------------------------------------ */

test('a machine by its credentials: nobody is asked', async (t) => {
  const secret = path.join(tempDir(t), 'secret');
  fs.writeFileSync(secret, provider.machineSecret, { mode: 0o600 });
  const agent = await agentOf(t, {
    policy: POLICY.replace('contractors, direction', 'contractors, model: none, direction'),
    more: { 'client-id': provider.machineId, 'client-secret-file': secret },
  });
  const end = await new Login(agent, ['--client-credentials']).end();
  assert.equal(end.code, 0, JSON.stringify(end));
  assert.equal((await sessionOf(agent)).machine, true);
  assert.equal(codeOf(await ask(agent)), 'ok');
  const answer = await ask(agent, 'careful now');
  assert.equal(codeOf(answer), 'policy_denied');
  assert.match(answer.text, /nobody can be asked/);
  assert.deepEqual(await agent.json('pending'), []);
  await agent.stop();
  await agent.restart();
  await until(async () => (await sessionOf(agent)).user, 'the machine again');
  assert.equal((await sessionOf(agent)).machine, true);
  assert.equal(codeOf(await ask(agent)), 'ok');
  assertNowhere(agent.state, provider.machineSecret);
});

/** An ID token as a CI system would mount it. */
async function idToken(user) {
  const browser = provider.browser();
  const post = async (target, form) => {
    const page = await browser.request(`${provider.issuer}${target}`, {
      method: 'POST',
      body: new URLSearchParams({ client_id: provider.clientId, ...form }).toString(),
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        accept: 'application/json',
      },
    });
    return JSON.parse(page.text);
  };
  const started = await post('/device/auth', { scope: provider.scopes });
  await provider.approve(started.user_code, user);
  const grant = 'urn:ietf:params:oauth:grant-type:device_code';
  const told = await post('/token', {
    grant_type: grant,
    device_code: started.device_code,
  });
  return told.id_token;
}

test('a machine by a token that is mounted', async (t) => {
  const agent = await agentOf(t);
  const file = path.join(agent.dir, 'token');
  fs.writeFileSync(file, await idToken('dev'), { mode: 0o600 });
  const made = await agent.cli(['login', '--token-file', 'token']);
  assert.equal(made.code, 0, made.stderr);
  assert.match(made.stdout, /Signed in: dev, groups developers, ai-users; .*a machine/);
  assert.equal(codeOf(await ask(agent)), 'ok');
  assert.equal(codeOf(await ask(agent, 'careful now')), 'policy_denied');
  await agent.stop();
  await agent.restart();
  await until(async () => (await sessionOf(agent)).user, 'the machine again');
  fs.writeFileSync(file, await idToken('lone'), { mode: 0o600 });
  await agent.stop();
  await agent.restart();
  const told = await until(
    async () => (await sessionOf(agent)).problem,
    'word of the other token',
  );
  assert.match(told, /another person's/);
  assert.equal(codeOf(await ask(agent)), 'not_signed_in');
  fs.writeFileSync(file, 'made.up.token');
  fs.chmodSync(file, 0o644);
  const bad = await agent.cli(['login', '--token-file', file]);
  assert.equal(bad.code, 8, bad.stderr);
  assert.match(bad.stderr, /others may read/);
});

/* ---- Configuration and secrets ------------------------------------------- */

test('a secret that others may read is refused at the start', async (t) => {
  const dir = tempDir(t);
  const secret = path.join(dir, 'secret');
  fs.writeFileSync(secret, 'made-up', { mode: 0o640 });
  fs.chmodSync(secret, 0o640);
  const agent = new Agent(t, {
    backend,
    policy: POLICY,
    config: identityOf(provider, 'corp', { 'client-secret-file': secret }),
  });
  await assert.rejects(agent.start(), /client-secret-file: .*(mode|0?640|others)/);
});

test('tokens are in no log, record or file', async (t) => {
  const agent = await agentOf(t, { wrapper: withKeyring() });
  const before_ = provider.front.secrets.size;
  await assertSignedIn(signIn(agent, provider));
  const login = new Login(agent, ['--browser']);
  await provider.signIn((await login.prompt()).url);
  await assertSignedIn(login.end());
  assert.equal(codeOf(await ask(agent)), 'ok');
  await agent.cli(['logout']);
  await agent.stop();
  const secrets = [...provider.front.secrets].slice(before_);
  assert.ok(secrets.length >= 8, `only ${secrets.length} tokens went through`);
  // The keyring is where they belong, encrypted.
  for (const secret of secrets) {
    assertNowhere(agent.dir, secret);
    assertAbsent(agent.log(), secret, 'the log');
  }
});

/* ---- The session's token for shipping ------------------------------------ */

test('shipping takes the access token of the session, as it is renewed', async (t) => {
  const corp = await startOidcProvider(t, {
    audience: 'https://collector.example',
    ttl: { id: 8, access: 8 },
  });
  const receiver = await new OtlpReceiver().start(t);
  const agent = await agentOf(t, {
    from: corp,
    config: { ship: { endpoint: receiver.url, issuer: 'corp', interval: 3600 } },
  });
  assert.equal(codeOf(await ask(agent)), 'not_signed_in');
  const early = await agent.cli(['ship', '--now']);
  assert.equal(early.code, 5);
  assert.match(early.stderr, /waits for a sign-in.*hoop-agent login/);
  assert.match((await agent.cli(['ship', '--status'])).stdout, /waits for a sign-in/);
  assert.equal(receiver.headers.length, 0);
  await assertSignedIn(signIn(agent, corp));
  await until(() => receiver.seqs.length > 0, 'rows, once somebody is signed in', 20000);
  const tokenOf = (headers) => headers.authorization.replace(/^Bearer /, '');
  const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
  const first = tokenOf(receiver.headers[0]);
  assert.deepEqual([claims(first).aud].flat(), ['https://collector.example']);
  await until(
    () => receiver.headers.some((one) => tokenOf(one) !== first),
    'the renewed token',
    30000,
  );
  const shipping = (await agent.status()).shipping;
  assert.equal(shipping.problem, undefined);
  assertNowhere(agent.dir, first);
});
