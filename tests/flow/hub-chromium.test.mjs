// SPDX-License-Identifier: Apache-2.0
// The reviewers' page in a real browser: signed in by a real provider, kept up
// to date, a really held request of a real agent approved by keys; on a phone,
// in the dark, without scripts.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { Chromium, spkiOf } from '../providers/devtools.mjs';
import { findChromium, providersOff } from '../providers/install.mjs';
import { callOf, Fixture, startAgent, startBackend, tempDir, until } from './lib/harness.mjs';
import { accessToken } from './lib/hub.mjs';
import { AUDIENCE, startHubPage } from './lib/hub-page.mjs';
import { identityOf, signIn } from './lib/signin.mjs';

const METRICS = 'made-up-metrics-token';
const POLICY = `version: 1
default: allow
tunnels: allow
rules:
  - id: eyes
    match: {direction: request, prompt: eyes}
    action: approve
    by: ['reviewer:leads']
    timeout: 60
`;

const found = !providersOff && (await findChromium());
const skip =
  providersOff ||
  (!found && 'chromium is not installed (HOOP_FULL=1 gets it, 115 MB)');

const fixture = new Fixture();
let site;
let machine;
let agent;
let backend;
let chromium;
let tab;

before(async () => {
  if (skip) return;
  const metrics = path.join(tempDir(fixture, 'hoop-metrics-'), 'token');
  fs.writeFileSync(metrics, METRICS, { mode: 0o600 });
  site = await startHubPage(fixture, {}, {}, { 'metrics-token-file': metrics });
  machine = await site.machine('eve');
  backend = await startBackend(fixture);
  agent = await startAgent(fixture, {
    backend,
    policy: POLICY,
    config: {
      ...identityOf(site.provider),
      hub: { url: site.hub.url, 'ca-file': site.hub.ca },
    },
  });
  const signed = await signIn(agent, site.provider, 'ada', ['--insecure-storage']);
  assert.equal(signed.code, 0, signed.stderr);
  const enrolled = await agent.cli(['enrol', '--fingerprint', site.hub.fingerprint]);
  assert.equal(enrolled.code, 0, enrolled.stderr);
  chromium = new Chromium(found, tempDir(fixture, 'hoop-chromium-'), [
    await spkiOf(site.hub.port),
    await spkiOf(site.provider.front.port),
  ]);
  tab = await chromium.tab();
  await tab.size(1280, 800);
});
after(async () => {
  await chromium?.close();
  await fixture.close();
});

const onPage = (name) => document.body.dataset.page === name;

/** The provider's forms, filled in as a person does. */
async function enter(user) {
  const step = (name) => {
    if (document.readyState !== 'complete') return undefined;
    if (document.body.dataset.page) return 'there';
    const [form] = document.forms;
    if (!form || form.dataset.sent) return undefined;
    form.dataset.sent = 'yes';
    if (form.login) {
      form.login.value = name;
      form.password.value = 'any';
    }
    form.submit();
    return undefined;
  };
  await tab.until(step, 'signed in', user);
}

/** Of every text that is seen, against what is behind it; WCAG 2.1, 1.4.3. */
function faintTexts() {
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => {
      const part = v / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const { rgb, a } = parse(getComputedStyle(at).backgroundColor);
      if (a === 1) return rgb;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const node of document.body.querySelectorAll('*')) {
    const own = [...node.childNodes].some(
      (child) => child.nodeType === 3 && child.data.trim(),
    );
    const box = node.getBoundingClientRect();
    if (!own || box.width < 2) continue;
    const style = getComputedStyle(node);
    const [one, other] = [light(parse(style.color).rgb), light(behind(node))];
    const ratio =
      (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) faint.push(`${node.textContent.slice(0, 40)}: ${ratio}`);
  }
  return faint;
}

/** What chromium complained about, of the hub's own pages. */
const complaints = () =>
  chromium.events
    .filter(({ method }) => /Log.entryAdded|exceptionThrown/.test(method))
    .map(({ params }) => params.entry ?? params.exceptionDetails)
    .filter(({ url = '' }) => url.startsWith(site.url))
    .map(({ text }) => text);

test('live inbox, approved by keys, and the held request goes', { skip }, async () => {
  await tab.open(`${site.url}/`);
  await enter('bob');
  await tab.until(onPage, 'the inbox', 'inbox');
  assert.match(await tab.run('document.title'), /^Waiting/);
  await tab.run('void (window.stayed = true)');
  const client = agent.client({ mode: 'base-url', token: backend.token });
  const held = client.post('/chat/completions', callOf('chat', 'four eyes please').body);
  await tab.until(() => document.querySelector('.item'), 'an item');
  assert.equal(await tab.run('window.stayed'), true, 'it was loaded anew');
  assert.match(await tab.run('document.title'), /^\(1\) Waiting/);
  await tab.press('j');
  await tab.press('Enter');
  await tab.until(onPage, 'the review', 'review');
  assert.match(await tab.run('document.querySelector("pre").innerText'), /four eyes please/);
  await tab.press('a');
  await tab.press('Enter');
  await tab.until(
    () => document.getElementById('review')?.dataset.state === 'approved',
    'approved',
  );
  const got = await held;
  assert.equal(got.status, 200, got.text);
  client.close();
});

