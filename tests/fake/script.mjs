// SPDX-License-Identifier: Apache-2.0
// Scripted answers and the record of what was received. A script is a list of
// {match, answer, times}; the first rule that matches a request is used up.

import crypto from 'node:crypto';

// What GET /requests can return stays bounded, whatever a test sends.
const MAX_RECORDS = 20000;
const MAX_BODY_KEPT = 4 << 20;
const MAX_BODIES_KEPT = 256 << 20;

const FIELDS = {
  method: (want, req) => want.toUpperCase() === req.method,
  path: (want, req) => textMatches(want, req.path),
  host: (want, req) => textMatches(want, req.host),
  http: (want, req) => want === req.http,
  header: (want, req) =>
    Object.entries(want).every(([k, v]) =>
      textMatches(v, String(req.headers[k.toLowerCase()] ?? '')),
    ),
  contains: (want, req, body) => [].concat(want).every((w) => body.includes(w)),
};

/** 'text' is equality, 'text*' a prefix, {regex: 'text'} an expression. */
function textMatches(want, got) {
  if (typeof want === 'object') return new RegExp(want.regex).test(got);
  if (want.endsWith('*')) return got.startsWith(want.slice(0, -1));
  return want === got;
}

export class Script {
  constructor() {
    this.rules = [];
  }

  /** Appends rules; throws an Error that names the first bad one. */
  add(rules) {
    const list = [].concat(rules);
    for (const [i, rule] of list.entries()) {
      if (!rule || typeof rule !== 'object' || typeof rule.answer !== 'object')
        throw new Error(`rule ${i}: needs {match, answer}`);
      for (const key of Object.keys(rule.match ?? {}))
        if (!FIELDS[key]) throw new Error(`rule ${i}: unknown match "${key}"`);
    }
    for (const rule of list)
      this.rules.push({ match: {}, times: 1, used: 0, ...rule });
  }

  clear() {
    this.rules = [];
  }

  /**
   * Takes the answer that must be known before the body is read: the next
   * rule's, when it does not look at the body and says how to read it.
   */
  takeEarly(req) {
    const rule = this.rules.find((r) => live(r) && matches(r, req, '', true));
    if (!rule || rule.match.contains !== undefined) return null;
    if (!rule.answer.early && !rule.answer.reading) return null;
    rule.used++;
    return rule.answer;
  }

  /**
   * Takes the answer for req with its body (text); null when no rule is left
   * for it. A rule with times 0 never runs out.
   */
  take(req, body) {
    const rule = this.rules.find(
      (r) => live(r) && matches(r, req, body, false),
    );
    if (!rule) return null;
    rule.used++;
    return rule.answer;
  }
}

function live(rule) {
  return rule.times === 0 || rule.used < rule.times;
}

function matches(rule, req, body, ignoreBody) {
  return Object.entries(rule.match).every(
    ([key, want]) =>
      (ignoreBody && key === 'contains') || FIELDS[key](want, req, body),
  );
}

/** One request's record; grows while its body arrives. */
export class Received {
  constructor(id, fields) {
    Object.assign(this, fields);
    this.id = id;
    this.startedAt = Date.now();
    this.bodySize = 0;
    this.clientGone = false;
    this.finished = false;
    this.bytesSent = 0;
    this.messages = [];
    Object.defineProperties(this, {
      chunks: { value: [], writable: true, enumerable: false },
      kept: { value: 0, writable: true, enumerable: false },
      hash: { value: crypto.createHash('sha256'), enumerable: false },
      bodyText: { value: undefined, writable: true, enumerable: false },
    });
  }

  addBody(chunk) {
    this.bodySize += chunk.length;
    this.hash.update(chunk);
    if (this.kept + chunk.length <= MAX_BODY_KEPT) {
      this.chunks.push(chunk);
      this.kept += chunk.length;
    }
  }

  endBody() {
    this.bodyAt = Date.now();
    this.bodySha256 = this.hash.digest('hex');
    this.bodyTruncated = this.kept < this.bodySize;
  }

  bytes() {
    if (this.chunks.length > 1) this.chunks = [Buffer.concat(this.chunks)];
    return this.chunks[0] ?? Buffer.alloc(0);
  }

  /** What GET /requests shows. */
  view() {
    return {
      ...this,
      body: this.bytes().toString('utf8'),
      decodedBody: this.bodyText,
    };
  }
}

export class Records {
  constructor() {
    this.keep = true;
    this.reset();
  }

  reset() {
    this.list = [];
    this.nextId = 1;
    this.keptBytes = 0;
    this.total = 0;
    this.counts = {};
  }

  add(fields) {
    const record = new Received(this.nextId++, fields);
    this.total++;
    const key = `${fields.method} ${fields.path}`;
    this.counts[key] = (this.counts[key] ?? 0) + 1;
    if (this.keep) {
      this.list.push(record);
      if (this.list.length > MAX_RECORDS) this.drop();
    }
    return record;
  }

  /** Called when a body is complete: forgets the oldest beyond the bound. */
  account(record) {
    if (!this.keep) return;
    this.keptBytes += record.kept;
    while (this.keptBytes > MAX_BODIES_KEPT && this.list.length > 1)
      this.drop();
  }

  drop() {
    this.keptBytes -= this.list.shift().kept;
  }
}
