"""What replies mean, in five languages, and what each is answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from middleware.decisions.fixed_texts import TEXTS
from middleware.decisions.linting import count_segments, is_gsm
from middleware.decisions.replies import Intent, Reply, classify_reply, reply_text
from middleware.decisions.retries import next_attempt
from tests.unit.decisions.story import SITE


@pytest.mark.parametrize(
    "text",
    [
        "STOP", "stop", " Stop. ", "STOP!", "quit", "END", "revoke", "opt out", "OPTOUT",
        "opt-out", "cancel", "unsubscribe", "Please stop", "stop texting me",
        "Stop sending me these messages", "please stop all", "STOP please", "StopAll",
        "don't text me", "Do not contact me again", "no more texts", "take me off your list",
        "alto", "ALTO", "parar", "no más", "No mas mensajes", "no me envíen más mensajes",
        "cancelar", "baja", "darme de baja", "dejen de escribirme", "I said STOP",
    ],
)  # fmt: skip
def test_stop_in_many_words(text: str) -> None:
    assert Intent.STOP in classify_reply(text).intents


@pytest.mark.parametrize(
    "text",
    [
        "When does the bus stop there?", "I want to end the visit early next time",
        "Can I stop my pills?", "ok thanks", "I had to cancel my trip", "no",
    ],
)  # fmt: skip
def test_ordinary_words_are_no_stop(text: str) -> None:
    assert Intent.STOP not in classify_reply(text).intents


@pytest.mark.parametrize(
    ("text", "intents", "urgency", "person"),
    [
        ("STOP", {"stop"}, "routine", False),
        ("start", {"start"}, "routine", False),
        ("UNSTOP", {"start"}, "routine", False),
        ("HELP", {"help"}, "routine", False),
        ("ayuda", {"help"}, "routine", False),
        ("1", {"confirm"}, "routine", True),
        ("sí", {"confirm"}, "routine", True),
        ("2", {"change"}, "routine", True),
        ("I need to reschedule", {"change"}, "routine", True),
        ("I have chest pain", {"symptom"}, "stat", True),
        ("no puedo respirar", {"symptom"}, "stat", True),
        ("I can't breathe STOP", {"symptom", "stop"}, "stat", True),
        ("quiero morir", {"symptom"}, "stat", True),
        ("My mother passed away last week", {"death"}, "urgent", True),
        ("I had a miscarriage in May", {"loss"}, "urgent", True),
        ("we lost the baby", {"loss"}, "urgent", True),
        ("perdí al bebé", {"loss"}, "urgent", True),
        ("tôi bị sảy thai", {"loss"}, "urgent", True),
        ("我流产了", {"loss"}, "urgent", True),
        ("لقد فقدت الجنين", {"loss"}, "urgent", True),
        ("Rosa falleció", {"death"}, "urgent", True),
        ("wrong number", {"wrong-number"}, "urgent", True),
        ("Número equivocado", {"wrong-number"}, "urgent", True),
        ("is the parking free?", {"other"}, "urgent", True),
        ("", {"other"}, "urgent", True),
        ("👍", {"other"}, "urgent", True),
    ],
)
def test_reply_is_understood(
    text: str, intents: set[str], urgency: str, person: bool
) -> None:
    reply = classify_reply(text)
    assert (set(reply.intents), reply.urgency, reply.needs_person) == (
        intents,
        urgency,
        person,
    )


def answer(text: str, language: str = "en") -> str:
    found = reply_text(classify_reply(text), SITE, language)
    assert found is not None
    return found


def test_stop_gets_one_confirmation_without_a_question() -> None:
    assert answer("STOP") == (
        "Northside Clinic: you will get no more of these messages. Reply START to "
        "resume, or call (312) 555-0100 to choose only some."
    )


@pytest.mark.parametrize(
    "text", ["1", "what?", "chest pain", "he died", "chest pain STOP"]
)
@pytest.mark.parametrize("language", ["en", "es", "es-MX", "vi"])
def test_every_answer_to_a_person_names_the_emergency_numbers(
    text: str, language: str
) -> None:
    found = answer(text, language)
    assert ("911" in found, "988" in found, "24/7" in found) == (True, True, True)
    assert (is_gsm(found), count_segments(found) <= 2) == (True, True)


def test_wrong_number_is_told_nothing_about_anyone() -> None:
    assert "Northside" not in answer("wrong number")


ALL_REVIEWED = replace(SITE, reviewers=dict.fromkeys(TEXTS, "A reader"))


@pytest.mark.parametrize("language", sorted(TEXTS))
def test_every_intent_has_an_answer_that_fits(language: str) -> None:
    for intent in Intent:
        reply = Reply(frozenset({intent}), "routine")
        text = reply_text(reply, ALL_REVIEWED, language)
        assert text is not None
        assert count_segments(text) <= 2
        assert text != reply_text(reply, ALL_REVIEWED, "en") or language == "en"


@pytest.mark.parametrize("language", sorted(TEXTS))
@pytest.mark.parametrize(
    "text", ["1", "what?", "chest pain", "he died", "wrong number"]
)
def test_emergency_numbers_are_in_every_language(language: str, text: str) -> None:
    found = reply_text(classify_reply(text), ALL_REVIEWED, language) or ""
    assert ("911" in found, "988" in found, "24/7" in found) == (True, True, True)


@pytest.mark.parametrize("language", ["vi", "zh-CN", "ar", "fr", "zh-TW", ""])
@pytest.mark.parametrize("text", ["STOP", "chest pain", "HELP", "ok"])
def test_answer_is_english_where_nobody_reviewed_the_language(
    text: str, language: str
) -> None:
    reply = classify_reply(text)
    assert reply_text(reply, SITE, language) == reply_text(reply, SITE, "en")


def test_reviewer_of_a_language_serves_its_regions() -> None:
    reply = classify_reply("STOP")
    plain = replace(SITE, reviewers={"zh": "A reader"})
    assert "退" not in (reply_text(reply, plain, "zh-TW") or "")
    assert "不再收到" in (reply_text(reply, plain, "zh-CN") or "")
    assert "24/7" in (reply_text(classify_reply("hi"), ALL_REVIEWED, "ar-EG") or "")


@pytest.mark.parametrize(
    "text",
    [
        "dừng", "Dừng lại!", "ngừng", "Đừng nhắn tin cho tôi nữa", "dung nhan tin nua",
        "tôi không muốn nhận tin này", "hủy đăng ký", "xin ngưng gửi",
        "停止", "退订", "退訂", "请不要再发了，不要再给我发短信", "别再发了", "回复STOP", "不想再收到",
        "توقف", "أوقفوا الرسائل", "إيقاف", "إلغاء الاشتراك", "لا ترسلوا لي رسائل", "قف",
    ],
)  # fmt: skip
def test_stop_in_other_languages(text: str) -> None:
    assert Intent.STOP in classify_reply(text).intents


@pytest.mark.parametrize(
    "text",
    [
        "đúng", "dung", "tôi đang dùng thuốc", "tôi tên là Huy", "Huy", "không",
        "请问停车场在哪里", "不要紧", "我的公交停在哪", "不要",
        "أين موقف السيارات", "هل أتوقف عن الدواء",
    ],
)  # fmt: skip
def test_ordinary_words_of_other_languages_are_no_stop(text: str) -> None:
    assert Intent.STOP not in classify_reply(text).intents


@pytest.mark.parametrize(
    ("text", "intents", "urgency"),
    [
        ("Tôi bị đau ngực", {"symptom"}, "stat"),
        ("toi kho tho", {"symptom"}, "stat"),
        ("tu tu", {"symptom"}, "stat"),
        ("Mẹ tôi đã qua đời", {"death"}, "urgent"),
        ("me toi qua doi roi", {"death"}, "urgent"),
        ("nhầm số rồi", {"wrong-number"}, "urgent"),
        ("Tôi muốn đổi lịch", {"change"}, "routine"),
        ("vâng", {"confirm"}, "routine"),
        ("trợ giúp", {"help"}, "routine"),
        ("hủy", {"stop", "change"}, "routine"),
        ("đau ngực, đừng nhắn nữa", {"symptom", "stop"}, "stat"),
        ("我胸口很痛", {"symptom"}, "stat"),
        ("呼吸困難", {"symptom"}, "stat"),
        ("不想活了", {"symptom"}, "stat"),
        ("我父亲上周去世了", {"death"}, "urgent"),
        ("他過世了", {"death"}, "urgent"),
        ("你打错了", {"wrong-number"}, "urgent"),
        ("可以改时间吗", {"change"}, "routine"),
        ("好的", {"confirm"}, "routine"),
        ("１", {"confirm"}, "routine"),
        ("取消", {"stop", "change"}, "routine"),
        ("帮助", {"help"}, "routine"),
        ("عندي ألم في الصدر", {"symptom"}, "stat"),
        ("لا أستطيع التنفس", {"symptom"}, "stat"),
        ("أريد أن أموت", {"symptom"}, "stat"),
        ("يوجد دم", {"symptom"}, "stat"),
        ("توفي والدي أمس", {"death"}, "urgent"),
        ("لقد ماتت أمي", {"death"}, "urgent"),
        ("الرقم خطأ", {"wrong-number"}, "urgent"),
        ("أريد تغيير الموعد", {"change"}, "routine"),
        ("نعم", {"confirm"}, "routine"),
        ("١", {"confirm"}, "routine"),
        ("مساعدة", {"help"}, "routine"),
        ("أريد معلومات عن المواعيد", {"other"}, "urgent"),
        ("cảm ơn bác sĩ", {"other"}, "urgent"),
        ("谢谢医生", {"other"}, "urgent"),
        ("شكرا دكتور", {"other"}, "urgent"),
    ],
)
def test_reply_is_understood_in_other_languages(
    text: str, intents: set[str], urgency: str
) -> None:
    reply = classify_reply(text)
    assert (set(reply.intents), reply.urgency) == (intents, urgency)


def test_retries_back_off_and_end() -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    waits = []
    moment, attempts = now, 0
    while (following := next_attempt(attempts, moment)) is not None:
        waits.append(following - moment)
        moment, attempts = following, attempts + 1
    assert len(waits) == 9
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (timedelta(seconds=30), timedelta(hours=6))
    assert timedelta(hours=20) < moment - now < timedelta(hours=24)
