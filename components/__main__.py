"""Serves the public components to Pulumi programs of every language (docs/components.md)."""

from pulumi.provider.experimental import component_provider_host
from turnout_components import __version__
from turnout_components.public import COMPONENTS, PACKAGE

if __name__ == "__main__":
    component_provider_host(components=list(COMPONENTS), name=PACKAGE, version=__version__)
