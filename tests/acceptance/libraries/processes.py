"""Processes in every way of the standard library, with what they share."""

import multiprocessing
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.shared_memory import SharedMemory


def square(number):
    return number * number


def put(queue, lock, total):
    with lock:
        total.value += 1
    queue.put(7)


def pools():
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            yield pool.map(abs, [-1, -2, 3])


def shared():
    block = SharedMemory(create=True, size=100)
    other = SharedMemory(block.name)
    other.buf[0] = 5
    seen = block.buf[0]
    other.close()
    block.close()
    block.unlink()
    return seen


def handler(event, context):
    forked = multiprocessing.get_context("fork")
    queue, lock, total = forked.Queue(), forked.Lock(), forked.Value("i", 0)
    children = [forked.Process(target=put, args=(queue, lock, total)) for _ in range(2)]
    for child in children:
        child.start()
    gathered = [queue.get(timeout=10) for _ in children]
    for child in children:
        child.join()
    with ProcessPoolExecutor(2, forked) as executor:
        squares = list(executor.map(square, range(4)))
    with forked.Manager() as manager:
        remote = manager.dict(a=1)
        copied = dict(remote)
    said = subprocess.run([sys.executable, "-c", "print(7)"], capture_output=True, text=True, check=True).stdout
    return [*pools(), gathered, total.value, squares, copied, shared(), said]
