"""Secrets at rest, in the scheme of Pulumi's passphrase provider, so that Pulumi reads them and we read Pulumi's.

The key is PBKDF2-SHA256 of the passphrase over an 8-byte salt in 1,000,000 rounds; a value is AES-256-GCM of its text,
written `v1:<nonce>:<ciphertext>`; the stack's salt string is `v1:<salt>:` and the word "pulumi" encrypted, by which a
wrong passphrase is told at once. Source: pulumi/pulumi, pkg/secrets/passphrase/manager.go and
sdk/go/common/resource/config/crypt.go.
"""

import base64
import binascii
import functools
import os
import secrets as random
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

ROUNDS = 1_000_000
_SALT_BYTES = 8
_NONCE_BYTES = 12
_CHECK_WORD = "pulumi"


class SecretsError(Exception):
    """A secret cannot be read or written; the message says what to set."""


class Secrets:
    """Encrypts and decrypts one stack's secrets. Passphrase and key are found at the first secret, once.

    `salt` is the stack's salt string, empty for a stack that has none yet: the first encryption makes one and hands it
    to `keep_salt`. `passphrases` yields what may be the passphrase, in order of preference. `notice` hears every secret
    that goes through, so that it can be kept out of logs.
    """

    def __init__(
        self,
        salt: str,
        passphrases: Callable[[], list[str]],
        keep_salt: Callable[[str], None] = lambda salt: None,
        notice: Callable[[str], None] = lambda plaintext: None,
    ) -> None:
        self._salt = salt
        self._passphrases = passphrases
        self._keep_salt = keep_salt
        self._notice = notice
        self._cipher: AESGCM | None = None
        self._lock = Lock()

    @property
    def salt(self) -> str:
        """The salt string as it stands in the stack file; empty while nothing was encrypted."""
        return self._salt

    def encrypt(self, plaintext: str) -> str:
        self._notice(plaintext)
        return _seal(self._ready(), plaintext)

    def decrypt(self, ciphertext: str) -> str:
        cipher = self._ready()
        try:
            plaintext = _open(cipher, ciphertext)
        except (ValueError, InvalidTag, binascii.Error):
            raise SecretsError(
                "a secret cannot be decrypted: it was encrypted for another stack or is damaged; set it again with "
                "`config set --secret`, or restore the file"
            ) from None
        self._notice(plaintext)
        return plaintext

    def _ready(self) -> AESGCM:
        with self._lock:
            if self._cipher is None:
                self._cipher = self._unlock() if self._salt else self._make_salt()
            return self._cipher

    def _make_salt(self) -> AESGCM:
        candidates = self._passphrases()
        if not candidates:
            raise SecretsError(_NO_PASSPHRASE)
        salt = new_salt()
        cipher = AESGCM(_key(candidates[0], salt))
        self._salt = f"v1:{base64.b64encode(salt).decode()}:{_seal(cipher, _CHECK_WORD)}"
        self._keep_salt(self._salt)
        return cipher

    def _unlock(self) -> AESGCM:
        salt, check = parse_salt(self._salt)
        candidates = self._passphrases()
        if not candidates:
            raise SecretsError(_NO_PASSPHRASE)
        for passphrase in candidates:
            cipher = AESGCM(_key(passphrase, salt))
            try:
                if _open(cipher, check) == _CHECK_WORD:
                    return cipher
            except (ValueError, InvalidTag, binascii.Error):
                continue
        raise SecretsError(
            "incorrect passphrase: this stack's secrets were encrypted with another one; "
            "please set PULUMI_CONFIG_PASSPHRASE to the correct passphrase"
        )


_NO_PASSPHRASE = "passphrase must be set with PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE environment variables"


def parse_salt(text: str) -> tuple[bytes, str]:
    """The salt's bytes and the encrypted check word of a stack's `encryptionsalt`."""
    version, _, rest = text.partition(":")
    encoded, _, check = rest.partition(":")
    try:
        salt = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        salt = b""
    if version != "v1" or not salt or check.count(":") != 2:
        raise SecretsError(
            "encryptionsalt is malformed: it reads v1:<salt>:v1:<nonce>:<ciphertext>; restore it from version control"
        )
    return salt, check


def environment_passphrases(environment: Mapping[str, str], fallback: Path) -> Callable[[], list[str]]:
    """PULUMI_CONFIG_PASSPHRASE, else the file PULUMI_CONFIG_PASSPHRASE_FILE names, else the machine's own passphrase in
    `fallback`, which is made at first need (mode 0600): a local stack needs no set-up."""

    def passphrases() -> list[str]:
        if "PULUMI_CONFIG_PASSPHRASE" in environment:
            return [environment["PULUMI_CONFIG_PASSPHRASE"]]
        if name := environment.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
            try:
                return [Path(name).read_text(encoding="utf-8").strip()]
            except OSError as error:
                raise SecretsError(
                    f"PULUMI_CONFIG_PASSPHRASE_FILE: {name} cannot be read ({error.strerror}); name a file that can"
                ) from None
        return [_own_passphrase(fallback)]

    return passphrases


def _own_passphrase(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    except FileExistsError:
        return path.read_text(encoding="utf-8").strip()
    passphrase = random.token_urlsafe(32)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(passphrase + "\n")
    return passphrase


def new_salt() -> bytes:
    return random.token_bytes(_SALT_BYTES)


@functools.lru_cache(maxsize=8)
def _key(passphrase: str, salt: bytes) -> bytes:
    """Takes a third of a second: a process that runs several commands on a stack derives its key once."""
    return PBKDF2HMAC(algorithm=SHA256(), length=32, salt=salt, iterations=ROUNDS).derive(passphrase.encode())


def _seal(cipher: AESGCM, plaintext: str) -> str:
    nonce = random.token_bytes(_NONCE_BYTES)
    sealed = cipher.encrypt(nonce, plaintext.encode(), None)
    return f"v1:{base64.b64encode(nonce).decode()}:{base64.b64encode(sealed).decode()}"


def _open(cipher: AESGCM, text: str) -> str:
    version, nonce, sealed = text.split(":")
    if version != "v1":
        raise ValueError("unknown version of a ciphertext")
    plain = cipher.decrypt(base64.b64decode(nonce, validate=True), base64.b64decode(sealed, validate=True), None)
    return plain.decode()
