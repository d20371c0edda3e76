"""`turnout init`: the table of the switch record."""

from turnout.cli.session import Session, screen


def init(stack: str) -> None:
    """Makes the table where it is missing. In AWS it is protected against deletion and has point-in-time recovery."""
    session = Session(stack)
    target = session.stack
    access = session.access()
    from turnout_components.items import create_table

    made = create_table(access.client("dynamodb"), target.record_table, protect=not target.is_local)
    where = "the local cloud" if target.is_local else f"AWS, {target.region}"
    out = screen()
    out.line(f"table {target.record_table} in {where}: {'made' if made else 'exists already'}")
    out.line(f"next: turnout up --stack {target.name}")
    out.result({"table": target.record_table, "made": made, "stack": target.name})
