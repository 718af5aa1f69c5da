"""What staff are asked when nobody but a person can see to a verdict."""

from __future__ import annotations

# What nobody but a person can see to: each makes a task for staff.
NEEDS_PERSON: dict[str, str] = {
    "disposition-unknown": (
        "A stay has ended and the chart does not say where the patient went. Complete "
        "the discharge disposition; messages wait for it."
    ),
    "sensitive": (
        "A message was held because the matter is sensitive. Decide how to reach the "
        "patient; nothing is sent by itself."
    ),
    "long-silent": (
        "A preventive message was held: the patient is 80 or older, or seriously ill, and "
        "nothing was heard for half a year. Make sure that they are there to be written "
        "to, and record what they say about messages."
    ),
    "minor": (
        "A message was held because the patient is a minor. Decide whom to reach; "
        "nothing is sent by itself."
    ),
    "confidential": (
        "A message was held because the patient asked to be reached in one way only, "
        "and CareCue cannot use it. Reach the patient that way; use no other number or "
        "address, and leave no message with anybody else."
    ),
    "language-missing": (
        "A message was held because the chart does not say which language to write in. "
        "Ask the patient and record it."
    ),
    "wording-missing": (
        "A message was held because there is no wording in the patient's language. "
        "Reach the patient in person, with an interpreter where needed."
    ),
    "wording-not-reviewed": (
        "A message was held because nobody has approved its wording in the patient's "
        "language. Reach the patient in person, with an interpreter where needed; have "
        "the wording read and its reviewer recorded."
    ),
    "wrong-patient": (
        "A message was held because the chart that was read for it is another patient's. "
        "Look at both records; nothing is sent."
    ),
    "several-patients": (
        "A message was held because its visit names more patients than this one, and only "
        "this one's record was read. Look at the others' (a child may be in hospital or "
        "have died), then tell of the visit in person."
    ),
    "hours-never-meet": (
        "A message was held because the patient's address, phone and hours leave no hour "
        "that is allowed in all of their time zones. Ask where the patient lives, or "
        "reach the patient in person."
    ),
    "pregnancy-loss": (
        "A greeting, or a message about a birth, was cancelled: the chart or a reply "
        "tells of the loss of a pregnancy. Nothing of the kind is sent for 12 months. "
        "Reach out in person, as fits."
    ),
    "disposition-other": (
        "A stay ended in a way that calls for a person. Reach the patient by phone."
    ),
    "disposition-hospice": (
        "A stay ended and the patient went to hospice care. All messages about it were "
        "cancelled. Reach out to the family in person, as fits."
    ),
    "record-inactive": (
        "Something happened to a patient whose record is inactive, or was merged into "
        "one that cannot be found. No message goes out for it. Find the record in use "
        "and reach the patient if needed."
    ),
    "disposition-died": (
        "A hospital stay ended in death. All messages to this patient were cancelled. "
        "Check that the record says so and reach out to the family."
    ),
}
