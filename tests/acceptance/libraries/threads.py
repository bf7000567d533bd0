"""Threads of its own, begun when the function is loaded, and an event loop with a child and a thread."""

import asyncio
import queue
import threading
from concurrent.futures import ThreadPoolExecutor

asked, answered = queue.Queue(), queue.Queue()
pool = ThreadPoolExecutor(2)
early = pool.submit(sum, [1, 2, 3])


def serve():
    while True:
        answered.put(asked.get() * 2)


async def talk():
    child = await asyncio.create_subprocess_exec("echo", "hello", stdout=asyncio.subprocess.PIPE)
    said, _ = await child.communicate()
    return [said.decode(), await asyncio.to_thread(len, "four")]


threading.Thread(target=serve, daemon=True).start()
loaded = asyncio.run(talk())


def handler(event, context):
    asked.put(21)
    return [answered.get(timeout=10), early.result(), list(pool.map(abs, [-1, -2])), loaded, asyncio.run(talk())]
