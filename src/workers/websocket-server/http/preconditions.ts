/** What a client has already, and what it only wants if it is still as it was (RFC 9110, section 13). */

import { headerOf, valuesOf } from '../handshake.js';
import type { HttpRequest } from '../transport/index.js';

/** Entity tags of a list; a weak one without its mark. */
function tagsOf(request: HttpRequest, name: string): { readonly tag: string; readonly weak: boolean }[] {
  const tags = valuesOf(request, name)
    .join(',')
    .matchAll(/(W\/)?("[\x21\x23-\x7e\x80-\xff]*")/g);
  return [...tags].map(([, weak, tag = '']) => ({ tag, weak: weak !== undefined }));
}

const isAny = (request: HttpRequest, name: string) => valuesOf(request, name).some((value) => value === '*');

/**
 * Of a representation with the strong entity tag `tag`: `not_modified` where the client has it, `failed` where it wants another one, and `none` else. Dates are not looked at:
 * nothing here is sent with one.
 */
export function preconditionOf(request: HttpRequest, tag: string): 'none' | 'not_modified' | 'failed' {
  const wanted = tagsOf(request, 'if-match');
  if (wanted.length > 0 && !wanted.some((each) => !each.weak && each.tag === tag)) return 'failed';
  const known =
    isAny(request, 'if-none-match') || tagsOf(request, 'if-none-match').some((each) => each.tag === tag);
  return known ? 'not_modified' : 'none';
}

/** Whether a part is wanted: not where `If-Range` names another representation, or a date. */
export function wantsPart(request: HttpRequest, tag: string): boolean {
  const condition = headerOf(request, 'if-range').trim();
  return condition === '' || condition === tag;
}
