"""Replaces ids and credentials in most of the requests that schemathesis generates by those of the scene (DOORWARD_SCENE)."""

import atexit
import json
import os
import uuid
from collections import defaultdict

import schemathesis

SCENE = json.loads(os.environ["DOORWARD_SCENE"])
# Number of responses for each operation and status.
ANSWERS = defaultdict(lambda: defaultdict(int))
# Calls that end or delete something get separate objects, so that the other calls still find
# theirs.
OTHERS = {
    "/api/projects/delete": {"project": "doomed_project"},
    "/api/projects/undelete": {"project": "deleted_project"},
    "/api/projects/permanent_delete": {"project": "doomed_project"},
    "/api/projects/transfer": {"project": "handed_project"},
    "/api/p/{project}/members/remove": {"user": "doomed_member"},
    "/api/account/accept_invite": {"project": "accepted_project"},
    "/api/account/decline_invite": {"project": "declined_project"},
    "/api/account/leave_project": {"project": "left_project"},
    "/api/decline_invite": {"project": "handed_project", "invitee": "handed_invitee"},
    "/api/p/{project}/members/resend_invite": {"user": "invited_user"},
    "/api/p/{project}/apikeys/delete": {"robot": "doomed_robot"},
    "/api/p/{project}/channels/delete": {"channel": "doomed_channel"},
    "/api/p/{project}/orderings/delete": {"ordering": "doomed_ordering"},
    "/api/p/{project}/fieldlists/delete": {"fieldlist": "doomed_fieldlist"},
}


def replaced(path, name, value):
    """Replaces four of five gids, including those of all examples, by gids of existing objects; the others stay unknown."""
    if isinstance(value, list):
        return [replaced(path, name.removesuffix("s"), item) for item in value]
    if path.startswith("/media/"):
        # The example and similar names; some other generated values are no file names.
        return SCENE[path.split("/")[2]] if str(value).endswith(".png") else value
    try:
        is_gid = isinstance(value, str) and str(uuid.UUID(value)) == value.lower()
    except ValueError:
        is_gid = False
    if not is_gid or uuid.UUID(value).int % 5 == 0:
        return value
    if name == "user" and "/apikeys/" in path:
        name = "robot"
    name = OTHERS.get(path, {}).get(name, name).removeprefix("before_")
    return SCENE.get(name, value)


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.operation.path
    for part in (case.path_parameters, case.body):
        if isinstance(part, dict):
            for name, value in part.items():
                part[name] = replaced(path, name, value)
    if not isinstance(case.body, dict):
        return
    # The credentials of the examples are replaced by those of the scene.
    if case.body.get("username") == "ann" and isinstance(case.body.get("password"), str):
        case.body["username"], case.body["password"] = SCENE["signup" if "signup" in path else "login"]
    if path == "/api/p/{project}/members/invite" and case.body.get("username_or_email") == "ben@example.org":
        case.body["username_or_email"] = "newcomer@example.org"
    if isinstance(case.body.get("api_key"), str) and case.body["api_key"].startswith("dw_"):
        case.body["api_key"] = SCENE["api_key"]
    if path == "/api/account/update" and isinstance(case.body.get("password"), str):
        # A new password would end the token of all calls.
        case.body["password"] = "weak"


@schemathesis.hook
def after_call(context, case, response):
    ANSWERS[case.operation.label][response.status_code] += 1


@atexit.register
def report():
    with open("answers.json", "w", encoding="utf-8") as file:
        json.dump(ANSWERS, file)
