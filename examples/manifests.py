"""What the examples' manifests have in common: their text, their ids, their folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from turnout_components.release import Release


def manifest(content: Mapping[str, Any], purpose: str, module: str) -> str:
    """The text of a manifest that `module` writes."""
    return f"# {purpose}; written by `python -m {module}`\n" + yaml.safe_dump(dict(content), sort_keys=False, width=120)


def release_ids(texts: Mapping[str, str]) -> dict[str, str]:
    """The id that config uses for each manifest, by release name."""
    return {name: Release(name=name, **yaml.safe_load(text)).id for name, text in texts.items()}


def write(folder: Path, texts: Mapping[str, str]) -> None:
    """Writes the manifests into `folder`/releases and prints the releases' ids."""
    for name, text in texts.items():
        (folder / "releases" / f"{name}.yaml").write_text(text)
    for release_id in release_ids(texts).values():
        print(release_id)
