"""Pulumi's passphrase scheme."""

from pathlib import Path

import pytest

from turnout.engine.crypto import Secrets, SecretsError, environment_passphrases, new_salt, parse_salt

# pulumi/pulumi, pkg/secrets/passphrase/manager_test.go: made by Pulumi itself with the passphrase "password"
PULUMIS_SALT = "v1:fozI5u6B030=:v1:F+6ZduKKd8G0/V7L:PGMFeIzwobWRKmEAzUdaQHqC5mMRIQ=="


def test_a_stack_that_pulumi_encrypted_opens_with_its_passphrase() -> None:
    secrets = Secrets(PULUMIS_SALT, lambda: ["password"])

    assert secrets.decrypt(parse_salt(PULUMIS_SALT)[1]) == "pulumi"


def test_what_is_encrypted_opens_again_under_the_salt_that_was_kept() -> None:
    kept: list[str] = []
    ciphertext = Secrets("", lambda: ["tree"], kept.append).encrypt("hidden ünï")

    assert "hidden" not in ciphertext
    assert Secrets(kept[0], lambda: ["tree"]).decrypt(ciphertext) == "hidden ünï"


def test_no_two_salts_are_alike() -> None:
    """Imported before tests have one salt for all."""
    assert len({new_salt() for _ in range(100)}) == 100


def test_a_wrong_passphrase_is_told_at_once_and_names_the_variable() -> None:
    with pytest.raises(SecretsError, match="incorrect passphrase.*PULUMI_CONFIG_PASSPHRASE"):
        Secrets(PULUMIS_SALT, lambda: ["other"]).encrypt("x")


def test_nobody_is_asked_for_a_passphrase_before_the_first_secret() -> None:
    def ask() -> list[str]:
        raise AssertionError("asked")

    assert Secrets(PULUMIS_SALT, ask).salt == PULUMIS_SALT


@pytest.mark.parametrize("text", ["fozI5u6B030=:v1:F+6ZduL:PGMF", "v1:???:v1:a:b", "v2:fozI5u6B030=:v1:a:b", ""])
def test_a_malformed_salt_is_refused(text: str) -> None:
    with pytest.raises(SecretsError, match="malformed"):
        parse_salt(text)


def test_a_damaged_ciphertext_is_refused_without_showing_it(secrets: Secrets) -> None:
    with pytest.raises(SecretsError, match="cannot be decrypted"):
        secrets.decrypt(secrets.encrypt("a")[:-8] + "AAAAAAA=")


def test_the_variable_wins_over_the_file_and_the_file_over_the_machines_own(tmp_path: Path) -> None:
    (tmp_path / "named").write_text("from file\n")
    own = tmp_path / "home" / "passphrase"
    both = {"PULUMI_CONFIG_PASSPHRASE": "", "PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "named")}

    assert environment_passphrases(both, own)() == [""]
    assert environment_passphrases({"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "named")}, own)() == ["from file"]
    assert not own.exists()
    made = environment_passphrases({}, own)()
    assert environment_passphrases({}, own)() == made
    assert len(made[0]) >= 32
    assert own.stat().st_mode & 0o777 == 0o600


def test_a_passphrase_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecretsError, match=r"PULUMI_CONFIG_PASSPHRASE_FILE: .*none cannot be read"):
        environment_passphrases({"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "none")}, tmp_path / "own")()
