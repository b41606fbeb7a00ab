/**
 * How to start another Node process like this one: command and leading arguments. `TERANODE_P2P_NODE` (words separated by
 * blanks) says it where `process.execPath` does not, as when Node runs through another C library's loader.
 */
export function nodeCommand(environment: NodeJS.ProcessEnv = process.env): readonly [string, ...string[]] {
  const [command, ...rest] = (environment.TERANODE_P2P_NODE ?? '').split(/\s+/).filter((word) => word !== '');
  return command === undefined ? [process.execPath] : [command, ...rest];
}
