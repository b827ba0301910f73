// `process.env` with the names in it that its native block lacks.
"use strict";

// Not part of the coverage that a program measures of itself.
/* node:coverage disable */

/** `process.env` with the added names in it; the program's own writes go to the real one. */
function createProxy(env, added, isAdded) {
  const descriptor = (value) => ({ value, writable: true, enumerable: true, configurable: true });
  const target = {};
  const proxy = new Proxy(target, {
    get: (_, name) => (isAdded(name) ? added.get(name) : env[name]),
    has: (_, name) => isAdded(name) || name in env,
    ownKeys: () => [...new Set([...Reflect.ownKeys(env), ...added.keys()])],
    getOwnPropertyDescriptor: (_, name) =>
      isAdded(name) ? descriptor(added.get(name)) : Reflect.getOwnPropertyDescriptor(env, name),
    set(_, name, value) {
      env[name] = value;
      added.delete(name);
      return true;
    },
    defineProperty(_, name, value) {
      Object.defineProperty(env, name, value);
      added.delete(name);
      return true;
    },
    deleteProperty(_, name) {
      added.delete(name);
      return Reflect.deleteProperty(env, name);
    },
    getPrototypeOf: () => Reflect.getPrototypeOf(env),
    setPrototypeOf: (_, prototype) => Reflect.setPrototypeOf(env, prototype),
    preventExtensions: () => (Object.preventExtensions(env), false),
  });
  // console.log looks through a Proxy at its target.
  const inspect = { value: () => ({ ...proxy }), configurable: true };
  Object.defineProperty(target, Symbol.for("nodejs.util.inspect.custom"), inspect);
  return proxy;
}

module.exports = { createProxy };
