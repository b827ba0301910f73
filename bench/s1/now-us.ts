/** Microseconds since the epoch, by the clock that PostgreSQL on this machine reads too. */
export function nowUs(): number {
  return (performance.timeOrigin + performance.now()) * 1000;
}
