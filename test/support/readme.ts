/** What the README tells a reader to save and to type. */

import { readFileSync } from 'node:fs';

/** The blocks of a language in the README's section on a first client. */
export function readmeBlocks(language: string): string[] {
  const [, section = ''] =
    /\n## A first client\n([\s\S]*?)\n## /.exec(readFileSync('README.md', 'utf8')) ?? [];
  return [...section.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(
    ([, code = '']) => code,
  );
}
