import { carryOutRenewal } from './vault/oauth/token-endpoint-client.ts';

/** What the process that the daemon starts for one renewal has of the runtime, and nothing more: it starts fast. */
export const renewal = { carryOut: carryOutRenewal } as const;
