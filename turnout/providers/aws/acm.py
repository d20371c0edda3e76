"""Certificate that ACM issues, and the wait until it has (terraform-provider-aws internal/service/acm)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from turnout.engine.provider import Fault, Properties, ProviderConfig, ProviderError
from turnout.providers.aws import rules
from turnout.providers.aws.base import INTENT_TAG, AwsType, Deadline
from turnout.providers.aws.clients import Cloud
from turnout.providers.aws.mapping import tag_list, tag_map

_LABEL = r"(?!-)[A-Za-z0-9-]{0,62}[A-Za-z0-9]"
_NAME = rf"(?=.{{1,253}}$)(?:\*\.)?(?:{_LABEL}\.)+{_LABEL}"
_MOST_NAMES = 100
_RECORDS_SECONDS = 60
_HOPELESS = {"EXPIRED", "FAILED", "INACTIVE", "REVOKED", "VALIDATION_TIMED_OUT"}


def described(cloud: Cloud, arn: str) -> dict[str, Any]:
    return dict(cloud.call("acm", "describe_certificate", CertificateArn=arn)["Certificate"])


def _records(certificate: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The DNS record of each name, as far as ACM has made one."""
    options = certificate.get("DomainValidationOptions") or []
    return {option["DomainName"]: option["ResourceRecord"] for option in options if option.get("ResourceRecord")}


class Certificate(AwsType):
    """aws_acm_certificate, requested and validated by DNS. The id is its ARN."""

    token = "aws:acm/certificate:Certificate"
    inputs = frozenset({"domainName", "subjectAlternativeNames", "tags", "validationMethod"})
    replace_on = frozenset({"domainName", "subjectAlternativeNames", "validationMethod"})

    def check(self, inputs: Properties) -> list[Fault]:
        """ "RequestCertificate" (AWS Certificate Manager API Reference). The local engine knows DNS validation only."""
        faults = rules.required(inputs, "domainName", "validationMethod")
        meaning = "a name of two labels or more, the first of which may be *"
        faults += rules.matches(inputs, "domainName", _NAME, meaning, "RequestCertificate")
        name, others = inputs.get("domainName"), inputs.get("subjectAlternativeNames")
        if isinstance(name, str) and len(name.encode()) > 64:
            faults.append(Fault("domainName", "has more than 64 octets: name it among others (RequestCertificate)"))
        faults += rules.one_of(inputs, "validationMethod", {"DNS"}, "no mail and no web server proves a name here")
        if not isinstance(others, list):
            return faults
        if len(others) > _MOST_NAMES:
            faults.append(Fault("subjectAlternativeNames", f"are more than {_MOST_NAMES} (RequestCertificate)"))
        for index, other in enumerate(others):
            wrong = rules.matches({"name": other}, "name", _NAME, meaning, "RequestCertificate")
            faults += [Fault(f"subjectAlternativeNames[{index}]", fault.reason) for fault in wrong]
        return faults

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        """RequestCertificate; the records to set are there a moment later (resourceCertificateCreate waits for them)."""
        made = cloud.call(
            "acm",
            "request_certificate",
            DomainName=inputs["domainName"],
            SubjectAlternativeNames=inputs.get("subjectAlternativeNames") or None,
            ValidationMethod=inputs["validationMethod"],
            IdempotencyToken=tags[INTENT_TAG],
            Tags=tag_list(tags),
        )
        arn = str(made["CertificateArn"])
        names = {inputs["domainName"], *(inputs.get("subjectAlternativeNames") or [])}
        records = Deadline(_RECORDS_SECONDS, arn)
        records.until(lambda: names <= _records(described(cloud, arn)).keys(), "has no validation records")
        return arn

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        """Only tags change in place."""

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        found = described(cloud, id)
        main, declared = found["DomainName"], inputs.get("subjectAlternativeNames") or []
        records = _records(found)
        names = [main, *sorted(name for name in records if name != main)]
        return {
            "domainName": main,
            "subjectAlternativeNames": [
                name for name in found.get("SubjectAlternativeNames") or [] if name != main or main in declared
            ],
            "validationMethod": "DNS",
            "domainValidationOptions": [
                {
                    "domainName": name,
                    "resourceRecordName": records[name]["Name"],
                    "resourceRecordType": records[name]["Type"],
                    "resourceRecordValue": records[name]["Value"],
                }
                for name in names
                if name in records
            ],
            "arn": id,
            "status": found["Status"],
            "type": found["Type"],
            "keyAlgorithm": found.get("KeyAlgorithm"),
            "tagsAll": self._tags(cloud, id),
        }

    @staticmethod
    def _tags(cloud: Cloud, id: str) -> dict[str, str]:
        return tag_map(cloud.call("acm", "list_tags_for_certificate", CertificateArn=id).get("Tags"))

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        for found in cloud.pages("acm", "list_certificates", "CertificateSummaryList"):
            arn = str(found["CertificateArn"])
            if self._tags(cloud, arn).get(INTENT_TAG) == token:
                return arn
        return None

    def retag(self, cloud: Cloud, id: str, add: Mapping[str, str], drop: list[str]) -> None:
        if add:
            cloud.call("acm", "add_tags_to_certificate", CertificateArn=id, Tags=tag_list(add))
        if drop:
            cloud.call("acm", "remove_tags_from_certificate", CertificateArn=id, Tags=[{"Key": key} for key in drop])

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        """resourceCertificateDelete: one that a listener uses still is tried again ("DeleteCertificate")."""
        deadline.retry(
            lambda: cloud.call("acm", "delete_certificate", CertificateArn=id), frozenset({"ResourceInUseException"})
        )


