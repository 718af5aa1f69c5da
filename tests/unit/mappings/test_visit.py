"""Video visits: told by class, service or type, and their links in R4 and R5."""

from __future__ import annotations

from typing import Any

import pytest

from mappings.visit import R5, is_video, join_link

JOIN = "https://video.example.org/r/4f2a9c"
VR = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "VR"}


@pytest.mark.parametrize(
    ("visit", "video"),
    [
        ({}, False),
        ({"class": [{"coding": [VR]}]}, True),
        ({"serviceType": [{"coding": [VR]}]}, True),
        ({"serviceType": [{"concept": {"coding": [VR]}}]}, True),
        ({"appointmentType": {"coding": [{**VR, "system": "urn:local"}]}}, False),
        (
            {
                "serviceType": [
                    {
                        "coding": [
                            {"system": "http://snomed.info/sct", "code": "448337001"}
                        ]
                    }
                ]
            },
            True,
        ),
        ({"extension": [{"url": f"{R5}class", "valueCodeableConcept": VR}]}, True),
        ({"virtualService": [{"addressUrl": JOIN}]}, True),
    ],
)
def test_video_is_told_by_class_service_or_type(
    visit: dict[str, Any], *, video: bool
) -> None:
    assert is_video({"resourceType": "Appointment", **visit}) is video


@pytest.mark.parametrize(
    ("visit", "link"),
    [
        ({}, ""),
        ({"virtualService": [{"addressUrl": JOIN}]}, JOIN),
        ({"virtualService": [{"addressUrl": "tel:+1"}, {"addressUrl": JOIN}]}, JOIN),
        ({"virtualService": [{"addressUrl": "http://video.example.org"}]}, ""),
        ({"virtualService": [{"addressUrl": f"{JOIN} now"}]}, ""),
        ({"virtualService": [{"addressUrl": JOIN + "x" * 60}]}, ""),
        (
            {
                "extension": [
                    {
                        "url": f"{R5}virtualService",
                        "extension": [{"url": "addressUrl", "valueUrl": JOIN}],
                    }
                ]
            },
            JOIN,
        ),
    ],
)
def test_link_is_https_and_fits_a_text_message(
    visit: dict[str, Any], link: str
) -> None:
    assert join_link({"resourceType": "Appointment", **visit}) == link
