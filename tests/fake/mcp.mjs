// SPDX-License-Identifier: Apache-2.0
// A small MCP server (JSON-RPC over streamable HTTP) at /mcp and /mcp/readonly.

import { frame, hex } from './answer.mjs';

const TOOLS = [
  {
    name: 'get_file_contents',
    description: 'Reads a file of a repository.',
    inputSchema: {
      type: 'object',
      properties: { path: { type: 'string' } },
      required: ['path'],
    },
  },
];

function result(call) {
  switch (call.method) {
    case 'initialize':
      return {
        protocolVersion: call.params?.protocolVersion ?? '2025-06-18',
        capabilities: { tools: {} },
        serverInfo: { name: 'stand-in', version: '1' },
      };
    case 'ping':
      return {};
    case 'tools/list':
      return { tools: TOOLS };
    case 'tools/call':
      return {
        content: [
          {
            type: 'text',
            text: `Contents of ${call.params?.arguments?.path ?? '?'}`,
          },
        ],
        isError: false,
      };
    default:
      return undefined;
  }
}

function reply(call) {
  const value = result(call);
  return value === undefined
    ? {
        jsonrpc: '2.0',
        id: call.id,
        error: { code: -32601, message: `Method not found: ${call.method}` },
      }
    : { jsonrpc: '2.0', id: call.id, result: value };
}

/** The answer to one POST; body is the parsed JSON-RPC message or batch. */
export function mcpAnswer(req, body) {
  if (req.method === 'DELETE') return { status: 200, json: {} };
  if (req.method !== 'POST')
    return { status: 405, headers: { allow: 'POST, DELETE' }, json: {} };
  const calls = [].concat(body);
  const wanted = calls.filter((c) => c && c.id !== undefined && c.method);
  if (!wanted.length) return { status: 202, rawBody: '' };
  const replies = wanted.map(reply);
  const headers = calls.some((c) => c.method === 'initialize')
    ? { 'mcp-session-id': hex(16) }
    : {};
  if (/text\/event-stream/.test(req.headers.accept ?? ''))
    return { headers, events: replies.map((r) => frame(r, 'message')) };
  return { headers, json: Array.isArray(body) ? replies : replies[0] };
}
