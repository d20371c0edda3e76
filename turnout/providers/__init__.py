"""What the local engine can create."""

from collections.abc import Iterator, Mapping

from turnout.engine.provider import ResourceType


def registry() -> Mapping[str, ResourceType]:
    """Every resource type by its Pulumi token. Anything else is refused by name."""
    from turnout.providers import aws  # boto3 is slow to import: only who runs the engine pays for it

    return _Registry({kind.token: kind for kind in aws.TYPES})


class _Registry(Mapping[str, ResourceType]):
    """The AWS types, which are listed, and every kind of Kubernetes object, of which nobody has a list."""

    def __init__(self, listed: Mapping[str, ResourceType]) -> None:
        self._listed = listed

    def __getitem__(self, token: str) -> ResourceType:
        if token in self._listed:
            return self._listed[token]
        from turnout.providers import kubernetes

        found = kubernetes.type_of(token)
        if found is None:
            raise KeyError(token)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)
