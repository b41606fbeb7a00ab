/** `/api/v1/openapi.json` and `/api/v1/asyncapi.json`: what the port has, for programs. */

import { DOCUMENT_PATHS } from '../../../shared/firehose/paths.js';
import { type Resource, refuseAsProblem } from '../http/resource.js';
import { asyncApiDocument } from './asyncapi.js';
import { openApiDocument } from './openapi.js';

/** Made when they are first asked for: few servers ever are. */
function documentResource(path: string, make: () => object): Resource {
  let body: string | undefined;
  return {
    path,
    refuse: refuseAsProblem,
    answer() {
      body ??= JSON.stringify(make());
      // Another version of the server may have others.
      return { status: 200, contentType: 'application/json', body, headers: [['cache-control', 'no-cache']] };
    },
  };
}

export const documentResources = (): readonly Resource[] => [
  documentResource(DOCUMENT_PATHS.openApi, openApiDocument),
  documentResource(DOCUMENT_PATHS.asyncApi, asyncApiDocument),
];
