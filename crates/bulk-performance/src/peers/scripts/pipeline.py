"""Writes a Hash for every line of a file of values, in pipelines: FILE PREFIX DEPTH."""

import os
import sys

import redis

FIELDS = ("firstname", "lastname", "email", "age", "city", "department", "salary", "signup")


def connect():
    login = {
        "db": int(os.environ["PEER_DB"]),
        "username": os.environ.get("PEER_USER"),
        "password": os.environ.get("REDISCLI_AUTH"),
    }
    if "PEER_SOCKET" in os.environ:
        return redis.Redis(unix_socket_path=os.environ["PEER_SOCKET"], **login)
    return redis.Redis(host=os.environ["PEER_HOST"], port=int(os.environ["PEER_PORT"]), **login)


def main(path, prefix, depth):
    pipeline = connect().pipeline(transaction=False)
    with open(path, encoding="utf-8", newline="\n") as lines:
        for number, line in enumerate(lines, start=1):
            values = line.rstrip("\n").split("\t")
            pipeline.hset(f"{prefix}user:{number}", mapping=dict(zip(FIELDS, values)))
            if number % depth == 0:
                pipeline.execute()
    pipeline.execute()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
