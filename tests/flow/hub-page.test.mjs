// SPDX-License-Identifier: Apache-2.0
// The reviewers' page as browsers without scripts use it, and as attackers do:
// real provider, real hub.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { ensureCa, mintLeaf } from '../fake/ca.mjs';
import { Fixture, tempDir, until } from './lib/harness.mjs';
import { accessToken } from './lib/hub.mjs';
import { AUDIENCE, startHubPage, USERS } from './lib/hub-page.mjs';

const fixture = new Fixture();
const NASTY = (n) => `"><img src=x onerror=p${n}>'`;
let site;
let machines;
let bob;
let chat;

/** What a chat has for webhooks: {messages, faults, swap(trusted)}. */
async function startChat() {
  const dir = tempDir(fixture, 'hoop-chat-');
  const trusted = ensureCa(dir, 'made-up CA');
  const leafOf = (ca) => {
    const { certPem: cert, keyPem: key } = mintLeaf(ca, { hosts: ['localhost'] });
    return { cert, key };
  };
  const foreign = leafOf(ensureCa(tempDir(fixture, 'hoop-chat-'), 'other CA'));
  const good = leafOf(trusted);
  const messages = [];
  const faults = [];
  const server = https.createServer(good, (request, response) => {
    let text = '';
    request.on('data', (part) => (text += part));
    request.on('end', () => {
      messages.push({ path: request.url, text });
      const fault = faults.shift() ?? 200;
      if (fault === 'drop') request.socket.destroy();
      else response.writeHead(fault, { location: '/elsewhere' }).end('no');
    });
  });
  server.on('tlsClientError', () => {});
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  fixture.after(() => {
    server.closeAllConnections?.();
    server.close();
  });
  const file = path.join(dir, 'url');
  const { port } = server.address();
  fs.writeFileSync(file, `https://localhost:${port}/made-up-hook\n`, { mode: 0o600 });
  return {
    messages,
    faults,
    config: { 'url-file': file, 'ca-file': trusted.cert },
    swap(trust) {
      server.setSecureContext(trust ? good : foreign);
      server.closeAllConnections?.();
    },
  };
}

before(async () => {
  chat = await startChat();
  site = await startHubPage(
    fixture,
    { webhook: chat.config },
    {
      users: {
        ...USERS,
        evil: { preferred_username: NASTY(0), groups: ['team-leads'] },
      },
    },
  );
  machines = {
    ada: await site.machine('ada'),
    eve: await site.machine('eve'),
  };
  bob = await site.browser('bob');
});
after(() => fixture.close());

/** Headers of a form that a page of the hub sends. */
const own = () => ({
  origin: site.url,
  'sec-fetch-site': 'same-origin',
  'content-type': 'application/x-www-form-urlencoded',
});

const post = (browser, where, fields, headers = own()) =>
  browser.request(site.url + where, {
    method: 'POST',
    body: new URLSearchParams(fields).toString(),
    headers,
  });

/** The form to answer, of a page that has one. */
const formOf = (page) => page.forms.find((form) => form.fields.digest);

const answer = async (browser, id, fields, headers) => {
  const page = await browser.open(`${site.url}/reviews/${id}`);
  const form = formOf(page);
  const values = { ...form?.fields, ...fields };
  return post(browser, `/reviews/${id}`, values, headers);
};

const cookieOf = (browser) =>
  browser.cookies.get(new URL(site.url).host)?.get('__Host-hoop-hub');

