"""What a reply means, in five languages; when in doubt, a person looks.

The words only ever raise the urgency: a STOP inside a message about symptoms is both.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from mappings.endpoint import Site
from middleware.decisions.fixed_texts import fixed_text
from middleware.decisions.reply_words import other_intents


class Intent(StrEnum):
    """What the patient wants or tells."""

    STOP = "stop"
    START = "start"
    HELP = "help"
    CONFIRM = "confirm"
    CHANGE = "change"
    SYMPTOM = "symptom"
    DEATH = "death"
    LOSS = "loss"
    WRONG_NUMBER = "wrong-number"
    OTHER = "other"


# What silences the patient's other messages until a person has looked.
HOLDING = frozenset({Intent.SYMPTOM, Intent.DEATH, Intent.LOSS, Intent.WRONG_NUMBER})


@dataclass(frozen=True)
class Reply:
    """The intents of one reply. ``urgency`` is stat, urgent or routine."""

    intents: frozenset[Intent]
    urgency: str

    @property
    def needs_person(self) -> bool:
        """Tell whether somebody must look: all but a plain STOP, START or HELP."""
        return not self.intents <= {Intent.STOP, Intent.START, Intent.HELP}


# Said alone, or nearly so: "please stop", "stop.", "stop texting me".
_STOP_WORDS = (
    "stop|stopall|stop all|quit|end|revoke|opt ?out|cancel|unsubscribe|remove me|"
    "stop (?:texting|messaging|emailing|contacting|sending|the|these|all).*|"
    "alto|parar|pare|paren|basta|cancelar|baja|darme de baja|no mas(?: mensajes)?|"
    "no (?:me )?(?:envien|escriban|manden) mas.*|detener|terminar|salir"
)
_STOP = re.compile(
    rf"^(?:please |pls |por favor )?(?:{_STOP_WORDS})"
    r"(?: please| pls| now| me| por favor| thanks| thank you| gracias)*$"
)
# Inside a longer text these say it beyond doubt (47 CFR 64.1200(a)(10): any
# reasonable means).
_STOP_INSIDE = re.compile(
    r"\b(?:unsubscribe|opt(?:ing)?[ -]?out|stop ?all|"
    r"(?:stop|quit) (?:texting|messaging|emailing|contacting|sending|writing|these|"
    r"the (?:texts|messages))|"
    r"(?:do not|dont|don t|no longer want to) (?:text|message|email|contact|write)|"
    r"no more (?:texts|messages|emails)|take me off|remove me|"
    r"no (?:me )?(?:envien?|escriban?|manden?|llamen?) mas|no mas mensajes|"
    r"darme de baja|dejen? de (?:escribir|enviar|mandar)\w*)\b"
)
_STOP_CAPITALS = re.compile(
    r"(?<![A-Za-z])(?:STOP|STOPALL|UNSUBSCRIBE|OPTOUT|ALTO|PARAR)(?![A-Za-z])"
)
_START = re.compile(r"^(?:start|unstop|resume|subscribe|yes start|reanudar|empezar)$")
_HELP = re.compile(r"^(?:help|info|ayuda|informacion)$")
_CONFIRM = re.compile(r"^(?:1|c|yes|y|ok|okay|confirm|confirmed|si|confirmo|vale)$")
_CHANGE = re.compile(
    r"^(?:2|r|no|n)$|\b(?:reschedul\w*|change (?:my|the)|another time|cannot come|"
    r"cant (?:come|make)|can t (?:come|make)|call me|cambiar|otra hora|no puedo ir|"
    r"llamenme|llameme)\b"
)
_DEATH = re.compile(
    r"\b(?:passed away|(?:has|is|he|she|who) died|died|deceased|is dead|passed on|"
    r"no longer with us|funeral|fallecio|fallecid[oa]|ha muerto|murio|esta muert[oa]|"
    r"difunt[oa])\b"
)
_LOSS = re.compile(
    r"\b(?:miscarr\w*|still ?born|still ?birth|ectopic|"
    r"lost (?:the|my|our|her|a) (?:baby|babies|twins?|pregnancy)|"
    r"(?:baby|babies|twins?) (?:has |have |had )?(?:died|passed|gone|is gone|was lost)|"
    r"no heart ?beat|lost the child|pregnancy loss|not pregnant any ?more|"
    r"no longer pregnant|perdi(?:mos|o)? (?:el|al|mi|un|a mi|nuestro|el) ?bebe|"
    r"perdi(?:mos|o)? el embarazo|perdida del (?:embarazo|bebe)|aborto|"
    r"nacio muert[oa]|mortinat\w*|ya no estoy embarazada|embarazo ectopico)\b"
)
_WRONG = re.compile(
    r"\b(?:wrong (?:number|person|phone)|not my number|dont know (?:who|this|any)|"
    r"who is this|you have the wrong|not (?:him|her|this person)|"
    r"(?:numero|telefono) equivocado|persona equivocada|se equivoc\w+|"
    r"no soy(?! yo)|no conozco|quien es)\b"
)
_SYMPTOM = re.compile(
    r"\b(?:chest pain|chest hurts|pain in my chest|(?:cant|can t|cannot|trouble|hard to|"
    r"difficulty|short of) breath\w*|breathless|shortness of breath|stroke|"
    r"face (?:is )?droop\w*|numb(?:ness)?|slurred|bleed\w*|blood|unconscious|fainted|"
    r"passed out|faint(?:ing)?|dizz\w*|suicid\w*|kill myself|hurt myself|end my life|"
    r"want to die|overdos\w*|allergic|swelling|swollen|fever|infection|infected|"
    r"vomit\w*|throwing up|seizure\w*|severe|worse|emergency|911|988|ambulance|"
    r"baby (?:is )?not moving|unsafe|afraid at home|hit(?:s|ting)? me|pain|hurts|"
    r"dolor|duele\w*|pecho|no puedo respirar|respirar|falta (?:de|el) aire|sangr\w*|"
    r"desmay\w*|mareo\w*|maread[oa]|fiebre|vomit\w*|convulsion\w*|infeccion|hinchad\w*|"
    r"suicid\w*|matarme|quitarme la vida|quiero morir|hacerme dano|sobredosis|alergi\w*|"
    r"derrame|embolia|emergencia|ambulancia|peor|me pega\w*)\b"
)


def classify_reply(text: str) -> Reply:
    """Read a reply; several intents may hold at once, and OTHER where none does."""
    plain = _plain(text)
    found: set[Intent] = set()
    for intent, pattern in (
        (Intent.DEATH, _DEATH),
        (Intent.LOSS, _LOSS),
        (Intent.WRONG_NUMBER, _WRONG),
        (Intent.SYMPTOM, _SYMPTOM),
        (Intent.CHANGE, _CHANGE),
        (Intent.CONFIRM, _CONFIRM),
        (Intent.START, _START),
        (Intent.HELP, _HELP),
    ):
        if pattern.search(plain):
            found.add(intent)
    found |= {Intent(name) for name in other_intents(text)}
    if _STOP.search(plain) or _STOP_INSIDE.search(plain) or _STOP_CAPITALS.search(text):
        found.add(Intent.STOP)
    if Intent.STOP in found:
        found.discard(Intent.START)
    if not found:
        found.add(Intent.OTHER)
    return Reply(frozenset(found), _urgency(found))


def _urgency(found: set[Intent]) -> str:
    if Intent.SYMPTOM in found:
        return "stat"
    if found & {Intent.DEATH, Intent.LOSS, Intent.WRONG_NUMBER, Intent.OTHER}:
        return "urgent"
    return "routine"


def _plain(text: str) -> str:
    """Lower case, without accents or punctuation, single spaces."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(
        str(unicodedata.decimal(item, item))
        for item in decomposed
        if not unicodedata.combining(item)
    )
    kept = kept.replace("’", "").replace("'", "")
    return " ".join(re.sub(r"[^\w]+", " ", kept).split())


def reply_text(reply: Reply, site: Site, language: str) -> str | None:
    """Return the one fixed answer to a reply, in its language where that is reviewed.

    Where nobody reviewed it, it is in English: silence would be worse.

    After a STOP it is the single confirmation, unless symptoms come with it: then the
    emergency text is the answer. A wrong number is told nothing about the patient.
    """
    intents = reply.intents
    if Intent.SYMPTOM in intents or Intent.DEATH in intents:
        name = "urgent" if Intent.SYMPTOM in intents else "noted"
    elif Intent.WRONG_NUMBER in intents:
        name = "wrong"
    elif Intent.STOP in intents:
        name = "stop"
    elif Intent.START in intents and not reply.needs_person:
        name = "start"
    elif Intent.HELP in intents and not reply.needs_person:
        name = "help"
    else:
        name = "noted"
    return fixed_text(name, site, language)
