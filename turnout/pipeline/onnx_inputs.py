"""Prints an ONNX model's inputs as JSON: `python -m turnout.pipeline.onnx_inputs FILE`. A program of its own, because parsing a
damaged model is done by native code: the caller sets it limits."""

import json
import sys


def main() -> None:
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    try:
        session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no public base class
        sys.exit(str(error).splitlines()[0])
    shapes = {one.name: f"{one.type[7:-1]}[{','.join(map(str, one.shape))}]" for one in session.get_inputs()}
    print(json.dumps(shapes))


if __name__ == "__main__":
    main()
