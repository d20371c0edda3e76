"""Which tests run beside each other (`make test`), and which of these begin first."""

import pytest

ALONE = ("kubernetes", "e2e", "cloud")
"""Folders whose tests put a service under load and count what it loses, or share a control plane."""
LONGEST_FIRST = ("rollout", "engine", "node", "cli", "package", "pipeline", "access", "engine_state", "preview")
"""Folders that take minutes: begun last, one of them would go on alone."""
LAST = "providers"
"""Its tests extend moto for their whole process, as the local cloud does; they are many and short."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name in ALONE:
            item.add_marker("alone")
    items.sort(key=lambda item: _place(item.path.parent.name))


def _place(folder: str) -> int:
    if folder in LONGEST_FIRST:
        return LONGEST_FIRST.index(folder)
    return len(LONGEST_FIRST) + (folder == LAST)
