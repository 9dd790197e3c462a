#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// The stand-in for GitHub Copilot's backend: one TLS port (h2 and http/1.1)
// with its own CA, and a control port for tests. See README.md.

import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { ensureCa, mintLeaf } from './ca.mjs';
import { startControl } from './control.mjs';
import { handle } from './exchange.mjs';
import { Github, DEVELOPER_TOKEN } from './github.mjs';
import { modelList } from './models.mjs';
import { Records, Script } from './script.mjs';
import { handleUpgrade } from './upgrade.mjs';

const MAX_HEADER = 128 * 1024;
const KEEP_ALIVE_MS = 120000;
const ALPN = { both: ['h2', 'http/1.1'], h1: ['http/1.1'], h2: ['h2'] };

const CONFIG_KEYS = [
  'auth',
  'endpoints',
  'models',
  'tokens',
  'tokenSeconds',
  'refreshIn',
  'deviceInterval',
  'devicePolls',
  'accept',
  'record',
];

export class Backend {
  /** config: the keys of CONFIG_KEYS; see README.md. */
  constructor(config = {}) {
    this.initial = config;
    this.config = {};
    this.script = new Script();
    this.records = new Records();
    this.github = new Github(this.config);
    this.sockets = new Set();
    this.accepted = 0;
    this.handshakes = { h2: 0, 'http/1.1': 0, none: 0, failed: 0 };
    this.reset();
  }

  /** Back to the state after the start; open connections stay. */
  reset() {
    for (const key of Object.keys(this.config)) delete this.config[key];
    this.configure({
      models: 'all',
      endpoints: 'auto',
      accept: 'normal',
      ...this.initial,
    });
    this.script.clear();
    this.records.reset();
    this.github.reset();
  }

  configure(change) {
    for (const key of Object.keys(change))
      if (!CONFIG_KEYS.includes(key))
        throw new Error(`unknown configuration key "${key}"`);
    if (change.models !== undefined) modelList(change.models);
    Object.assign(this.config, change);
    if (change.record !== undefined) this.records.keep = change.record;
  }

  connectionCounts() {
    return {
      accepted: this.accepted,
      open: this.sockets.size,
      ...this.handshakes,
    };
  }

  /** options: {port, host, cert, key, alpn, tlsMin, tlsMax, ciphers}. */
  async listen(options) {
    const h1 = this.http1Server();
    const h2 = this.http2Server();
    this.tls = tls.createServer({
      cert: options.cert,
      key: options.key,
      ALPNProtocols: ALPN[options.alpn ?? 'both'],
      minVersion: options.tlsMin,
      maxVersion: options.tlsMax,
      ciphers: options.ciphers,
    });
    this.tls.on('tlsClientError', () => this.handshakes.failed++);
    this.tls.on('secureConnection', (socket) => {
      this.handshakes[socket.alpnProtocol || 'none']++;
      socket.setNoDelay(true);
      socket.on('error', () => {});
      if (socket.alpnProtocol === 'h2') h2.emit('secureConnection', socket);
      else h1.emit('connection', socket);
    });
    this.server = net.createServer((socket) => this.accept(socket));
    await new Promise((resolve, reject) => {
      this.server.on('error', reject);
      this.server.listen(options.port, options.host, resolve);
    });
    return this.server.address().port;
  }