test('another decides: the open page says so, and keeps nothing to press', { skip }, async () => {
  const review = await machine.post({ text: 'line one\nline two' });
  await tab.open(`${site.url}/reviews/${review.id}`);
  await tab.run('document.getElementById("reason").value = "half a"');
  const token = await accessToken(site.provider, 'cyd', AUDIENCE);
  const said = await site.hub.ask('POST', `/v1/reviews/${review.id}/answer`, {
    token,
    body: { answer: 'denied', digest: review.digest, reason: 'not so' },
  });
  assert.equal(said.status, 200);
  await tab.until(
    () => /Denied/.test(document.querySelector('.verdict')?.innerText),
    'the verdict',
  );
  assert.equal(await tab.run('document.getElementById("yes")'), null);
  assert.match(await tab.run('document.querySelector(".voices").innerText'), /cyd[^]*not so/);
});

test('one tab listens for all, and the next one when it is closed', { skip }, async () => {
  const streams = async () => {
    const { text } = await site.hub.ask('GET', '/metrics', { token: METRICS });
    return Number(/^hoop_hub_streams (\d+)/m.exec(text)[1]);
  };
  await tab.open(`${site.url}/`);
  await until(async () => (await streams()) === 2, 'the stream, and the agent\'s', 20000);
  const other = await chromium.tab();
  await other.open(`${site.url}/`);
  const shows = (n) => document.title.startsWith(`(${n})`);
  await machine.post();
  await Promise.all([tab.until(shows, 'one', 1), other.until(shows, 'one', 1)]);
  assert.equal(await streams(), 2);
  await tab.open('about:blank');
  await machine.post();
  await other.until(shows, 'two', 2);
  await other.call('Page.close');
});

test('markup in a request stays text', { skip }, async () => {
  const nasty = '</pre><script>window.ran = 1</script><img src=x onerror="window.ran = 1">';
  const review = await machine.post({ text: nasty, model: nasty, justification: nasty });
  await tab.open(`${site.url}/reviews/${review.id}`);
  assert.equal(await tab.run('document.querySelector("pre").textContent'), nasty);
  assert.equal(await tab.run('window.ran'), undefined);
  assert.equal(await tab.run('document.images.length'), 1, 'ours alone');
  await assert.rejects(
    tab.run('document.body.insertAdjacentHTML("beforeend", "<b>x</b>")'),
    /TrustedHTML/,
  );
});

test('on a phone, in light and dark: readable, nothing moves', { skip }, async () => {
  await machine.post({
    text: `${'A long line of a prompt. '.repeat(30)}[aws-access-key:k5mq7tw2abcd]\n`.repeat(9),
    masks: true,
    client: 'copilot-cli',
    model: 'gpt-5',
  });
  const { id } = await machine.post({ text: `${'x'.repeat(400)}\u202E` });
  for (const [scheme, width, height, mobile] of [
    ['dark', 390, 844, true],
    ['light', 1280, 800, false],
    ...(process.env.HOOP_THOROUGH
      ? [
          ['light', 390, 844, true],
          ['dark', 1280, 800, false],
        ]
      : []),
  ]) {
    await tab.scheme(scheme);
    await tab.size(width, height, mobile);
    for (const where of ['/', `/reviews/${id}`, '/history', '/help']) {
      await tab.open(site.url + where);
      const what = `${where} ${scheme} ${width}`;
      assert.deepEqual(await tab.run(faintTexts), [], what);
      const wide = await tab.run('document.documentElement.scrollWidth');
      assert.ok(wide <= width, `${what}: ${wide} wide`);
      const moved = await tab.run(
        () =>
          new Promise((resolve) => {
            const seen = new PerformanceObserver((list) =>
              resolve(list.getEntries().map(({ value }) => value)),
            );
            seen.observe({ type: 'layout-shift', buffered: true });
            setTimeout(() => resolve([]), 50);
          }),
      );
      assert.deepEqual(moved, [], what);
    }
    await tab.open(`${site.url}/reviews/${id}`);
    const seen = await tab.run(() => {
      const box = document.getElementById('yes').getBoundingClientRect();
      return box.top >= 0 && box.bottom <= innerHeight && box.height >= 44;
    });
    assert.ok(seen, `${scheme} ${width}: the buttons are out of sight`);
    const picture = await tab.picture();
    assert.ok(picture.length > 5000, 'nothing is to be seen');
    if (process.env.HOOP_PICTURES)
      fs.writeFileSync(
        path.join(process.env.HOOP_PICTURES, `review-${scheme}-${width}.png`),
        picture,
      );
  }
});

test('without scripts: read, answered, signed out', { skip }, async () => {
  const review = await machine.post({ needs_reason: true });
  await tab.scripts(false);
  await tab.open(`${site.url}/reviews/${review.id}`);
  assert.match(await tab.run('document.querySelector(".left").innerText'), /\d+ min left/);
  await tab.run('document.getElementById("no").click()');
  await tab.until(
    () => document.getElementById('review')?.dataset.state === 'denied',
    'denied',
  );
  await tab.run('document.querySelector(".me button").click()');
  await tab.until(onPage, 'signed out', 'said');
  assert.match(await tab.run('document.body.innerText'), /You are signed out here/);
  await tab.scripts(true);
  assert.deepEqual(complaints(), []);
});
