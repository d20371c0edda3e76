"""The artifact store's program, against recorded registrations."""

import runpy
from pathlib import Path
from typing import Any

import pulumi
from recording import record

FOLDER = Path(__file__).parents[2] / "examples" / "artifact_store"


def test_the_store_is_a_program_of_its_own_that_says_where_releases_go() -> None:
    pulumi.runtime.set_all_config({"turnout:service": "assistant"})
    try:
        made = record(lambda: exported(runpy.run_path(str(FOLDER))))
    finally:
        pulumi.runtime.set_all_config({})
    assert made.one(":Repository").inputs["name"].startswith("turnout/assistant/")
    assert len(made.all("s3/bucket:Bucket")) == 1
    assert made.outputs["bucket"]


def exported(names: dict[str, Any]) -> dict[str, Any]:
    return {"bucket": names["store"].bucket_name}
