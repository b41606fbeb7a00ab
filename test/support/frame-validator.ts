/** Holds frames to the schemas that the server publishes of them. */

import { Ajv, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';

interface AsyncApi {
  readonly components: {
    readonly messages: Readonly<Record<string, { readonly payload: Readonly<Record<string, unknown>> }>>;
  };
}

export type FrameValidator = (text: string) => {
  /** Name of the message in the document that the frame has to be. */
  readonly message: string;
  /** What is wrong with it; empty: nothing. */
  readonly faults: readonly string[];
};

/**
 * Of the messages of `document`, an AsyncAPI document. A frame is held to that of its `type`, with `meta` where it has a cursor of its own; a field that the message does not have is a fault too, though
 * readers are to take it.
 */
export function frameValidator(document: object): FrameValidator {
  const { messages } = (document as AsyncApi).components;
  const ajv = new Ajv({ strict: true, strictTypes: false, allErrors: true });
  addFormats.default(ajv);
  const validators = new Map<string, ValidateFunction>(
    Object.entries(messages).map(([name, { payload }]) => [
      name,
      ajv.compile({ ...payload, additionalProperties: false }),
    ]),
  );
  return (text) => {
    const frame = JSON.parse(text) as { readonly type?: string; readonly seq?: number };
    const message = `${frame.type}${frame.seq === undefined ? '' : '_meta'}`;
    const validate = validators.get(message);
    if (validate === undefined) return { message, faults: [`there is no message ${message}`] };
    if (validate(frame)) return { message, faults: [] };
    return {
      message,
      faults: (validate.errors ?? []).map(
        ({ instancePath, message: why, params }) => `${instancePath} ${why} ${JSON.stringify(params)}`,
      ),
    };
  };
}
