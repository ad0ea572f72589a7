#!/usr/bin/env node
// A node of zyre.js, driven by JSON lines. Options and lines are those of the Python drivers.
//
// zyre.js takes and delivers one content frame; a command with more is answered by an error.
// It tells of a peer's groups (JOIN) before it tells of the peer (ENTER): passed on as it comes.

'use strict';

require('./zeromq_v5.js');

const fs = require('fs');
const path = require('path');
const readline = require('readline');
const Module = require('module');
const { parseArgs, TextDecoder } = require('util');

// The packages live in ../node/node_modules, so that they stay out of the way of the drivers.
const fromNode = Module.createRequire(path.join(__dirname, '../node/package.json'));
const Zyre = fromNode('zyre.js');
const zeromq = fromNode('zeromq/v5-compat');
const { version } = fromNode('zyre.js/package.json');

const born = Date.now();

function emit(event, fields) {
  const line = { event, ...fields, at: Date.now() - born };
  fs.writeSync(1, `${JSON.stringify(line)}\n`);
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function frameToJson(octets) {
  try {
    return utf8.decode(octets);
  } catch (error) {
    return { base64: octets.toString('base64') };
  }
}

function frameFromJson(value) {
  if (typeof value === 'string') return Buffer.from(value, 'utf8');
  if (value && typeof value.base64 === 'string') return Buffer.from(value.base64, 'base64');
  throw new Error('a frame is a string or {"base64":"…"}');
}

function oneFrame(content) {
  if (!Array.isArray(content)) throw new Error('content is an array of frames');
  if (content.length !== 1) throw new Error('zyre.js sends exactly one content frame');
  return frameFromJson(content[0]);
}

const text = { type: 'string' };
const list = { type: 'string', multiple: true, default: [] };
const { values: options } = parseArgs({
  options: {
    name: text,
    interface: text,
    port: { type: 'string', default: '5670' },
    header: list,
    group: list,
    uuid: text,
    interval: text,
    evasive: text,
    expired: text,
    'tcp-port': text,
    verbose: { type: 'boolean' },
  },
});

const number = (value) => (value === undefined ? undefined : Number(value));
if (options.verbose) fromNode('debug').enable('zyre:*');

const headers = {};
options.header.forEach((pair) => {
  const at = pair.indexOf('=');
  if (at < 0) fail(`--header ${pair}: K=V expected`);
  headers[pair.slice(0, at)] = pair.slice(at + 1);
});

const zyre = new Zyre({
  name: options.name,
  iface: options.interface,
  headers,
  evasive: number(options.evasive),
  expired: number(options.expired),
  port: number(options['tcp-port']),
  bport: number(options.port),
  binterval: number(options.interval),
});
zyre.setEncoding('raw');
// The API has no way to choose the UUID; it is read from this field when the node starts.
if (options.uuid) zyre._identity = Buffer.from(options.uuid, 'hex');

const upper = (identity) => identity.toUpperCase();
const expired = new Set();

zyre.on('connect', (identity, name, peerHeaders) => {
  const { endpoint } = zyre.getPeer(identity) || {};
  emit('enter', { peer: upper(identity), name, endpoint, headers: peerHeaders });
});
zyre.on('expired', (identity) => expired.add(identity));
zyre.on('disconnect', (identity, name) => {
  const reason = expired.delete(identity) ? { reason: 'expired' } : {};
  emit('exit', { peer: upper(identity), name, ...reason });
});
zyre.on('join', (identity, name, group) => emit('join', { peer: upper(identity), name, group }));
zyre.on('leave', (identity, name, group) => emit('leave', { peer: upper(identity), name, group }));
const content = (frame) => (frame === undefined ? [] : [frameToJson(frame)]);
zyre.on('whisper', (identity, name, frame) => {
  emit('whisper', { peer: upper(identity), name, content: content(frame) });
});
zyre.on('shout', (identity, name, frame, group) => {
  emit('shout', { peer: upper(identity), name, group, content: content(frame) });
});

function resolvePeer(word) {
  if (/^[0-9a-fA-F]{32}$/.test(word)) return word.toLowerCase();
  const found = Object.entries(zyre.getPeers()).filter(([, peer]) => peer.name === word);
  if (found.length !== 1) throw new Error(`${found.length} peers are named "${word}"`);
  return found[0][0];
}

let stopping = false;
function stop() {
  if (stopping) return;
  stopping = true;
  // A backstop, should one of the library's promises never settle.
  setTimeout(() => process.exit(1), 3000).unref();
  zyre.stop().then(() => {
    emit('stop', {});
    process.exit(0);
  });
}

const commands = {
  join: ({ group }) => zyre.join(group),
  leave: ({ group }) => zyre.leave(group),
  whisper: (command) => zyre.whisper(resolvePeer(command.peer), oneFrame(command.content)),
  shout: (command) => zyre.shout(command.group, oneFrame(command.content)),
  peers: ({ id }) => {
    const peers = Object.entries(zyre.getPeers()).map(([identity, peer]) => ({
      peer: upper(identity),
      name: peer.name || '',
      endpoint: peer.endpoint,
      headers: peer.headers || {},
      groups: peer.groups,
      state: peer.evasive ? 'evasive' : 'ready',
    }));
    emit('peers', { id, peers });
  },
  groups: ({ id }) => emit('groups', { id, groups: zyre._zyreNode._groups }),
  stop,
};

function obey(line) {
  if (line.trim() === '' || stopping) return;
  try {
    const command = JSON.parse(line);
    const action = commands[command.do];
    if (!action) throw new Error(`unknown command ${JSON.stringify(command.do)}`);
    action(command);
  } catch (error) {
    emit('error', { message: error.message });
  }
}

zyre.start().then(() => {
  // A group joined before the start would reach the first HELLO only; the list exists from here.
  options.group.forEach((group) => zyre.join(group));
  emit('start', {
    uuid: upper(zyre.getIdentity()),
    name: zyre._name,
    endpoint: zyre._zyreNode._endpoint,
    kind: 'zyre.js',
    version,
    libzmq: zeromq.version,
  });
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', obey);
  lines.on('close', stop);
});
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