test('signed in: the inbox, a review, an approval with a reason', async () => {
  assert.equal(bob.page.status, 200);
  assert.equal(bob.page.url, `${site.url}/`);
  assert.match(bob.page.text, /Nothing waits for your answer/);
  const review = await machines.ada.post({
    text: 'Tell [aws-access-key:k5mq7tw2abcd] a\u202Ejoke.',
    masks: true,
    needs_reason: true,
    justification: 'It is needed.',
  });
  const inbox = await bob.open(`${site.url}/`);
  assert.match(inbox.text, /<title>\(1\) Waiting/);
  assert.match(inbox.text, new RegExp(`href="/reviews/${review.id}"`));
  const page = await bob.open(`${site.url}/reviews/${review.id}`);
  assert.match(page.text, /<mark id="m1">\[aws-access-key:k5mq7tw2abcd\]</);
  assert.match(page.text, /&lt;U\+202E&gt;/);
  assert.ok(!page.text.includes('\u202E'));
  assert.match(page.text, /It is needed\./);
  assert.equal(formOf(page).fields.digest, review.digest);
  const unsaid = await answer(bob, review.id, { answer: 'approved-masked' });
  assert.equal(unsaid.status, 400);
  assert.match(unsaid.text, /an approval of this needs a reason/);
  const other = await answer(bob, review.id, {
    answer: 'approved-masked',
    reason: 'seen',
    digest: 'f'.repeat(64),
  });
  assert.equal(other.status, 400);
  assert.match(other.text, /seen<\/textarea>/);
  const said = await answer(bob, review.id, {
    answer: 'approved-masked',
    reason: 'seen & weighed',
  });
  assert.equal(said.status, 303, said.text);
  const done = await bob.open(`${site.url}/reviews/${review.id}`);
  assert.match(done.text, /Approved as masked/);
  assert.match(done.text, /seen &amp; weighed/);
  const late = await post(bob, `/reviews/${review.id}`, {
    ...formOf(page).fields,
    answer: 'denied',
  });
  assert.equal(late.status, 409);
  assert.match(late.text, /came too late and changed nothing/);
  const history = await bob.open(`${site.url}/history?words=ADA+approved`);
  assert.match(history.text, new RegExp(review.id));
  const nothing = await bob.open(`${site.url}/history?words=zzz`);
  assert.match(nothing.text, /Nothing is here/);
});

test('two people: one in two groups is one, and nobody answers their own', async () => {
  const rules = [
    { id: 'two', message: null, groups: ['leads', 'security'], count: 2, each: false },
  ];
  delete rules[0].message;
  const review = await machines.ada.post({ rules });
  const ada = await site.browser('ada');
  const cyd = await site.browser('cyd');
  const shown = await ada.open(`${site.url}/reviews/${review.id}`);
  assert.equal(formOf(shown), undefined);
  assert.match(shown.text, /This is your own request/);
  // She sends what the page would not give her.
  const proof = shown.forms[0].fields.proof;
  const own = await post(ada, `/reviews/${review.id}`, {
    proof,
    digest: review.digest,
    answer: 'approved',
  });
  assert.equal(own.status, 403);
  const first = await answer(cyd, review.id, { answer: 'approved' });
  assert.equal(first.status, 303);
  const after = await cyd.open(`${site.url}/reviews/${review.id}`);
  assert.match(after.text, /1 of 2 said yes/);
  assert.match(after.text, /You answered\. Others are still asked/);
  const again = await post(cyd, `/reviews/${review.id}`, {
    proof: after.forms[0].fields.proof,
    digest: review.digest,
    answer: 'approved',
  });
  assert.equal(again.status, 409);
  const last = await answer(bob, review.id, { answer: 'denied', reason: 'no' });
  assert.equal(last.status, 303);
  const ended = await ada.open(`${site.url}/reviews/${review.id}`);
  assert.match(ended.text, /data-state="denied"/);
});

test('who is not asked sees nothing, and auditors see the record', async () => {
  const review = await machines.ada.post();
  const eve = await site.browser('eve');
  const page = await eve.open(`${site.url}/reviews/${review.id}`);
  assert.equal(page.status, 404);
  assert.equal((await eve.open(`${site.url}/record`)).status, 403);
  const aud = await site.browser('aud');
  const record = await aud.open(`${site.url}/record?words=${review.id}`);
  assert.match(record.text, new RegExp(`href="/reviews/${review.id}"`));
  await answer(bob, review.id, { answer: 'denied' });
});

test('auditors search the record of all agents', async () => {
  const text = (key, stringValue) => ({ key, value: { stringValue } });
  const logRecords = [1, 2, 3].map((n) => ({
    timeUnixNano: `${Date.now() - n}000000`,
    severityNumber: 9,
    body: { stringValue: `said ${n} ${NASTY(30)}` },
    attributes: [text('made.up', `${NASTY(31)} number-${n}`)],
  }));
  const sent = await site.hub.ask('POST', '/v1/logs', {
    token: await accessToken(site.provider, 'aud', AUDIENCE),
    body: {
      resourceLogs: [{ resource: { attributes: [] }, scopeLogs: [{ logRecords }] }],
    },
  });
  assert.equal(sent.status, 200, sent.text);
  const aud = await site.browser('aud');
  const all = await aud.open(`${site.url}/audit`);
  assert.equal(all.status, 200);
  assert.match(all.text, /href="\/audit" aria-current="page"/);
  for (const n of [1, 2, 3]) assert.match(all.text, new RegExp(`number-${n}`));
  assert.match(all.text, /onerror=p30&gt;/);
  assert.match(all.text, /onerror=p31&gt;/);
  assert.doesNotMatch(all.text, /<img src=x/);
  const one = await aud.open(`${site.url}/audit?words=NUMBER-2&user=`);
  assert.match(one.text, /number-2/);
  assert.doesNotMatch(one.text, /number-1/);
  const none = await aud.open(`${site.url}/audit?marked=1`);
  assert.match(none.text, /No row here/);
  assert.equal((await aud.open(`${site.url}/audit?before=x`)).status, 400);
  assert.equal((await bob.open(`${site.url}/audit`)).status, 403);
});

