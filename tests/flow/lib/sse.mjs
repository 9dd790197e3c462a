// SPDX-License-Identifier: Apache-2.0
// Reads server-sent events and notes when, and in which chunk, each arrived;
// joins the text and tool calls that a client would show, for each API.

export class SseReader {
  constructor() {
    this.raw = '';
    this.events = [];
    this.comments = [];
    this.chunks = 0;
    this.seen = 0;
    this.pending = '';
    this.decoder = new TextDecoder();
    this.started = performance.now();
  }

  feed(chunk) {
    this.chunks++;
    this.take(this.decoder.decode(chunk, { stream: true }));
  }

  end() {
    this.take(this.decoder.decode());
    this.rest = this.pending;
  }

  /** The events since the last call. */
  fresh() {
    const list = this.events.slice(this.seen);
    this.seen = this.events.length;
    return list;
  }

  take(text) {
    this.raw += text;
    this.pending += text;
    for (let m; (m = /\r?\n\r?\n/.exec(this.pending));) {
      const block = this.pending.slice(0, m.index);
      this.pending = this.pending.slice(m.index + m[0].length);
      this.block(block);
    }
  }

  block(block) {
    const at = performance.now() - this.started;
    const data = [];
    let event = null;
    for (const line of block.split(/\r?\n/)) {
      if (line.startsWith(':'))
        this.comments.push({ text: line.slice(1).trim(), at });
      else if (line.startsWith('data:'))
        data.push(line.slice(5).replace(/^ /, ''));
      else if (line.startsWith('event:')) event = line.slice(6).trim();
    }
    if (!data.length && event === null) return;
    const text = data.join('\n');
    this.events.push({
      event,
      data: text,
      json: parsed(text),
      at,
      chunk: this.chunks,
    });
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** How many events came in a chunk of their own, of how many. */
export function aloneCount(events) {
  const perChunk = new Map();
  for (const e of events)
    perChunk.set(e.chunk, (perChunk.get(e.chunk) ?? 0) + 1);
  const alone = events.filter((e) => perChunk.get(e.chunk) === 1).length;
  return { alone, total: events.length };
}

function chatMessage(events) {
  const out = { text: '', tools: [], finish: null, ended: false };
  for (const { data, json } of events) {
    if (data === '[DONE]') out.ended = true;
    for (const choice of json?.choices ?? []) {
      if (choice.index !== 0) continue;
      out.text += choice.delta?.content ?? '';
      out.finish = choice.finish_reason ?? out.finish;
      for (const call of choice.delta?.tool_calls ?? []) {
        const tool = (out.tools[call.index] ??= { name: '', arguments: '' });
        tool.name += call.function?.name ?? '';
        tool.arguments += call.function?.arguments ?? '';
      }
    }
  }
  return out;
}

function enginesMessage(events) {
  const choices = [];
  let ended = false;
  for (const { data, json } of events) {
    if (data === '[DONE]') ended = true;
    for (const c of json?.choices ?? [])
      choices[c.index] = (choices[c.index] ?? '') + c.text;
  }
  return { text: choices[0] ?? '', choices, tools: [], ended };
}

function responsesMessage(events) {
  const out = { text: '', tools: [], copies: [], finish: null, ended: false };
  const byItem = new Map();
  for (const { json } of events) {
    if (!json) continue;
    if (json.type === 'response.output_text.delta') out.text += json.delta;
    if (json.type === 'response.output_text.done') out.copies.push(json.text);
    if (json.type === 'response.content_part.done')
      out.copies.push(json.part.text);
    if (
      json.type === 'response.output_item.added' &&
      json.item.type === 'function_call'
    ) {
      const tool = { name: json.item.name, arguments: '' };
      byItem.set(json.item.id, tool);
      out.tools.push(tool);
    }
    if (json.type === 'response.function_call_arguments.delta')
      byItem.get(json.item_id).arguments += json.delta;
    if (json.type === 'response.output_item.done')
      out.copies.push(JSON.stringify(json.item));
    if (json.type === 'response.completed') {
      out.copies.push(JSON.stringify(json.response));
      out.finish = json.response.status;
      out.ended = true;
    }
  }
  return out;
}

function anthropicMessage(events) {
  const out = { text: '', tools: [], finish: null, ended: false };
  let tool = null;
  for (const { json } of events) {
    if (
      json?.type === 'content_block_start' &&
      json.content_block.type === 'tool_use'
    ) {
      tool = { name: json.content_block.name, arguments: '' };
      out.tools.push(tool);
    }
    if (json?.delta?.type === 'text_delta') out.text += json.delta.text;
    if (json?.delta?.type === 'input_json_delta')
      tool.arguments += json.delta.partial_json;
    if (json?.type === 'message_delta') out.finish = json.delta.stop_reason;
    if (json?.type === 'message_stop') out.ended = true;
  }
  return out;
}

const READERS = {
  chat: chatMessage,
  engines: enginesMessage,
  responses: responsesMessage,
  messages: anthropicMessage,
};

/** What a client of api ('chat', 'engines', …) gets out of the events. */
export function messageOf(api, events) {
  return READERS[api](events);
}
