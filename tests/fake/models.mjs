// SPDX-License-Identifier: Apache-2.0
// The model list. Which endpoints a model supports decides which API a client
// uses for it, so tests choose a preset: chat, responses, messages or all.

const ENDPOINTS = {
  chat: ['/chat/completions'],
  responses: ['/responses', 'ws:/responses'],
  messages: ['/v1/messages', '/chat/completions'],
};

function model(id, name, vendor, family, api) {
  return {
    id,
    name,
    object: 'model',
    vendor,
    version: id,
    preview: false,
    model_picker_enabled: true,
    model_picker_category: 'versatile',
    is_chat_default: false,
    is_chat_fallback: false,
    billing: { is_premium: false, multiplier: 0 },
    policy: { state: 'enabled', terms: '' },
    capabilities: {
      family,
      type: 'chat',
      object: 'model_capabilities',
      tokenizer: 'o200k_base',
      limits: {
        max_context_window_tokens: 128000,
        max_output_tokens: 16384,
        max_prompt_tokens: 128000,
      },
      supports: {
        streaming: true,
        tool_calls: true,
        parallel_tool_calls: true,
      },
    },
    supported_endpoints: ENDPOINTS[api],
  };
}

const chatModel = model(
  'gpt-4.1',
  'GPT-4.1',
  'Azure OpenAI',
  'gpt-4.1',
  'chat',
);
const responsesModel = model(
  'gpt-5-mini',
  'GPT-5 mini',
  'Azure OpenAI',
  'gpt-5-mini',
  'responses',
);
// The Copilot CLI opens a WebSocket for this one, for gpt-5-mini never.
const websocketModel = model(
  'gpt-5.4',
  'GPT-5.4',
  'OpenAI',
  'gpt-5.4',
  'responses',
);
const messagesModel = model(
  'claude-sonnet-4.5',
  'Claude Sonnet 4.5',
  'Anthropic',
  'claude-sonnet-4.5',
  'messages',
);
// The Copilot CLI refuses gpt-4.1, so chat has one that both clients take.
const chatOnly = { ...responsesModel, supported_endpoints: ENDPOINTS.chat };

const completionModel = {
  ...model(
    'gpt-41-copilot',
    'GPT-4.1 Copilot',
    'Azure OpenAI',
    'gpt-4.1',
    'chat',
  ),
  model_picker_enabled: false,
  supported_endpoints: undefined,
  capabilities: {
    family: 'gpt-4.1',
    type: 'completion',
    object: 'model_capabilities',
    tokenizer: 'o200k_base',
    limits: { max_output_tokens: 4096, max_prompt_tokens: 28000 },
    supports: { streaming: true },
  },
};

const embeddingModel = {
  ...model(
    'text-embedding-3-small',
    'Embedding V3 small',
    'Azure OpenAI',
    'text-embedding-3-small',
    'chat',
  ),
  model_picker_enabled: false,
  supported_endpoints: undefined,
  capabilities: {
    family: 'text-embedding-3-small',
    type: 'embeddings',
    object: 'model_capabilities',
    tokenizer: 'cl100k_base',
    limits: { max_inputs: 512 },
    supports: { dimensions: true },
  },
};

const PRESETS = {
  chat: [chatModel, chatOnly],
  responses: [responsesModel, websocketModel],
  messages: [messagesModel],
  all: [chatModel, responsesModel, websocketModel, messagesModel],
};

/**
 * The /models document. preset: one of PRESETS' names, or a list of model
 * objects that is sent as it is. The first model becomes the chat default.
 */
export function modelList(preset = 'all') {
  if (Array.isArray(preset)) return { object: 'list', data: preset };
  const chosen = PRESETS[preset];
  if (!chosen) throw new Error(`unknown model preset "${preset}"`);
  const data = chosen.map((m, i) => ({
    ...m,
    is_chat_default: i === 0,
    is_chat_fallback: i === 0,
  }));
  return { object: 'list', data: [...data, completionModel, embeddingModel] };
}

/** The models of /embeddings/models. */
export function embeddingModels() {
  return {
    models: [
      {
        id: 'metis-1024-I16-Binary',
        active: true,
        default: true,
        dimensions: 1024,
      },
    ],
  };
}
