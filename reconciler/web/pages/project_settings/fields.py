"""What a form of declared fields is made of, what it changes, and how it is shown. Pure.

A field is named as the API names it, with dots: ``rules.approvals``. So what the API says is wrong
finds its place in the form by its name.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.domain.errors import ChangedMeanwhile, ReconcilerError, SeveralInvalid
from reconciler.domain.problems import Problems
from reconciler.web.pages.form_values import Kind, read, typed, written
from reconciler.web.pages.forms import SEEN

#: Declared fields by their names; what has parts is a mapping of its own.
Declared = Mapping[str, object]
#: Field of a form → the text in it.
Texts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of a declaration, as people get to see it."""

    name: str
    label: str
    kind: Kind = Kind.TEXT
    hint: str = ""
    options: tuple[tuple[str, str], ...] = ()  #: of a choice: value and words
    #: Choices of its group's opener with which it makes sense; none: with every one.
    only: tuple[str, ...] = ()

    @property
    def top(self) -> str:
        """The field of the declaration that it is, or is a part of."""
        return self.name.partition(".")[0]

    @property
    def key(self) -> str:
        """Its name within that; empty: it is that."""
        return self.name.partition(".")[2]


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that stand together."""

    fields: tuple[FieldSpec, ...]
    #: Says whether there are any: a switch, or a choice of which empty means none.
    opener: FieldSpec | None = None

    @property
    def every(self) -> tuple[FieldSpec, ...]:
        """All of them, the opener first."""
        return (*((self.opener,) if self.opener else ()), *self.fields)


@dataclass(frozen=True, slots=True)
class Section:
    """One form."""

    key: str
    title: str
    groups: tuple[Group, ...]
    about: str = ""

    def only(self, names: Sequence[str]) -> "Section":
        """Return it with no other than the fields of these declared ones."""
        groups = [
            replace(group, fields=tuple(one for one in group.fields if one.top in names))
            for group in self.groups
            if group.opener is None or group.opener.top in names
        ]
        return replace(self, groups=tuple(group for group in groups if group.every))


@dataclass(frozen=True, slots=True)
class Entry:
    """A field as it is shown."""

    spec: FieldSpec
    text: str  #: in it
    may_change: bool
    problems: tuple[ReconcilerError, ...] = ()
    #: What is declared, where something else was typed that was not saved.
    declared: str | None = None

    @property
    def words(self) -> str:
        """What it holds, for people."""
        return dict(self.spec.options).get(self.text, self.text)


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group as it is shown."""

    opener: Entry | None
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Form:
    """A section as it is shown."""

    section: Section
    groups: Sequence[GroupView]
    seen: str  #: version of what it shows
    problems: Sequence[ReconcilerError] = ()  #: that are about no single field

    @property
    def entries(self) -> Iterator[Entry]:
        """All fields, in order."""
        for group in self.groups:
            yield from (*((group.opener,) if group.opener else ()), *group.entries)

    @property
    def may_change(self) -> bool:
        """Whether there is anything to save."""
        return any(entry.may_change for entry in self.entries)

    @property
    def holds_back(self) -> bool:
        """Whether something in it is for others to change."""
        return self.may_change and not all(entry.may_change for entry in self.entries)

    @property
    def wrong(self) -> str:
        """The first field that is wrong; empty: none is."""
        return next((entry.spec.name for entry in self.entries if entry.problems), "")


def texts_of(section: Section, declared: Declared) -> dict[str, str]:
    """Return what the fields hold that show ``declared``."""
    return {
        spec.name: written(spec.kind, _value(declared, spec))
        for group in section.groups
        for spec in group.every
    }


