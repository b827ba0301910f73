"""An asyncio service with a pool of processes: notes what it and each of them reads."""

import asyncio
import os
from concurrent.futures import ProcessPoolExecutor

NOTES = os.environ["NOTES"]


def note(name, text):
    with open(f"{NOTES}/{name}.new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(f"{NOTES}/{name}.new", f"{NOTES}/{name}")


def read(_):
    return os.environ["DEMO_TOKEN"]


async def main():
    note("asyncio.pid", str(os.getpid()))
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(2) as pool:
        while True:
            answers = await asyncio.gather(*(loop.run_in_executor(pool, read, n) for n in range(4)))
            note("pool", " ".join(sorted(set(answers))))
            note("asyncio", read(0))
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main())
