"""The fixed answers to replies, in five languages.

Each has two segments at the most. English is approved; another language is used where
the site named its reviewer, else English is: somebody who wrote of an emergency, or said
STOP, must hear something (unlike a message, for which a person steps in).
"""

from __future__ import annotations

from mappings.endpoint import Site
from middleware.decisions.languages import (
    MARK,
    is_right_to_left,
    keep_left_to_right,
    language_tags,
)

TEXTS: dict[str, dict[str, str]] = {
    "en": {
        "stop": "{clinic}: you will get no more of these messages. Reply START to "
        "resume, or call {phone} to choose only some.",
        "start": "{clinic}: you will get our messages again. Reply STOP to end, HELP "
        "for help.",
        "help": "{clinic}: visit and follow-up messages. Call {phone}. In an emergency "
        "call 911. Reply STOP to end.",
        "urgent": "{clinic}: if this may be an emergency call 911 now. For thoughts of "
        "suicide call or text 988. Not monitored 24/7. Our team is told; or call "
        "{phone}.",
        "noted": "{clinic}: thank you, our team will see this. Not monitored 24/7. In "
        "an emergency call 911; crisis: 988. Questions: {phone}.",
        "wrong": "Sorry about that. We will stop messages to this number. Not monitored "
        "24/7. In an emergency call 911; crisis: 988.",
    },
    "es": {
        "stop": "{clinic}: no le enviaremos estos mensajes. Responda START para volver "
        "a recibirlos o llame al {phone} para elegir solo algunos.",
        "start": "{clinic}: le volveremos a escribir. Responda STOP para terminar, "
        "AYUDA para ayuda.",
        "help": "{clinic}: mensajes de citas y seguimiento. Llame al {phone}. En una "
        "emergencia llame al 911. Responda STOP para terminar.",
        "urgent": "{clinic}: si puede ser una emergencia llame ya al 911. Si piensa en "
        "suicidarse llame al 988. No atendemos 24/7. Nuestro equipo ya lo sabe; o llame "
        "al {phone}.",
        "noted": "{clinic}: gracias, nuestro equipo lo va a leer. No atendemos 24/7. En una "
        "emergencia llame al 911; crisis: 988. Dudas: {phone}.",
        "wrong": "Disculpe. No escribiremos a este teléfono. No atendemos 24/7. En una "
        "emergencia llame al 911; crisis: 988.",
    },
    "vi": {
        "stop": "{clinic}: quý vị sẽ không nhận tin này nữa. Nhắn START để nhận lại, "
        "hoặc gọi {phone}.",
        "start": "{clinic}: quý vị sẽ nhận tin lại. Nhắn STOP để dừng, HELP để được "
        "giúp.",
        "help": "{clinic}: tin về lịch hẹn. Gọi {phone}. Khẩn cấp gọi 911. Nhắn STOP "
        "để dừng.",
        "urgent": "{clinic}: nếu khẩn cấp, gọi ngay 911. Có ý tự tử: 988. Không trực "
        "24/7. Nhóm đã được báo: {phone}",
        "noted": "{clinic}: cảm ơn, chúng tôi sẽ xem. Không trực 24/7. Khẩn cấp: 911; "
        "khủng hoảng: 988. {phone}",
        "wrong": "Xin lỗi. Chúng tôi sẽ không nhắn số này nữa. Không trực 24/7. Khẩn "
        "cấp: 911; khủng hoảng: 988.",
    },
    "zh-Hans": {
        "stop": "{clinic}: 您将不再收到这些短信。回复 START 可重新接收，或致电 {phone} 只选一部分。",
        "start": "{clinic}: 您将重新收到我们的短信。回复 STOP 退订，HELP 获取帮助。",
        "help": "{clinic}: 就诊和随访短信。请致电 {phone}。紧急情况请拨 911。回复 STOP 退订。",
        "urgent": "{clinic}: 如有紧急情况，请立即拨打 911。如有轻生念头，请拨打 988。我们并非 24/7 "
        "值守。已通知我们的团队；或致电 {phone}。",
        "noted": "{clinic}: 谢谢，我们的团队会查看。并非 24/7 值守。紧急情况请拨 911；心理危机请拨 988。"
        "电话 {phone}。",
        "wrong": "抱歉打扰。我们不会再发短信到此号码。并非 24/7 值守。紧急情况请拨 911；心理危机请拨 988。",
    },
    "ar": {
        "stop": "{clinic}: لن تصلك هذه الرسائل بعد الآن. أرسل START لاستئنافها، أو اتصل "
        "على {phone}.",
        "start": "{clinic}: ستصلك رسائلنا من جديد. أرسل STOP للإيقاف، HELP للمساعدة.",
        "help": "{clinic}: رسائل المواعيد والمتابعة. اتصل على {phone}. للطوارئ 911. "
        "للإيقاف STOP",
        "urgent": "{clinic}: للطوارئ اتصل الآن على 911. لأفكار الانتحار 988. لا نراقب "
        "24/7. أبلغنا فريقنا: {phone}",
        "noted": "{clinic}: شكرا، سيراها فريقنا. لا نراقب 24/7. للطوارئ 911، للأزمات "
        "988. {phone}",
        "wrong": "نأسف لذلك. لن نرسل إلى هذا الرقم. لا نراقب 24/7. للطوارئ 911، للأزمات "
        "988.",
    },
}


def fixed_text(name: str, site: Site, language: str) -> str:
    """Return one of the fixed answers for a site, in a language or in English."""
    tag = _reviewed(site, language)
    phone = keep_left_to_right(site.phone, tag)
    text = TEXTS[tag][name].format(clinic=site.name, phone=phone)
    return MARK + text if is_right_to_left(tag) else text


def _reviewed(site: Site, language: str) -> str:
    """Return the tag of the answers that this patient may be given."""
    for tag in language_tags(language):
        names = (tag, tag.partition("-")[0])
        if tag in TEXTS and any(site.reviewers.get(name) for name in names):
            return tag
    return "en"
