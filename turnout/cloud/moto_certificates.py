"""Extends moto's ACM: a certificate is issued when the DNS records that prove its names stand in a public zone."""

from moto.acm.models import CertBundle
from moto.route53.models import FakeZone, route53_backends


def extend_certificates() -> None:
    """ "AWS Certificate Manager DNS validation" (AWS Certificate Manager User Guide); moto issues after a minute, proved or
    not."""
    expire = CertBundle.check

    def check(self: CertBundle) -> None:
        if self.type != "AMAZON_ISSUED" or self.status != "PENDING_VALIDATION":
            expire(self)
        elif _is_proved(self):
            self.status = "ISSUED"

    CertBundle.check = check  # type: ignore[method-assign]


def _is_proved(certificate: CertBundle) -> bool:
    options = certificate.describe()["Certificate"]["DomainValidationOptions"]
    wanted = {(_clean(option["ResourceRecord"]["Name"]), _clean(option["ResourceRecord"]["Value"])) for option in options}
    return wanted <= _names(certificate.arn.split(":")[4])


def _names(account: str) -> set[tuple[str, str]]:
    """Every CNAME of the account's public zones, and where it points."""
    zones: list[FakeZone] = [zone for zone in route53_backends[account]["aws"].zones.values() if not zone.private_zone]
    return {
        (_clean(record.name), _clean(value))
        for zone in zones
        for record in zone.rrsets
        if record.type == "CNAME"
        for value in record.records or []
    }


def _clean(name: str) -> str:
    return name.removesuffix(".").lower()
