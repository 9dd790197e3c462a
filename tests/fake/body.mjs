// SPDX-License-Identifier: Apache-2.0
// What an answer consists of before encoding: an iterable of pieces, its type,
// and whether it is sent as a stream.

import { document, events } from './shapes.mjs';

const GENERATED_PIECE = 64 * 1024;
const DELTA_SIZE = 4096;

function* generatedBytes(size, fill) {
  const piece = Buffer.alloc(GENERATED_PIECE, fill);
  for (let left = size; left > 0; left -= piece.length)
    yield left < piece.length ? piece.subarray(0, left) : piece;
}

/** A JSON document of exactly size bytes (at least 14). */
function* generatedJson(size) {
  yield Buffer.from('{"filler":"');
  yield* generatedBytes(Math.max(1, size - 13), 'x');
  yield Buffer.from('"}');
}

function* generatedEvents(exchange, size) {
  const deltas = {
    *[Symbol.iterator]() {
      for (let left = size; left > 0; left -= DELTA_SIZE)
        yield 'x'.repeat(Math.min(left, DELTA_SIZE));
    },
    length: Math.ceil(size / DELTA_SIZE),
    join: () => `(${size} bytes)`,
  };
  yield* events(exchange.api, exchange.request, { deltas });
}

/** What to send: {pieces, type, streamed} with pieces an iterable. */
export function bodyOf(exchange, answer) {
  const sse = { type: 'text/event-stream; charset=utf-8', streamed: true };
  const json = { type: 'application/json; charset=utf-8', streamed: false };
  if (answer.rawBody !== undefined)
    return { ...json, pieces: [answer.rawBody] };
  if (answer.rawBodyBase64 !== undefined)
    return { ...json, pieces: [Buffer.from(answer.rawBodyBase64, 'base64')] };
  if (answer.events) return { ...sse, pieces: answer.events };
  if (answer.size !== undefined) {
    const big = { streamed: true, big: true };
    if (answer.sizeOf === 'bytes')
      return {
        ...big,
        pieces: generatedBytes(answer.size, 'x'),
        type: 'application/octet-stream',
      };
    if (exchange.wantsStream)
      return { ...sse, ...big, pieces: generatedEvents(exchange, answer.size) };
    return { ...json, ...big, pieces: generatedJson(answer.size) };
  }
  if (answer.json !== undefined)
    return { ...json, pieces: [JSON.stringify(answer.json)] };
  if (!exchange.api || exchange.api === 'github')
    return { ...json, pieces: [] };
  if (exchange.wantsStream)
    return { ...sse, pieces: events(exchange.api, exchange.request, answer) };
  return {
    ...json,
    pieces: [JSON.stringify(document(exchange.api, exchange.request, answer))],
  };
}
