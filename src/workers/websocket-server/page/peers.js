/** The table of connected peers. Rows stay the same elements, so that whoever is at one with the keyboard stays there. */

import { fieldsOf } from './details.js';
import { asText, clean, element, number, short, timestamp } from './text.js';

const MOST_PEERS = 500;

export class Peers {
  #body;
  #details;
  /** By peer ID. */
  #rows = new Map();

  constructor(body, details) {
    this.#body = body;
    this.#details = details;
  }

  show(peers) {
    const shown = new Map(peers.slice(0, MOST_PEERS).map((peer) => [asText(peer.id), peer]));
    for (const [id, { row }] of this.#rows) {
      if (shown.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    let place = this.#body.firstElementChild;
    for (const [id, peer] of shown) {
      let row = this.#rows.get(id);
      if (row === undefined) {
        row = new PeerRow(this.#details);
        this.#rows.set(id, row);
      }
      row.update(peer);
      if (row.row === place) place = place.nextElementSibling;
      else this.#body.insertBefore(row.row, place);
    }
  }
}

class PeerRow {
  row = element('tr');
  #name = element('span', 'peer-name');
  #id = element('span', 'peer-id mono muted');
  #height = element('td', 'number');
  #score = element('span', 'score');
  #ping = element('td', 'number');
  #peer;

  constructor(details) {
    const button = element('button', 'reveal');
    button.type = 'button';
    button.setAttribute('aria-haspopup', 'dialog');
    button.append(this.#name, this.#id);
    button.addEventListener('click', () => {
      const { inbound, connectedAt, ...rest } = this.#peer;
      const json = JSON.stringify(this.#peer);
      details.show({
        title: asText(this.#peer.name) || 'Peer without a name',
        fields: [
          ...fieldsOf(JSON.stringify(rest)),
          ['direction', inbound ? 'inbound' : 'outbound'],
          ['connectedAt', timestamp(connectedAt)],
        ],
        json,
      });
    });
    const who = element('td');
    who.append(button);
    const score = element('td', 'number');
    score.append(this.#score);
    this.row.append(who, this.#height, score, this.#ping);
  }

  update(peer) {
    this.#peer = peer;
    const id = asText(peer.id);
    this.#name.textContent = clean(asText(peer.name)) || short(id);
    this.#id.textContent = `${peer.inbound ? '← ' : '→ '}${short(id)}`;
    this.#id.title = `${peer.inbound ? 'inbound' : 'outbound'} ${id}`;
    this.#height.textContent = peer.height > 0 ? number(peer.height) : '–';
    this.#score.textContent = number(peer.banScore);
    this.#score.dataset.level = peer.banScore >= 50 ? 'high' : peer.banScore > 0 ? 'some' : 'none';
    this.#ping.textContent = ping(peer.pingMs);
  }
}

function ping(ms) {
  if (!Number.isFinite(ms)) return '–';
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
