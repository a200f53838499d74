"""Whether the system is up: nodes in their order, each by the first message on its topics. Time is passed in."""

from __future__ import annotations

from dataclasses import dataclass, field

from vm_core.errors import VmError


@dataclass(frozen=True)
class Expected:
    """A node and the topics on which its first messages say that it is up; none: its name in the graph says so."""

    name: str
    topics: tuple[str, ...]


def parse_expected(text: str) -> list[Expected]:
    """Reads `NODE=TOPIC,TOPIC;NODE=…`.

    Raises:
        VmError: another form.
    """
    found = []
    for part in filter(None, text.split(";")):
        name, equals, topics = part.partition("=")
        if not name or not equals:
            raise VmError(f"parameter expect: {part!r}; expected NODE=TOPIC,TOPIC;NODE=…")
        found.append(Expected(name, tuple(filter(None, topics.split(",")))))
    return found


@dataclass
class Readiness:
    """Follows the start of a system.

    Attributes:
        expected: nodes in the order in which they are reported, and lifecycle nodes activated.
        timeout_s: from the start until what is missing is an error.
    """

    expected: list[Expected]
    timeout_s: float
    heard: set[str] = field(default_factory=set)
    position: int = 0

    @property
    def current(self) -> Expected | None:
        """The node that is waited for; None when all are up."""
        return self.expected[self.position] if self.position < len(self.expected) else None

    def missing(self) -> list[str]:
        """Topics that the current node has not brought."""
        return [] if self.current is None else [topic for topic in self.current.topics if topic not in self.heard]

    def advance(self, present: set[str]) -> list[str]:
        """Goes past every node that is up; returns their names.

        Args:
            present: names of nodes in the graph that are not waiting to be activated.
        """
        passed = []
        while (node := self.current) is not None:
            if self.missing() or (not node.topics and node.name not in present):
                break
            passed.append(node.name)
            self.position += 1
        return passed

    def complaint(self, elapsed_s: float) -> str | None:
        """What is missing once the time is over."""
        if self.current is None or elapsed_s < self.timeout_s:
            return None
        return f"{self.current.name} is not up after {elapsed_s:.0f} s: {self.lack()}"

    def lack(self) -> str:
        """What the current node has not shown."""
        topics = ", ".join(self.missing())
        return f"no message on {topics}" if topics else "nothing, not even its name in the graph"
