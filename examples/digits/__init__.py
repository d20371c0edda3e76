"""The digits example. ONNX Runtime's official builds report to Microsoft unless told not to (Privacy.md): here they do not."""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
