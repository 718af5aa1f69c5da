"""Logs: JSON lines that carry allowed keys and nothing of a patient."""

from __future__ import annotations

import io
import logging

import orjson
import pytest
import structlog

from middleware.log import configure_logging


@pytest.fixture
def lines():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logging("info", stream)

    def read() -> list[dict[str, object]]:
        found = [orjson.loads(line) for line in stream.getvalue().splitlines()]
        for line in found:
            line.pop("timestamp")
        return found

    yield read
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_allowed_keys_get_through_and_others_are_counted(lines):
    log = structlog.get_logger("carecue.test")
    log.info("batch done", stage="resolve", rows=3, patient="Rosa", phone="+15550101")
    assert lines() == [
        {
            "event": "batch done",
            "level": "info",
            "logger": "carecue.test",
            "stage": "resolve",
            "rows": 3,
            "dropped": 2,
        }
    ]


def test_values_that_are_not_plain_or_too_long_are_cut(lines):
    structlog.get_logger("t").info("x", reason={"name": "Rosa"}, code="9" * 500)
    assert lines() == [
        {"event": "x", "level": "info", "logger": "t", "code": "9" * 200, "dropped": 1}
    ]


def test_an_exception_is_told_by_type_and_place(lines):
    try:
        int("Rosa Alvarez")
    except ValueError:
        structlog.get_logger("t").exception("failed")
    (line,) = lines()
    assert (line["error"], line["event"]) == ("ValueError", "failed")
    assert str(line["at"]).startswith("test_log.py:")
    assert "Rosa" not in str(line)


def test_a_librarys_record_keeps_its_template_only(lines):
    logging.getLogger("lib").warning("retrying %s", "/Patient?name=Rosa")
    logging.getLogger("lib").warning("retrying /Patient?name=Rosa")
    found = lines()
    assert [line["event"] for line in found] == [
        "retrying %s",
        "a library's message",
    ]
    assert "Rosa" not in str(found)


def test_a_librarys_exception_is_told_by_type_and_place(lines):
    try:
        {}["Rosa"]
    except KeyError:
        logging.getLogger("lib").exception("went wrong with %s", "Rosa")
    (line,) = lines()
    assert line["error"] == "KeyError"
    assert "Rosa" not in str(line)


def test_lines_below_the_level_are_left_out(lines):
    structlog.get_logger("t").debug("x")
    logging.getLogger("apscheduler.scheduler").warning("skipped")
    assert lines() == []
