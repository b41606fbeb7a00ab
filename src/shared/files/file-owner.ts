/** Whose a file or directory is that this process may not touch, for whoever has to mend it. */

import { statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { errorMessage } from '../errors.js';

/** The error's text, and where it is one of permissions who owns `path`, or the nearest directory above it that is there, and how to give it. */
export function withOwner(path: string, error: unknown): string {
  const text = errorMessage(error);
  const { code } = error as NodeJS.ErrnoException;
  const [uid, gid] = [process.geteuid?.(), process.getegid?.()];
  if ((code !== 'EACCES' && code !== 'EPERM') || uid === undefined) return text;
  const found = nearest(resolve(path));
  if (found === undefined) return text;
  const mode = (found.mode & 0o7777).toString(8);
  return `${text}: ${found.path} belongs to ${found.uid}:${found.gid} with mode ${mode}, and this server runs as ${uid}:${gid}; give it to that user (chown -R ${uid}:${gid} ${found.path}), or start the server as its owner`;
}

function nearest(path: string): { path: string; uid: number; gid: number; mode: number } | undefined {
  for (let at = path; ; at = dirname(at)) {
    try {
      const { uid, gid, mode } = statSync(at);
      return { path: at, uid, gid, mode };
    } catch {
      if (dirname(at) === at) return undefined;
    }
  }
}
