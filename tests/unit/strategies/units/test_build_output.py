"""What a build says, kept within bounds."""

from hypothesis import given
from hypothesis import strategies as st

from reconciler.strategies.units.build_output import BoundedLines


@given(count=st.integers(0, 200), first=st.integers(0, 50))
def test_the_first_and_the_last_lines_are_kept_in_order(count: int, first: int) -> None:
    log: list[str] = []
    lines = BoundedLines(log.append, first=first)
    for number in range(count):
        lines.take(str(number))
    lines.finish()
    numbers = [int(line) for line in log if line.isdigit()]
    assert numbers == sorted(set(numbers))
    assert numbers[:first] == list(range(min(first, count)))
    assert numbers[-40:] == list(range(count))[-len(numbers[-40:]) :]
    left_out = [line for line in log if not line.isdigit()]
    missing = count - len(numbers)
    assert left_out == ([f"… {missing} more lines are left out …"] if missing else [])
