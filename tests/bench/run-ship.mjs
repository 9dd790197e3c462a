// SPDX-License-Identifier: Apache-2.0
// A day offline, then all of it delivered in order: receives what bench-ship
// ships, as cheaply as it can, and checks that every row came once, in order.
// usage: node run-ship.mjs [ROWS [LEAST ROWS A SECOND]]; HOOP_BUILDDIR is set.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import zlib from 'node:zlib';

const rows = Number(process.argv[2] ?? 100000);
const ROW = /"hoop\.kind","value":\{"stringValue":"(\w+)"\}\},\{"key":"hoop\.chain\.journal","value":\{"stringValue":"\w+"\}\},\{"key":"hoop\.chain\.seq","value":\{"intValue":"(\d+)"/g;

let next = 1;
let bytes = 0;
let requests = 0;
const server = http.createServer((req, res) => {
  const chunks = [];
  req.on('data', (chunk) => chunks.push(chunk));
  req.on('end', () => {
    const body = Buffer.concat(chunks);
    bytes += body.length;
    requests++;
    for (const [, kind, seq] of zlib.gunzipSync(body).toString('latin1').matchAll(ROW))
      if (kind !== 'checkpoint') assert.equal(Number(seq), next++);
    res.end('{}');
  });
});
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'hoop-bench-'));
try {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const child = spawn(
    path.join(process.env.HOOP_BUILDDIR, 'tests/bench/bench-ship'),
    [
      path.join(dir, 'journal', 'journal.db'),
      `http://127.0.0.1:${server.address().port}`,
      String(rows),
      process.argv[3] ?? '0',
    ],
    { stdio: 'inherit' },
  );
  const code = await new Promise((resolve) => child.on('exit', resolve));
  assert.equal(code, 0);
  assert.ok(next > rows, `${next - 1} of ${rows} rows came`);
  console.log(
    `all in order, in ${requests} requests of ${Math.round(bytes / requests / 1024)} KiB (gzip)`,
  );
} finally {
  server.closeAllConnections?.();
  server.close();
  fs.rmSync(dir, { recursive: true, force: true });
}
