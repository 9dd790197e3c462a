// SPDX-License-Identifier: Apache-2.0
// The error bodies that the real backends send, one form for each API.
// Each function returns an answer object (see script.mjs).

const DOCS = 'https://docs.github.com/rest';

export function githubError(status, message) {
  return {
    status,
    json: { message, documentation_url: DOCS, status: String(status) },
  };
}

export function openaiError(
  status,
  message,
  code = null,
  type = 'invalid_request_error',
) {
  return { status, json: { error: { message, type, param: null, code } } };
}

export function anthropicError(
  status,
  message,
  type = 'invalid_request_error',
  requestId,
) {
  return {
    status,
    json: { type: 'error', error: { type, message }, request_id: requestId },
  };
}

const ANTHROPIC_TYPES = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
  529: 'overloaded_error',
};

/** The error of one API ('github', 'messages', or an OpenAI shape). */
export function apiError(api, status, message, code) {
  if (api === 'github') return githubError(status, message);
  if (api === 'messages')
    return anthropicError(
      status,
      message,
      ANTHROPIC_TYPES[status] ?? 'api_error',
    );
  return openaiError(status, message, code ?? null);
}
