/** What a request to the WebSocket's endpoint asks of the feed, and whether it can be had. */

import type { StreamLimits } from '../../shared/firehose/control-frames.js';
import { MAX_PEERS } from '../../shared/firehose/parameters.js';
import { FeedProblem } from '../../shared/firehose/problems.js';
import { parseFeedQuery } from '../../shared/firehose/query.js';
import type { FeedRequest } from '../../shared/firehose/request.js';
import { NODE_STATUS_ID } from '../../shared/messages/ids.js';
import type { Admission } from './admission.js';
import { release, type Service, WHOLE } from './client.js';
import { MESSAGES_A_MINUTE } from './clients.js';
import { META, PLAIN } from './feed/form.js';
import type { LiveFeed } from './feed/live-feed.js';
import type { Renderings } from './feed/renderings.js';
import type { View } from './feed/view.js';
import { headerOf } from './handshake.js';
import type { Grant, Tokens } from './tokens.js';
import type { HttpRequest } from './transport/index.js';

export interface FeedRequestsComponents {
  readonly feed: LiveFeed;
  /** Of WebSockets. */
  readonly renderings: Renderings;
  readonly tokens: Tokens;
  readonly admission: Pick<Admission, 'tokenHasRoom'>;
}

export interface FeedRequestsOptions {
  /** Base58, of this node. */
  readonly peerId: string;
  readonly clientBuffer: number;
  readonly maxMessageBytes: number;
}

export class FeedRequests {
  constructor(
    private readonly components: FeedRequestsComponents,
    private readonly options: FeedRequestsOptions,
  ) {}

  /** What the request may have. Throws FeedProblem. */
  grantOf(request: HttpRequest): Grant {
    const { tokens, admission } = this.components;
    const grant = tokens.admit({
      request: parseFeedQuery(request.query, 'websocket'),
      authorization: headerOf(request, 'authorization'),
      endpoint: 'websocket',
    });
    if (!admission.tokenHasRoom(grant.token)) throw new FeedProblem('token_in_use');
    return grant;
  }

  /** What a client is to be served, reserved for it. Throws FeedProblem. */
  serviceOf({ request, kinds, connections }: Grant): Service {
    const { feed, renderings } = this.components;
    const { meta, start, strict } = request;
    const view = viewOf(request);
    if (meta) {
      const limits = { ...this.#limits(), ...(kinds && { kinds }), ...(connections && { connections }) };
      return { type: 'placed', admitted: feed.admit(renderings, { view, start, strict }), limits };
    }
    // It goes out to all who want it so without a subscription of their own.
    if (request.kinds === undefined && request.peers === undefined && request.batchMs === undefined)
      return WHOLE;
    return {
      type: 'filtered',
      subscription: renderings.subscription(view),
      greeted: this.#isGreeted(request),
    };
  }

  /** Throws FeedProblem where a handshake with the same query and headers would be refused. */
  check(request: HttpRequest): void {
    release(this.serviceOf(this.grantOf(request)));
  }

  /** The first frame is the node's own status, where that is among those asked for. */
  #isGreeted({ kinds, peers }: FeedRequest): boolean {
    return (
      (kinds === undefined || kinds.includes(NODE_STATUS_ID)) &&
      (peers === undefined || peers.includes(this.options.peerId))
    );
  }

  #limits(): StreamLimits {
    const { clientBuffer, maxMessageBytes } = this.options;
    return {
      peers: MAX_PEERS,
      message_bytes: maxMessageBytes,
      messages_per_minute: MESSAGES_A_MINUTE,
      buffer_bytes: clientBuffer,
    };
  }
}

function viewOf({ meta, kinds, peers, batchMs, gzip }: FeedRequest): View {
  return { form: meta ? META : PLAIN, kinds, peers, batchMs, gzip };
}
