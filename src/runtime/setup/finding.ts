import type { Finding } from '../doctor/contract.ts';

export const fine = (check: string, message: string): Finding => ({ check, level: 'ok', message });

export const failing = (check: string, message: string, fix: string | undefined): Finding => ({
  check,
  level: 'fail',
  message,
  ...(fix === undefined ? {} : { fix }),
});
