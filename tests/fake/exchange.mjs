// SPDX-License-Identifier: Apache-2.0
// One request from its headers to the end of its answer: record, read, check,
// choose the answer (script first, then route), send.

import { setTimeout as sleep } from 'node:timers/promises';

import { decodeRequest } from './encode.mjs';
import { apiError } from './errors.mjs';
import {
  checkCredential,
  commonHeaders,
  findRoute,
  missing,
  parseRequest,
  routeAnswer,
} from './routes.mjs';
import { Sender } from './send.mjs';

// Scripted answers with one of these need nothing from the default answer.
const CONTENT = [
  'text',
  'deltas',
  'toolCalls',
  'choices',
  'json',
  'events',
  'rawBody',
  'rawBodyBase64',
  'rawResponse',
  'size',
  'drop',
];
const FOREVER_MS = 2 ** 30;

function hasContent(answer) {
  return CONTENT.some((key) => answer[key] !== undefined);
}

/** The facts of a request that scripts match and records keep. */
export function describe(req, connection) {
  const target = req.url;
  const cut = target.indexOf('?');
  return {
    method: req.method,
    path: cut < 0 ? target : target.slice(0, cut),
    url: target,
    host: String(req.headers[':authority'] ?? req.headers.host ?? ''),
    headers: { ...req.headers },
    rawHeaders: req.rawHeaders,
    http: req.httpVersionMajor === 2 ? '2' : '1.1',
    ...connection,
  };
}

class Exchange {
  constructor(backend, req, res, connection) {
    this.backend = backend;
    this.config = backend.config;
    this.github = backend.github;
    this.res = res;
    this.incoming = req;
    this.req = describe(req, connection);
    this.record = backend.records.add(this.req);
    const { route, status } = findRoute(this.req.method, this.req.path);
    this.route = route ?? {};
    this.routeStatus = status;
    this.api = this.route.api;
    this.text = '';
    this.left = new AbortController();
    res.on('close', () => this.closed());
  }

  closed() {
    this.left.abort();
    this.record.closedAt = Date.now();
    if (!this.record.finished || !this.res.writableFinished) {
      this.record.clientGone =
        !this.record.fault || this.record.fault === 'stall';
    }
  }

  async run(expectsContinue) {
    const early = this.backend.script.takeEarly(this.req);
    if (expectsContinue && !early?.early && !early?.noContinue)
      this.res.writeContinue();
    if (early?.early) {
      const reading = this.read(early.reading).catch(() => {});
      await this.answer(early);
      return void (await reading);
    }
    try {
      await this.read(early?.reading ?? {});
    } catch {
      this.record.clientGone = true;
      return;
    }
    await this.answer(this.choose(early));
  }

  async read(reading = {}) {
    const { record, left } = this;
    let total = 0;
    let stall = reading.stallAfterBytes ?? Infinity;
    for await (const chunk of this.incoming) {
      record.addBody(chunk);
      total += chunk.length;
      if (reading.delayMs)
        await sleep(reading.delayMs, null, { signal: left.signal });
      if (total >= stall) {
        stall = Infinity;
        await sleep(reading.stallMs ?? FOREVER_MS, null, {
          signal: left.signal,
        });
      }
      if (total >= (reading.resetAfterBytes ?? Infinity)) {
        new Sender(this).drop('reset');
        throw new Error('reset while reading');
      }
    }
    record.endBody();
    this.backend.records.account(record);
    const bytes = record.bytes();
    const encoding = this.req.headers['content-encoding'];
    this.text = (decodeRequest(bytes, encoding) ?? bytes).toString('utf8');
    if (encoding) record.bodyText = this.text;
  }

  /** Credential and form first, as the real one does; then script, route. */
  choose(early) {
    const broken = this.refusal();
    if (broken) return broken;
    const scripted = early ?? this.backend.script.take(this.req, this.text);
    if (scripted) this.record.scripted = true;
    if (scripted && (hasContent(scripted) || scripted.status >= 400))
      return this.complete(scripted);
    if (this.routeStatus)
      return { ...missing(this, this.routeStatus), ...scripted };
    return { ...routeAnswer(this), ...scripted };
  }

  refusal() {
    const denied = checkCredential(this);
    if (denied) return denied;
    const bad = parseRequest(this);
    this.wantsStream = this.request?.stream === true;
    return bad;
  }

  complete(scripted) {
    if (hasContent(scripted)) return scripted;
    const api = this.route.kind === 'github' ? 'github' : (this.api ?? 'chat');
    const message = scripted.message ?? `scripted error ${scripted.status}`;
    return {
      ...apiError(api, scripted.status, message, scripted.code),
      ...scripted,
    };
  }

  async answer(answer) {
    this.request ??= {};
    this.headers = commonHeaders(this);
    await new Sender({
      req: this.req,
      res: this.res,
      record: this.record,
      api: this.api,
      request: this.request,
      wantsStream: this.wantsStream,
      headers: this.headers,
    }).send(answer);
  }
}

/** Handles one request; never throws. */
export async function handle(backend, req, res, connection, expectsContinue) {
  const exchange = new Exchange(backend, req, res, connection);
  req.on('error', () => {});
  res.on('error', () => {});
  try {
    await exchange.run(expectsContinue);
  } catch (error) {
    exchange.record.error = String(error?.stack ?? error);
    if (!res.headersSent) res.writeHead(500, { 'content-type': 'text/plain' });
    res.end(`stand-in: ${error.message}\n`);
  }
}
