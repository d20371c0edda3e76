"""What the switch remembers: items with a generation, which is the condition of the next write; here in a DynamoDB table.

`items_cluster` keeps them in a Kubernetes cluster.
"""

import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import uuid4

DEFAULT_TABLE = "turnout-switch"
LARGE = 100_000
"""Characters above which a body is kept packed (zlib): an item holds 400 kB ("Service, account, and table quotas in Amazon
DynamoDB")."""


WRITTEN_MEANWHILE = "the switch record was written by somebody else in the meantime; run the command again"


class RecordError(Exception):
    """The record cannot be read or written; the message says what to do."""


class TableMissing(RecordError):
    """The record's table does not exist."""


class Conflict(RecordError):
    """Somebody else wrote the record since it was read."""


@dataclass(frozen=True)
class Holder:
    """Who works on what an item tells of, since when, and until when unless that is renewed."""

    name: str
    since: datetime
    until: datetime


class Items(Protocol):
    """Bodies (text) by id in one place, which errors call `table`."""

    table: str

    def read(self, key: str) -> str | None:
        """The item's body, as the last write left it; None where there is none.

        Raises `TableMissing`, `RecordError`."""

    def write(self, key: str, body: str, generation: int, holder: Holder | None = None) -> None:
        """Writes the body as generation + 1 if `generation` is still the newest (0: if there is no item). `holder`: who holds
        what it is about, for those who look without Turnout.

        Raises `Conflict`, `TableMissing`."""


class DynamoDB(Protocol):
    """The calls of a boto3 DynamoDB client that are made here."""

    def get_item(self, **kwargs: Any) -> Any: ...
    def put_item(self, **kwargs: Any) -> Any: ...


def unreadable(items: Items, key: str, kind: str, error: Exception) -> RecordError:
    """The error for an item whose body is not what this version writes."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return RecordError(
        f"{kind} {key} in table {items.table} cannot be read ({': '.join(lines[:3])}); "
        "it was written by another version of Turnout or by hand: use that version, or restore the item"
    )


class DynamoItems:
    """`Items` of a DynamoDB table."""

    def __init__(self, client: DynamoDB, table: str) -> None:
        self._client = client
        self.table = table

    def read(self, key: str) -> str | None:
        item = self._item(key)
        if item is None:
            return None
        try:
            return zlib.decompress(item["packed"]["B"]).decode() if "packed" in item else str(item["body"]["S"])
        except (KeyError, zlib.error) as error:
            raise unreadable(self, key, "item", error) from None

    def write(self, key: str, body: str, generation: int, holder: Holder | None = None) -> None:  # noqa: ARG002 -- it is in the body
        kept = {"body": {"S": body}} if len(body) <= LARGE else {"packed": {"B": zlib.compress(body.encode())}}
        item = {"id": {"S": key}, "generation": {"N": str(generation + 1)}, "write": {"S": uuid4().hex}, **kept}
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(id)"}
        if generation:
            condition = {
                "ConditionExpression": "generation = :read",
                "ExpressionAttributeValues": {":read": {"N": str(generation)}},
            }
        try:
            self._client.put_item(TableName=self.table, Item=item, **condition)
        except Exception as error:
            translated = _translated(error, self.table)
            if not (isinstance(translated, Conflict) and self._stands(key, item)):
                raise translated from error

    def _stands(self, key: str, item: dict[str, Any]) -> bool:
        """Whether this very item is in the table: a client that got no answer to its write sends it again, and then meets
        the condition that its own write has changed."""
        return bool((self._item(key) or {}).get("write") == item["write"])

    def _item(self, key: str) -> dict[str, Any] | None:
        try:
            found = self._client.get_item(TableName=self.table, Key={"id": {"S": key}}, ConsistentRead=True)
        except Exception as error:
            raise _translated(error, self.table) from error
        return dict(found["Item"]) if found.get("Item") is not None else None


def _translated(error: Exception, table: str) -> Exception:
    response: Any = getattr(error, "response", {})
    code = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else ""
    if code == "ConditionalCheckFailedException":
        return Conflict(WRITTEN_MEANWHILE)
    if code == "ResourceNotFoundException":
        return TableMissing(f"table {table} for the switch record does not exist; make it once with `turnout init`")
    return error


def create_table(client: Any, table: str, protect: bool) -> bool:
    """Makes the record's table (on demand; with `protect` deletion protection and point-in-time recovery).

    Returns False when it exists already."""
    try:
        client.create_table(
            TableName=table,
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
            DeletionProtectionEnabled=protect,
        )
    except client.exceptions.ResourceInUseException:
        return False
    client.get_waiter("table_exists").wait(TableName=table, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    if protect:
        client.update_continuous_backups(TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    return True
