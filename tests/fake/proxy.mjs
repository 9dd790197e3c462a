#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// A corporate CONNECT proxy: sends every host to one loopback port, may ask
// for Basic credentials, records what it saw, and fails on request.

import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const FAULTS = ['none', '407', '502', 'stall', 'reset', 'close', 'garbage'];

export class CorporateProxy {
  /**
   * options: {target: port that every host leads to, auth: 'user:password'}.
   * fault (one of FAULTS), delayMs and only (a regular expression of the hosts
   * that the fault touches) may be changed at any time.
   */
  constructor(options = {}) {
    this.target = options.target;
    this.auth = options.auth ?? null;
    this.fault = options.fault ?? 'none';
    this.delayMs = options.delayMs ?? 0;
    this.only = null;
    this.connects = [];
    this.sockets = new Set();
    this.server = http.createServer((req, res) => this.plain(req, res));
    this.server.on('connect', (req, socket, head) =>
      this.connect(req, socket, head),
    );
    this.server.on('connection', (socket) => this.hold(socket));
    this.server.on('clientError', (error, socket) => socket.destroy());
  }

  hold(socket) {
    this.sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => this.sockets.delete(socket));
  }

  /** Resolves to the port. */
  listen(port = 0) {
    return new Promise((resolve, reject) => {
      this.server.on('error', reject);
      this.server.listen(port, '127.0.0.1', () =>
        resolve(this.server.address().port),
      );
    });
  }

  reset() {
    this.connects = [];
    this.fault = 'none';
    this.delayMs = 0;
    this.only = null;
  }

  note(req, kind) {
    const given = req.headers['proxy-authorization'] ?? null;
    const entry = {
      kind,
      method: req.method,
      target: req.url,
      headers: { ...req.headers },
      credentials: given?.startsWith('Basic ')
        ? Buffer.from(given.slice(6), 'base64').toString()
        : given,
      status: 0,
      bytesUp: 0,
      bytesDown: 0,
      startedAt: Date.now(),
    };
    this.connects.push(entry);
    return entry;
  }

  faultFor(host) {
    return !this.only || new RegExp(this.only).test(host) ? this.fault : 'none';
  }

  connect(req, socket, head) {
    this.hold(socket);
    const entry = this.note(req, 'connect');
    const go = () => this.decide(req, socket, head, entry);
    if (this.delayMs) setTimeout(go, this.delayMs);
    else go();
  }

  decide(req, socket, head, entry) {
    const fault = this.faultFor(req.url);
    if (fault === 'stall') return;
    if (fault === 'reset') return socket.resetAndDestroy();
    if (fault === 'close') return socket.end();
    if (fault === 'garbage') return socket.end('\0\0 this is not HTTP\r\n\r\n');
    const denied = this.auth !== null && entry.credentials !== this.auth;
    if (fault === '407' || denied) return refuse(socket, entry, 407);
    if (fault === '502') return refuse(socket, entry, 502);
    this.tunnel(socket, head, entry);
  }

  tunnel(socket, head, entry) {
    const target = net.connect(this.target, '127.0.0.1');
    this.hold(target);
    target.setNoDelay(true);
    socket.setNoDelay(true);
    target.on('error', () =>
      entry.status ? socket.destroy() : refuse(socket, entry, 502),
    );
    target.on('connect', () => {
      entry.status = 200;
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      if (head.length) target.write(head);
      socket.on('data', (chunk) => (entry.bytesUp += chunk.length));
      target.on('data', (chunk) => (entry.bytesDown += chunk.length));
      socket.pipe(target);
      target.pipe(socket);
    });
    target.on('close', () => {
      entry.closedAt = Date.now();
      socket.destroy();
    });
    socket.on('close', () => target.destroy());
  }

  /** Plain requests in absolute form: recorded, never served. */
  plain(req, res) {
    this.note(req, 'plain').status = 403;
    res.writeHead(403, { 'content-type': 'text/plain' });
    res.end('this proxy forwards CONNECT only\n');
  }

  async close() {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

function refuse(socket, entry, status) {
  entry.status = status;
  const extra =
    status === 407 ? 'Proxy-Authenticate: Basic realm="corporate"\r\n' : '';
  const body = `the proxy says ${status}\n`;
  socket.end(
    `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n${extra}` +
      `Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n` +
      `Connection: close\r\n\r\n${body}`,
  );
}

async function main() {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      target: { type: 'string' },
      auth: { type: 'string' },
      fault: { type: 'string', default: 'none' },
    },
  });
  if (!values.target) throw new Error('--target PORT is missing');
  if (!FAULTS.includes(values.fault))
    throw new Error(`--fault: ${FAULTS.join(', ')}`);
  const proxy = new CorporateProxy({
    target: Number(values.target),
    auth: values.auth,
    fault: values.fault,
  });
  const port = await proxy.listen(Number(values.port));
  process.on('SIGTERM', () => process.exit(0));
  process.on('SIGINT', () => process.exit(0));
  console.log(JSON.stringify({ port, pid: process.pid }));
}

if (
  process.argv[1] &&
  fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)
)
  main().catch((error) => {
    console.error(`proxy: ${error.message}`);
    process.exit(1);
  });