test('every answer carries the headers, and assets their tag', async () => {
  const pages = [
    ['/', 200],
    ['/reviews/00000000000000000000000000000000', 404],
    ['/nowhere', 404],
    ['/help', 200],
  ];
  for (const [where, status] of pages) {
    const { status: got, headers } = await bob.request(site.url + where);
    assert.equal(got, status, where);
    const csp = headers['content-security-policy'];
    assert.match(csp, /default-src 'none'/);
    assert.match(csp, /frame-ancestors 'none'/);
    assert.doesNotMatch(csp, /unsafe/);
    assert.equal(headers['x-frame-options'], 'DENY');
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['referrer-policy'], 'same-origin');
    assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
    assert.match(headers['permissions-policy'], /camera=\(\)/);
    assert.equal(headers['cache-control'], 'no-store');
  }
  const [, asset] = /href="(\/assets\/[^"]*css)"/.exec(bob.page.text);
  const style = await bob.request(site.url + asset);
  assert.equal(style.headers['content-type'], 'text/css; charset=utf-8');
  assert.match(style.headers['cache-control'], /immutable/);
  const same = await bob.request(site.url + asset, {
    headers: { 'if-none-match': style.headers.etag },
  });
  assert.equal(same.status, 304);
  // Nothing is inline.
  assert.doesNotMatch(bob.page.text, /<script(?![^>]* src=)|<style|style=| on\w+=/i);
});

test('forms from elsewhere change nothing', async () => {
  const review = await machines.eve.post();
  const page = await bob.open(`${site.url}/reviews/${review.id}`);
  const fields = { ...formOf(page).fields, answer: 'approved' };
  const where = `/reviews/${review.id}`;
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const cyd = await site.browser('cyd');
  const foreign = formOf(await cyd.open(site.url + where)).fields.proof;
  const tries = [
    [fields, { ...own(), origin: 'https://evil.example' }, 403],
    [fields, { ...form, origin: 'null', 'sec-fetch-site': 'cross-site' }, 403],
    [fields, { ...own(), 'sec-fetch-site': 'same-site' }, 403],
    [fields, form, 403],
    [{ ...fields, proof: '' }, own(), 403],
    [{ ...fields, proof: foreign }, own(), 403],
    [{ ...fields, proof: undefined }, own(), 403],
    [fields, { ...own(), 'content-type': 'text/plain' }, 415],
    [fields, { ...own(), 'content-type': 'application/json' }, 415],
    [{ ...fields, reason: 'x'.repeat(40000) }, own(), 413],
    [{ ...fields, reason: 'x'.repeat(1001) }, own(), 400],
    [{ ...fields, answer: 'perhaps' }, own(), 400],
    [{ ...fields, digest: 'zz' }, own(), 400],
  ];
  for (const [values, headers, status] of tries) {
    const got = await post(bob, where, values, headers);
    assert.equal(got.status, status, `${JSON.stringify(headers)} ${got.text}`);
  }
  for (const body of ['%zz=1', 'a=%00', 'a=1&a=2', '%ff=1']) {
    const got = await bob.request(site.url + where, {
      method: 'POST',
      body,
      headers: own(),
    });
    assert.equal(got.status, 400, body);
  }
  const still = await bob.open(site.url + where);
  assert.match(still.text, /data-state="pending"/);
  for (const [method, path, status] of [
    ['PUT', where, 405],
    ['POST', '/', 405],
    ['GET', '/sign-out', 405],
  ])
    assert.equal((await bob.request(site.url + path, { method })).status, status);
  const framed = await bob.request(`${site.url}/`, {
    headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
  });
  assert.equal(framed.status, 403);
  const rebound = await bob.request(`${site.url}/`, {
    headers: { host: 'localhost:1' },
  });
  assert.equal(rebound.status, 421);
});

