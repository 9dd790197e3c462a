// SPDX-License-Identifier: Apache-2.0
// Which answer each path gets when no script says otherwise, and who may ask.

import { hex } from './answer.mjs';
import { defaultAnswer } from './defaults.mjs';
import { apiError, githubError, openaiError } from './errors.mjs';
import { API_KEYS } from './github.mjs';
import { mcpAnswer } from './mcp.mjs';
import { embeddingModels, modelList } from './models.mjs';

const EMBEDDING_DIMENSIONS = 64;

// kind: which credential; api: which shape; run: the default answer.
const ROUTES = [
  [
    '*',
    /^\/_ping$/,
    {
      run: () => ({
        rawBody: 'pong',
        headers: { 'content-type': 'text/plain' },
      }),
    },
  ],
  ['*', /^\/$/, { run: () => ({ json: {} }) }],
  [
    'POST',
    /^\/login\/device\/code$/,
    { form: true, run: (x) => x.github.deviceCode(x.req) },
  ],
  [
    'POST',
    /^\/login\/oauth\/access_token$/,
    { form: true, run: (x) => x.github.accessToken(x.form) },
  ],
  [
    'GET',
    /^\/copilot_internal\/v2\/token$/,
    { kind: 'github', run: (x) => x.github.tokenReply(x.req) },
  ],
  [
    'GET',
    /^\/copilot_internal\/user$/,
    { kind: 'github', run: (x) => x.github.userReply(x.req) },
  ],
  [
    'GET',
    /^\/copilot_internal\/managed_settings$/,
    { kind: 'github', run: () => ({ json: {} }) },
  ],
  [
    'GET',
    /^\/copilot_internal\/team_customizations$/,
    { kind: 'github', run: () => ({ json: {} }) },
  ],
  [
    'GET',
    /^\/copilot\/mcp_registry$/,
    { kind: 'github', run: () => ({ json: { mcp_registries: [] } }) },
  ],
  ['GET', /^\/user$/, { kind: 'github', run: (x) => x.github.user() }],
  ['GET', /^\/repos\/[^/]+\/[^/]+\/releases(\/latest)?$/, { run: releases }],
  [
    'GET',
    /^\/embeddings\/models$/,
    { kind: 'model', run: () => ({ json: embeddingModels() }) },
  ],
  [
    'GET',
    /^(\/v1)?\/models$/,
    { kind: 'model', run: (x) => ({ json: modelList(x.config.models) }) },
  ],
  [
    'GET',
    /^\/agents$/,
    { kind: 'model', run: () => ({ json: { agents: [] } }) },
  ],
  [
    'POST',
    /^(\/v1)?\/embeddings$/,
    { kind: 'model', json: true, run: embeddings },
  ],
  [
    'POST',
    /^\/v1\/engines\/[^/]+\/completions$/,
    { kind: 'model', json: true, api: 'engines' },
  ],
  [
    'POST',
    /^(\/v1)?\/chat\/completions$/,
    { kind: 'model', json: true, api: 'chat' },
  ],
  [
    'POST',
    /^(\/v1)?\/responses$/,
    { kind: 'model', json: true, api: 'responses' },
  ],
  ['POST', /^\/v1\/messages$/, { kind: 'model', json: true, api: 'messages' }],
  [
    'POST',
    /^\/v1\/messages\/count_tokens$/,
    { kind: 'model', json: true, run: () => ({ json: { input_tokens: 12 } }) },
  ],
  [
    '*',
    /^\/mcp(\/readonly)?$/,
    { kind: 'model', json: true, run: (x) => mcpAnswer(x.req, x.request) },
  ],
  ['POST', /^\/telemetry$/, { run: telemetry }],
  ['POST', /^\/v2\/track$/, { run: telemetry }],
];

function releases({ req }) {
  const release = {
    tag_name: 'v0.0.1',
    name: '0.0.1',
    draft: false,
    prerelease: false,
    assets: [],
  };
  return { json: req.path.endsWith('/latest') ? release : [release] };
}

function embeddings({ request }) {
  const input = [].concat(request.input ?? []);
  const vector = (index) =>
    Float32Array.from(
      { length: EMBEDDING_DIMENSIONS },
      (_, i) => ((i + index) % 7) / 7,
    );
  const form =
    request.encoding_format === 'base64'
      ? (v) => Buffer.from(v.buffer).toString('base64')
      : (v) => [...v];
  const data = input.map((_, index) => ({
    object: 'embedding',
    index,
    embedding: form(vector(index)),
  }));
  return {
    json: {
      object: 'list',
      model: request.model ?? 'text-embedding-3-small',
      data,
      usage: { prompt_tokens: input.length, total_tokens: input.length },
    },
  };
}

