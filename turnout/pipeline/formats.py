"""Which format a model's file has, read from its bytes and never by loading it; and whether loading it would run code.

A pickle is a program: "The pickle module is not secure. Only unpickle data you trust" (Python's documentation, pickle).
Files of torch, joblib and NumPy's object arrays hold pickles too, so they count as such.
"""

import pickletools
import zipfile
from pathlib import Path

PICKLE = "pickle"
_PICKLED_NAMES = (".pkl", ".pickle", ".joblib", ".pkl.gz", ".pkl.bz2", ".pkl.xz", ".dill")
_MAGIC = ((b"GGUF", "gguf"), (b"\x89HDF\r\n\x1a\n", "hdf5"), (b"TFL3", "tflite"))
_HEAD = 4096


def format_of(path: Path) -> str:
    """The format of a file, or of all files in a folder: `onnx`, `gguf`, `safetensors`, `numpy`, `hdf5`, `tflite`, `pickle` or
    `unknown`. Where any file holds a pickle, it is `pickle`.

    Raises `OSError`."""
    if path.is_file():
        return _of_file(path)
    found = {_of_file(file) for file in sorted(path.rglob("*")) if file.is_file()}
    if PICKLE in found:
        return PICKLE
    known = sorted(found - {"unknown"})
    return "+".join(known) or "unknown"


def _of_file(path: Path) -> str:
    if path.name.lower().endswith(_PICKLED_NAMES):
        return PICKLE
    with path.open("rb") as content:
        head = content.read(_HEAD)
    for magic, name in _MAGIC:
        if head[4:].startswith(magic) if name == "tflite" else head.startswith(magic):
            return name
    if zipfile.is_zipfile(path):
        return _of_archive(path)
    if head.startswith(b"\x93NUMPY"):
        return PICKLE if _holds_objects(head) else "numpy"
    if len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5:  # PROTO and its argument, from protocol 2 on
        return PICKLE
    if len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        return "safetensors"
    if head[:1] == b"\x08" and path.suffix == ".onnx":  # field 1 of ModelProto, ir_version, as a varint
        return "onnx"
    return PICKLE if _is_old_pickle(path) else "unknown"


def _of_archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if any(name.lower().endswith(_PICKLED_NAMES) for name in names):
                return PICKLE
            arrays = [name for name in names if name.endswith(".npy")]
            for name in arrays:
                with archive.open(name) as content:
                    if _holds_objects(content.read(_HEAD)):
                        return PICKLE
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return "unknown"
    return "numpy" if arrays else "unknown"


def _holds_objects(head: bytes) -> bool:
    """Whether a `.npy` header's type has Python objects: those are pickled ("numpy.lib.format", NumPy's documentation)."""
    header = head[: head.find(b"\n") + 1 or len(head)]
    return b"|O" in header or b"'O'" in header


def _is_old_pickle(path: Path) -> bool:
    """Whether the file reads as a pickle without the mark of protocol 2: its opcodes are named here, none is carried out."""
    try:
        with path.open("rb") as content:
            return sum(1 for _ in pickletools.genops(content)) > 2
    except Exception:  # whatever is no opcode
        return False
