// SPDX-License-Identifier: Apache-2.0
// Debian's chromium, headless, driven over a pipe by its debugging protocol.

import { spawn } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';

const LIMIT_MS = 30000;
const LOOK_MS = 50;

/** The hash by which chromium trusts this one key, and no other. */
export function spkiOf(port) {
  return new Promise((resolve, reject) => {
    const socket = tls.connect(
      { host: '127.0.0.1', port, servername: 'localhost', rejectUnauthorized: false },
      () => {
        const { raw } = socket.getPeerCertificate();
        const key = new X509Certificate(raw).publicKey;
        const der = key.export({ type: 'spki', format: 'der' });
        socket.destroy();
        resolve(createHash('sha256').update(der).digest('base64'));
      },
    );
    socket.on('error', reject);
  });
}

/** One tab. */
export class Tab {
  constructor(chromium, sessionId) {
    this.chromium = chromium;
    this.sessionId = sessionId;
  }

  call(method, params = {}) {
    return this.chromium.call(method, params, this.sessionId);
  }

  /** The value of an expression, or of a function called with arguments. */
  async run(what, ...args) {
    const expression =
      typeof what === 'function'
        ? `(${what})(${args.map((arg) => JSON.stringify(arg)).join(',')})`
        : what;
    const { result, exceptionDetails: thrown } = await this.call(
      'Runtime.evaluate',
      { expression, returnByValue: true, awaitPromise: true },
    );
    if (thrown) throw new Error(thrown.exception?.description ?? thrown.text);
    return result.value;
  }

  /** Waits until the expression is true in whatever page is there. */
  async until(what, text, ...args) {
    const end = Date.now() + LIMIT_MS;
    while (Date.now() < end) {
      const value = await this.run(what, ...args).catch(() => undefined);
      if (value) return value;
      await sleep(LOOK_MS);
    }
    const seen = await this.run(
      '`${location.href}: ${document.body.innerText}`',
    ).catch((error) => error.message);
    throw new Error(`chromium: not ${text ?? what}: ${seen}`);
  }

  async open(url) {
    await this.call('Page.navigate', { url });
    await this.until('document.readyState === "complete"', 'loaded');
  }

  /** Key by key, as a person types. */
  async press(...keys) {
    for (const key of keys) {
      const event = {
        key,
        ...(key.length === 1 && { text: key }),
        ...(key === 'Enter' && { text: '\r', windowsVirtualKeyCode: 13 }),
      };
      await this.call('Input.dispatchKeyEvent', { type: 'keyDown', ...event });
      await this.call('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
    }
  }

  size(width, height, mobile = false) {
    return this.call('Emulation.setDeviceMetricsOverride', {
      width,
      height,
      deviceScaleFactor: mobile ? 2 : 1,
      mobile,
    });
  }

  scheme(value) {
    return this.call('Emulation.setEmulatedMedia', {
      features: [{ name: 'prefers-color-scheme', value }],
    });
  }

  scripts(on) {
    return this.call('Emulation.setScriptExecutionDisabled', { value: !on });
  }

  /** PNG of what is seen. */
  async picture() {
    const { data } = await this.call('Page.captureScreenshot', {
      format: 'png',
    });
    return Buffer.from(data, 'base64');
  }
}

export class Chromium {
  /** found: of findChromium(); spki: keys that are trusted. */
  constructor(found, dir, spki) {
    this.waiting = new Map();
    this.events = [];
    this.last = 0;
    this.child = spawn(
      found.program,
      [
        '--headless=new',
        '--remote-debugging-pipe',
        `--user-data-dir=${path.join(dir, 'profile')}`,
        `--ignore-certificate-errors-spki-list=${spki.join(',')}`,
        '--disable-gpu',
        '--disable-dev-shm-usage',
        '--disable-background-networking',
        '--hide-scrollbars',
        '--no-first-run',
        '--lang=en-GB',
        ...(process.getuid() === 0 ? ['--no-sandbox'] : []),
      ],
      {
        stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
        env: { ...process.env, TZ: 'UTC', LD_LIBRARY_PATH: found.libraries ?? '' },
      },
    );
    this.ended = new Promise((resolve) => this.child.on('exit', resolve));
    this.child.on('error', () => {});
    this.child.stdio[3].on('error', () => {});
    let text = '';
    this.child.stdio[4].on('data', (part) => {
      const messages = (text + part).split('\0');
      text = messages.pop();
      for (const message of messages) this.take(JSON.parse(message));
    });
  }

  take({ id, result, error, method, params }) {
    if (method) this.events.push({ method, params });
    const waits = this.waiting.get(id);
    this.waiting.delete(id);
    clearTimeout(waits?.timer);
    if (error) waits?.reject(new Error(error.message));
    else waits?.resolve(result);
  }

  call(method, params = {}, sessionId = undefined) {
    const id = ++this.last;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`chromium: no answer to ${method}`)),
        LIMIT_MS,
      );
      this.waiting.set(id, { resolve, reject, timer });
      const message = JSON.stringify({ id, method, params, sessionId });
      this.child.stdio[3].write(`${message}\0`);
    });
  }

  async tab() {
    const { targetId } = await this.call('Target.createTarget', {
      url: 'about:blank',
    });
    const { sessionId } = await this.call('Target.attachToTarget', {
      targetId,
      flatten: true,
    });
    const tab = new Tab(this, sessionId);
    await tab.call('Page.enable');
    await tab.call('Log.enable');
    await tab.call('Runtime.enable');
    return tab;
  }

  async close() {
    await this.call('Browser.close').catch(() => {});
    this.child.kill('SIGKILL');
    await this.ended;
  }
}
