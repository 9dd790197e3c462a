// SPDX-License-Identifier: Apache-2.0
// GitHub's own side: sign-in by device code, users, the Copilot token and the
// settings that clients fetch at start. Tokens issued here are checked later.

import crypto from 'node:crypto';

import { hex, now } from './answer.mjs';
import { githubError } from './errors.mjs';

/** Accepted without a sign-in, so that tests have a developer's token. */
export const DEVELOPER_TOKEN = 'gho_StandInDeveloper0000000000000000001a';
/** The same for the public APIs of Anthropic and OpenAI. */
export const API_KEYS = [
  'sk-ant-api03-StandInDeveloper0000000000',
  'sk-StandInDeveloper00000000000000000000',
];

const REAL = {
  api: 'https://api.individual.githubcopilot.com',
  proxy: 'https://proxy.individual.githubcopilot.com',
  telemetry: 'https://telemetry.individual.githubcopilot.com',
  'origin-tracker': 'https://origin-tracker.individual.githubcopilot.com',
};

export class Github {
  constructor(config) {
    this.config = config;
    this.secret = crypto.randomBytes(32);
    this.reset();
  }

  reset() {
    this.githubTokens = new Set([
      DEVELOPER_TOKEN,
      ...(this.config.tokens ?? []),
    ]);
    this.revoked = new Set();
    this.deviceCodes = new Map();
    this.issued = 0;
  }

  /** Where the client shall go: the real hosts, or the URL it came by. */
  endpoints(host) {
    const { endpoints } = this.config;
    if (endpoints && typeof endpoints === 'object') return endpoints;
    const name = host.replace(/:\d+$/, '');
    const self = ['localhost', '127.0.0.1', '[::1]'].includes(name);
    if (endpoints === 'real' || (endpoints !== 'self' && !self)) return REAL;
    const url = `https://${host}`;
    return { api: url, proxy: url, telemetry: url, 'origin-tracker': url };
  }

  issueToken(host) {
    const seconds = this.config.tokenSeconds ?? 1500;
    const exp = now() + seconds;
    const fields = [
      `tid=${hex(16)}`,
      `exp=${exp}`,
      'sku=copilot_for_business_seat',
      `proxy-ep=${new URL(this.endpoints(host).proxy).host}`,
      'st=dotcom',
      'chat=1',
      'cit=1',
      'malfil=1',
      'agent_mode=1',
      'mcp=1',
      'ccr=1',
      '8kp=1',
      `ip=127.0.0.1`,
      `asn=AS64500`,
    ].join(';');
    this.issued++;
    return {
      token: `${fields}:${this.sign(fields)}`,
      expires_at: exp,
      refresh_in: this.config.refreshIn ?? Math.max(1, seconds - 300),
    };
  }

  sign(fields) {
    return crypto
      .createHmac('sha256', this.secret)
      .update(fields)
      .digest('hex');
  }

  /** 'ok', 'expired' or 'wrong' for a Copilot token issued by us. */
  checkCopilotToken(token) {
    const colon = token.lastIndexOf(':');
    const fields = token.slice(0, Math.max(0, colon));
    if (this.revoked.has(token)) return 'expired';
    if (colon < 0 || this.sign(fields) !== token.slice(colon + 1))
      return 'wrong';
    const exp = Number(/(?:^|;)exp=(\d+)/.exec(fields)?.[1]);
    return exp > now() ? 'ok' : 'expired';
  }

  isGithubToken(token) {
    return this.githubTokens.has(token) && !this.revoked.has(token);
  }

  tokenReply(req) {
    return {
      json: {
        ...this.issueToken(req.host),
        endpoints: this.endpoints(req.host),
        annotations_enabled: true,
        chat_enabled: true,
        chat_jetbrains_enabled: true,
        code_quote_enabled: true,
        code_review_enabled: true,
        codesearch: false,
        copilotignore_enabled: false,
        individual: false,
        limited_user_quotas: null,
        limited_user_reset_date: null,
        organization_list: [],
        prompt_8k: true,
        public_suggestions: 'disabled',
        sku: 'copilot_for_business_seat',
        snippy_load_test_enabled: false,
        telemetry: 'enabled',
        tracking_id: hex(16),
        vsc_electron_fetcher_v2: false,
        xcode: true,
        xcode_chat: true,
      },
    };
  }

  userReply(req) {
    const quota = { entitlement: 0, unlimited: true, percent_remaining: 100 };
    return {
      json: {
        login: 'stand-in-developer',
        access_type_sku: 'copilot_for_business_seat',
        analytics_tracking_id: hex(16),
        assigned_date: '2025-01-01T00:00:00Z',
        can_signup_for_limited: false,
        chat_enabled: true,
        cli_enabled: true,
        copilot_plan: 'business',
        is_mcp_enabled: true,
        organization_login_list: [],
        organization_list: [],
        endpoints: this.endpoints(req.host),
        quota_snapshots: {
          chat: quota,
          completions: quota,
          premium_interactions: quota,
        },
      },
    };
  }

  deviceCode(req) {
    const code = hex(20);
    this.deviceCodes.set(code, { polls: 0 });
    return {
      json: {
        device_code: code,
        user_code: 'STND-0001',
        verification_uri: `https://${req.host}/login/device`,
        expires_in: 900,
        interval: this.config.deviceInterval ?? 1,
      },
    };
  }

  /** Pending once, then a new token (as if the person had agreed). */
  accessToken(form) {
    const entry = this.deviceCodes.get(form.device_code ?? '');
    if (!entry) return { json: { error: 'incorrect_device_code' } };
    if (entry.polls++ < (this.config.devicePolls ?? 1))
      return {
        json: {
          error: 'authorization_pending',
          interval: this.config.deviceInterval ?? 1,
        },
      };
    const token = `gho_${hex(18)}`;
    this.githubTokens.add(token);
    this.deviceCodes.delete(form.device_code);
    return {
      json: { access_token: token, token_type: 'bearer', scope: 'read:user' },
    };
  }

  user() {
    return {
      json: {
        login: 'stand-in-developer',
        id: 4242,
        node_id: 'U_standin',
        name: 'Stand-in Developer',
        type: 'User',
        email: 'developer@example.org',
        plan: { name: 'pro' },
      },
    };
  }

  badCredentials() {
    return githubError(401, 'Bad credentials');
  }
}
