// Preload (`node -r`): zyre.js is written for zeromq 5, whose native part no longer builds.
// Version 6 carries that API in `zeromq/v5-compat`.
'use strict';

const Module = require('module');

const load = Module._load;
let mended = false;

// Version 6 unbinds on another thread, while the loop that receives goes on: it aborts inside libzmq
// now and then (pipe.cpp, `_state == term_ack_sent`), and a message that comes meanwhile makes the
// loop spin for ever. zyre.js closes the socket right after it, which unbinds as well.
function mend(zeromq) {
  zeromq.Socket.prototype.unbind = function unbind(_, done) {
    process.nextTick(() => done && done());
    return this;
  };
}

Module._load = function patched(request, ...rest) {
  if (request !== 'zeromq') return load.call(this, request, ...rest);
  const zeromq = load.call(this, 'zeromq/v5-compat', ...rest);
  if (!mended) mend(zeromq);
  mended = true;
  return zeromq;
};
