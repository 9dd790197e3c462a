// SPDX-License-Identifier: Apache-2.0
// An HTTPS client that goes through the agent (CONNECT or base URL) or
// straight to a server, and raw sockets for tests of framing.

import fs from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';

import { patience } from './process.mjs';
import { SseReader } from './sse.mjs';

const TIMEOUT_MS = 20000;

function timeout(promise, what, ms = TIMEOUT_MS) {
  const limitMs = ms * patience;
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`${what}: not within ${limitMs} ms`)),
      limitMs,
    );
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A TCP connection: {port, host, localAddress} or {path: Unix socket}. */
export function openTcp(target) {
  const socket = net.connect({ host: '127.0.0.1', ...target });
  socket.setNoDelay(true);
  return timeout(
    new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.removeListener('error', reject);
        socket.on('error', () => {});
        resolve(socket);
      });
    }),
    'connect',
  );
}

/** Reads from socket until the end of a header block: {head, rest}. */
export function readHead(socket, ms = TIMEOUT_MS) {
  let text = Buffer.alloc(0);
  return timeout(
    new Promise((resolve, reject) => {
      const done = (error) => {
        socket.removeListener('data', onData);
        socket.removeListener('close', onClose);
        if (error) reject(error);
      };
      const onClose = () =>
        done(
          new Error(`closed before a whole header: ${text.toString('latin1')}`),
        );
      const onData = (chunk) => {
        text = Buffer.concat([text, chunk]);
        const end = text.indexOf('\r\n\r\n');
        if (end < 0) return;
        done();
        socket.pause();
        resolve({
          head: text.subarray(0, end).toString('latin1'),
          rest: text.subarray(end + 4),
        });
      };
      socket.on('data', onData);
      socket.on('close', onClose);
    }),
    'header',
    ms,
  );
}

/**
 * CONNECT host:port through a proxy at proxyPort: {socket, status, head}.
 * headers are extra header lines; the socket is open when status is 200.
 */
export async function connectTunnel(proxyPort, authority, headers = {}) {
  const socket = await openTcp({ port: proxyPort });
  const lines = Object.entries({ Host: authority, ...headers });
  socket.write(
    `CONNECT ${authority} HTTP/1.1\r\n${lines.map(([k, v]) => `${k}: ${v}\r\n`).join('')}\r\n`,
  );
  const { head, rest } = await readHead(socket);
  if (rest.length) socket.unshift(rest);
  return { socket, head, status: Number(head.split(' ')[1]) };
}

/** TLS over an open socket: {servername, ca: PEM file or text, alpn: [...]}. */
export function startTls(socket, { servername, ca, alpn, ...more }) {
  const pem = ca && !String(ca).includes('BEGIN') ? fs.readFileSync(ca) : ca;
  const secure = tls.connect({
    socket,
    servername: net.isIP(servername ?? '') ? undefined : servername,
    host: servername,
    ca: pem,
    ALPNProtocols: alpn ?? ['http/1.1'],
    ...more,
  });
  return timeout(
    new Promise((resolve, reject) => {
      secure.once('error', reject);
      secure.once('close', () =>
        reject(new Error('closed during the TLS handshake')),
      );
      secure.once('secureConnect', () => {
        secure.removeListener('error', reject);
        secure.on('error', () => {});
        resolve(secure);
      });
    }),
    'TLS handshake',
  );
}

/** Writes bytes and reads until the peer closes (or ms): a Buffer. */
export function exchangeRaw(socket, bytes, ms = 5000) {
  const chunks = [];
  return new Promise((resolve) => {
    const timer = setTimeout(() => socket.destroy(), ms);
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(Buffer.concat(chunks));
    });
    if (bytes) socket.write(bytes);
    socket.resume();
  });
}

export class Client {
  /**
   * options: mode 'connect' (port: the agent's), 'base-url' (port: the
   * agent's; TLS to it), 'plain' (base URL without TLS) or 'direct' (port: the
   * server's); host: the name asked for (default by mode); ca: file or text;
   * token: sent as Bearer; headers: sent always; prefix: put before each path.
   */
  constructor(options) {
    this.mode = options.mode ?? 'connect';
    this.host =
      options.host ??
      (this.mode === 'connect' ? 'api.githubcopilot.com' : 'localhost');
    this.options = options;
    this.sockets = new Set();
  }

  /** The Host header's value. */
  get authority() {
    return this.mode === 'connect'
      ? this.host
      : `${this.host}:${this.options.port}`;
  }

  /** An open connection, ready for HTTP (or for raw bytes). */
  async open() {
    const { port, ca, alpn, address } = this.options;
    let socket;
    if (this.mode === 'connect') {
      const tunnel = await connectTunnel(
        port,
        `${this.host}:443`,
        this.options.connectHeaders,
      );
      if (tunnel.status !== 200) throw new Error(`CONNECT: ${tunnel.head}`);
      socket = tunnel.socket;
    } else socket = await openTcp({ port, host: address ?? '127.0.0.1' });
    if (this.mode !== 'plain')
      socket = await startTls(socket, { servername: this.host, ca, alpn });
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    return socket;
  }