test('a sign-in is bound to the browser that began it', async () => {
  // The attacker signs in as himself, and stops before the hub hears of it.
  const eve = await site.browser();
  const away = await eve.request(`${site.url}/sign-in`);
  const flags = String(away.headers['set-cookie']);
  assert.match(flags, /^__Host-hoop-sign-in=.*; Path=\/; Secure; HttpOnly; SameSite=Lax$/);
  const asked = new URL(away.headers.location);
  assert.equal(asked.searchParams.get('code_challenge_method'), 'S256');
  assert.equal(asked.searchParams.get('response_type'), 'code');
  // What the provider sends him back with goes no further.
  eve.open = async (url, options) => {
    let now = await eve.request(url, options);
    while (now.headers.location && !eve.stolen) {
      const next = new URL(now.headers.location, now.url).href;
      if (next.startsWith(site.url)) eve.stolen = next;
      else now = await eve.request(next);
    }
    return now;
  };
  const first = await eve.open(away.headers.location);
  await site.provider.answer(eve, first, 'eve');
  assert.match(eve.stolen, /\/sign-in\/done\?code=/);
  // Another browser is sent there: none of its own began.
  const victim = await site.browser();
  const forced = await victim.request(eve.stolen);
  assert.equal(forced.status, 400);
  assert.equal(cookieOf(victim), undefined);
  // One that began another: not this one's state.
  await victim.request(`${site.url}/sign-in`);
  assert.equal((await victim.request(eve.stolen)).status, 400);
  // One with a made-up or altered cookie.
  const jar = victim.cookies.get(new URL(site.url).host);
  const sealed = jar.get('__Host-hoop-sign-in');
  for (const made of ['x', sealed.slice(0, -2), `A${sealed.slice(1)}`]) {
    jar.set('__Host-hoop-sign-in', made);
    assert.equal((await victim.request(eve.stolen)).status, 400);
  }
  // A code that is not its provider's, and another issuer's answer.
  const url = new URL(eve.stolen);
  url.searchParams.set('iss', 'https://evil.example');
  assert.equal((await eve.request(url.href)).status, 403);
  assert.equal(cookieOf(eve), undefined);
});

test('no address leads elsewhere after a sign-in', async () => {
  for (const to of ['//evil.example', '/\\evil', '/events']) {
    const browser = await site.browser();
    const end = await site.provider.signIn(
      `${site.url}/sign-in?to=${encodeURIComponent(to)}`,
      'bob',
      browser,
    );
    assert.equal(end.url, `${site.url}/`, to);
  }
  const browser = await site.browser();
  const end = await site.provider.signIn(`${site.url}/history`, 'bob', browser);
  assert.equal(end.url, `${site.url}/history`);
});

test('a session ends when it is left, and is never one that was brought', async () => {
  const host = new URL(site.url).host;
  const fixed = await site.browser();
  fixed.cookies.set(host, new Map([['__Host-hoop-hub', 'A'.repeat(43)]]));
  await site.provider.signIn(`${site.url}/`, 'cyd', fixed);
  assert.notEqual(cookieOf(fixed), 'A'.repeat(43));
  // Signed in again: the former session is over.
  const former = cookieOf(fixed);
  await site.provider.signIn(`${site.url}/sign-in`, 'cyd', fixed);
  const thief = await site.browser();
  thief.cookies.set(host, new Map([['__Host-hoop-hub', former]]));
  assert.equal((await thief.request(`${site.url}/`)).status, 303);
  const stolen = cookieOf(fixed);
  thief.cookies.set(host, new Map([['__Host-hoop-hub', stolen]]));
  assert.equal((await thief.request(`${site.url}/`)).status, 200);
  const page = await fixed.open(`${site.url}/`);
  const out = await post(fixed, '/sign-out', page.forms[0].fields);
  assert.equal(out.status, 200);
  assert.match(String(out.headers['set-cookie']), /__Host-hoop-hub=; Max-Age=0/);
  assert.equal(cookieOf(fixed), undefined);
  assert.equal((await thief.request(`${site.url}/`)).status, 303);
  assert.equal((await thief.request(`${site.url}/events`)).status, 401);
  // The page's cookie says nothing to the API.
  const api = await bob.request(`${site.url}/v1/reviews`);
  assert.equal(api.status, 401);
});

test('a token for another client is refused', async () => {
  const { front } = site.provider;
  front.rewrite = (call, given) => {
    if (call.path !== '/token') return undefined;
    const told = JSON.parse(given.body);
    // The access token is signed by the issuer, too, but for the hub's API.
    return { ...given, body: JSON.stringify({ ...told, id_token: told.access_token }) };
  };
  const browser = await site.browser();
  const end = await site.provider.signIn(`${site.url}/`, 'bob', browser);
  front.rewrite = undefined;
  assert.equal(end.status, 403, end.text);
  assert.match(end.text, /check of/);
  assert.equal(cookieOf(browser), undefined);
});

