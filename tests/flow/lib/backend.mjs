// SPDX-License-Identifier: Apache-2.0
// Starts the stand-in backend and speaks to its control port.

import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { CorporateProxy } from '../../fake/proxy.mjs';
import { Child, tempDir, until } from './process.mjs';

const TESTS = path.resolve(
  path.dirname(fileURLToPath(import.meta.url)),
  '../..',
);

function control(port, method, target, body) {
  return new Promise((resolve, reject) => {
    // No connection is kept: the server would close it while it is taken up.
    const req = http.request(
      { port, host: '127.0.0.1', method, path: target, agent: false },
      (res) => {
        const chunks = [];
        res.on('data', (chunk) => chunks.push(chunk));
        res.on('end', () => {
          const bytes = Buffer.concat(chunks);
          if (res.statusCode === 200) resolve(bytes);
          else
            reject(
              new Error(
                `control ${method} ${target}: ${res.statusCode} ${bytes}`,
              ),
            );
        });
      },
    );
    req.on('error', reject);
    req.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

export class BackendHandle {
  constructor(child, ready) {
    this.child = child;
    Object.assign(this, ready);
    this.url = `https://localhost:${this.port}`;
  }

  async call(method, target, body) {
    return JSON.parse(await control(this.control, method, target, body));
  }

  /** Adds rules: {match, answer, times}; see tests/fake/README.md. */
  script(...rules) {
    return this.call('POST', '/script', rules.flat());
  }

  /** One answer for the next request to path (for ever: times 0). */
  answer(path_, answer, times = 1) {
    return this.script({ match: { path: path_ }, answer, times });
  }

  config(change) {
    return this.call('PUT', '/config', change);
  }

  /** What was received; filter: {path, method, host, since}. */
  requests(filter = {}) {
    return this.call('GET', `/requests?${new URLSearchParams(filter)}`);
  }

  /** The same without what clients ask at start and by telemetry. */
  async modelCalls(filter = {}) {
    const paths = /\/(completions|responses|messages)$/;
    return (await this.requests(filter)).filter(
      (r) => r.method === 'POST' && paths.test(r.path),
    );
  }

  /** Forgets what was received; scripts stay. */
  forget() {
    return this.call('DELETE', '/requests');
  }

  body(id) {
    return control(this.control, 'GET', `/requests/${id}/body`);
  }

  counts() {
    return this.call('GET', '/counts');
  }

  connections() {
    return this.call('GET', '/connections');
  }

  reset() {
    return this.call('POST', '/reset');
  }

  revoke(token) {
    return this.call('POST', '/revoke', { token });
  }

  allow(token) {
    return this.call('POST', '/allow', { token });
  }

  /** Waits until count requests match filter; returns them. */
  waitFor(filter, count = 1, timeoutMs = 10000) {
    return until(
      async () => {
        const list = await this.requests(filter);
        return list.length >= count && list;
      },
      `${count} requests for ${JSON.stringify(filter)}`,
      timeoutMs,
    );
  }

  stop() {
    return this.child.stop();
  }
}

/**
 * Starts tests/fake/backend.mjs for test t. options: {caDir, args: more
 * command-line arguments, port}. Returns a BackendHandle with port, control,
 * ca (path of the CA), token (a developer's GitHub token), url.
 */
export async function startBackend(t, options = {}) {
  const caDir = options.caDir ?? tempDir(t, 'hoop-backend-');
  const child = new Child(
    process.execPath,
    [
      path.join(TESTS, 'fake', 'backend.mjs'),
      '--port',
      String(options.port ?? 0),
      '--ca-dir',
      caDir,
      ...(options.args ?? []),
    ],
    { t, input: 'pipe' },
  );
  return new BackendHandle(child, await child.firstJson());
}

/** Starts the corporate proxy in this process; .port, .url, .connects. */
export async function startProxy(t, options) {
  const proxy = new CorporateProxy(options);
  proxy.port = await proxy.listen();
  proxy.url = `http://127.0.0.1:${proxy.port}`;
  t?.after(() => proxy.close());
  return proxy;
}
