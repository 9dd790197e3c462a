// SPDX-License-Identifier: Apache-2.0
// What the stand-in says when no script does: it greets and quotes what it
// received; the word "leak" gets a made-up key that is split across deltas.

import { words } from './answer.mjs';

/** Made up, in the published format of an AWS access key id. */
export const LEAKED_KEY = 'AKIAQ3EGRIWKSLM5TZ2N';

const LEAK_DELTAS = [
  'Sure. The ',
  'deploy',
  ' key is ',
  'AKI',
  'AQ3EG',
  'RIWKSL',
  'M5T',
  'Z2N',
  ', as',
  ' you',
  ' asked',
  '.',
];
const QUOTE_LIMIT = 400;
const PROMPT_TAIL = 400;

function partsText(content) {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  const texts = content.filter((p) => typeof p?.text === 'string');
  return texts.length ? texts[texts.length - 1].text : '';
}

function lastOf(list, wanted) {
  return Array.isArray(list) ? [...list].reverse().find(wanted) : undefined;
}

function toolResult(api, body) {
  const messages = api === 'responses' ? body.input : body.messages;
  const last = Array.isArray(messages)
    ? messages[messages.length - 1]
    : undefined;
  if (!last) return null;
  if (last.role === 'tool') return partsText(last.content);
  if (last.type === 'function_call_output') return partsText(last.output);
  const block = lastOf(last.content, (p) => p?.type === 'tool_result');
  return block ? partsText(block.content) : null;
}

// What the clients put around the words that the person typed.
const WRAPPED =
  /<(userRequest|user_query|user_request)>\s*([\s\S]*?)\s*<\/\1>/g;
const PREFIXED = /^<current_datetime>[^<]*<\/current_datetime>\s*/;

function typed(text) {
  const wrapped = [...text.matchAll(WRAPPED)].at(-1);
  return wrapped ? wrapped[2] : text.replace(PREFIXED, '');
}

/** The text that the person typed last, as far as the API's shape tells. */
export function promptText(api, body) {
  return api === 'engines' ? engineTail(body) : typed(messageText(api, body));
}

function engineTail(body) {
  return String(body.prompt ?? '').slice(-PROMPT_TAIL);
}

function messageText(api, body) {
  if (api === 'responses') {
    if (typeof body.input === 'string') return body.input;
    return partsText(lastOf(body.input, (m) => m?.role === 'user')?.content);
  }
  return partsText(lastOf(body.messages, (m) => m?.role === 'user')?.content);
}

function completion(prompt) {
  if (/leak/i.test(prompt))
    return {
      deltas: ['"AKI', 'AQ3EG', 'RIWKSL', 'M5TZ2N', '";'],
    };
  return {
    choices: [
      { deltas: ['return', ' a', ' + b', ';'] },
      { deltas: ['return', ' sum(', 'a, b', ');'] },
      { deltas: ['const', ' result', ' = a + b;', '\n  return result;'] },
    ],
  };
}

function quoted(text) {
  const flat = text.trim();
  return flat.length > QUOTE_LIMIT ? `${flat.slice(0, QUOTE_LIMIT)}…` : flat;
}

/** The answer of one model call that no script covers. */
export function defaultAnswer(api, body) {
  const prompt = promptText(api, body);
  if (api === 'engines') return completion(prompt);
  const result = toolResult(api, body);
  if (result !== null)
    return { deltas: words(`The tool said: ${quoted(result)}`) };
  if (/\bleak/i.test(prompt)) return { deltas: LEAK_DELTAS };
  return {
    deltas: words(
      `Hello! This is the stand-in for Copilot's backend. You wrote: ${quoted(prompt)}`,
    ),
  };
}
