"""Rosa's weeks: answered and unanswered texts, a discharge and a visit to come."""

from datetime import timedelta

from mappings.chart import Chart
from mappings.delivery import Delivery, DeliveryState
from mappings.event import Event, EventKind
from mappings.nudge import Nudge, NudgeState
from middleware.stages import decide, resolve
from middleware.stages.reconcile import poll_endpoints
from middleware.storage import deliveries, events, nudges
from middleware.storage.ids import shard_of
from middleware.storage.shards import hold

PLAN = "https://carecue.example.org/fhir/PlanDefinition/appointment-reminder"
PAST = (
    # days ago, title, channel, hours until the answer
    (80, "Visit reminder, 3 days before", "sms", 1.2),
    (71, "Book the follow-up visit", "sms", 0.4),
    (63, "A care plan step is due", "sms", None),
    (52, "Visit reminder, 1 day before", "sms", 2.5),
    (44, "Offer a preventive visit", "email", None),
    (35, "Visit reminder, 3 days before", "sms", 0.15),
    (21, "Offer another time", "sms", 1.8),
    (12, "Check in after the stay", "email", None),
    (9, "Visit reminder, 1 day before", "sms", 0.15),
)


def tell(context, endpoint, sandbox) -> None:
    now = context.clock.now()
    _past(context, endpoint, now)
    staff = sandbox.test_client()
    assert staff.post("/ehr/patient/rosa/discharge").status_code == 303
    booked = staff.post("/ehr/patient/rosa/book", data={"when": "in-4-days"})
    assert booked.status_code == 303, booked.text
    poll_endpoints(context)
    for stage, step in (("resolve", resolve.step), ("decide", decide.step)):
        for shard in range(32):
            with hold(context.database, stage, shard) as held:
                step(context, {shard: held.epoch}, context.clock.now())


def _past(context, endpoint, now) -> None:
    shard = shard_of(endpoint.id, "Patient/rosa")
    with context.database.tx() as tx:
        for number, (days, title, channel, answered) in enumerate(PAST):
            at = now - timedelta(days=days, minutes=7 * number)
            event = Event(
                id=f"past-{number}",
                key=f"past-{number}",
                endpoint_id=endpoint.id,
                kind=EventKind.APPOINTMENT_BOOKED,
                patient="Patient/rosa",
                shard=shard,
                focus=f"Appointment/past-{number}",
                focus_version="1",
                occurred_at=at,
                received_at=at,
            )
            chart = Chart({"resourceType": "Patient", "id": "rosa"}, (), at)
            events.insert_event(
                tx, event, source="push", inbox_id=None, chart=chart, due_at=at
            )
            events.finish_event(tx, event.id, at)
            nudge = Nudge(
                id=f"past-{number}",
                key=f"past-{number}",
                endpoint_id=endpoint.id,
                event_id=event.id,
                patient="Patient/rosa",
                shard=shard,
                plan=PLAN,
                plan_version="1",
                action="three-days",
                topic="appointment",
                focus=event.focus,
                occasion="",
                recipient="Patient/rosa",
                state=NudgeState.SENT,
                reason="due",
                due_at=at,
                expires_at=at + timedelta(days=1),
                created_at=at,
                channel=channel,
                title=title,
            )
            nudges.upsert_nudges(tx, [nudge], at)
            _sent(tx, nudge, at, answered)


def _sent(tx, nudge, at, answered) -> None:
    sms = nudge.channel == "sms"
    delivery = Delivery(
        id=nudge.id,
        nudge_id=nudge.id,
        endpoint_id=nudge.endpoint_id,
        patient=nudge.patient,
        channel=nudge.channel,
        address="+14155550142" if sms else "rosa.delgado@example.org",
        language="es",
        subject="",
        text="Northside Clinic",
        state=DeliveryState.DELIVERED,
        provider_id=f"SM{nudge.id}",
        sending_at=at,
        sent_at=at,
        delivered_at=at + timedelta(seconds=4),
    )
    deliveries.insert_delivery(tx, delivery, nudge.topic)
    if answered is not None:
        deliveries.mark_answered(tx, delivery.id, at + timedelta(hours=answered))