class CertificateValidation(AwsType):
    """aws_acm_certificate_validation: no object, but the wait until a certificate is issued.

    The id is the certificate's ARN."""

    token = "aws:acm/certificateValidation:CertificateValidation"
    inputs = frozenset({"certificateArn", "validationRecordFqdns"})
    replace_on = frozenset({"certificateArn", "validationRecordFqdns"})
    patience: ClassVar[float] = 75 * 60
    """Seconds (resourceCertificateValidation, Timeouts: Create)."""

    def check(self, inputs: Properties) -> list[Fault]:
        return rules.required(inputs, "certificateArn")

    def make(self, cloud: Cloud, inputs: Properties, tags: Mapping[str, str]) -> str:
        """resourceCertificateValidationCreate: records that are named must be all that the certificate needs."""
        arn = str(inputs["certificateArn"])
        needed = {_clean(record["Name"]) for record in _records(described(cloud, arn)).values()}
        named = inputs.get("validationRecordFqdns")
        missing = needed - {_clean(name) for name in named} if named is not None else set()
        if missing:
            raise ProviderError(
                f"acm certificate {arn}: {', '.join(sorted(missing))} is missing in validationRecordFqdns; give every "
                "record of domainValidationOptions"
            )
        Deadline(self.patience, f"acm certificate {arn}").until(lambda: _is_issued(cloud, arn), "is not issued")
        return arn

    def configure(self, cloud: Cloud, id: str, old: Properties, new: Properties, outputs: Properties) -> None:
        """Nothing of it changes in place."""

    def look(self, cloud: Cloud, id: str, inputs: Properties) -> Properties | None:
        return {"certificateArn": id} if described(cloud, id)["Status"] == "ISSUED" else None

    def locate(self, cloud: Cloud, inputs: Properties, token: str) -> str | None:
        id = str(inputs["certificateArn"])
        return id if self.look(cloud, id, inputs) else None

    def remove(self, cloud: Cloud, id: str, inputs: Properties, deadline: Deadline) -> None:
        """There is nothing to take away."""

    def delete(self, config: ProviderConfig, id: str, inputs: Properties, outputs: Properties, timeout: float) -> None:
        """resourceCertificateValidationDelete: the certificate stays its owner's."""


def _is_issued(cloud: Cloud, arn: str) -> bool:
    found = described(cloud, arn)
    status = found["Status"]
    if status in _HOPELESS:
        raise ProviderError(f"acm certificate {arn} is {status}: {found.get('FailureReason') or 'request another one'}")
    return bool(status == "ISSUED")


def _clean(name: str) -> str:
    return name.removesuffix(".").lower()


TYPES = (Certificate(), CertificateValidation())