  headersFor(options) {
    const headers = { host: this.authority, ...this.options.headers };
    if (this.options.token)
      headers.authorization = `Bearer ${this.options.token}`;
    if (options.json !== undefined)
      headers['content-type'] = 'application/json';
    for (const [k, v] of Object.entries(options.headers ?? {}))
      if (v === null) delete headers[k];
      else headers[k] = v;
    return headers;
  }

  /**
   * Starts a request on its own connection (or options.socket) and resolves at
   * the answer's headers: {req, res, informational}.
   */
  async start(method, path, options = {}) {
    const socket = options.socket ?? (await this.open());
    const body =
      options.json !== undefined ? JSON.stringify(options.json) : options.body;
    const headers = this.headersFor(options);
    if (body !== undefined && !options.chunked)
      headers['content-length'] = Buffer.byteLength(body);
    const req = http.request({
      createConnection: () => socket,
      method,
      path: (this.options.prefix ?? '') + path,
      headers,
    });
    const informational = [];
    req.on('information', (info) => informational.push(info));
    const answered = new Promise((resolve, reject) => {
      req.on('error', reject);
      req.on('response', (res) => resolve(res));
    });
    if (options.write) options.write(req);
    else req.end(body);
    const res = await timeout(answered, `${method} ${path}`, options.timeoutMs);
    res.on('error', () => {});
    return { req, res, socket, informational };
  }

  /**
   * The whole answer: {status, headers, rawHeaders, body, text, json, trailers,
   * complete, informational}. complete is false when it was cut short.
   */
  async request(method, path, options = {}) {
    const { res, socket, informational } = await this.start(
      method,
      path,
      options,
    );
    const chunks = [];
    res.on('data', (chunk) => chunks.push(chunk));
    await timeout(
      new Promise((resolve) => res.on('close', resolve)),
      `${method} ${path}: body`,
      options.timeoutMs,
    );
    if (!options.socket) socket.destroy();
    const body = Buffer.concat(chunks);
    const text = body.toString('utf8');
    return {
      status: res.statusCode,
      headers: res.headers,
      rawHeaders: res.rawHeaders,
      body,
      text,
      json: parsed(text),
      trailers: res.trailers,
      complete: res.complete,
      informational,
    };
  }

  get(path, options) {
    return this.request('GET', path, options);
  }

  post(path, json, options) {
    return this.request('POST', path, { json, ...options });
  }

  /**
   * POSTs json and reads the answer as SSE: {status, headers, events, text,
   * complete}; each event is {event, data, json, at (ms), chunk}.
   */
  async stream(path, json, options = {}) {
    const { req, res, socket } = await this.start('POST', path, {
      json,
      ...options,
    });
    const reader = new SseReader();
    res.on('data', (chunk) => {
      reader.feed(chunk);
      if (options.onEvent)
        for (const e of reader.fresh()) options.onEvent(e, req);
    });
    await timeout(
      new Promise((resolve) => res.on('close', resolve)),
      `POST ${path}: stream`,
      options.timeoutMs,
    );
    socket.destroy();
    reader.end();
    return {
      status: res.statusCode,
      headers: res.headers,
      events: reader.events,
      comments: reader.comments,
      text: reader.raw,
      complete: res.complete,
    };
  }

  /** Sends bytes as they are and reads until the peer closes, as text. */
  async raw(bytes, ms) {
    const socket = await this.open();
    return (await exchangeRaw(socket, bytes, ms)).toString('latin1');
  }

  close() {
    for (const socket of this.sockets) socket.destroy();
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** One request over HTTP/2, on its own connection: {status, headers, text}. */
export async function requestH2(options, headers, body) {
  const { port, ca, servername = 'localhost' } = options;
  const session = http2.connect(`https://${servername}:${port}`, {
    ca: fs.readFileSync(ca),
    createConnection: options.createConnection,
  });
  try {
    return await timeout(
      new Promise((resolve, reject) => {
        session.on('error', reject);
        const stream = session.request(headers);
        const result = { chunks: [], informational: [], trailers: {} };
        stream.on('headers', (h) => result.informational.push(h));
        stream.on('response', (h) => (result.headers = h));
        stream.on('trailers', (h) => (result.trailers = h));
        stream.on('data', (chunk) => result.chunks.push(chunk));
        stream.on('error', (error) => (result.error = error));
        stream.on('close', () =>
          resolve({
            ...result,
            status: result.headers?.[':status'],
            text: Buffer.concat(result.chunks).toString('utf8'),
            code: stream.rstCode,
          }),
        );
        stream.end(body);
      }),
      'h2 request',
    );
  } finally {
    session.destroy();
  }
}
