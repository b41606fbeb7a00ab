/** The server as it is shipped, in `dist/app`, or the same as the compiler left it, in `dist/src`. */

/** A module by its path below either. Bundled, it shares no class with what a test imports from `src`. */
export function shipped<T>(path: string): Promise<T> {
  return import(`../../${process.env.TEST_BUNDLE === '1' ? 'app' : 'src'}/${path}`) as Promise<T>;
}
