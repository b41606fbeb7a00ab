/** The page's files, `/health` and `/api/status`. */

import { PAGE_HEADERS, type PageFile } from '../page-files.js';
import { NOT_STORED, plain, type Resource, refusePlainly } from './resource.js';

/** `status`: JSON; empty while there is none. */
export function pageResources(files: readonly PageFile[], status: () => string): readonly Resource[] {
  return [
    { path: '/health', refuse: refusePlainly, answer: () => plain(200, 'OK') },
    {
      path: '/api/status',
      refuse: refusePlainly,
      answer: () => {
        const json = status();
        return {
          status: json === '' ? 503 : 200,
          contentType: 'application/json',
          body: json === '' ? '{"starting":true}' : json,
          headers: NOT_STORED,
        };
      },
    },
    ...files.map(({ path, contentType, body }) => ({
      path,
      refuse: refusePlainly,
      answer: () => ({ status: 200, contentType, body, headers: PAGE_HEADERS }),
    })),
  ];
}
