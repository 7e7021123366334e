"""Puts people, projects and passwords that there are into most of the requests that schemathesis makes up."""

import json
import os
import uuid

import schemathesis

SCENE = json.loads(os.environ["DOORWARD_SCENE"])
# What ends a thing is tried on things of its own, so that the rest has something to work with.
OTHERS = {
    "/api/projects/delete": {"project": "doomed_project"},
    "/api/projects/undelete": {"project": "doomed_project"},
    "/api/projects/permanent_delete": {"project": "doomed_project"},
    "/api/projects/transfer": {"project": "handed_project"},
    "/api/p/{project}/members/remove": {"user": "doomed_member"},
    "/api/p/{project}/apikeys/delete": {"user": "doomed_robot"},
}


def is_replaced(value):
    """Three of four gids: the others are of nobody."""
    try:
        return isinstance(value, str) and uuid.UUID(value).int % 4 > 0
    except ValueError:
        return False


def known(path, name):
    if name == "user" and "/apikeys/" in path:
        name = "robot"
    return SCENE.get(OTHERS.get(path, {}).get(name, name))


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.operation.path
    for part in (case.path_parameters, case.body):
        if isinstance(part, dict):
            for name, value in part.items():
                if known(path, name) and is_replaced(value):
                    part[name] = known(path, name)
    if not isinstance(case.body, dict):
        return
    # The examples' credentials are those of somebody.
    if case.body.get("username") == "ann" and isinstance(case.body.get("password"), str):
        case.body["username"], case.body["password"] = SCENE["login"]
    if isinstance(case.body.get("api_key"), str) and case.body["api_key"].startswith("dw_"):
        case.body["api_key"] = SCENE["api_key"]
    if path == "/api/account/update" and isinstance(case.body.get("password"), str):
        # It would end the token of all calls.
        case.body["password"] = "weak"
