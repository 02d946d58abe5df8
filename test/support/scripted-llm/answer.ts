import { randomUUID } from 'node:crypto';
import type { Json } from './json.ts';
import type { ToolCall } from './tool-calls.ts';

/** What a model says at one go: words, or a call of one tool. */
export interface Answer {
  readonly model: string;
  readonly text: string;
  readonly call: ToolCall | undefined;
}

/** One event of a stream; `name` is undefined where the API names none. */
export interface StreamEvent {
  readonly name: string | undefined;
  readonly data: Json | string;
}

/** An answer in the two shapes that clients may ask for. */
export interface ApiAnswer {
  readonly whole: Json;
  readonly stream: readonly StreamEvent[];
}

/** What each answer is said to have cost. */
export const TOKENS = { input: 100, cached: 40, output: 20 } as const;

export const newId = (prefix: string): string => `${prefix}${randomUUID().replaceAll('-', '').slice(0, 24)}`;

/** A text in small pieces, as models say it. */
export const pieces = (text: string): readonly string[] => text.match(/[\s\S]{1,64}/gu) ?? [''];
