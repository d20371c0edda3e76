"""An Envoy filter that sets `x-variant` from a user's key, by the same function as `variants.variant`.

It is for the gateway or edge in front of the load balancer, which cannot hash a key itself: put what `envoy_filter` returns
into the HTTP connection manager's `http_filters`, before the router.
"""

import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from turnout_components.checks import Fault, refuse
from turnout_components.variants import BUCKETS, VARIANT_HEADER, faults, ranges

_LUA = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
_TOKEN = re.compile(r"^[A-Za-z0-9_-]{1,64}$")
_TOKENS = "write at most 64 letters, digits, hyphens and underscores"


def envoy_filter(
    experiment: str, split: Mapping[str, float], *, header: str | None = None, cookie: str | None = None
) -> dict[str, Any]:
    """The filter, as Envoy's JSON. The key is the value of `header`, or where there is none that of `cookie`, as they stand:
    nothing is decoded. Requests without a key, and of users who take no part, leave without `x-variant`, whatever they came
    with.

    Raises `ValueError` for an experiment that cannot be, or without a place of the key."""
    wrong = faults(experiment, split)
    if header is None and cookie is None:
        wrong.append(Fault("header", None, "and cookie are both missing", "name where the user's key is"))
    wrong += [
        Fault(field, value, "is no name of a header or cookie", _TOKENS)
        for field, value in (("header", header), ("cookie", cookie))
        if value is not None and not _TOKEN.fullmatch(value)
    ]
    if header is not None and header.lower() == VARIANT_HEADER:
        wrong.append(Fault("header", header, "is what the filter sets", "name the header with the user's key"))
    refuse(wrong)
    places = ", ".join(f'{{{place.first}, {place.end}, "{place.variant}"}}' for place in ranges(split))
    settings = [
        f'experiment = "{experiment}"',
        f'target = "{VARIANT_HEADER}"',
        *([f'header = "{header.lower()}"'] if header else []),
        *([f'cookie = "{cookie}"'] if cookie else []),
        f"buckets = {BUCKETS}",
        f"ranges = {{{places}}}",
    ]
    program = (resources.files("turnout_components") / "variant_filter.lua").read_text()
    code = f"local settings = {{{', '.join(settings)}}}\n{program}"
    return {
        "name": "turnout.variant",
        "typed_config": {"@type": _LUA, "default_source_code": {"inline_string": code}},
    }
