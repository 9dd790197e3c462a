// SPDX-License-Identifier: Apache-2.0
// Two providers of different make at one page: people choose, and each one's
// groups count.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { startGlewlwyd } from '../providers/glewlwyd.mjs';
import { providersOff } from '../providers/install.mjs';
import { Fixture } from './lib/harness.mjs';
import { startHubPage } from './lib/hub-page.mjs';

const fixture = new Fixture();
const skip = providersOff;
let site;

before(async () => {
  if (skip) return;
  site = await startHubPage(
    fixture,
    { 'reviewers "leads"': { groups: 'team-leads;ai-users' } },
    { second: startGlewlwyd },
  );
});
after(() => fixture.close());

test('people choose where to sign in', { skip }, async () => {
  const browser = await site.browser();
  const choice = await browser.open(`${site.url}/history`);
  assert.deepEqual(
    [...choice.text.matchAll(/>with (\w+)</g)].map(([, name]) => name),
    ['corp', 'second'],
  );
  const forms = choice.forms.filter(({ method }) => method === 'GET');
  assert.deepEqual(
    forms.map(({ fields }) => fields.to),
    ['/history', '/history'],
  );
  const wrong = await browser.open(`${site.url}/sign-in?at=other`);
  assert.match(wrong.text, />with corp</);
});

test('glewlwyd signs in, and its groups count', { skip }, async () => {
  const review = await (await site.machine('ada')).post();
  const browser = await site.browser();
  const away = await browser.request(`${site.url}/sign-in?at=second&to=/history`);
  assert.equal(away.status, 303, away.text);
  const end = await site.second.signIn(away.headers.location, 'dev', browser);
  assert.equal(end.url, `${site.url}/history`, end.text);
  assert.equal(end.status, 200);
  const other = await browser.open(`${site.url}/reviews/${review.id}`);
  const form = other.forms.find(({ fields }) => fields.digest);
  assert.ok(form, other.text);
  const said = await browser.request(form.action, {
    method: 'POST',
    body: new URLSearchParams({ ...form.fields, answer: 'approved' }).toString(),
    headers: {
      origin: site.url,
      'content-type': 'application/x-www-form-urlencoded',
    },
  });
  assert.equal(said.status, 303, said.text);
  const done = await browser.open(`${site.url}/reviews/${review.id}`);
  assert.match(done.text, /data-state="approved"/);
});
