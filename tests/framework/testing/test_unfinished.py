"""S12: what is still to do is listed whole, and no other check says it again."""

import pytest

from tests.framework.testing.variants import edited
from wickwire.registry import Registry
from wickwire.scaffold import one_file, write
from wickwire.testing.material import Material
from wickwire.testing.running import CHECKS, UNWRITTEN, State, material_of, run_one
from wickwire.testing.unfinished import still_to_do

BY_ID = {one.id: one for one in CHECKS}


def lantern_without(line):
    """Lantern as an object without a source, of which one line is still to be written."""
    indent = line[: len(line) - len(line.lstrip())]
    return Material(
        edited((line, f'{indent}raise NotImplementedError("what is it?")\n{line}')),
        symbols=["GLOW/USD"],
        effort=5,
    )


@pytest.fixture
def skeleton(tmp_path):
    write(one_file("harbour"), tmp_path)
    return tmp_path / "harbour.py"


def harbour(file):
    return material_of("harbour", Registry(local={"harbour": file}), effort=5)


def test_a_finished_adapter_has_nothing_to_do():
    assert State.PASSED is run_one(Material(edited(), symbols=["GLOW/USD"]), BY_ID["S12"]).state


def test_a_skeleton_lists_every_question_with_its_place(skeleton):
    lines = skeleton.read_text().splitlines()
    raising = [number for number, line in enumerate(lines, 1) if "raise NotImplementedError(" in line]

    found = run_one(harbour(skeleton), BY_ID["S12"])

    assert (State.FAILED, f"{len(raising)} things are still to do") == (found.state, found.why)
    assert [f"harbour.py, line {number}" for number in raising] == [
        line.partition(":")[0] for line in found.shown.splitlines()
    ]


def test_nothing_else_fails_but_what_is_wrong_by_itself(skeleton):
    """No document is named: that is no question of a hook, so S02 says it."""
    found = [run_one(harbour(skeleton), check) for check in CHECKS]

    assert ["S02", "S12"] == [one.check.id for one in found if one.state is State.FAILED]
    assert UNWRITTEN in {one.why for one in found if one.state is State.SKIPPED}


@pytest.mark.parametrize(
    "line",
    [
        "    return OhlcvSupport(\n        stream=timeframe in STREAMED,",
        "            word, topic = memory.pop(number)\n            return (Accepted",
        '    return symbol.replace("/", "-").lower()',
        '    return text.replace("-", "/").upper()',
        "    return Endpoint(",
        '    changes = [("OFF", topic) for topic in removed]',
        "        rows, more_s = _rows(query, _body(reply, query.now_ns))\n",
        "    from wickwire_lantern.simulator import LanternServer",
    ],
)
def test_a_call_finds_what_no_source_shows(line):
    """Also deep in a dialogue with the simulated venue, where only an answer comes upon it."""
    material = lantern_without(line)

    assert "what is it?" in "\n".join(still_to_do(material))


def test_a_check_that_comes_upon_it_is_skipped_and_says_so():
    material = lantern_without("    return OhlcvSupport(\n        stream=timeframe in STREAMED,")

    found = run_one(material, BY_ID["S06"])

    assert (State.SKIPPED, UNWRITTEN) == (found.state, found.why)


def test_a_check_that_meets_something_else_fails_as_ever():
    """A KeyError of a hook is told, however much is still to do elsewhere."""
    adapter = edited(
        ("    return Endpoint(", '    raise NotImplementedError("where?")\n    return Endpoint('),
        ('if symbol.count("/") != 1:', 'if {"": 1}[symbol[:0]] and {}[symbol]:'),
    )

    found = run_one(Material(adapter, effort=5), BY_ID["S04"])

    assert State.FAILED is found.state
    assert "KeyError" in found.why


def test_what_only_junk_comes_upon_is_no_excuse():
    """No sane call raises it: S12 passes, and the check that finds it fails as for any other exception."""
    adapter = edited(
        (
            'raise ValueError("unknown message")',
            'raise NotImplementedError("") if fields[:1] == [""] else ValueError("")',
        )
    )
    material = Material(adapter, symbols=["GLOW/USD"], effort=20)

    found = {name: run_one(material, BY_ID[name]) for name in ("S12", "P01")}

    assert (State.PASSED, State.FAILED) == (found["S12"].state, found["P01"].state)
    assert "raised NotImplementedError" in found["P01"].why
