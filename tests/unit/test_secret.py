"""A secret has no form that a message, a log, a page or another process could hold."""

import copy
import json
import logging
import pickle

import orjson
import pytest
import structlog

from mappings.secret import Secret

TEXT = "at-5d41402abc4b"


@pytest.mark.parametrize(
    "write",
    [
        lambda one: f"{one}",
        lambda one: f"Bearer {one:>40}",
        "Bearer {}".format,
        "Bearer ".__add__,
        lambda one: ",".join(iter([one])),
        json.dumps,
        orjson.dumps,
        pickle.dumps,
        copy.deepcopy,
        copy.copy,
        vars,
        bytes,
        list,
    ],
)
def test_what_would_write_a_secret_raises(write):
    with pytest.raises(TypeError) as raised:
        write(Secret(TEXT))
    assert TEXT not in str(raised.value)


@pytest.mark.parametrize(
    "show", [str, repr, "%s".__mod__, lambda one: f"{one!r} {[one]}"]
)
def test_what_shows_everything_shows_no_secret(show):
    assert "[secret]" in show(Secret(TEXT))
    assert TEXT not in show(Secret(TEXT))


def test_no_log_holds_a_secret(caplog):
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("one").warning("token %s", Secret(TEXT))
        structlog.wrap_logger(
            logging.getLogger("two"),
            processors=[structlog.processors.JSONRenderer()],
        ).warning("token", token=Secret(TEXT))
    assert len(caplog.records) == 2
    assert TEXT not in caplog.text
    assert caplog.text.count("[secret]") == 2


def test_secrets_are_compared_by_what_they_hold():
    assert Secret(TEXT) == Secret(TEXT)
    assert Secret(TEXT) != Secret("other")
    assert Secret(TEXT) != TEXT
    assert not Secret("")
    assert Secret(TEXT).reveal() == TEXT
