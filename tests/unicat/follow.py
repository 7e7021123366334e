"""Follows changes of other users with the unmodified unicat client, for tests/tests/clients/unicat_sync.rs. For each line
that it reads, two clients sync, one of an API user and one of a member. It prints the data of each, the data of a new
client, and all data that is visible to each."""

import json
import os
import sys

from unicat import Unicat

URL, PROJECT = os.environ["UNICAT_URL"], os.environ["UNICAT_PROJECT"]
KINDS = ["cc.users", "cc.projects", "cc.projects_members"]


def program():
    cat = Unicat(URL, PROJECT, os.environ["UNICAT_KEY"], None)
    assert cat.connect()
    return cat


def person():
    cat = Unicat(URL, PROJECT, None, None)
    done, _ = cat.api.call("/login", {"username": os.environ["UNICAT_USER"], "password": os.environ["UNICAT_PASSWORD"]})
    assert done
    return cat


def store(cat):
    return {kind: dict(cat.api.data[kind]) for kind in KINDS}


def cursors(cat):
    return [cat.api.cc_cursor, cat.api.project_cursor]


def all_that_is_seen(cat):
    """Returns all data that is visible in the project and globally."""
    assert cat.api.call("//init", method="get")[0]
    assert cat.api.call("/init")[0]
    return store(cat)


clients = {"program": (program, program()), "person": (person, person())}
print(json.dumps({}), flush=True)
while sys.stdin.readline():
    told = {}
    for name, (connect, cat) in clients.items():
        before = cursors(cat)
        cat.sync()
        fresh = connect()
        told[name] = {
            "before": before,
            "after": cursors(cat),
            "has": store(cat),
            "fresh": store(fresh),
            "seen": all_that_is_seen(fresh),
            "now": cursors(fresh),
        }
    print(json.dumps(told), flush=True)
