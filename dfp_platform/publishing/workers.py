"""The process that leads a run, named so that its death can be seen."""

from __future__ import annotations

import os
import socket

import psutil

WORKER_TAG = "lake/worker"
"""Run tag: `host:pid:start` of the process that leads the run."""


def this_worker() -> str:
    """This process, as `WORKER_TAG` names it."""
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def worker_died(worker: str) -> bool:
    """Whether the process is known to be gone; a process of another machine is never known to be."""
    host, _, process = worker.partition(":")
    pid, _, started = process.partition(":")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        return f"{psutil.Process(int(pid)).create_time():.2f}" != started
    except psutil.NoSuchProcess:
        return True