def change_of(section: Section, declared: Declared, fields: Texts) -> dict[str, object]:
    """Return the declared fields that a form changes, as a patch of the API has them.

    What was left as it was shown is not among them, and so needs no right to be changed.

    Raises:
        InvalidInput: a text means nothing. ``SeveralInvalid``: more do.
    """
    change: dict[str, object] = {}
    shown, problems = texts_of(section, declared), Problems()
    for group in section.groups:
        changed = [
            spec
            for spec in group.every
            if spec.name in fields and typed(fields[spec.name]) != shown[spec.name]
        ]
        for top in dict.fromkeys(spec.top for spec in changed):
            within = [spec for spec in changed if spec.top == top]
            problems.collect(
                lambda top=top, within=within, group=group: change.update(  # type: ignore[misc]
                    {top: _changed(declared.get(top), within, group, {**shown, **fields})}
                )
            )
    if problems.found:
        raise problems.error()
    return change


def form_of(
    section: Section,
    declared: Declared,
    *,
    seen: str,
    own: frozenset[str] | None,
    fields: Texts | None = None,
    error: ReconcilerError | None = None,
) -> Form:
    """Return the form that shows ``declared``, or what was typed and what is wrong with it.

    Args:
        section: of which fields.
        declared: what they are now.
        seen: version of that.
        own: declared fields that whoever looks may change; None: all.
        fields: what was typed.
        error: why that was not saved.
    """
    shown, fields = texts_of(section, declared), fields or {}
    placed, rest = _placed(section, error)
    changed_meanwhile = isinstance(error, ChangedMeanwhile)

    def entry(spec: FieldSpec) -> Entry:
        text = typed(fields.get(spec.name, shown[spec.name]))
        wrong = tuple(placed.get(spec.name, ()))
        differs = (wrong or changed_meanwhile) and text != shown[spec.name]
        may_change = own is None or spec.top in own
        return Entry(spec, text, may_change, wrong, shown[spec.name] if differs else None)

    groups = [
        GroupView(entry(group.opener) if group.opener else None, [*map(entry, group.fields)])
        for group in section.groups
    ]
    # What was typed was meant for what was seen then, until the difference was shown.
    typed_for = fields.get(SEEN, seen) if not changed_meanwhile else seen
    return Form(section, groups, typed_for, rest)


def problems_in(error: ReconcilerError | None) -> Sequence[ReconcilerError]:
    """Return each thing that is wrong by itself."""
    if error is None:
        return ()
    return error.problems if isinstance(error, SeveralInvalid) else (error,)


def _placed(
    section: Section, error: ReconcilerError | None
) -> tuple[Mapping[str, list[ReconcilerError]], Sequence[ReconcilerError]]:
    """Return what is wrong by the field that it is about, and what is about none of them."""
    names = [spec.name for group in section.groups for spec in group.every]
    placed: dict[str, list[ReconcilerError]] = {}
    rest: list[ReconcilerError] = []
    for problem in problems_in(error):
        field = problem.evidence.get("field", "")
        fits = [name for name in names if f"{field}.".startswith(f"{name}.")]
        placed.setdefault(max(fits, key=len), []).append(problem) if fits else rest.append(problem)
    return placed, rest


def _value(declared: Declared, spec: FieldSpec) -> object:
    found = declared.get(spec.top)
    if not spec.key:
        return found
    return found.get(spec.key) if isinstance(found, Mapping) else None


def _changed(before: object, changed: Sequence[FieldSpec], group: Group, fields: Texts) -> object:
    """Return the new value of one declared field; None clears it."""
    first = changed[0]
    opener = group.opener if group.opener and group.opener.top == first.top else None
    if opener and not read(opener.kind, fields[opener.name], opener.name):
        return None
    if not first.key and first is not opener:
        return _read(first, fields)
    value = dict(before) if isinstance(before, Mapping) else {}
    if opener and opener.key:
        value[opener.key] = choice = _read(opener, fields)
        for spec in group.fields:
            if spec.only and choice not in spec.only:
                value.pop(spec.key, None)
        changed = [spec for spec in changed if not spec.only or choice in spec.only]
    value |= {spec.key: _read(spec, fields) for spec in changed if spec.key}
    value = {key: one for key, one in value.items() if one is not None and one != []}
    return value if value or opener else None


def _read(spec: FieldSpec, fields: Texts) -> object:
    return read(spec.kind, fields[spec.name], spec.name)
