import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigurationError } from '../../../src/shared/errors.js';
import { loadUws } from '../../../src/workers/notification-server/uws.js';

describe('builds of uWebSockets.js', () => {
  it('loads a native one here and says which', () => {
    const { build, native } = loadUws();
    assert.equal(native, true);
    assert.match(build, /^(uWebSockets\.js|uwebsockets-compat) 20\.\d+/);
  });

  it('refuses the JavaScript one unless it is allowed', () => {
    assert.throws(
      () => loadUws({ natives: false }),
      (error) => error instanceof ConfigurationError && /--allow-js-websocket/.test(error.message),
    );
  });

  it('takes the JavaScript one where it is allowed', () => {
    const { build, native, uws } = loadUws({ natives: false, allowJavaScript: true });
    assert.equal(native, false);
    assert.match(build, /JavaScript/);
    assert.equal(typeof uws.App, 'function');
  });

  it('is not led to the JavaScript one by the environment', (t) => {
    process.env.UWS_USE_FALLBACK = 'true';
    t.after(() => {
      delete process.env.UWS_USE_FALLBACK;
    });
    assert.equal(loadUws().native, true);
  });
});
