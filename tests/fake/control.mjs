// SPDX-License-Identifier: Apache-2.0
// The control port (plain HTTP on loopback) by which tests script answers and
// read back what was received. See README.md for its requests.

import http from 'node:http';

const MAX_SCRIPT = 64 << 20;

async function readJson(req) {
  const chunks = [];
  let size = 0;
  for await (const chunk of req) {
    size += chunk.length;
    if (size > MAX_SCRIPT) throw new Error('script too large');
    chunks.push(chunk);
  }
  return chunks.length
    ? JSON.parse(Buffer.concat(chunks).toString('utf8'))
    : {};
}

function selected(records, query) {
  return records.list.filter(
    (r) =>
      (!query.has('path') || r.path === query.get('path')) &&
      (!query.has('method') || r.method === query.get('method')) &&
      (!query.has('host') || r.host === query.get('host')) &&
      (!query.has('since') || r.id > Number(query.get('since'))),
  );
}

const ACTIONS = {
  'POST /script': (backend, { body }) => backend.script.add(body.rules ?? body),
  'PUT /script': (backend, { body }) => {
    backend.script.clear();
    backend.script.add(body.rules ?? body);
  },
  'GET /script': (backend) => backend.script.rules,
  'DELETE /script': (backend) => backend.script.clear(),
  'PUT /config': (backend, { body }) => backend.configure(body),
  'GET /config': (backend) => backend.config,
  'GET /requests': (backend, { query }) =>
    selected(backend.records, query).map((r) => r.view()),
  'DELETE /requests': (backend) => backend.records.reset(),
  'GET /counts': (backend) => ({
    total: backend.records.total,
    byPath: backend.records.counts,
    tokensIssued: backend.github.issued,
  }),
  'GET /connections': (backend) => backend.connectionCounts(),
  'POST /reset': (backend) => backend.reset(),
  'POST /revoke': (backend, { body }) => {
    for (const token of [].concat(body.token))
      backend.github.revoked.add(token);
  },
  'POST /allow': (backend, { body }) => {
    for (const token of [].concat(body.token))
      backend.github.githubTokens.add(token);
  },
};

async function serve(backend, req, res) {
  const url = new URL(req.url, 'http://control');
  const bodyOf = /^\/requests\/(\d+)\/body$/.exec(url.pathname);
  if (bodyOf && req.method === 'GET') {
    const record = backend.records.list.find((r) => r.id === Number(bodyOf[1]));
    return void res.writeHead(record ? 200 : 404).end(record?.bytes());
  }
  const action = ACTIONS[`${req.method} ${url.pathname}`];
  if (!action) return void res.writeHead(404).end('no such control request\n');
  try {
    const body = await readJson(req);
    const result = action(backend, { body, query: url.searchParams });
    res.writeHead(200, { 'content-type': 'application/json' });
    res.end(JSON.stringify(result ?? {}));
  } catch (error) {
    res.writeHead(400).end(`${error.message}\n`);
  }
}

/** Starts the control server; resolves to {port, close}. */
export function startControl(backend) {
  const server = http.createServer((req, res) => {
    serve(backend, req, res).catch(() => res.destroy());
  });
  return new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () =>
      resolve({ port: server.address().port, server }),
    );
  });
}
