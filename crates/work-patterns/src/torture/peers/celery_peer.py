"""The workload of `cargo work torture` on Celery: a producer, or a worker. The role is in the environment.

As the documentation recommends where a worker may be killed: acks_late and reject_on_worker_lost, tasks that can run again, retries with
a countdown, connection retries on startup. The pool, its size, and the visibility timeout are the defaults.
"""

import json
import os
import signal
import sys
import threading
import time

import redis
from celery import Celery
from celery.signals import worker_init

RETRIES = 2
ROLE = json.loads(os.environ["WORK_TORTURE_ROLE"])
URL = os.environ["REDIS_URL"]

app = Celery("celery_peer", broker=URL)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
)
opened = {}


def journal():
    # Each process of the pool opens its own.
    pid = os.getpid()
    if pid not in opened:
        opened[pid] = os.open(ROLE["journal"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), redis.Redis.from_url(URL)
    return opened[pid]


def now():
    return time.time_ns() // 1000


def write(what, number, attempt, at=None):
    os.write(journal()[0], f"{what} {number} {attempt} {at or now()}\n".encode())


@app.task(bind=True, max_retries=RETRIES)
def run(self, number, poison, work_ms):
    attempt = self.request.retries + 1
    write("S", number, attempt)
    time.sleep(work_ms / 1000)
    if poison:
        write("F", number, attempt)
        if attempt > RETRIES:
            write("D", number, attempt)
        raise self.retry(exc=RuntimeError("poison"), countdown=0.1)
    if ROLE["effects"]:
        write("X", number, attempt)
        journal()[1].hincrby("torture:effects", f"job-{number}", 1)
    write("C", number, attempt)


def produce():
    with open(ROLE["listing"], encoding="ascii") as lines:
        for line in lines:
            number, delay_ms, poison, work_ms = map(int, line.split())
            if number % ROLE["of"] != ROLE["index"]:
                continue
            begun = now()
            while True:
                try:
                    countdown = delay_ms / 1000 if delay_ms else None
                    if ROLE["due_at_ms"]:
                        countdown = max(0, ROLE["due_at_ms"] / 1000 - time.time())
                    run.apply_async((number, poison == 1, work_ms), task_id=f"job-{number}", countdown=countdown)
                    break
                except Exception:  # The broker is away.
                    time.sleep(0.02)
            write("E", number, 0, begun)


@worker_init.connect
def end_with_owner(**_):
    def wait():
        while os.read(0, 4096):
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    produce()
    sys.exit(0)
