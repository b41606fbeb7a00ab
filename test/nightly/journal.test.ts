/** What a power loss leaves of a journal, in some hundred thousand states: within ten minutes. */

process.env.FUZZ_ROUNDS ??= '40';
await import('../shared/journal/power-loss.test.js');
