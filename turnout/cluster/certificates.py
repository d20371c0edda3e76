"""The certificates of one local cluster: an authority of its own, and what it signs ("PKI certificates and requirements",
Kubernetes)."""

import datetime
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFE = datetime.timedelta(days=365)
_NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")

Key = ec.EllipticCurvePrivateKey


class Authority:
    """Signs certificates into `folder`, as `<name>.crt` and `<name>.key`; its own are `ca.crt` and `ca.key`."""

    def __init__(self, folder: Path, now: datetime.datetime) -> None:
        self.folder = folder
        self._now = now
        folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("turnout local cluster", ())
        builder = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        self._write("ca", self._key, builder.sign(self._key, hashes.SHA256()))

    @property
    def certificate(self) -> Path:
        """What trusts everything that this authority signed."""
        return self.folder / "ca.crt"

    def issue(self, name: str, common_name: str, groups: Sequence[str] = (), addresses: Sequence[str] = ("127.0.0.1",)) -> None:
        """A certificate for both ends of a connection. To the API server its common name is the user, its organisations
        the user's groups ("Authenticating", Kubernetes)."""
        key = ec.generate_private_key(ec.SECP256R1())
        ips = [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = (
            self._builder(_name(common_name, groups), key)
            .add_extension(x509.SubjectAlternativeName([*map(x509.DNSName, _NAMES), *ips]), False)
            .add_extension(x509.ExtendedKeyUsage(usages), False)
        )
        self._write(name, key, builder.sign(self._key, hashes.SHA256()))

    def _builder(self, subject: x509.Name, key: Key) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - datetime.timedelta(hours=1))
            .not_valid_after(self._now + _LIFE)
        )

    def _write(self, name: str, key: Key, certificate: x509.Certificate) -> None:
        (self.folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        write_key(self.folder / f"{name}.key", key)


def write_key(path: Path, key: Key) -> None:
    """The private key, readable by its owner only."""
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _private(path).write_bytes(text)


def write_signing_key(path: Path) -> None:
    """A key that signs the tokens of service accounts, and `<path>.pub`, which tells them."""
    key = ec.generate_private_key(ec.SECP256R1())
    write_key(path, key)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    path.with_name(f"{path.name}.pub").write_bytes(public)


def _private(path: Path) -> Path:
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    return path


def _name(common_name: str, groups: Sequence[str]) -> x509.Name:
    organisations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*organisations, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
