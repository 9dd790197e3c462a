// SPDX-License-Identifier: Apache-2.0
// Content codings for answers: each turns an async iterable of buffers into
// one of encoded buffers, flushed so that every piece can travel alone.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setImmediate as immediate } from 'node:timers/promises';
import zlib from 'node:zlib';

const ZLIB = {
  gzip: () => zlib.createGzip(),
  'x-gzip': () => zlib.createGzip(),
  deflate: () => zlib.createDeflate(),
  'deflate-raw': () => zlib.createDeflateRaw(),
  br: () =>
    zlib.createBrotliCompress({
      params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 },
    }),
};

// The largest block that RFC 8878 section 3.1.1.2.4 allows.
const ZSTD_BLOCK = 128 * 1024;

async function* throughZlib(source, encoder) {
  let pieces = [];
  let failure = null;
  encoder.on('data', (chunk) => pieces.push(chunk));
  encoder.on('error', (error) => (failure = error));
  const take = () => {
    const out = Buffer.concat(pieces);
    pieces = [];
    if (failure) throw failure;
    return out;
  };
  try {
    for await (const piece of source) {
      if (!encoder.write(piece)) await once(encoder, 'drain');
      await new Promise((resolve) => encoder.flush(resolve));
      await immediate();
      if (pieces.length) yield take();
    }
    const ended = once(encoder, 'end');
    encoder.end();
    await ended;
    yield take();
  } finally {
    encoder.destroy();
  }
}

/** Real compression by the zstd tool; the pieces come out as it likes. */
async function* throughZstdTool(source) {
  const child = spawn('zstd', ['-q', '-c', '-'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  let failure = null;
  child.on('error', (error) => (failure = error));
  child.stdin.on('error', () => {});
  const feed = (async () => {
    for await (const piece of source)
      if (!child.stdin.write(piece)) await once(child.stdin, 'drain');
    child.stdin.end();
  })();
  feed.catch((error) => {
    failure = error;
    child.kill();
  });
  try {
    for await (const chunk of child.stdout) yield chunk;
    if (failure) throw failure;
  } finally {
    child.kill();
  }
}

/** One zstd frame of uncompressed blocks, one block for each piece. */
async function* throughZstdBlocks(source) {
  const block = (bytes, last) => {
    const header = Buffer.alloc(3);
    header.writeUIntLE((bytes.length << 3) | (last ? 1 : 0), 0, 3);
    return Buffer.concat([header, bytes]);
  };
  // Magic number, no frame flags, an 8 MiB window.
  yield Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x68]);
  for await (const piece of source)
    for (let at = 0; at < piece.length; at += ZSTD_BLOCK)
      yield block(piece.subarray(at, at + ZSTD_BLOCK), false);
  yield block(Buffer.alloc(0), true);
}

/** The Content-Encoding value of an encoding's name; null for identity. */
export function encodingHeader(name) {
  if (!name || name === 'identity') return null;
  return name.replace(/-(raw|blocks)$/, '');
}

/** source, encoded; throws an Error for a name that is not known. */
export function encode(source, name) {
  if (!name || name === 'identity') return source;
  if (name === 'zstd') return throughZstdTool(source);
  if (name === 'zstd-blocks') return throughZstdBlocks(source);
  if (ZLIB[name]) return throughZlib(source, ZLIB[name]());
  throw new Error(`unknown encoding "${name}"`);
}

/** The first coding of ours that an Accept-Encoding value lists. */
export function negotiate(accept = '') {
  const offered = accept
    .split(',')
    .map((part) => part.trim().split(';'))
    .filter(([, q]) => !/q=0(\.0*)?$/.test(q ?? ''))
    .map(([name]) => name.toLowerCase());
  return ['br', 'gzip', 'zstd', 'deflate'].find((n) => offered.includes(n));
}

/** Decodes a received request body; undefined when it cannot be. */
export function decodeRequest(bytes, encoding) {
  try {
    if (encoding === 'gzip') return zlib.gunzipSync(bytes);
    if (encoding === 'deflate') return zlib.inflateSync(bytes);
    if (encoding === 'br') return zlib.brotliDecompressSync(bytes);
  } catch {
    return undefined;
  }
  return encoding ? undefined : bytes;
}
