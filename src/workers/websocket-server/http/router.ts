/** Which resource a path is. */

import type { Resource } from './resource.js';

export interface Route {
  readonly resource: Resource;
  /** Of the path, what is below the resource's. */
  readonly rest: string;
}

export class Router {
  readonly #exact = new Map<string, Resource>();
  /** Those of all that is below a path, the longest first. */
  readonly #below: readonly Resource[];

  constructor(resources: readonly Resource[]) {
    for (const resource of resources)
      if (!resource.path.endsWith('/') || resource.path === '/') this.#exact.set(resource.path, resource);
    this.#below = resources
      .filter(({ path }) => path.endsWith('/') && path !== '/')
      .sort((a, b) => b.path.length - a.path.length);
  }

  /** Undefined where there is nothing. */
  find(path: string): Route | undefined {
    const exact = this.#exact.get(path);
    if (exact !== undefined) return { resource: exact, rest: '' };
    const resource = this.#below.find((each) => path.startsWith(each.path));
    return resource && { resource, rest: path.slice(resource.path.length) };
  }
}
