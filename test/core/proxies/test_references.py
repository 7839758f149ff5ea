"""Markers, their stability, their pictures, and codes by an encoder."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from proxy3d_core.encoders import load_encoder
from proxy3d_core.errors import BadInput
from proxy3d_core.geometry.boxes import OrientedBox
from proxy3d_core.proxies.references import (
    MARKERS,
    ReferenceCodes,
    References,
    category_picture,
    find_markers,
    marker,
    numeral_picture,
)
from proxy3d_core.scene.snapshot import ObjectState, ProxySet, SceneObject

BOX = OrientedBox(np.zeros(3), np.ones(3), np.eye(3))


def thing(
    identity: int, score: float = 0.9, state: ObjectState = ObjectState.PRESENT, first_seen: float = 0.0
) -> SceneObject:
    return SceneObject(identity, "chair", score, BOX, state=state, first_seen_ns=round(first_seen * 1e9))


def test_markers_in_text() -> None:
    assert marker(7) == "<OBJ007>"
    assert find_markers("Yes. <OBJ012>, <OBJ003> and <OBJ012>; not <OBJ12>, <obj001> or <OBJ100>.") == [12, 3, 12]
    for nonsense in (-1, MARKERS):
        with pytest.raises(BadInput, match="no marker"):
            marker(nonsense)


def test_few_objects_all_have_one() -> None:
    references = References.assign([thing(40, 0.5), thing(7, 0.9), thing(12, 0.7, ObjectState.GONE)])
    assert references.object_of == {0: 7, 1: 12, 2: 40}
    assert references.marker_of(40) == "<OBJ002>"
    assert references.marker_of(99) is None
    assert references.objects_in("<OBJ002> stands by <OBJ000>, not <OBJ002> or <OBJ050>") == [40, 7]


def test_the_most_certain_hundred_and_present_before_gone() -> None:
    many = [thing(i, 0.2 + 0.004 * i) for i in range(120)] + [thing(500, 1.0, ObjectState.GONE)]
    chosen = set(References.assign(many).object_of.values())
    assert chosen == set(range(20, 120))


def test_markers_stay_with_their_objects() -> None:
    first = References.assign([thing(i) for i in range(5)])
    second = References.assign([thing(9, 1.0), *(thing(i, 0.4) for i in range(5) if i != 2)], first)
    assert {i: second.object_of[i] for i in (0, 1, 3, 4)} == {0: 0, 1: 1, 3: 3, 4: 4}
    assert second.object_of[5] == 9 and 2 not in second.object_of  # it came after all of them
    full = References.assign([thing(i, 0.5) for i in range(100)])
    slightly = References.assign([*(thing(i, 0.5) for i in range(100)), thing(200, 0.55)], full)
    assert slightly.object_of == full.object_of
    clearly = References.assign([*(thing(i, 0.5) for i in range(100)), thing(200, 0.95)], full)
    assert sum(clearly.object_of[i] != full.object_of[i] for i in range(100)) == 1
    assert 200 in clearly.object_of.values()


def test_markers_count_in_the_order_of_first_sight() -> None:
    first = References.assign([thing(1, first_seen=4.0), thing(2, 0.3, first_seen=1.0), thing(3, first_seen=2.5)])
    assert [first.object_of[i] for i in range(3)] == [2, 3, 1]
    later = References.assign([thing(1), thing(3), thing(8, first_seen=9.0), thing(6, first_seen=7.0)], first)
    assert later.object_of == {1: 3, 2: 1, 3: 6, 4: 8}


def test_free_markers_are_taken_when_no_later_ones_are_left() -> None:
    full = References.assign([thing(i, first_seen=i) for i in range(98)])
    left = [thing(i, first_seen=i) for i in range(98) if i not in (3, 4)]
    more = References.assign([*left, *(thing(200 + i, first_seen=200 + i) for i in range(3))], full)
    assert {i: more.object_of[i] for i in (3, 98, 99)} == {3: 200, 98: 201, 99: 202}
    assert 4 not in more.object_of


def test_pictures_differ_and_repeat() -> None:
    numerals = [numeral_picture(i) for i in range(MARKERS)]
    icons = [category_picture(name) for name in ("chair", "table", "sofa", "lamp", "chain", "tv")]
    for pictures in (numerals, icons):
        assert {p.shape for p in pictures} == {(28, 28, 3)}
        assert len({p.tobytes() for p in pictures}) == len(pictures)
    assert all((numeral[0] == 255).all() and (numeral[:, -1] == 255).all() for numeral in numerals)  # nothing cut off
    assert np.array_equal(category_picture(" Office  Chair"), category_picture("office chair"))


def test_codes_are_what_the_encoder_sees_once() -> None:
    seen: list[int] = []

    def encode(pictures):  # mean colour of quarters: any encoder will do
        seen.append(len(pictures))
        return np.stack([p.reshape(2, 14, 2, 14, 3).mean(axis=(1, 3)) for p in pictures]) / 255

    codes = ReferenceCodes(encode)
    got = codes.identifiers([3, 5, 3])
    assert got == pytest.approx(np.stack([numeral_picture(i).mean(axis=(0, 1)) / 255 for i in (3, 5, 3)]), abs=1e-6)
    assert codes.identifiers([5, 3]) == pytest.approx(got[[1, 0]])
    codes.identifiers([8])
    assert seen == [2, 1]


def test_codes_are_added_to_the_proxies_of_their_object() -> None:
    encoder = load_encoder()
    codes = ReferenceCodes(encoder.encode)
    groups = np.array([-1, 4, 4, 9, 11])
    ones = np.ones(5, np.float32)
    features = np.random.default_rng(0).normal(size=(5, encoder.channels)).astype(np.float32)
    proxies = ProxySet(np.zeros((5, 3), np.float32), features, ones, ones, groups)
    references = References({0: 4, 1: 9})
    added = codes.add(proxies, references, {4: "chair"}) - features
    identifiers, chair = codes.identifiers([0, 1]), codes.categories(["chair"])
    assert added[[0, 4]] == pytest.approx(np.zeros((2, encoder.channels)))
    assert added[1:3] == pytest.approx(np.repeat(identifiers[:1] + chair, 2, axis=0), abs=1e-5)
    assert added[3] == pytest.approx(identifiers[1], abs=1e-5)
    assert not np.allclose(identifiers[0], identifiers[1], atol=1e-3)
    with pytest.raises(BadInput, match="channels"):
        codes.add(ProxySet(proxies.positions, ones[:, None], ones, ones, groups), references)


def test_torch_encoders_fit() -> None:
    torch = pytest.importorskip("torch")
    codes = ReferenceCodes(lambda p: torch.tensor(np.stack(p)).half().mean(dim=(1, 2), keepdim=True).requires_grad_())
    got = codes.identifiers(list(range(4)))
    assert got.dtype == np.float32
    assert all(not np.allclose(a, b) for a, b in pairwise(got))
