"""Plans as one self-contained page. Pure."""

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from turnout.preview import findings
from turnout.preview.plan import Plan
from turnout.preview.text import MEASURES, drift_word, short, values


def page(plans: Sequence[Plan], base: str | None, head: str) -> str:
    """The page; all that a program or a revision says is escaped. `base`, `head`: as of the comment."""
    made = Environment(
        loader=PackageLoader("turnout.preview", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found = made.get_template("page.html")
    words = {"short": short, "values": values, "drift_word": drift_word, "policies": findings}
    return found.render(plans=plans, base=base, head=head, measures=MEASURES, **words)