  accept(socket) {
    this.accepted++;
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => {});
    if (this.config.accept === 'stall') return;
    if (this.config.accept === 'reset') return void socket.resetAndDestroy();
    if (this.config.accept === 'close') return void socket.end();
    socket.setNoDelay(true);
    this.tls.emit('connection', socket);
  }

  http1Server() {
    const about = (socket) => ({
      sni: socket.servername || null,
      alpn: socket.alpnProtocol || null,
      tls: socket.getProtocol?.() ?? null,
      clientPort: socket.remotePort,
    });
    const server = http.createServer({
      maxHeaderSize: MAX_HEADER,
      keepAliveTimeout: KEEP_ALIVE_MS,
      requestTimeout: 0,
      headersTimeout: 0,
    });
    server.on('request', (req, res) =>
      handle(this, req, res, about(req.socket), false),
    );
    server.on('checkContinue', (req, res) =>
      handle(this, req, res, about(req.socket), true),
    );
    server.on('upgrade', (req, socket) =>
      handleUpgrade(this, req, socket, about(socket)),
    );
    return server;
  }

  http2Server() {
    const about = (req) => {
      const { socket } = req.stream.session;
      return {
        sni: socket.servername || null,
        alpn: 'h2',
        tls: socket.getProtocol?.() ?? null,
        clientPort: socket.remotePort,
        streamId: req.stream.id,
      };
    };
    const server = http2.createSecureServer({
      settings: { maxHeaderListSize: MAX_HEADER },
    });
    server.on('session', (session) => session.on('error', () => {}));
    server.on('request', (req, res) =>
      handle(this, req, res, about(req), false),
    );
    server.on('checkContinue', (req, res) =>
      handle(this, req, res, about(req), true),
    );
    return server;
  }

  close() {
    for (const socket of this.sockets) socket.destroy();
    this.server?.close();
  }
}

const OPTIONS = {
  port: { type: 'string', default: '0' },
  host: { type: 'string', default: '127.0.0.1' },
  'ca-dir': { type: 'string' },
  cert: { type: 'string' },
  key: { type: 'string' },
  alpn: { type: 'string', default: 'both' },
  'tls-min': { type: 'string' },
  'tls-max': { type: 'string' },
  ciphers: { type: 'string' },
  endpoints: { type: 'string' },
  models: { type: 'string' },
  token: { type: 'string', multiple: true },
  'no-auth': { type: 'boolean' },
  'no-record': { type: 'boolean' },
  'print-json': { type: 'boolean' },
  help: { type: 'boolean' },
};

function configOf(values) {
  const config = {};
  if (values.endpoints) config.endpoints = values.endpoints;
  if (values.models) config.models = values.models;
  if (values.token) config.tokens = values.token;
  if (values['no-auth']) config.auth = false;
  if (values['no-record']) config.record = false;
  return config;
}

/** Ends when the parent does: its pipe to our stdin closes. */
function endWithParent(stop) {
  const stat = fs.fstatSync(0, { throwIfNoEntry: false });
  if (!stat || !(stat.isFIFO() || stat.isSocket())) return;
  process.stdin.on('end', stop);
  process.stdin.on('error', stop);
  process.stdin.resume();
}

async function main() {
  const { values } = parseArgs({ options: OPTIONS });
  if (values.help) {
    console.log(`backend.mjs options: --${Object.keys(OPTIONS).join(' --')}`);
    return;
  }
  const caDir =
    values['ca-dir'] ?? fs.mkdtempSync(path.join(os.tmpdir(), 'stand-in-'));
  const ca = ensureCa(caDir);
  const leaf = values.cert
    ? {
        certPem: fs.readFileSync(values.cert),
        keyPem: fs.readFileSync(values.key),
      }
    : mintLeaf(ca);
  const backend = new Backend(configOf(values));
  const port = await backend.listen({
    port: Number(values.port),
    host: values.host,
    cert: leaf.certPem,
    key: leaf.keyPem,
    alpn: values.alpn,
    tlsMin: values['tls-min'],
    tlsMax: values['tls-max'],
    ciphers: values.ciphers,
  });
  const control = await startControl(backend);
  const stop = () => process.exit(0);
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  endWithParent(stop);
  const ready = {
    port,
    control: control.port,
    ca: ca.cert,
    pid: process.pid,
    token: DEVELOPER_TOKEN,
  };
  console.log(JSON.stringify(ready));
}

if (
  process.argv[1] &&
  fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)
)
  main().catch((error) => {
    console.error(`backend: ${error.message}`);
    process.exit(1);
  });
