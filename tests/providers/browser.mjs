// SPDX-License-Identifier: Apache-2.0
// A person's browser, as far as sign-in pages need one: cookies, redirects,
// forms. No scripts.

import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';

const MAX_HOPS = 20;
const TIMEOUT_MS = 20000;

function unescape(text) {
  const named = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };
  return text.replace(/&(amp|lt|gt|quot|#39);/g, (_, name) => named[name]);
}

function attribute(tag, name) {
  const found = new RegExp(
    `\\s${name}\\s*=\\s*("([^"]*)"|'([^']*)'|([^\\s>]+))`,
    'i',
  ).exec(tag);
  return found && unescape(found[2] ?? found[3] ?? found[4]);
}

function formOf(open, inside, base) {
  const fields = {};
  for (const [tag] of inside.matchAll(/<input\b[^>]*>/gi)) {
    const name = attribute(tag, 'name');
    const type = attribute(tag, 'type') ?? 'text';
    if (name && (!/^(checkbox|radio)$/i.test(type) || /\schecked/i.test(tag)))
      fields[name] = attribute(tag, 'value') ?? '';
  }
  return {
    action: new URL(attribute(open, 'action') || base, base).href,
    method: (attribute(open, 'method') ?? 'GET').toUpperCase(),
    fields,
  };
}

export class Page {
  constructor(url, status, headers, text) {
    Object.assign(this, { url, status, headers, text });
  }

  get forms() {
    return [
      ...this.text.matchAll(/(<form\b[^>]*>)([\s\S]*?)<\/form>/gi),
    ].map(([, open, inside]) => formOf(open, inside, this.url));
  }
}

export class Browser {
  /** ca: path of the CA that its https pages are verified with. */
  constructor(ca) {
    this.ca = fs.readFileSync(ca);
    this.cookies = new Map();
  }

  request(url, { method = 'GET', body, headers = {} } = {}) {
    const at = new URL(url);
    const jar = this.cookies.get(at.host) ?? new Map();
    const cookie = [...jar].map(([n, v]) => `${n}=${v}`).join('; ');
    const send = at.protocol === 'https:' ? https.request : http.request;
    return new Promise((resolve, reject) => {
      const call = send(
        at,
        {
          method,
          ca: this.ca,
          agent: false,
          timeout: TIMEOUT_MS,
          headers: {
            accept: 'text/html',
            ...(cookie && { cookie }),
            ...headers,
          },
        },
        (answer) => {
          const parts = [];
          answer.on('data', (part) => parts.push(part));
          answer.on('error', reject);
          answer.on('end', () => {
            this.keep(at.host, answer.headers['set-cookie'] ?? []);
            const text = Buffer.concat(parts).toString();
            resolve(new Page(url, answer.statusCode, answer.headers, text));
          });
        },
      );
      call.on('timeout', () => call.destroy(new Error(`${url}: timeout`)));
      call.on('error', reject);
      call.end(body);
    });
  }

  keep(host, lines) {
    const jar = this.cookies.get(host) ?? new Map();
    for (const line of lines) {
      const [pair] = line.split(';');
      const equals = pair.indexOf('=');
      const name = pair.slice(0, equals);
      if (/expires=Thu, 01 Jan 1970|max-age=0/i.test(line)) jar.delete(name);
      else jar.set(name, pair.slice(equals + 1));
    }
    this.cookies.set(host, jar);
  }

  /** Opens a page, following redirects. */
  async open(url, options) {
    let page = await this.request(url, options);
    for (let hop = 0; page.headers.location; hop++) {
      if (hop === MAX_HOPS) throw new Error(`${url}: redirected without end`);
      page = await this.request(new URL(page.headers.location, page.url).href);
    }
    return page;
  }

  /** Sends a form with these values over its own. */
  submit(form, values = {}) {
    const fields = new URLSearchParams({ ...form.fields, ...values });
    if (form.method === 'GET') {
      const url = new URL(form.action);
      url.search = fields;
      return this.open(url.href);
    }
    return this.open(form.action, {
      method: 'POST',
      body: fields.toString(),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
  }

  /** JSON there and back; redirects are not followed. */
  async json(method, url, value, headers = {}) {
    const page = await this.request(url, {
      method,
      body: value === undefined ? undefined : JSON.stringify(value),
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        ...headers,
      },
    });
    let parsed;
    try {
      parsed = JSON.parse(page.text);
    } catch {
      parsed = undefined;
    }
    return { status: page.status, headers: page.headers, value: parsed };
  }
}
