// SPDX-License-Identifier: Apache-2.0
// One request body for each API shape, with a prompt of the test's choice.

export const PATHS = {
  engines: '/v1/engines/gpt-41-copilot/completions',
  chat: '/chat/completions',
  responses: '/responses',
  messages: '/v1/messages',
};

/** The APIs that have tool calls. */
export const TOOL_APIS = ['chat', 'responses', 'messages'];

const BODIES = {
  engines: (prompt) => ({ prompt, suffix: '', n: 3, max_tokens: 100 }),
  chat: (content) => ({
    model: 'gpt-4.1',
    messages: [{ role: 'user', content }],
  }),
  responses: (text) => ({
    model: 'gpt-5-mini',
    input: [{ role: 'user', content: [{ type: 'input_text', text }] }],
  }),
  messages: (content) => ({
    model: 'claude-sonnet-4.5',
    max_tokens: 100,
    messages: [{ role: 'user', content }],
  }),
};

/** {path, body} of a call over api with prompt; more is laid over the body. */
export function callOf(api, prompt, more = {}) {
  return { path: PATHS[api], body: { ...BODIES[api](prompt), ...more } };
}
