/** Frames as text. */

/** The object with a type that a text is; undefined where it is none. */
export function frameIn(text: string): { readonly type: string } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const { type } = (value ?? {}) as { type?: unknown };
    return typeof type === 'string' ? (value as { type: string }) : undefined;
  } catch {
    return undefined;
  }
}
