"""Sealing: opened by its key alone, replaced without loss, read from a safe file."""

from __future__ import annotations

import base64

import pytest

from mappings.errors import ConfigurationError, StorageError
from middleware.sealing import KEY_BYTES, Sealer, create_key_file, read_keys

OLD, NEW = b"o" * KEY_BYTES, b"n" * KEY_BYTES


def test_what_is_sealed_opens_again_and_does_not_show():
    sealed = Sealer([OLD]).seal(b"token")
    assert Sealer([OLD]).open(sealed) == b"token"
    assert b"token" not in sealed


def test_the_same_plain_text_is_sealed_differently_each_time():
    sealer = Sealer([OLD])
    assert sealer.seal(b"") != sealer.seal(b"")
    assert sealer.open(sealer.seal(b"")) == b""


def test_the_first_key_seals_and_any_opens():
    both = Sealer([NEW, OLD])
    assert both.open(Sealer([OLD]).seal(b"a")) == b"a"
    assert Sealer([NEW]).open(both.seal(b"b")) == b"b"
    with pytest.raises(StorageError, match="cannot be opened"):
        Sealer([OLD]).open(both.seal(b"b"))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda sealed: b"",
        lambda sealed: sealed[:5],
        lambda sealed: sealed[:-1],
        lambda sealed: b"\x02" + sealed[1:],
        lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1]),
    ],
)
def test_what_was_tampered_with_does_not_open(spoil):
    sealer = Sealer([OLD])
    with pytest.raises(StorageError) as caught:
        sealer.open(spoil(sealer.seal(b"token")))
    assert caught.value.permanent


@pytest.mark.parametrize("keys", [[], [b"short"], [OLD, b""]])
def test_unusable_keys_are_refused(keys):
    with pytest.raises(ConfigurationError, match="32 bytes"):
        Sealer(keys)


def test_a_key_file_is_made_once_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "home" / "secret.key"
    assert create_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    (key,) = read_keys(path)
    assert len(key) == KEY_BYTES
    assert not create_key_file(path)
    assert read_keys(path) == (key,)


def test_keys_are_read_newest_first(tmp_path):
    path = tmp_path / "secret.key"
    path.touch(mode=0o600)
    path.write_bytes(base64.b64encode(NEW) + b"\n" + base64.b64encode(OLD) + b"\n")
    assert read_keys(path) == (NEW, OLD)


def test_a_key_file_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "secret.key"
    create_key_file(path)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match=r"mode 0640.*chmod 600"):
        read_keys(path)


@pytest.mark.parametrize("content", [b"", b"not base64!", b"c2hvcnQ=", b"\xff\xfe"])
def test_a_file_without_keys_is_refused_and_not_quoted(tmp_path, content):
    path = tmp_path / "secret.key"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        read_keys(path)
    assert caught.value.message == (
        f"{path} does not hold keys (base64 of 32 bytes, one a line); nothing was "
        "opened; restore it from your backup"
    )


def test_a_missing_key_file_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(ConfigurationError, match=r"none\.key cannot be read"):
        read_keys(tmp_path / "none.key")
