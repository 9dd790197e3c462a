// SPDX-License-Identifier: Apache-2.0
// Assertions of security promises: that a secret is in no file below a folder,
// in any form that a program may have written it.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
const MAX_PACKED = 8 << 20;
const MAX_UNPACKED = 64 << 20;

function base64Forms(bytes) {
  // The three ways that bytes can fall on base64's groups of three; only the
  // characters that depend on nothing around them.
  return [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
    const from = Math.ceil((shift * 8) / 6);
    const to = Math.floor(((shift + bytes.length) * 8) / 6);
    return text.slice(from, to);
  });
}

/** Every form of secret that is looked for: [name, Buffer] pairs. */
export function secretForms(secret) {
  const bytes = Buffer.from(secret);
  const json = JSON.stringify(secret).slice(1, -1);
  const unicode = [...secret]
    .map((c) =>
      /[\w ]/.test(c)
        ? c
        : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
    .join('');
  const forms = [
    ['plain', bytes],
    ['JSON', Buffer.from(json)],
    ['JSON twice', Buffer.from(JSON.stringify(json).slice(1, -1))],
    ['JSON, escaped slashes', Buffer.from(json.replaceAll('/', '\\/'))],
    ['JSON, \\u', Buffer.from(unicode)],
    ['percent', Buffer.from(encodeURIComponent(secret))],
    ['hex', Buffer.from(bytes.toString('hex'))],
    ['HEX', Buffer.from(bytes.toString('hex').toUpperCase())],
    ['UTF-16', Buffer.from(secret, 'utf16le')],
    ['reversed', Buffer.from([...secret].reverse().join(''))],
  ];
  for (const [i, text] of base64Forms(bytes).entries()) {
    forms.push([`base64+${i}`, Buffer.from(text)]);
    forms.push([
      `base64url+${i}`,
      Buffer.from(text.replaceAll('+', '-').replaceAll('/', '_')),
    ]);
  }
  return forms;
}

function unzstd(bytes) {
  const { stdout } = spawnSync('zstd', ['-q', '-d', '-c'], {
    input: bytes,
    maxBuffer: MAX_UNPACKED,
  });
  return stdout ?? Buffer.alloc(0);
}

/** What lies zstd-compressed in bytes, wherever a frame begins. */
function* unpacked(bytes) {
  for (
    let at = bytes.indexOf(ZSTD_MAGIC);
    at >= 0;
    at = bytes.indexOf(ZSTD_MAGIC, at + 4)
  )
    yield unzstd(bytes.subarray(at, at + MAX_PACKED));
}

/** Every value of an SQLite database, blobs decoded, as one Buffer a table. */
function* databaseValues(file) {
  const copy = fs.mkdtempSync(path.join(os.tmpdir(), 'hoop-db-'));
  try {
    for (const suffix of ['', '-wal'])
      if (fs.existsSync(file + suffix))
        fs.copyFileSync(file + suffix, path.join(copy, `db${suffix}`));
    const dump = execFileSync('sqlite3', [path.join(copy, 'db'), '.dump'], {
      maxBuffer: 1 << 30,
    });
    yield dump;
    for (const [, hex] of dump
      .toString('latin1')
      .matchAll(/X'([0-9a-fA-F]+)'/g)) {
      const blob = Buffer.from(hex, 'hex');
      yield blob;
      yield* unpacked(blob);
    }
  } finally {
    fs.rmSync(copy, { recursive: true, force: true });
  }
}

function isDatabase(bytes) {
  return bytes.subarray(0, 15).toString('latin1') === 'SQLite format 3';
}

export function* filesBelow(dir) {
  for (const entry of fs.readdirSync(dir, { withFileTypes: true })) {
    const file = path.join(dir, entry.name);
    if (entry.isDirectory()) yield* filesBelow(file);
    else if (entry.isFile()) yield file;
  }
}

/** Where the forms occur in bytes: a list of names. */
export function formsIn(bytes, forms) {
  return forms
    .filter(([, form]) => form.length && bytes.includes(form))
    .map(([n]) => n);
}

/**
 * Fails when any form of secret is in a file below dir: raw bytes (with
 * SQLite's free pages and WAL), zstd frames, and values of databases. skip:
 * files that are known to hold it, by path below dir.
 */
export function assertNowhere(dir, secret, { skip = [] } = {}) {
  const forms = secretForms(secret);
  const found = [];
  let files = 0;
  for (const file of filesBelow(dir)) {
    const name = path.relative(dir, file);
    if (skip.includes(name)) continue;
    files++;
    const bytes = fs.readFileSync(file);
    const look = (part, where) => {
      for (const form of formsIn(part, forms))
        found.push(`${name}${where}: ${form}`);
    };
    look(bytes, '');
    for (const part of unpacked(bytes)) look(part, ' (zstd)');
    if (isDatabase(bytes))
      for (const part of databaseValues(file)) look(part, ' (SQL)');
  }
  assert.ok(files > 0, `${dir} holds no file: nothing was looked at`);
  assert.deepEqual([...new Set(found)], [], 'the secret was written');
}

/** Fails when any form of secret is in text (a string or Buffer). */
export function assertAbsent(text, secret, what = 'text') {
  const bytes = Buffer.isBuffer(text) ? text : Buffer.from(String(text));
  assert.deepEqual(
    formsIn(bytes, secretForms(secret)),
    [],
    `${what} holds the secret`,
  );
}
