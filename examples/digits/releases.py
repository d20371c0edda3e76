"""Write the example's release manifests and print their ids: `python -m examples.digits.releases`.

To be run after every change of the server, its image.toml or a model: a manifest names all of them by digest. A test
compares the committed manifests with what this would write.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.manifests import manifest, write
from turnout.cloud.images import read

FOLDER = Path(__file__).parent
SEED = 20240
COMMIT = "222ddaf31dc92f88afbbe2212a7e43e607543d1b"
"""At which `train.py` wrote the models."""


@dataclass(frozen=True)
class Variant:
    """A release of the example: which model it serves, what the server is told, and what it is there for."""

    model: str
    purpose: str
    flags: tuple[str, ...] = ()
    training_data: str = "scikit-learn digits, training half"


VARIANTS = {
    "digits-1.0.0": Variant("1.0.0", "a linear classifier"),
    "digits-2.0.0": Variant("2.0.0", "a small network, better at the task"),
    "digits-3.0.0-bad": Variant(
        "2.0.0", "2.0.0's model in a server that fails and is slow", ("--error-rate=0.05", "--latency-ms=60", "--seed=3")
    ),
    "digits-4.0.0-wrong": Variant(
        "4.0.0", "healthy and fast, and worse at the task", training_data="scikit-learn digits, training half, labels broken"
    ),
}


def manifests(folder: Path = FOLDER) -> dict[str, str]:
    """Text of every manifest by release name, from the models and the image in `folder`."""
    image = read(folder).reference
    return {name: _manifest(folder, variant, image) for name, variant in VARIANTS.items()}


def _manifest(folder: Path, variant: Variant, image: str) -> str:
    path = folder / "models" / f"{variant.model}.onnx"
    content: dict[str, Any] = {
        "model": {
            "name": "digits",
            "version": variant.model,
            "uri": f"file:models/{path.name}",
            "sha256": "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest(),
        },
        "image": image,
        "engine": {"name": "onnxruntime", "flags": list(variant.flags)},
        "provenance": {"git_commit": COMMIT, "training_data": variant.training_data, "seed": SEED},
    }
    return manifest(content, variant.purpose, "examples.digits.releases")


if __name__ == "__main__":
    write(FOLDER, manifests())
