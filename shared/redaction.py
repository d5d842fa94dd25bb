"""What stands in no log line and in no answer: secrets, in every form that text gives them, and e-mail addresses.

Values are learnt from the settings as they are read (`shared/env_settings.py`). What has the shape of a credential is
taken out wherever it comes from.
"""

import base64
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

_MASK: Final = "***"
_LEAST_CHARACTERS: Final = 4  # a shorter one can't be told from words
_WORD_BELOW: Final = 8  # a secret that is shorter is hidden where it stands alone: "pass" is no secret in "passed"
_LINE_CHARACTERS: Final = 16
_MOST_RENEWED: Final = 16
_MOST_CHARACTERS: Final = 4096
_MARGIN: Final = 4096  # longer than what is masked as a whole
_NAMES: Final = "token|secret|password|passwd|passphrase|api[_-]?key|private[_-]?key|signature|assertion"
_SECRET_NAME: Final = re.compile(rf"(?:{_NAMES}|authorization|cookie)$", re.IGNORECASE)
_QUERY_NAME: Final = re.compile(rf"(?:{_NAMES})$", re.IGNORECASE)

# Between a name and its value, in text that may be escaped: `password=`, `{'password': '`, `\"password\": \"`.
_IS: Final = r"\\{0,8}[\"']?\s{0,2}%s\s{0,2}"
_QUOTE: Final = r"\\{0,8}[\"']"
_NO_SECRET: Final = r"(?!(?:true|false|null|none)\b)"
_BARE: Final = r"[^\s\"'\\,;&#<>(){}\[\]`]"
_DOMAIN: Final = r"[\w-]+(?:\.[\w-]+)+"

# The time of each grows with the text and not with its square, whatever somebody sends: none may begin at each place of
# a run that it would then read to its end. So they begin with letters of their own or where a run begins.
_SHAPES: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"\b(gtm_[a-z2-7]{12}_)[A-Za-z0-9_-]{43}"), rf"\1{_MASK}"),
    (re.compile(r"\b([Bb]earer|[Bb]asic) +(?=\S*[0-9_.~+/=-])[^\s\"'\\,;]{8,}"), rf"\1 {_MASK}"),
    (re.compile(r"(://[^\s/@:'\"\\]*):[^\s/@'\"\\]+@"), rf"\1:{_MASK}@"),
    (re.compile(r"\bwhsec_[A-Za-z0-9+/=_-]{8,}"), f"whsec_{_MASK}"),
    (re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), _MASK),
    (re.compile(r"-----BEGIN ([A-Z ]{0,40}PRIVATE KEY)-----[^\"]*?(?:-----END \1-----|(?=\"|\Z))"), rf"<\1 {_MASK}>"),
    # Personal data: none of ours has a reason to be in a line. `//user@host` is an address of a server.
    (re.compile(rf"(?<![\w.+%-])(?<!//)[\w.+%-]{{1,64}}(?:@|%40){_DOMAIN}"), "<email>"),
    (re.compile(rf"(?<!\\)\\{{0,8}}\"\w[\w.+ -]{{0,62}}\\{{0,8}}\"@{_DOMAIN}"), "<email>"),
)
# Looked for where one of these words is: most lines have none, and these patterns take the longest.
_WORDS: Final = ("token", "secret", "passw", "passphrase", "key", "signature", "assertion", "authorization")
_NAMED: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern, re.IGNORECASE), rf"\1{_MASK}")
    for pattern in (
        rf"(authorization{_IS % '[:=]'}(?:{_QUOTE})?(?:[a-z]{{1,16}} {{1,4}})?+)[^\s\"'\\,;<>`]+",
        rf"((?:{_NAMES}){_IS % '[:=]'}{_QUOTE}){_NO_SECRET}[^\"'\\]+",
        rf"((?:{_NAMES}){_IS % '='}){_NO_SECRET}{_BARE}+",
        # Behind a colon words may follow, too: "the token: renew it".
        rf"((?:{_NAMES}){_IS % ':'})(?={_BARE}{{0,64}}[0-9_~+/=-]){_BARE}{{4,}}",
    )
)