test('no shown field becomes markup', async () => {
  const evil = await site.machine('evil');
  const fields = [
    'exchange',
    'policy_revision',
    'client',
    'process',
    'connection',
    'host',
    'api',
    'model',
    'text',
    'justification',
  ];
  const more = Object.fromEntries(fields.map((name, n) => [name, NASTY(n + 1)]));
  const rule = {
    id: NASTY(20),
    message: NASTY(21),
    groups: ['leads'],
    count: 2,
    each: false,
  };
  const review = await evil.post({ ...more, rules: [rule] });
  const where = `${site.url}/reviews/${review.id}`;
  const pages = [await bob.open(`${site.url}/`), await bob.open(where)];
  const typed = await answer(bob, review.id, { answer: 'x', reason: NASTY(22) });
  pages.push(typed);
  await answer(bob, review.id, { answer: 'approved', reason: NASTY(23) });
  pages.push(await bob.open(where));
  const other = await site.browser('evil');
  pages.push(other.page, await other.open(where));
  const cyd = await site.browser('cyd');
  await answer(cyd, review.id, { answer: 'denied', reason: NASTY(24) });
  pages.push(await bob.open(`${site.url}/history?words=${encodeURIComponent(NASTY(24))}`));
  const aud = await site.browser('aud');
  pages.push(await aud.open(`${site.url}/record?words=${encodeURIComponent(NASTY(0))}`));
  pages.push(await aud.open(where));
  const all = pages.map(({ text }) => text).join('');
  for (const shown of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 21, 22, 23, 24])
    assert.ok(all.includes(`onerror=p${shown}&gt;`), `${shown} is not shown`);
  assert.doesNotMatch(all, /<img src=x|onerror=p\d+>/);
});

test('a chat is told: a link, whatever it does, and no content', async () => {
  const { messages, faults } = chat;
  const told = async (review, n) => {
    const of = () => messages.filter(({ text }) => text.includes(review.id));
    await until(() => of().length >= n, 'the message', 20000);
    return of();
  };
  faults.push('drop', 503);
  const first = await machines.ada.post({ text: 'secret plan' });
  const tries = await told(first, 3);
  assert.equal(new Set(tries.map(({ text }) => text)).size, 1);
  assert.deepEqual(JSON.parse(tries[0].text), {
    text: `A request waits for leads: ${site.url}/reviews/${first.id}`,
  });
  // Refused, or sent elsewhere: the next is told all the same.
  faults.push(302);
  const moved = await machines.ada.post();
  await told(moved, 1);
  faults.push(404);
  const gone = await machines.ada.post();
  await told(gone, 1);
  // Nobody but whom the certificate names hears of it.
  const before = messages.length;
  chat.swap(false);
  const hidden = await machines.ada.post();
  await until(
    () => /webhook status=0 error="[^"]*certificate/.test(site.hub.child.stderr),
    'the refusal',
    20000,
  );
  assert.equal(messages.length, before);
  chat.swap(true);
  await told(hidden, 1);
  assert.equal((await told(moved, 1)).length, 1);
  assert.equal((await told(gone, 1)).length, 1);
  assert.ok(messages.every((one) => one.path === '/made-up-hook'));
  assert.doesNotMatch(site.hub.child.stderr, /made-up-hook/);
});

// Waits for most of an ID token's life.
const slow = !process.env.HOOP_THOROUGH && 'HOOP_THOROUGH is not set';

test('renewed: groups that are gone are gone, and who is out is out', { skip: slow }, async () => {
  const { provider } = site;
  provider.change({ ttl: { id: 12 } });
  const review = await machines.eve.post();
  const where = `${site.url}/reviews/${review.id}`;
  const [cyd, ada] = [await site.browser('cyd'), await site.browser('ada')];
  assert.ok(formOf(await cyd.open(where)));
  const users = { ...USERS, cyd: { ...USERS.cyd, groups: [] } };
  provider.change({ users, ttl: { id: 12 } });
  await until(
    async () => (await cyd.request(where)).status === 404,
    'cyd to be in no group',
    30000,
  );
  assert.equal((await cyd.request(`${site.url}/`)).status, 200);
  assert.ok(formOf(await ada.open(where)), 'ada is as she was');
  // The provider ends the sign-in.
  const { front } = provider;
  front.rewrite = (call, given) =>
    call.form.grant_type === 'refresh_token'
      ? { ...given, status: 400, body: '{"error":"invalid_grant"}' }
      : undefined;
  await until(
    async () => (await ada.request(where)).status === 303,
    'ada to be signed out',
    30000,
  );
  front.rewrite = undefined;
  provider.change({ users: USERS, ttl: { id: 600 } });
});
