"""Whose credentials these are, and whether they give a token."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from typing import Any

from hayate.doctor.finding import Check, Finding
from hayate.doctor.google_access import Access
from hayate.errors import UsageError

SECTION = "Credentials"
#: google-auth asks the metadata server three times where there is none.
_LIMIT_S = 30.0
_KEY_FILE = "GOOGLE_APPLICATION_CREDENTIALS"
_POD_TOKEN = "AWS_WEB_IDENTITY_TOKEN_FILE"


def checks(access: Access, *, is_needed: bool) -> list[Check]:
    """All that is to be looked at here.

    Args:
        is_needed: whether there have to be credentials.
    """
    return [
        Check(
            SECTION,
            "Google",
            lambda _: google(access, is_needed=is_needed),
            _LIMIT_S,
            waits_for=access.last_retry,
        ),
        Check(SECTION, "file", lambda _: key_file(os.environ)),
    ]


def google(access: Access, *, is_needed: bool) -> Iterator[Finding]:
    """The application default credentials, and whose they are."""
    try:
        found = access.credentials()
    except UsageError as error:
        if is_needed:
            raise
        if os.environ.get(_KEY_FILE):
            yield Finding("advice", "Google", error.what, error.fix)
        else:
            yield Finding("skipped", "Google", "none found; BigQuery and gs:// need some")
        return
    project = f"project {found.project}" if found.project else "no project"
    if found.token is None:
        yield Finding("ok", "Google", f"none, as the environment names emulators; {project}")
        return
    # Before its first use a service account of a machine does not know its own name.
    access.token()
    what = f"{found.who}, {project}; they give a token"
    if found.project or not is_needed:
        yield Finding("ok", "Google", what)
    else:
        remedy = "Give --project, or set GOOGLE_CLOUD_PROJECT: a query runs in a project."
        yield Finding("problem", "Google", what, remedy)


def key_file(environment: Mapping[str, str]) -> Iterator[Finding]:
    """The file that the environment names, if it names one: who else may read it, and whose role a
    federation uses."""
    path = environment.get(_KEY_FILE, "")
    if not path:
        return
    try:
        mode = os.stat(path).st_mode
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError):
        return  # what that means is said of the credentials themselves
    content = content if isinstance(content, dict) else {}
    what = f"{path} ({content.get('type') or 'of no type'})"
    has_secret = content.get("type") in ("service_account", "authorized_user")
    if has_secret and mode & (stat.S_IRWXG | stat.S_IRWXO):
        remedy = f"Run chmod 600 {path}; better, use no key file but a federation."
        yield Finding("advice", "file", f"{what}, which others on this machine may read", remedy)
    elif _uses_role_of_node(content, environment):
        yield Finding(
            "advice",
            "file",
            f"{what}: the role of the EC2 node, not that of this pod, which {_POD_TOKEN} names",
            "Make a configuration that reads the pod's own token: gcloud iam workload-identity-"
            "pools create-cred-config … --credential-source-file="
            f"{environment[_POD_TOKEN]}, with an OIDC provider for the cluster.",
        )
    else:
        yield Finding("ok", "file", what)


def _uses_role_of_node(content: Mapping[str, Any], environment: Mapping[str, str]) -> bool:
    """Whether a federation from AWS asks the node for its role, in a pod with one of its own."""
    source = content.get("credential_source")
    is_aws = isinstance(source, dict) and str(source.get("environment_id", "")).startswith("aws")
    has_own = _POD_TOKEN in environment and not environment.get("AWS_ACCESS_KEY_ID")
    return content.get("type") == "external_account" and is_aws and has_own
