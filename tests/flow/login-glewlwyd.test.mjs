// SPDX-License-Identifier: Apache-2.0
// What glewlwyd says of its own beside yes: no, late, slower; renewals that
// bring no ID token, rotation, and revocation. (It has no page where a person
// says no: its access_denied is for codes that it does not know, or no more.)

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { startGlewlwyd } from '../providers/glewlwyd.mjs';
import { providersOff } from '../providers/install.mjs';
import { startAgent, startBackend, tempDir, until } from './lib/harness.mjs';
import { identityOf, Login, signIn } from './lib/signin.mjs';

/** Changes what the provider tells of a device code. */
function changeCode(provider, change) {
  provider.front.rewrite = (call, answer) => {
    if (!call.path.endsWith('/device_authorization')) return undefined;
    const told = { ...JSON.parse(answer.body), ...change };
    return { ...answer, body: JSON.stringify(told) };
  };
}

/** The words of its answers at the token endpoint, and when it was asked. */
function listen(provider) {
  const heard = [];
  const { rewrite } = provider.front;
  provider.front.rewrite = (call, answer) => {
    if (call.path.endsWith('/token')) {
      const { error = 'ok' } = JSON.parse(answer.body);
      heard.push({ word: error, at: call.at });
    }
    return rewrite?.(call, answer);
  };
  return heard;
}

async function denied(t, backend) {
  const provider = await startGlewlwyd(t);
  changeCode(provider, { device_code: 'made-up-device-code' });
  const heard = listen(provider);
  const agent = await startAgent(t, { backend, config: identityOf(provider) });
  const login = new Login(agent);
  await login.prompt();
  const end = await login.end();
  assert.equal(end.code, 6, JSON.stringify(end));
  assert.match(end.message, /access_denied/);
  assert.deepEqual(heard.map(({ word }) => word), ['access_denied']);
}

async function expired(t, backend) {
  const provider = await startGlewlwyd(t, { ttl: { device: 2 } });
  // Else the agent would know by itself, and not ask any more.
  changeCode(provider, { expires_in: 600, interval: 4 });
  const heard = listen(provider);
  const agent = await startAgent(t, { backend, config: identityOf(provider) });
  const login = new Login(agent);
  await login.prompt();
  const end = await login.end();
  assert.equal(end.code, 7, JSON.stringify(end));
  assert.deepEqual(heard.map(({ word }) => word), ['expired_token']);
}

async function slower(t, backend) {
  const provider = await startGlewlwyd(t, { interval: 3 });
  changeCode(provider, { interval: 1 });
  const heard = listen(provider);
  const agent = await startAgent(t, { backend, config: identityOf(provider) });
  const login = new Login(agent);
  const { user_code: code } = await login.prompt();
  const words = () => heard.map(({ word }) => word);
  await until(() => words().includes('slow_down'), 'slow_down', 20000);
  await provider.approve(code);
  const end = await login.end();
  assert.equal(end.code, 0, JSON.stringify(end));
  assert.deepEqual(end.groups, ['developers', 'ai-users']);
  assert.deepEqual(words(), ['authorization_pending', 'slow_down', 'ok']);
  assert.ok(heard[2].at - heard[1].at >= 5500, JSON.stringify(heard));
}

async function kept(t, backend) {
  const provider = await startGlewlwyd(t, { rotate: true, ttl: { id: 8 } });
  const secret = path.join(tempDir(t), 'secret');
  fs.writeFileSync(secret, provider.secret, { mode: 0o600 });
  const refreshes = [];
  provider.front.rewrite = (call, answer) => {
    if (call.form.grant_type !== 'refresh_token') return;
    const told = JSON.parse(answer.body);
    refreshes.push({ used: call.form.refresh_token, told });
  };
  const agent = await startAgent(t, {
    backend,
    config: identityOf(provider, 'corp', {
      'client-id': provider.secretId,
      'client-secret-file': secret,
    }),
  });
  const end = await signIn(agent, provider);
  assert.equal(end.code, 0, JSON.stringify(end));
  const session = async () => (await agent.status()).sessions[0];
  const first = (await session()).expires_us;
  await until(async () => (await session()).expires_us > first, 'the renewal', 30000);
  const { used, told } = refreshes[0];
  assert.equal(told.id_token, undefined);
  assert.notEqual(told.refresh_token ?? used, used, 'it did not rotate');
  // Known before, and not asked for again so soon.
  assert.deepEqual((await session()).groups, ['developers', 'ai-users']);
  const out = await agent.cli(['logout']);
  assert.equal(out.code, 0, out.stderr);
  const [revoked] = provider.front.callsOf('/api/oidc/revoke');
  assert.equal(revoked.status, 200);
  assert.equal(revoked.form.token, refreshes.at(-1).told.refresh_token);
}

test('glewlwyd', { skip: providersOff, concurrency: 4 }, async (t) => {
  const backend = await startBackend(t);
  const says = (what, fn) => t.test(what, (one) => fn(one, backend));
  await Promise.all([
    says('a code that it does not know is denied: 6', denied),
    says('a code that it lets go of is expired: 7', expired),
    says('asked too often: slow_down, which is heeded', slower),
    says('renewed without ID token, rotated, revoked', kept),
  ]);
});
