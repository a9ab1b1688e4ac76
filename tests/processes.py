"""Real child processes that start quickly: forked from a server that has the studio imported already."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

needs_fork = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="this system has no fork server"
)


def start(target: Callable[..., None], *args: Any) -> BaseProcess:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "tests.children"])
    process = context.Process(target=target, args=args)
    process.start()
    return process


def together(target: Callable[..., None], arguments: list[tuple[Any, ...]], timeout: float = 120) -> None:
    """Runs one process for each tuple of arguments, at once, and sees to it that all end well."""
    processes = [start(target, *args) for args in arguments]
    for process in processes:
        process.join(timeout)
        if process.is_alive():
            process.kill()
    assert [process.exitcode for process in processes] == [0] * len(processes)
