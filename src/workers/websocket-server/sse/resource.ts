/** `/events`: the feed as server-sent events. */

import { errorFrame, type StreamLimits } from '../../../shared/firehose/control-frames.js';
import { PATHS } from '../../../shared/firehose/paths.js';
import { FeedProblem } from '../../../shared/firehose/problems.js';
import { parseFeedQuery } from '../../../shared/firehose/query.js';
import type { FeedRequest } from '../../../shared/firehose/request.js';
import type { Logger } from '../../../shared/logging/logger.js';
import type { Admission, Place } from '../admission.js';
import type { DescriptorPolicy } from '../descriptor-policy.js';
import type { Admitted, LiveFeed } from '../feed/live-feed.js';
import type { Reader } from '../feed/reader.js';
import type { Renderings } from '../feed/renderings.js';
import { headerOf } from '../handshake.js';
import { takesType } from '../http/accept.js';
import {
  type Answer,
  type Asked,
  type Headers,
  type Refuse,
  type Resource,
  refuseAsProblem,
} from '../http/resource.js';
import type { NotificationServerMetrics } from '../metrics.js';
import type { AllowedOrigins } from '../origins.js';
import type { Grant, Tokens } from '../tokens.js';
import type { HttpRequest, ResponseStream } from '../transport/index.js';
import { controlEvent, EVENT_STREAM, NAMED, retryField, UNNAMED } from './events.js';
import type { SseHub } from './hub.js';
import { EventStream } from './stream.js';
import type { EventStreams } from './streams.js';

/** Proxies are not to keep events back, nor change what is theirs to compress. */
const UNBUFFERED: Headers = [
  ['cache-control', 'no-cache, no-transform'],
  ['x-accel-buffering', 'no'],
];

export interface EventsComponents {
  readonly feed: LiveFeed;
  /** Of the hub. */
  readonly renderings: Renderings;
  readonly hub: SseHub;
  readonly streams: EventStreams;
  readonly admission: Admission;
  readonly descriptors: DescriptorPolicy;
  readonly origins: AllowedOrigins;
  readonly tokens: Tokens;
  /** Of every stream. */
  readonly limits: StreamLimits;
  readonly metrics: NotificationServerMetrics;
  readonly logger: Logger;
}

/** Whether it is of a browser: within its own origin a page's requests say so in this header alone (W3C's Fetch Metadata). */
const isOfBrowser = (request: HttpRequest): boolean =>
  headerOf(request, 'origin') !== '' || headerOf(request, 'sec-fetch-site') !== '';

/** What passes is told to a browser's EventSource as a stream: it would give up for good on every status but 200. */
const isToldAsStream = ({ status }: FeedProblem, request: HttpRequest): boolean =>
  (status === 429 || status === 503) && isOfBrowser(request);

/** What a stream is begun with. */
interface Accepted {
  readonly place: Place;
  readonly admitted: Admitted;
  readonly grant: Grant;
}

export class EventsResource implements Resource {
  readonly path = PATHS.sse;

  constructor(private readonly components: EventsComponents) {}

  readonly refuse: Refuse = (problem, request) => {
    const { metrics, streams } = this.components;
    metrics.eventStreamRequests.inc({
      outcome: problem.code === 'too_many_connections' ? 'limit' : 'refused',
    });
    if (!isToldAsStream(problem, request)) return refuseAsProblem(problem, request);
    const body = Buffer.concat([
      retryField(streams.retryMs()),
      controlEvent(errorFrame(problem), { form: NAMED }),
    ]);
    return { status: 200, contentType: EVENT_STREAM, headers: UNBUFFERED, body, code: problem.code };
  };

  answer({ request, client }: Asked): Answer {
    const { origins } = this.components;
    if (!origins.admits(headerOf(request, 'origin'), headerOf(request, 'host')))
      throw new FeedProblem('origin_not_allowed');
    if (!takesType(request, EVENT_STREAM)) throw new FeedProblem('not_acceptable');
    const grant = this.#granted(request);
    const head = { status: 200, contentType: EVENT_STREAM, headers: UNBUFFERED };
    if (request.method === 'HEAD') return { ...head, stream: () => {} };
    const place = this.#placeFor(client, grant.token);
    try {
      const admitted = this.#admitted(grant.request);
      return { ...head, stream: (out) => this.#begin(out, { place, admitted, grant }) };
    } catch (error) {
      place.leave();
      throw error;
    }
  }

  /** Throws FeedProblem. */
  #granted(request: HttpRequest): Grant {
    const lastEventId = headerOf(request, 'last-event-id');
    const asked = parseFeedQuery(request.query, 'sse', lastEventId);
    const authorization = headerOf(request, 'authorization');
    const admit = (granted: FeedRequest) =>
      this.components.tokens.admit({ request: granted, authorization, endpoint: 'sse' });
    try {
      return admit(asked);
    } catch (error) {
      // An EventSource tells where it was whether its token has a history or not.
      if (!(error instanceof FeedProblem) || error.code !== 'not_allowed' || lastEventId === '') throw error;
      return admit({ ...asked, start: { type: 'now' } });
    }
  }

  /** Throws FeedProblem where there is none. */
  #placeFor(client: string, token: string): Place {
    const { admission, descriptors } = this.components;
    if (!admission.tokenHasRoom(token)) throw new FeedProblem('token_in_use');
    const place = descriptors.hasRoom() ? admission.enter(client, token) : undefined;
    if (place === undefined) throw new FeedProblem('too_many_connections');
    return place;
  }

  /** Throws FeedProblem. */
  #admitted({ oneEvent, start, strict, kinds, peers }: FeedRequest): Admitted {
    const view = { form: oneEvent ? UNNAMED : NAMED, kinds, peers, gzip: false };
    return this.components.feed.admit(this.components.renderings, { view, start, strict });
  }

  #begin(out: ResponseStream, { place, admitted, grant }: Accepted): void {
    const { feed, hub, streams, limits, metrics, logger } = this.components;
    const { form } = admitted.subscription.view;
    const ended = ({ code }: FeedProblem) => metrics.refusals.inc({ code });
    const stream = new EventStream({ out, hub, form, retryMs: streams.retryMs(), ended });
    const { token, kinds, connections } = grant;
    let reader: Reader | undefined;
    let gone = false;
    out.onDrain(() => reader?.drained());
    out.onClose(() => {
      gone = true;
      reader?.close();
      hub.leave(stream);
      streams.remove(stream);
      place.leave();
    });
    try {
      reader = feed.begin(admitted, stream, {
        ...limits,
        ...(kinds && { kinds }),
        ...(connections !== undefined && { connections }),
      });
    } catch (error) {
      logger.error({ err: error }, 'the history cannot be read: an event stream is ended');
      admitted.release();
      stream.end(new FeedProblem('unavailable'));
      return;
    }
    // It may have been ended at once.
    if (gone) return;
    const begun = reader;
    streams.add(stream, { token, reader: begun });
    place.confirm((answer) => {
      metrics.eventStreamRequests.inc({ outcome: answer === 'granted' ? 'accepted' : 'limit' });
      if (answer !== 'granted') begun.end(new FeedProblem(answer));
    });
  }
}
