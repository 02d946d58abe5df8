import { type CredentialInfo, DEFAULT_SET } from '../contract.ts';

/** What a person can do about a login that is over. */
export const howToLogIn = ({ provider, set }: Pick<CredentialInfo, 'provider' | 'set'>): string =>
  `Log in again with "terok-mcp auth ${provider}${set === DEFAULT_SET ? '' : ` --set ${set}`}".`;
