"""Takes credentials out of what services and libraries say, before it is shown."""

from __future__ import annotations

import re

_REMOVED = "[removed]"
#: What a credential looks like; each pattern's group 1, if any, stays.
_SECRETS = (
    re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S
    ),
    re.compile(r"\bya29\.[\w\-.~+/=]+"),
    re.compile(r"\b1//[\w\-]{10,}"),
    re.compile(r"\beyJ[\w\-]+\.[\w\-]+(?:\.[\w\-]*)?"),
    re.compile(r"(\bBearer\s+)[^\s\"',]+", re.I),
    re.compile(r"(X-Goog-(?:Signature|Credential|Security-Token)=)[^&\s\"']+", re.I),
    re.compile(r"(X-Amz-(?:Signature|Credential|Security-Token)=)[^&\s\"']+", re.I),
    re.compile(
        r"((?:access_token|refresh_token|id_token|client_secret|subject_token|assertion"
        r"|private_key|upload_id)"
        r"[\"']?\s*[=:]\s*[\"']?)[^&\s\"',}]+",
        re.I,
    ),
)


def without_secrets(text: str) -> str:
    """The text without tokens, keys and signatures of URLs."""
    for pattern in _SECRETS:
        text = pattern.sub(rf"\g<1>{_REMOVED}" if pattern.groups else _REMOVED, text)
    return text