class _Secrets:
    """The values of this process. They stay hidden for its life, also once the settings are gone; of those that are
    renewed, the last few."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: set[str] = set()
        self._renewed: OrderedDict[str, None] = OrderedDict()
        self._pattern: re.Pattern[str] | None = None

    def add(self, value: str) -> None:
        with self._lock:
            known = len(self._values)
            self._values.update(_long_enough(value))
            if len(self._values) > known:
                self._compile()

    def add_renewed(self, value: str) -> None:
        with self._lock:
            is_known = value in self._renewed
            self._renewed[value] = None
            self._renewed.move_to_end(value)
            if not is_known:
                while len(self._renewed) > _MOST_RENEWED:
                    self._renewed.popitem(last=False)
                self._compile()

    def clear(self) -> None:
        with self._lock:
            self._values.clear()
            self._renewed.clear()
            self._pattern = None

    def _compile(self) -> None:
        values = self._values.union(*(_long_enough(value) for value in self._renewed))
        self._pattern = _compile(values) if values else None

    def mask(self, text: str) -> str:
        return text if self._pattern is None else self._pattern.sub(_MASK, text)


_secrets = _Secrets()


def hide(value: str) -> None:
    """From now on no line and no answer of this process holds the value of this secret setting. A repeat is nothing.

    Of a URL it is the password alone: where a store is may be said. Several secrets in one setting are hidden each.
    """
    _secrets.add(value)


def hide_renewed(value: str) -> None:
    """As `hide()`, for what a login answers or somebody writes anew every hour: the last _MOST_RENEWED of them are
    known, since a process may live for months and each line is looked through for all."""
    _secrets.add_renewed(value)


def forget_all() -> None:
    """For tests, whose settings come and go in one process."""
    _secrets.clear()


def redact(text: str, *, most: int | None = None) -> str:
    """`text` without secrets and e-mail addresses; of a longer one than `most` characters its beginning, and its
    length."""
    if most is not None and len(text) > most:
        return f"{_redact_beginning(text, most)}... ({len(text)} characters)"
    text = _secrets.mask(text)
    lowered = text.lower()
    for pattern, replacement in _SHAPES + _NAMED if any(word in lowered for word in _WORDS) else _SHAPES:
        text = pattern.sub(replacement, text)
    return text


def redact_values(content: Any, *, most: int = _MOST_CHARACTERS) -> Any:
    """A JSON value with every text in it redacted and of `most` characters, names of members aside."""
    if isinstance(content, str):
        return redact(content, most=most)
    if isinstance(content, Mapping):
        return {name: redact_values(value, most=most) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [redact_values(value, most=most) for value in content]
    return content


def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds a secret, whatever its value."""
    return _SECRET_NAME.search(name) is not None


def _redact_beginning(text: str, most: int) -> str:
    """Cut before it is looked through, which a long one would take long for. What the cut has halved is known by
    nothing any more, so a margin is read as well and left out."""
    read = text[: most + _MARGIN]
    shown = redact(read)
    end = len(shown) - _MARGIN if len(read) < len(text) else most
    return shown[: max(0, min(most, end))]


def _long_enough(value: str) -> set[str]:
    return {part for part in _parts(value) if len(part) >= _LEAST_CHARACTERS}


def _parts(value: str) -> Iterator[str]:
    parts = urlsplit(value) if "://" in value else None
    if parts is not None and parts.scheme and parts.netloc.rpartition("@")[2]:
        found = [parts.password or "", unquote(parts.password or "")]
        found += [text for name, text in parse_qsl(parts.query) if _QUERY_NAME.search(name)]
        yield from filter(None, found)
        return
    yield value
    if "-----BEGIN" not in value:  # whose words are no secrets
        several = value.replace(",", " ").split()
        yield from several
        yield from (one.removeprefix("whsec_") for one in several)
    lines = [line.strip() for line in value.replace("\\n", "\n").splitlines()]
    yield from (line for line in lines if len(line) >= _LINE_CHARACTERS and not line.startswith("-----"))


def _compile(values: set[str]) -> re.Pattern[str]:
    """The longest first: one secret may begin with another."""
    forms = {form: len(value) < _WORD_BELOW for value in sorted(values) for form in _forms(value)}
    forms |= {value: len(value) < _WORD_BELOW for value in values}
    ordered = sorted(forms.items(), key=lambda item: (-len(item[0]), item[0]))
    return re.compile("|".join(_to_pattern(form, is_word) for form, is_word in ordered))


def _to_pattern(form: str, is_word: bool) -> str:
    """Text that is escaped again, as JSON in an error in JSON, has more backslashes in the same places."""
    pattern = re.escape(form).replace("\\\\", "\\\\+")
    return rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])" if is_word else pattern


def _forms(value: str) -> set[str]:
    """As it is, escaped for URLs, JSON and Python, and encoded, alone or inside of something longer."""
    raw = value.encode("utf-8", "surrogatepass")
    found = {value, repr(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    found |= {json.dumps(one)[1:-1] for one in tuple(found)}
    for quoted in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        found |= {quoted, re.sub("%[0-9A-F]{2}", lambda escape: escape[0].lower(), quoted)}
    found |= {raw.hex(), raw.hex().upper()}
    found |= set(_base64_forms(raw))
    return {form for form in found if len(form) >= min(len(value), _WORD_BELOW)}


def _base64_forms(raw: bytes) -> Iterator[str]:
    """Wherever it begins in what was encoded, as in `user:password`: without characters that neighbours share."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode()
        own = encoded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        if len(own) >= _WORD_BELOW:
            yield own
            yield own.translate(str.maketrans("+/", "-_"))
