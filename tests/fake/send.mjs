// SPDX-License-Identifier: Apache-2.0
// Sends one answer over HTTP/1.1 or HTTP/2: pacing, encodings, odd framing and
// the faults that a script asks for. Every wait ends when the client leaves.

import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { bodyOf } from './body.mjs';
import { encode, encodingHeader, negotiate } from './encode.mjs';

const NO_ERROR = 0;
const INTERNAL_ERROR = 2;

/** Thrown inside the writer once a fault has ended the answer. */
class Ended extends Error {}

async function* buffers(pieces) {
  for await (const piece of pieces)
    yield typeof piece === 'string' ? Buffer.from(piece) : piece;
}

async function* sliced(source, size) {
  for await (const piece of source)
    for (let at = 0; at < piece.length; at += size)
      yield piece.subarray(at, at + size);
}

async function* paced(source, delayMs, signal) {
  let first = true;
  for await (const piece of source) {
    if (!first) await sleep(delayMs, undefined, { signal });
    first = false;
    yield piece;
  }
}

async function collect(source) {
  const pieces = [];
  for await (const piece of source) pieces.push(piece);
  return pieces;
}

/** The fault that an answer asks for: {kind, at} or null. */
function faultOf(answer) {
  for (const kind of ['stall', 'reset', 'truncate']) {
    const at = answer[`${kind}AfterBytes`];
    if (at !== undefined) return { kind, at, ms: answer.stallMs };
  }
  return null;
}

export class Sender {
  /** exchange: {req, res, record, api, request, wantsStream, headers}. */
  constructor(exchange) {
    this.exchange = exchange;
    this.res = exchange.res;
    this.record = exchange.record;
    this.gone = new AbortController();
    this.res.on('close', () => this.gone.abort());
  }

  /** Sends the answer; resolves when it is over, however it ended. */
  async send(answer) {
    try {
      if (answer.slowStartMs) await this.wait(answer.slowStartMs);
      if (answer.drop) return this.drop(answer.drop);
      if (answer.rawResponse !== undefined) return await this.sendRaw(answer);
      for (const early of answer.informational ?? answer['1xx'] ?? [])
        this.informational(early);
      await this.sendBody(answer);
    } catch (error) {
      if (!this.gone.signal.aborted && !(error instanceof Ended)) throw error;
    }
  }

  wait(ms) {
    return sleep(ms, undefined, { signal: this.gone.signal });
  }

  async sendBody(answer) {
    const body = bodyOf(this.exchange, answer);
    let source = buffers(body.pieces);
    if (answer.delayMs)
      source = paced(source, answer.delayMs, this.gone.signal);
    const encoding =
      answer.encoding === 'negotiate'
        ? negotiate(this.exchange.req.headers['accept-encoding'])
        : answer.encoding;
    source = encode(source, encoding);
    const streamed = body.streamed || answer.chunked || answer.trailers;
    const whole = streamed ? null : await collect(source);
    this.head(answer, body, encoding, whole);
    if (bodiless(this.exchange.req.method, answer.status))
      return this.finish(answer);
    if (answer.firstByteDelayMs) await this.wait(answer.firstByteDelayMs);
    source = whole ?? source;
    if (answer.writeSize) source = sliced(source, answer.writeSize);
    await this.write(source, faultOf(answer), {
      alone:
        Boolean(answer.writeSize) ||
        (body.streamed && !body.big && !answer.burst),
      pauseMs: answer.writeDelayMs ?? 0,
    });
    this.finish(answer);
  }

  head(answer, body, encoding, whole) {
    const status = answer.status ?? 200;
    const headers = { ...this.exchange.headers };
    const empty = status === 204 || status === 304;
    if (!answer.noContentType && !empty) headers['content-type'] = body.type;
    if (encodingHeader(encoding))
      headers['content-encoding'] = encodingHeader(encoding);
    if (body.type.startsWith('text/event-stream'))
      headers['cache-control'] = 'no-cache';
    if (whole && !empty)
      headers['content-length'] = whole.reduce((n, p) => n + p.length, 0);
    if (answer.trailers && this.record.http === '1.1')
      headers.trailer = Object.keys(answer.trailers).join(', ');
    for (const [name, value] of Object.entries(answer.headers ?? {})) {
      if (value === null) delete headers[name.toLowerCase()];
      else headers[name.toLowerCase()] = value;
    }
    this.record.status = status;
    this.record.answeredAt = Date.now();
    this.res.writeHead(status, headers);
    this.res.flushHeaders?.();
  }

  async write(source, fault, { alone, pauseMs }) {
    let left = fault ? fault.at : Infinity;
    for await (let piece of source) {
      if (piece.length >= left) {
        if (left > 0) await this.put(piece.subarray(0, left), true);
        await this.fault(fault);
        piece = piece.subarray(left);
        left = Infinity;
      }
      left -= piece.length;
      if (piece.length) await this.put(piece, alone || fault !== null);
      if (pauseMs) await this.wait(pauseMs);
    }
    if (left !== Infinity) await this.fault(fault);
  }

  /** Writes one piece: alone = it has left the process before the next. */
  async put(piece, alone) {
    if (this.gone.signal.aborted) throw new Ended('the client left');
    this.record.bytesSent += piece.length;
    const { signal } = this.gone;
    if (alone)
      await new Promise((resolve) => {
        signal.addEventListener('abort', resolve, { once: true });
        this.res.write(piece, () => {
          signal.removeEventListener('abort', resolve);
          resolve();
        });
      });
    else if (!this.res.write(piece)) await once(this.res, 'drain', { signal });
  }

  async fault({ kind, ms }) {
    this.record.fault = kind;
    if (kind === 'stall') return this.wait(ms ?? 2 ** 30);
    this.drop(kind === 'reset' ? 'reset' : 'close');
    throw new Ended(kind);
  }

  finish(answer) {
    if (answer.trailers) this.res.addTrailers(answer.trailers);
    this.record.finished = true;
    this.res.end();
  }

  /** Ends the connection (h2: the stream): 'reset', 'close' or 'abrupt'. */
  drop(how) {
    this.record.fault ??= how;
    const { stream } = this.res;
    if (stream)
      return stream.close(how === 'reset' ? INTERNAL_ERROR : NO_ERROR);
    const socket = this.res.socket;
    if (!socket) return;
    const raw = socket._parent ?? socket;
    if (how === 'reset') raw.resetAndDestroy();
    else if (how === 'abrupt') raw.destroy();
    else socket.end(() => socket.destroySoon());
  }

  informational({ status, headers = {} }) {
    const { stream } = this.res;
    if (stream)
      return stream.additionalHeaders({ ':status': status, ...headers });
    const lines = Object.entries(headers).map(([k, v]) => `${k}: ${v}\r\n`);
    this.res.socket.write(`HTTP/1.1 ${status} Early\r\n${lines.join('')}\r\n`);
  }

  /** Bytes as they are, past all framing; HTTP/1.1 only. */
  async sendRaw({ rawResponse, keepOpen }) {
    const socket = this.res.socket;
    this.record.finished = true;
    if (!socket) return;
    socket.write(Buffer.from(rawResponse, 'latin1'));
    if (keepOpen) await this.wait(2 ** 30);
    else socket.end();
  }
}

function bodiless(method, status) {
  return method === 'HEAD' || status === 204 || status === 304;
}