function telemetry({ text }) {
  const items = text.trim() ? text.trim().split('\n').length : 0;
  return { json: { itemsReceived: items, itemsAccepted: items, errors: [] } };
}

/** {status: 404|405} or {route}. The GHE prefix /api/v3 is ignored. */
export function findRoute(method, path) {
  const plain = path.replace(/^\/api\/v3(?=\/)/, '');
  const there = ROUTES.filter(([, pattern]) => pattern.test(plain));
  if (!there.length) return { status: 404 };
  const hit = there.find(
    ([m]) => m === '*' || m === method || (m === 'GET' && method === 'HEAD'),
  );
  return hit ? { route: hit[2] } : { status: 405 };
}

function bearer(headers) {
  return (
    /^(?:bearer|token)\s+(.*)$/i.exec(headers.authorization ?? '')?.[1] ?? ''
  );
}

/** An error answer when the credential does not do, else null. */
export function checkCredential(x) {
  const { kind, api } = x.route;
  if (!kind || x.config.auth === false) return null;
  const token = bearer(x.req.headers);
  if (kind === 'github')
    return x.github.isGithubToken(token) ? null : x.github.badCredentials();
  const vendor = /^api\.(anthropic|openai)\.com/.test(x.req.host);
  const copilot = /\.githubcopilot\.com$|\.githubusercontent\.com$/.test(
    x.req.host,
  );
  const key = x.req.headers['x-api-key'] ?? token;
  if (!copilot && API_KEYS.includes(key)) return null;
  if (vendor)
    return apiError(api ?? 'chat', 401, 'invalid x-api-key', 'invalid_api_key');
  if (x.github.isGithubToken(token)) return null;
  const state = x.github.checkCopilotToken(token);
  if (state === 'ok') return null;
  const why =
    state === 'expired'
      ? 'IDE token expired: unauthorized: token expired'
      : 'unauthorized: invalid token';
  return {
    status: 401,
    headers: { 'www-authenticate': 'Bearer realm="copilot"' },
    json: { error: { message: why, code: 'unauthorized' } },
  };
}

/** Headers that every answer carries. */
export function commonHeaders(x) {
  const id = [4, 3, 4, 4, 4].map((n) => hex(n).toUpperCase()).join(':');
  const headers = {
    'x-github-request-id': id,
    'x-request-id': x.req.headers['x-request-id'] ?? hex(16),
  };
  if (x.route?.kind === 'github')
    Object.assign(headers, {
      'x-ratelimit-limit': '5000',
      'x-ratelimit-remaining': String(Math.max(0, 5000 - x.record.id)),
      'x-ratelimit-reset': String(Math.floor(Date.now() / 1000) + 3600),
      'x-ratelimit-used': String(x.record.id),
      'x-ratelimit-resource': 'core',
      'x-github-media-type': 'github.v3; format=json',
    });
  if (x.route?.api === 'messages') headers['request-id'] = `req_${hex(12)}`;
  return headers;
}

/**
 * The unscripted answer. x: {req, route, status, text, config, github}; sets
 * x.request (parsed JSON) and x.form.
 */
export function routeAnswer(x) {
  const { route } = x;
  if (route.form) x.form = parseForm(x.text);
  if (route.api) return defaultAnswer(route.api, x.request);
  return route.run(x);
}

/** Parses a JSON body into x.request; an error answer when it is broken. */
export function parseRequest(x) {
  x.request = {};
  if (!x.route.json || x.req.method !== 'POST') return null;
  try {
    x.request = JSON.parse(x.text);
  } catch {
    x.request = null;
  }
  if (x.request && typeof x.request === 'object') return null;
  x.request = {};
  return apiError(
    x.route.api ?? 'chat',
    400,
    'could not parse the JSON request body',
    'invalid_json',
  );
}

function parseForm(text) {
  try {
    return JSON.parse(text);
  } catch {
    return Object.fromEntries(new URLSearchParams(text));
  }
}

/** The error for a path or method that does not exist. */
export function missing(x, status) {
  if (/^\/(copilot|user|repos|login)/.test(x.req.path))
    return githubError(
      status,
      status === 404 ? 'Not Found' : 'Method Not Allowed',
    );
  return openaiError(
    status,
    status === 404 ? 'not found' : 'method not allowed',
    'not_found',
  );
}
