"""What replies say in Vietnamese, Chinese and Arabic.

A word stands for one meaning only where no everyday word looks like it; all else is left
to a person. Many write Vietnamese without its marks: what is then ambiguous is read only
with them ("dừng" stop, "đúng" right). Chinese has no spaces, so its words are looked for
inside; traditional signs are read too. Arabic writes "and", "the" and the like with the
word.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator

# Said alone. What also means calling off a visit is a wish to change it as well.
_ALONE: dict[str, str] = {
    "stop": "dừng|dừng lại|xin dừng|ngừng|ngưng|ngừng lại|ngưng lại|ngung|ngung lai|"
    "hủy|huỷ|hủy đăng ký|huỷ đăng ký|huy dang ky|không nhắn nữa|đừng nhắn nữa|"
    "停|停止|请停止|退订|退訂|取消|取消订阅|取消訂閱|停止发送|停止發送|别发了|別發了|不要再发了|不要再發了|"
    "توقف|توقفوا|اوقف|اوقفوا|ايقاف|قف|وقف|الغاء|الغ|كفى|كفاية|الغاء الاشتراك",
    "change": "hủy|huỷ|取消|الغاء|الغ",
    "start": "bắt đầu|bat dau|tiếp tục|tiep tuc|开始|開始|恢复|恢復|ابدا|استئناف",
    "help": "trợ giúp|tro giup|hướng dẫn|帮助|幫助|مساعدة|معلومات",
    "confirm": "có|vâng|dạ|dạ vâng|đồng ý|dong y|xác nhận|xac nhan|"
    "是|是的|好|好的|可以|确认|確認|نعم|اجل|تمام|موافق|اؤكد|تاكيد",
}
_VIETNAMESE: dict[str, str] = {
    "stop": "đừng nhắn|đừng gửi|đừng liên lạc|dừng nhắn|dừng gửi|ngừng nhắn|ngừng gửi|"
    "ngưng nhắn|ngưng gửi|không muốn nhận|hủy đăng ký|huỷ đăng ký|dung nhan tin|"
    "dung gui nua|dung nhan nua|ngung nhan|ngung gui|khong muon nhan|huy dang ky",
    "change": "đổi lịch|đổi giờ|đổi hẹn|đổi ngày|dời lịch|dời hẹn|hủy hẹn|huỷ hẹn|"
    "hủy lịch|gọi cho tôi|gọi lại|không đến được|không thể đến|bận không|doi lich|"
    "doi gio|doi hen|huy hen|goi cho toi|goi lai|khong den duoc|khong the den",
    "death": "qua đời|từ trần|đã mất rồi|mất rồi|đã mất|đã chết|tang lễ|đám tang|"
    "khuất núi|tạ thế|qua doi|tu tran|da chet|dam tang|tang le",
    "loss": "sảy thai|sẩy thai|thai lưu|thai chết|mất em bé|mất con|hư thai|"
    "thai ngoài tử cung|say thai|thai luu|mat em be",
    "wrong-number": "nhầm số|sai số|nhầm người|lộn số|không phải tôi|không phải số|"
    "bạn là ai|ai vậy|ai đấy|ai đó|không quen|nham so|sai so|nham nguoi|lon so|"
    "khong phai toi|khong phai so|ban la ai|ai vay|ai day",
    "symptom": "đau|nhức|tức ngực|khó thở|không thở|nghẹt thở|hụt hơi|chảy máu|máu|"
    "xuất huyết|ngất|xỉu|bất tỉnh|chóng mặt|choáng|tự tử|tự sát|muốn chết|"
    "không muốn sống|tự làm hại|quá liều|dị ứng|sưng|phù|sốt|nhiễm trùng|mưng mủ|nôn|"
    "ói|mửa|co giật|động kinh|đột quỵ|tai biến|méo miệng|tê|liệt|cấp cứu|khẩn cấp|"
    "nguy kịch|nặng hơn|tệ hơn|xấu hơn|nặng lắm|đánh tôi|đánh đập|sợ về nhà|cứu|"
    "em bé không|thai không|dau nguc|tuc nguc|dau qua|dau lam|bi dau|dau bung|dau dau|"
    "dau don|kho tho|khong tho|chay mau|ngat xiu|bat tinh|chong mat|tu tu|tu sat|"
    "muon chet|khong muon song|qua lieu|di ung|bi sung|bi sot|sot cao|nhiem trung|"
    "non mua|oi mua|co giat|dot quy|tai bien|cap cuu|khan cap|nang hon|te hon|xau hon|"
    "danh toi|cuu toi",
}
_CHINESE: dict[str, str] = {
    "stop": "退订|退訂|取消订阅|取消訂閱|停止发|停止發|不要再发|不要再發|不要再给我发|不要再給我發|别再发|別再發|"
    "别再给我发|別再給我發|不要给我发|不要給我發|不想再收|不想收到|别发短信|別發短信|不要发短信|不要發短信|不要再联系|不要再聯繫",
    "change": "改时间|改時間|改期|改约|改約|换时间|換時間|换个时间|換個時間|打电话给我|打電話給我|给我打电话|給我打電話|给我回电|"
    "來不了|来不了|不能来|不能來|去不了|不能去|取消预约|取消預約|取消约|取消約",
    "death": "去世|过世|過世|逝世|已故|病逝|往生|死了|死亡|不在世|不在人世|葬礼|葬禮|丧事|喪事|追悼",
    "loss": "流产|流產|小产|小產|胎停|死胎|死产|死產|宫外孕|宮外孕|孩子没了|孩子沒了|没保住|沒保住|失去了孩子|失去了宝宝",
    "wrong-number": "打错|打錯|发错|發錯|号码错|號碼錯|错号|錯號|错误的号码|錯誤的號碼|号码不对|號碼不對|认错人|認錯人|"
    "找错人|找錯人|不认识|不認識|你是谁|你是誰|您是谁|您是誰|我不是|不是我|不是本人|不是他|不是她",
    "symptom": "痛|疼|胸闷|胸悶|喘|呼吸|气短|氣短|憋气|憋氣|窒息|中风|中風|口齿不清|嘴歪|流血|出血|吐血|便血|血|"
    "昏迷|昏倒|晕|暈|不省人事|自杀|自殺|想死|不想活|轻生|輕生|自残|自殘|伤害自己|傷害自己|结束生命|結束生命|过量|過量|"
    "过敏|過敏|肿|腫|发烧|發燒|发热|發熱|高烧|高燒|感染|化脓|化膿|呕吐|嘔吐|吐了|抽搐|抽筋|癫痫|癲癇|麻木|瘫|癱|"
    "急诊|急診|急救|救护车|救護車|救命|救我|紧急|緊急|严重|嚴重|恶化|惡化|加重|更糟|更差|胎动|胎動|打我|家暴|害怕回家",
}
_ARABIC: dict[str, str] = {
    "stop": "لا ترسل|لا ترسلوا|لا تراسلوني|لا تراسلني|لا تتصلوا|الغاء الاشتراك|"
    "ايقاف الرسائل|اوقفوا الرسائل|اوقف الرسائل|لا اريد رسائل|لا اريد هذه الرسائل|"
    "لا اريد الرسائل|توقفوا عن|كفى رسائل",
    "change": "تغيير الموعد|موعد اخر|وقت اخر|تاجيل|الغاء الموعد|اتصلوا بي|اتصل بي|"
    "كلموني|لا استطيع الحضور|لا يمكنني الحضور|لن احضر|لا اقدر احضر",
    "death": "توفي|توفيت|توفى|وفاة|مات|ماتت|متوفي|متوفى|متوفاة|فارق الحياة|"
    "فارقت الحياة|رحمه الله|رحمها الله|المرحوم|المرحومة|جنازة|عزاء",
    "loss": "اجهاض|اجهضت|سقط الجنين|مات الجنين|فقدت الجنين|فقدت طفلي|فقدنا الطفل|"
    "ولد ميتا|حمل خارج الرحم",
    "wrong-number": "رقم خاطئ|رقم خطا|الرقم خطا|الرقم خاطئ|رقم غلط|الرقم غلط|غلطان|"
    "من انت|من انتم|مين انت|مين معي|لا اعرفكم|لا اعرف من|لست انا|مش انا|"
    "لست المريض|ليس رقمي|ليس رقمه|شخص خطا|الشخص الخطا",
    "symptom": "الم|الام|وجع|يوجعني|يؤلمني|تؤلمني|صدري|الصدر|تنفس|اتنفس|تنفسي|اختناق|"
    "نزيف|ينزف|انزف|تنزف|دم|دماء|اغماء|اغمي|غاب عن الوعي|فقد الوعي|فقدت الوعي|دوخة|"
    "دوار|انتحار|انتحر|اقتل نفسي|اؤذي نفسي|اريد ان اموت|اريد الموت|بدي اموت|"
    "جرعة زائدة|حساسية|تورم|متورم|انتفاخ|حمى|حرارة|سخونة|التهاب|عدوى|قيء|تقيؤ|استفراغ|"
    "اتقيا|تشنج|تشنجات|نوبة|صرع|جلطة|سكتة|شلل|خدر|تنميل|طوارئ|اسعاف|اسوا|خطير|خطيرة|"
    "شديد|شديدة|النجدة|انقذوني|يضربني|خائف|خائفة|الجنين لا يتحرك",
}
_CLITICS = "(?:[وفبلك]|ال|وال|بال|فال|كال|لل|ولل)?"


def other_intents(text: str) -> Iterator[str]:
    """Yield what a reply says in one of these languages, by the names of intents."""
    marked = _words(unicodedata.normalize("NFC", text.casefold()))
    bare = _words(_without_marks(text.casefold()))
    for name, pattern in _alone().items():
        if pattern.fullmatch(marked) or pattern.fullmatch(bare):
            yield name
    for name, patterns in _inside().items():
        if any(item.search(marked) or item.search(bare) for item in patterns):
            yield name


def _words(text: str) -> str:
    """Return the words between single spaces, without punctuation."""
    kept = (
        item if item.isalnum() or unicodedata.combining(item) else " " for item in text
    )
    return " ".join("".join(kept).split())


def _without_marks(text: str) -> str:
    """Return Arabic without vowel signs and forms of alef; Vietnamese keeps its own.

    What carries Vietnamese marks is no unmarked word that looks like another.
    """
    if not any("\u0600" <= item <= "\u06ff" for item in text):
        return text
    decomposed = unicodedata.normalize("NFKD", text)
    kept = "".join(item for item in decomposed if not unicodedata.combining(item))
    return kept.replace("\u0640", "").replace("ى", "ي").replace("ة", "ه")


@functools.cache
def _alone() -> dict[str, re.Pattern[str]]:
    return {
        name: re.compile("|".join(map(re.escape, _both(words))))
        for name, words in _ALONE.items()
    }


@functools.cache
def _inside() -> dict[str, tuple[re.Pattern[str], ...]]:
    found: dict[str, tuple[re.Pattern[str], ...]] = {}
    for before, after, table in (
        (r"\b", r"\b", _VIETNAMESE),
        ("", "", _CHINESE),
        (rf"\b{_CLITICS}", r"\b", _ARABIC),
    ):
        for name, words in table.items():
            either = "|".join(map(re.escape, _both(words)))
            pattern = re.compile(f"{before}(?:{either}){after}")
            found[name] = (*found.get(name, ()), pattern)
    return found


def _both(words: str) -> list[str]:
    """Return words as they are written and without the marks that people leave out."""
    kept = [unicodedata.normalize("NFC", item) for item in words.split("|")]
    return list(dict.fromkeys([*kept, *map(_without_marks, kept)]))
