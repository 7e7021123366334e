"""Drives the unmodified unicat client for tests/tests/clients/unicat.rs, step by step: prints the results of each step as
a line of JSON, and reads a line before the next step."""

import base64
import json
import os
import sys
import time

from unicat import Unicat, __version__
from unicat.error import UnicatError

PROJECT = os.environ["UNICAT_PROJECT"]
cat = Unicat(os.environ["UNICAT_URL"], PROJECT, os.environ["UNICAT_KEY"], None)


def tell(**facts):
    print(json.dumps(facts), flush=True)
    if not sys.stdin.readline():
        sys.exit("nobody is listening")


def token():
    """Returns the current token of the client, if any."""
    return cat.api._auth_header and cat.api._auth_header["Authorization"].removeprefix("Bearer ")


def expires_at(jwt):
    payload = jwt.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]


def ask_for_key():
    """Makes a call that needs a token and that API users are not allowed to make: 403 as long as the token is valid."""
    _, result = cat.api.call("/apikeys/get", {"user": cat.project.owner.gid})
    return result["code"]


def seen():
    project = cat.project
    return {
        "project": [project.gid, project.name, project.status, project.icon, project.owner.name],
        "languages": [project.languages, project.default_language],
        "channels": [project.channels, project.channel_name(project.default_channel)],
        "ordering": [list(project.orderings), project.ordering_name(project.default_ordering)],
        "fieldlist": [list(project.fieldlists), project.fieldlist_name(project.default_fieldlist)],
        "backups": project.backups,
        "members": sorted([m.user.name, m.user.username, m.user.avatar, m.status, m.roles] for m in project.members),
        "counts": [len(cat.users), len(cat.projects), len(cat.projects_members)],
        "dutch": cat.languages["nl"],
    }


def connect():
    pinged, ping = cat.api.call("//ping", method="get")
    tell(
        client=__version__,
        pinged=[pinged, ping.get("cc.version")],
        connected=cat.connect(),
        version=cat.api_version,
        has_feature="named_extended_definitions" in cat._features,
        cursors=[cat.api.cc_cursor, cat.api.project_cursor],
        token=token(),
        **seen(),
    )


def init():
    before = token()
    done, result = cat.api.init()
    again = cat.connect()  # with the previous token in the header
    tell(done=done, user=result.get("user"), is_fresh=token() not in (None, before), again=again, **seen())


def work_on_beyond_the_first_token():
    first = token()
    held, codes = {first}, set()
    while time.time() < expires_at(first) + 1:
        codes.add(ask_for_key())
        held.add(token())
        time.sleep(0.1)
    done, _ = cat.api.init()
    tell(first=first, codes=sorted(codes), tokens=len(held), has_lost_it=None in held, done=done)


def be_refused():
    """Runs after the key was deactivated."""
    deadline = time.monotonic() + 10
    while (code := ask_for_key()) == 403 and time.monotonic() < deadline:
        time.sleep(0.02)
    held = token()
    done, init = cat.api.init()
    connected = cat.connect()
    _, refusal = cat.api.connect(os.environ["UNICAT_KEY"])
    tell(code=code, token=held, init=[done, init["code"]], connected=connected, refusal=refusal, users=len(cat.users))


def refused(change, *arguments):
    """Returns the error that the client reports for a change that is rejected."""
    try:
        return change(*arguments)
    except UnicatError as error:
        return [str(error), error.code, error.message, error.info]


def change_project():
    mutate = cat.mutate
    languages = [mutate.add_language("fr"), mutate.add_language("de"), mutate.remove_language("en")]
    channel = mutate.create_channel("Web")
    ordering = mutate.create_ordering("By name")
    fieldlist = mutate.create_fieldlist("Prices")
    before = [cat.project.orderings["Main ordering"], cat.project.fieldlists["Main fieldlist"]]
    renamed, _ = cat.api.call("/channels/update", {"channel": channel, "name": "Shop"})
    moved, _ = cat.api.call("/orderings/move", {"ordering": ordering, "before_ordering": before[0]})
    tell(
        done=languages + [renamed, moved],
        ids=[
            cat.project.channels["Shop"] == channel,
            cat.project.orderings["By name"] == ordering,
            cat.project.fieldlists["Prices"] == fieldlist,
        ],
        channel_names=list(cat.project.channels),
        refusals=[
            refused(mutate.add_language, "nl"),
            refused(mutate.add_language, "xx"),
            refused(mutate.remove_language, "it"),
            refused(mutate.create_channel, " "),
            refused(mutate.delete_channel, "__all__"),
            refused(mutate.delete_ordering, channel),
        ],
        **seen(),
    )
    deleted = [
        mutate.delete_channel(channel),
        mutate.delete_ordering(before[0]),
        mutate.delete_fieldlist(before[1]),
    ]
    tell(
        done=deleted,
        channel_names=list(cat.project.channels),
        refusals=[
            refused(mutate.delete_ordering, ordering),
            refused(mutate.delete_fieldlist, fieldlist),
        ],
        **seen(),
    )


def see_what_others_changed():
    """The project has a new name and owner, and other members: fetches each entry, then everything with init."""
    changed, _ = cat.api.call("//projects/get", {"project": PROJECT})
    for user in list(cat.users):
        cat.api.call("//users/get", {"user": user})
    asked = [changed, cat.project.name, cat.project.owner.name]
    done, _ = cat.api.init()
    tell(done=done, asked=asked, **seen())


connect()
init()
work_on_beyond_the_first_token()
be_refused()
tell(connected=cat.connect(), **seen())  # after the key was activated again
change_project()
see_what_others_changed()
