// SPDX-License-Identifier: Apache-2.0
// A person's real browser, as a desktop's handler of https starts it: Debian's
// chromium, headless, opens the address, fills in the sign-in forms and writes
// what it saw into a file as JSON: {"pages": [URL, …], "text", "title"}.
// usage: chromium.mjs URL, with HOOP_CHROMIUM={"program", "libraries", "spki",
// "user", "dir", "out"} in the environment

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

const LIMIT_MS = 90000;
const LOOK_MS = 100;
const AT_LOOPBACK = /^http:\/\/127\.0\.0\.1:/;

const { program, libraries, spki, user, dir, out } = JSON.parse(
  process.env.HOOP_CHROMIUM,
);

/** Chromium's debugging protocol over a pipe: a NUL behind each message. */
class Devtools {
  constructor(child) {
    this.to = child.stdio[3];
    this.waiting = new Map();
    this.last = 0;
    let text = '';
    child.stdio[4].on('data', (part) => {
      const messages = (text + part).split('\0');
      text = messages.pop();
      for (const message of messages) this.take(JSON.parse(message));
    });
  }

  take({ id, result, error }) {
    const waits = this.waiting.get(id);
    this.waiting.delete(id);
    if (error) waits?.reject(new Error(error.message));
    else waits?.resolve(result);
  }

  call(method, params = {}, sessionId = undefined) {
    const id = ++this.last;
    this.to.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
    });
  }
}

// The terminal that asked for a browser may be closed before this one is done:
// its hangup ends neither of them.
process.on('SIGHUP', () => {});
const child = spawn(
  program,
  [
    '--headless=new',
    '--remote-debugging-pipe',
    `--user-data-dir=${dir}`,
    `--ignore-certificate-errors-spki-list=${spki}`,
    '--disable-gpu',
    '--disable-dev-shm-usage',
    '--disable-background-networking',
    '--no-first-run',
    ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
  ],
  {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...process.env, LD_LIBRARY_PATH: libraries },
  },
);
let said = '';
child.stderr.on('data', (part) => {
  said = (said + part).slice(-4000);
});

/** In the page: fills in the form that is there, and sends it. */
function fill(name) {
  const form = document.forms[0];
  if (!form) return false;
  for (const field of ['login', 'user'])
    if (form[field]) form[field].value = name;
  if (form.password) form.password.value = name;
  form.submit();
  return true;
}

async function drive() {
  const devtools = new Devtools(child);
  const { targetId } = await devtools.call('Target.createTarget', {
    url: process.argv[2],
  });
  const { sessionId } = await devtools.call('Target.attachToTarget', {
    targetId,
    flatten: true,
  });
  const inPage = async (expression) => {
    const { result } = await devtools.call(
      'Runtime.evaluate',
      { expression, returnByValue: true },
      sessionId,
    );
    return result.value;
  };
  const pages = [];
  for (;;) {
    await sleep(LOOK_MS);
    // A page that is being left cannot be asked.
    const at = await inPage(
      'document.readyState === "complete" && location.href',
    ).catch(() => undefined);
    if (!at || at === 'about:blank' || at === pages.at(-1)) continue;
    pages.push(at);
    if (AT_LOOPBACK.test(at) || at.startsWith('chrome-error:')) {
      const [text, title] = await inPage(
        '[document.body.innerText, document.title]',
      );
      await devtools.call('Browser.close').catch(() => {});
      return { pages, text, title };
    }
    await inPage(`(${fill})(${JSON.stringify(user)})`).catch(() => {});
  }
}

const limit = sleep(LIMIT_MS, undefined, { ref: false }).then(() => {
  throw new Error('chromium: no end of the sign-in');
});
const gone = new Promise((resolve, reject) => {
  child.on('error', reject);
  child.on('exit', (code) => reject(new Error(`chromium: ${code}: ${said}`)));
});
let result;
try {
  result = await Promise.race([drive(), limit, gone]);
} catch (error) {
  result = { error: error.message };
}
fs.writeFileSync(`${out}.new`, JSON.stringify(result));
fs.renameSync(`${out}.new`, out);
child.kill('SIGKILL');
