// SPDX-License-Identifier: Apache-2.0
// An answer's parts, filled in, and the small pieces that every API shape uses.

import crypto from 'node:crypto';

const DEFAULT_TEXT = 'Hello from the stand-in.';

export const hex = (n) => crypto.randomBytes(n).toString('hex');
export const now = () => Math.floor(Date.now() / 1000);

/** One SSE frame; event is optional. */
export function frame(data, event) {
  const text = typeof data === 'string' ? data : JSON.stringify(data);
  return event ? `event: ${event}\ndata: ${text}\n\n` : `data: ${text}\n\n`;
}

/** Splits text as a model does: words with the space before them. */
export function words(text) {
  return text.match(/\s*\S+|\s+$/g) ?? (text ? [text] : []);
}

/**
 * The answer with every optional part filled in:
 * {deltas, text, toolCalls: [{id, name, arguments, deltas}], finish, usage}.
 */
export function normalise(answer) {
  const toolCalls = (answer.toolCalls ?? []).map((call) => {
    const deltas = call.deltas ?? pieces(argumentText(call), 9);
    return {
      id: call.id ?? `call_${hex(12)}`,
      name: call.name,
      arguments: deltas.join(''),
      deltas,
    };
  });
  const fallback = toolCalls.length ? '' : DEFAULT_TEXT;
  const deltas = answer.deltas ?? words(answer.text ?? fallback);
  const text = deltas.join('');
  return {
    deltas,
    text,
    toolCalls,
    interleave: answer.interleaveToolCalls === true,
    finish: answer.finishReason ?? (toolCalls.length ? 'tool_calls' : 'stop'),
    usage: answer.usage ?? { input: 12, output: Math.max(1, deltas.length) },
    reasoning: answer.reasoning,
  };
}

function argumentText(call) {
  const args = call.arguments ?? {};
  return typeof args === 'string' ? args : JSON.stringify(args);
}

function pieces(text, size) {
  const out = [];
  for (let i = 0; i < text.length; i += size) out.push(text.slice(i, i + size));
  return out;
}

/** The argument deltas of all calls as [callIndex, delta], in sending order. */
export function argumentOrder(answer) {
  const lists = answer.toolCalls.map((c, i) => c.deltas.map((d) => [i, d]));
  if (!answer.interleave) return lists.flat();
  const out = [];
  const longest = Math.max(0, ...lists.map((l) => l.length));
  for (let k = 0; k < longest; k++)
    for (const list of lists) if (k < list.length) out.push(list[k]);
  return out;
}
