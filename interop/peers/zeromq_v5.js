// Preload (`node -r`): zyre.js is written for zeromq 5, whose native part no longer builds.
// Version 6 carries that API in `zeromq/v5-compat`.
'use strict';

const Module = require('module');

const load = Module._load;
Module._load = function patched(request, ...rest) {
  return load.call(this, request === 'zeromq' ? 'zeromq/v5-compat' : request, ...rest);
};
