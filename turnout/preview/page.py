"""Plans as one self-contained page. Pure."""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from turnout.preview.plan import Plan
from turnout.preview.text import MEASURES, short, value


def page(plans: Sequence[Plan], base: str, head: str) -> str:
    """The page; all that a program or a revision says is escaped."""
    made = Environment(
        loader=PackageLoader("turnout.preview", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found = made.get_template("page.html")
    return found.render(plans=plans, base=base, head=head, measures=MEASURES, short=short, value=value)
