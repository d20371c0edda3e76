"""Writes components/schema.json, what Pulumi's SDK generators read: `python -m tools.component_schema`."""

import json
from pathlib import Path

from pulumi.provider.experimental.component import ComponentProvider
from turnout_components import __version__
from turnout_components.public import COMPONENTS, PACKAGE

SCHEMA = Path(__file__).resolve().parents[1] / "components" / "schema.json"


def schema() -> str:
    """The schema that Pulumi infers from the public components, as text for a file."""
    provider = ComponentProvider(list(COMPONENTS), PACKAGE, version=__version__)
    return json.dumps(json.loads(provider.schema or ""), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema(), encoding="utf-8")
