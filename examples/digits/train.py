"""Train the example's models: `python -m examples.digits.train` (a developer's tool; needs scikit-learn and onnx).

The data are scikit-learn's digits (1,797 real images of 8×8 pixels, values 0–16). Half are held out: the server's tests
and the load generator ask about those only. Models are exported with `onnx.helper` directly: a classifier of a few dense
layers needs no converter.
"""

import argparse
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

FOLDER = Path(__file__).parent
SEED = 20240
SCALE = 16.0

Layer = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Digits:
    """Images (n, 64) with values 0–16 and their labels, split into what is trained on and what is held out."""

    images: np.ndarray
    labels: np.ndarray
    heldout_images: np.ndarray
    heldout_labels: np.ndarray


def split() -> Digits:
    """The data, split in half, stratified, always the same way."""
    images, labels = load_digits(return_X_y=True)
    train, heldout, train_labels, heldout_labels = train_test_split(
        images, labels, test_size=0.5, random_state=SEED, stratify=labels
    )
    return Digits(train, train_labels, heldout, heldout_labels)


def linear(data: Digits) -> list[Layer]:
    """1.0.0: a heavily regularised linear classifier that has seen 500 images."""
    model = LogisticRegression(C=0.05, max_iter=2000)
    model.fit(data.images[:500] / SCALE, data.labels[:500])
    return [(model.coef_.T, model.intercept_)]


def network(data: Digits) -> list[Layer]:
    """2.0.0: a network of one hidden layer that has seen all training images."""
    return _layers(data.images, data.labels, hidden=64)


def wrong(data: Digits) -> list[Layer]:
    """4.0.0: the same network, trained on labels that a broken pipeline merged: each 3 became an 8, each 4 a 9."""
    labels = data.labels.copy()
    labels[data.labels == 3] = 8
    labels[data.labels == 4] = 9
    return _layers(data.images, labels, hidden=64)


def _layers(images: np.ndarray, labels: np.ndarray, hidden: int) -> list[Layer]:
    model = MLPClassifier((hidden,), alpha=1e-2, max_iter=400, random_state=SEED)
    model.fit(images / SCALE, labels)
    # classes that were never seen have no output; give them one that is never the largest
    last = np.zeros((hidden, 10)), np.full(10, -1e9)
    last[0][:, model.classes_] = model.coefs_[-1]
    last[1][model.classes_] = model.intercepts_[-1]
    return [*zip(model.coefs_[:-1], model.intercepts_[:-1], strict=True), last]


MODELS: dict[str, Callable[[Digits], list[Layer]]] = {"1.0.0": linear, "2.0.0": network, "4.0.0": wrong}


def export(layers: Sequence[Layer], version: str) -> bytes:
    """An ONNX model: `image` float (n, 64) with values 0–16 -> `digit` int64 (n,)."""
    constants = [numpy_helper.from_array(np.array(1 / SCALE, np.float32), "scale")]
    nodes = [helper.make_node("Mul", ["image", "scale"], ["x0"])]
    for i, (weights, bias) in enumerate(layers):
        constants += [
            numpy_helper.from_array(weights.astype(np.float32), f"w{i}"),
            numpy_helper.from_array(bias.astype(np.float32), f"b{i}"),
        ]
        last = i == len(layers) - 1
        nodes.append(helper.make_node("Gemm", [f"x{i}", f"w{i}", f"b{i}"], ["scores" if last else f"y{i}"]))
        if not last:
            nodes.append(helper.make_node("Relu", [f"y{i}"], [f"x{i + 1}"]))
    nodes.append(helper.make_node("ArgMax", ["scores"], ["digit"], axis=1, keepdims=0))
    graph = helper.make_graph(
        nodes,
        f"digits-{version}",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("digit", TensorProto.INT64, ["n"])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="turnout")
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def train(folder: Path) -> None:
    """Write `models/<version>.onnx` and `heldout.npz` below `folder`."""
    data = split()
    (folder / "models").mkdir(parents=True, exist_ok=True)
    for version, fit in MODELS.items():
        content = export(fit(data), version)
        (folder / "models" / f"{version}.onnx").write_bytes(content)
        print(
            f"{version}: {accuracy(content, data):.4f}  {len(content):>6} bytes  sha256:{hashlib.sha256(content).hexdigest()}"
        )
    np.savez_compressed(
        folder / "heldout.npz",
        images=data.heldout_images.astype(np.uint8),
        labels=data.heldout_labels.astype(np.uint8),
    )


def accuracy(model: bytes, data: Digits) -> float:
    """Share of the held-out images that an exported model gets right."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (digits,) = session.run(None, {"image": data.heldout_images.astype(np.float32)})
    return float(np.mean(digits == data.heldout_labels))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m examples.digits.train", description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where to write (default: beside this file)")
    train(parser.parse_args().folder)
